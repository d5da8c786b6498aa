"""Files of the site: changed whole, taken back, and read again by processes that run."""

import logging
import threading
from pathlib import Path

import pytest

from hotline.errors import ConfigurationError, ConflictError, InvalidInputError
from hotline.site_files import VERSIONS_KEPT, SiteFile, Watched


def test_a_change_is_taken_back_step_by_step(tmp_path: Path) -> None:
    file = SiteFile(tmp_path / "site/words.tsv")
    assert file.change(lambda text: text + "一")
    assert file.change(lambda text: text + "二")
    assert not file.change(lambda text: text)
    assert file.path.read_text("utf-8") == "一二"
    file.undo()
    assert file.path.read_text("utf-8") == "一"
    file.undo()
    assert file.path.read_text("utf-8") == ""
    with pytest.raises(ConflictError):
        file.undo()


def test_a_change_that_fails_leaves_the_file(tmp_path: Path) -> None:
    file = SiteFile(tmp_path / "words.tsv")
    file.change(lambda _: "一")

    def refuse(_: str) -> str:
        raise InvalidInputError("no")

    with pytest.raises(InvalidInputError):
        file.change(refuse)
    assert file.path.read_text("utf-8") == "一"


def test_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "words.tsv"
    threads = [
        threading.Thread(target=lambda: [SiteFile(path).change(lambda text: text + "x") for _ in range(10)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text("utf-8") == "x" * 40


def test_only_so_many_versions_are_kept(tmp_path: Path) -> None:
    file = SiteFile(tmp_path / "words.tsv")
    for number in range(VERSIONS_KEPT + 5):
        file.change(lambda _, number=number: f"{number}")  # type: ignore[misc]
    assert len(list((tmp_path / "words.tsv.versions").iterdir())) == VERSIONS_KEPT
    file.undo()
    assert file.path.read_text("utf-8") == f"{VERSIONS_KEPT + 3}"


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "site").write_text("a file")
    with pytest.raises(ConfigurationError, match="site"):
        SiteFile(tmp_path / "site/words.tsv").change(lambda _: "一")


def test_a_changed_file_is_read_again_and_a_broken_one_leaves_what_was_known(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "words.tsv"
    reads = []

    def load() -> str:
        reads.append(path)
        text = path.read_text("utf-8") if path.exists() else ""
        if text == "broken":
            raise ConfigurationError("words.tsv: broken")
        return text

    watched = Watched((path,), load)
    assert (watched.get(), watched.get(), len(reads)) == ("", "", 1)
    SiteFile(path).change(lambda _: "一")
    assert (watched.get(), watched.get(), len(reads)) == ("一", "一", 2)
    path.write_text("broken", encoding="utf-8")
    with caplog.at_level(logging.ERROR):
        assert (watched.get(), watched.get(), len(reads)) == ("一", "一", 3)
    assert "broken" in caplog.text
    path.unlink()
    assert watched.get() == ""
