"""The site's models: whole or not there."""

import subprocess
from pathlib import Path

import model_archives
import pytest
import sherpa_models

from asr.engines.loading import read_model_info
from asr.model_store import HASHES, ModelStore
from hotline.errors import ConfigurationError, ConflictError, InvalidInputError, NotFoundError, UnavailableError
from hotline.settings import Settings
from hotline.settings_sections import BUNDLED_MODEL


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "data/models", max_bytes=1 << 20)


def left_over(tmp_path: Path) -> list[str]:
    return [path.name for path in (tmp_path / "data/models").iterdir()]


def test_an_archive_becomes_a_model_with_its_hashes(store: ModelStore, tmp_path: Path) -> None:
    path = store.install(model_archives.model_tar(tmp_path), "tiny")
    assert store.names == ["tiny"]
    assert left_over(tmp_path) == ["tiny"]
    assert store.verify("tiny") == 3
    checked = subprocess.run(["sha256sum", "--check", "--strict", HASHES], cwd=path, capture_output=True, check=False)
    assert checked.returncode == 0


def test_a_model_is_called_as_in_its_archive_or_its_directory(store: ModelStore, tmp_path: Path) -> None:
    assert store.install(model_archives.model_tar(tmp_path)).name == "tdnn"
    assert store.install(sherpa_models.streaming_ctc(tmp_path)).name == "zipformer-ctc"
    flat = tmp_path / "flat.zip"
    model_archives.zip_of(sherpa_models.sense_voice(tmp_path), flat)
    assert store.install(flat).name == "sense-voice"


def test_what_is_no_model_leaves_nothing_behind(store: ModelStore, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"x")
    for source in (folder, model_archives.zip_of(folder, tmp_path / "photos.zip")):
        with pytest.raises(ConfigurationError):
            store.install(source)
    assert left_over(tmp_path) == []


def test_a_model_is_not_overwritten(store: ModelStore, tmp_path: Path) -> None:
    archive = model_archives.model_tar(tmp_path)
    store.install(archive, "tiny")
    with pytest.raises(ConflictError, match="already"):
        store.install(archive, "tiny")
    assert store.verify("tiny") == 3


def test_a_disk_that_fills_up_leaves_nothing_behind(store: ModelStore, tmp_path: Path) -> None:
    archive = model_archives.model_tar(tmp_path)
    folder = sherpa_models.sense_voice(tmp_path)
    for source in (archive, folder):
        with model_archives.files_no_longer_than(300), pytest.raises(UnavailableError, match="is full"):
            store.install(source)
    assert left_over(tmp_path) == []
    assert store.install(archive).name == "tdnn"


@pytest.mark.parametrize("name", ["../evil", "in-use", ".hidden", "a/b", "x" * 200])
def test_a_name_that_is_none_is_refused(store: ModelStore, tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInputError, match="no name"):
        store.install(model_archives.model_tar(tmp_path), name)


def test_a_directory_with_links_or_over_the_bound_is_refused(store: ModelStore, tmp_path: Path) -> None:
    folder = sherpa_models.tdnn_ctc(tmp_path)
    (folder / "link").symlink_to("/etc/passwd")
    with pytest.raises(InvalidInputError, match="links"):
        store.install(folder)
    (folder / "link").unlink()
    (folder / "large").write_bytes(bytes(2 << 20))
    with pytest.raises(InvalidInputError, match="more than"):
        store.install(folder)


def test_damage_is_found_and_a_damaged_model_is_not_used(store: ModelStore, tmp_path: Path) -> None:
    path = store.install(model_archives.model_tar(tmp_path), "tiny")
    tokens = (path / "tokens.txt").read_bytes()
    (path / "tokens.txt").write_bytes(tokens[:-3] + b"9 9")
    (path / "new").touch()
    (path / "model.json").unlink()
    with pytest.raises(InvalidInputError, match=r"model\.json is missing; new is new; tokens\.txt has changed"):
        store.verify("tiny")
    with pytest.raises(InvalidInputError):
        store.use("tiny")
    assert store.chosen == ""


def test_the_chosen_model_is_the_sites_from_then_on(store: ModelStore, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    assert settings.effective_model_path() == BUNDLED_MODEL
    store.install(model_archives.model_tar(tmp_path), "tiny")
    store.install(sherpa_models.streaming_ctc(tmp_path), "other")
    store.use("tiny")
    store.use("other")
    assert store.chosen == "other"
    assert read_model_info(settings.effective_model_path()).name == "other"
    store.use_bundled()
    assert settings.effective_model_path() == BUNDLED_MODEL


def test_a_chosen_model_that_was_removed_is_an_error_and_not_another_model(store: ModelStore, tmp_path: Path) -> None:
    path = store.install(model_archives.model_tar(tmp_path), "tiny")
    store.use("tiny")
    path.rename(tmp_path / "gone")
    with pytest.raises(ConfigurationError, match="no model directory"):
        read_model_info(Settings(data_dir=tmp_path / "data").effective_model_path())


def test_what_is_not_there_is_named(store: ModelStore, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no file or directory"):
        store.install(tmp_path / "absent.zip")
    for act in (store.use, store.verify):
        with pytest.raises(NotFoundError) as caught:
            act("tiny")
        assert "none" in caught.value.hint
