"""The catalogue, and downloads from a real web server that breaks off, changes its mind or lies."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from model_archives import Web, files_no_longer_than, web

from asr.catalogue import Download, PublicModel, find_model, load_catalogue
from asr.engines.loading import ENGINES
from hotline.errors import InvalidInputError, NotFoundError, UnavailableError

CONTENT = bytes(range(256)) * 4000


@pytest.fixture
def site() -> Iterator[Web]:
    with web(CONTENT) as running:
        yield running


def download(site: Web, folder: Path, *, mirror: str = "", max_bytes: int = 1 << 30, **changes: object) -> Download:
    model = PublicModel.model_validate(
        {
            "name": "tiny",
            "engine": "sherpa",
            "about": "",
            "url": f"{site.url}/models/tiny.tar.bz2",
            "size": len(CONTENT),
            "sha256": hashlib.sha256(CONTENT).hexdigest(),
            "licence": None,
            "sample_rate": 8000,
            "streaming": False,
            "memory_mb": None,
            "cer": None,
            "source": "",
            **changes,
        }
    )
    return Download(model, folder, mirror, max_bytes)


def quiet(_here: int, _total: int | None) -> None:
    pass


def test_the_catalogue_names_known_engines_and_each_model_once() -> None:
    models = load_catalogue()
    assert len({model.name for model in models}) == len(models) >= 5
    assert {model.engine for model in models} == set(ENGINES)
    assert all(model.file.endswith((".zip", ".tar.bz2")) for model in models)


def test_an_unknown_model_names_those_there_are() -> None:
    with pytest.raises(NotFoundError) as caught:
        find_model("whisper")
    assert "vosk-model-cn-0.22" in caught.value.hint


def test_a_download_tells_its_progress_and_leaves_only_the_archive(site: Web, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    archive = download(site, tmp_path).run(lambda here, total: told.append((here, total)))
    assert archive.read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [archive]
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert [here for here, _ in told] == sorted(here for here, _ in told)


def test_a_broken_download_goes_on_where_it_ended(site: Web, tmp_path: Path) -> None:
    site.cut_after = 300_000
    with pytest.raises(UnavailableError, match="broke off after 300000 bytes"):
        download(site, tmp_path).run(quiet)
    with pytest.raises(UnavailableError, match="broke off after 600000 bytes"):
        download(site, tmp_path).run(quiet)
    site.cut_after = None
    assert download(site, tmp_path).run(quiet).read_bytes() == CONTENT
    assert [wanted for _, wanted in site.asked] == [None, "bytes=300000-", "bytes=600000-"]


@pytest.mark.parametrize("change", ["etag", "ranges"])
def test_a_file_that_changed_or_a_server_without_ranges_begins_anew(site: Web, tmp_path: Path, change: str) -> None:
    site.cut_after = 300_000
    with pytest.raises(UnavailableError):
        download(site, tmp_path).run(quiet)
    site.cut_after = None
    site.etag, site.ranges = ('"two"', True) if change == "etag" else ('"one"', False)
    assert download(site, tmp_path).run(quiet).read_bytes() == CONTENT


@pytest.mark.parametrize("changes", [{"sha256": "0" * 64}, {"size": 5, "sha256": None}])
def test_a_file_that_is_not_the_models_is_thrown_away(site: Web, tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError, match="instead of 5" if "size" in changes else "has the hash"):
        download(site, tmp_path, **changes).run(quiet)
    assert list(tmp_path.iterdir()) == []


def test_unknown_sizes_and_hashes_are_not_compared(site: Web, tmp_path: Path) -> None:
    assert download(site, tmp_path, size=None, sha256=None).run(quiet).read_bytes() == CONTENT


def test_a_mirror_is_asked_instead(site: Web, tmp_path: Path) -> None:
    away = {"url": "http://127.0.0.1:1/elsewhere/tiny.tar.bz2"}
    download(site, tmp_path, mirror=f"{site.url}/mirror/", **away).run(quiet)
    assert site.asked[0][0] == "/mirror/tiny.tar.bz2"


def test_offline_it_says_how_to_bring_the_file(site: Web, tmp_path: Path) -> None:
    away = {"url": "http://127.0.0.1:1/tiny.tar.bz2"}
    with pytest.raises(UnavailableError, match="cannot be fetched") as caught:
        download(site, tmp_path, **away).run(quiet)
    assert "--from FILE" in caught.value.hint
    assert "http://127.0.0.1:1/tiny.tar.bz2" in caught.value.hint


def test_a_refusing_server_is_named_with_its_answer(site: Web, tmp_path: Path) -> None:
    site.status = 404
    with pytest.raises(UnavailableError, match="answers 404"):
        download(site, tmp_path).run(quiet)


def test_a_file_over_the_bound_is_given_up(site: Web, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="more than 1000 bytes"):
        download(site, tmp_path, max_bytes=1000).run(quiet)


def test_a_full_disk_is_told_and_the_download_goes_on_when_there_is_room(site: Web, tmp_path: Path) -> None:
    with files_no_longer_than(400_000), pytest.raises(UnavailableError, match="is full") as caught:
        download(site, tmp_path).run(quiet)
    assert "it goes on" in caught.value.hint
    assert download(site, tmp_path).run(quiet).read_bytes() == CONTENT
    assert site.asked[1][1] == "bytes=400000-"
