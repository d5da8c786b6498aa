from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from hotline.errors import ConfigurationError, InvalidInputError, NotFoundError, UnavailableError
from recordings.store import RecordingStore

NAME = "2026/01/05/abc.wav"


@pytest.fixture(params=["directory", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RecordingStore]:
    if request.param == "directory":
        yield RecordingStore(str(tmp_path / "録音 store"))
        return
    yield RecordingStore("memory://recordings")
    fsspec.filesystem("memory").store.clear()


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    path = tmp_path / "source.wav"
    path.write_bytes(bytes(range(256)) * 10)
    return path


def read(store: RecordingStore, name: str = NAME) -> bytes:
    with store.open(name) as opened:
        return opened.read()


def test_what_is_put_can_be_read_whole_and_in_ranges(store: RecordingStore, wav: Path) -> None:
    store.put(wav, NAME)
    assert store.exists(NAME)
    assert store.size(NAME) == 2560
    with store.open(NAME) as opened:
        opened.seek(255)
        assert opened.read(2) == b"\xff\x00"
    assert read(store) == wav.read_bytes()


def test_putting_again_replaces(store: RecordingStore, wav: Path) -> None:
    store.put(wav, NAME)
    store.put_bytes(b"new", NAME)
    assert read(store) == b"new"


def test_missing_name_is_not_found(store: RecordingStore, wav: Path) -> None:
    store.put(wav, "other.wav")
    assert not store.exists(NAME)
    with pytest.raises(NotFoundError, match="abc"):
        store.open(NAME)
    with pytest.raises(NotFoundError):
        store.size(NAME)


def test_deleting_twice_is_fine(store: RecordingStore, wav: Path) -> None:
    store.put(wav, NAME)
    store.delete(NAME)
    store.delete(NAME)
    assert not store.exists(NAME)


@pytest.mark.parametrize(
    "name", ["", "/etc/passwd", "../x", "a/../b", "a//b", ".hidden", "a/.b", "a\nb", "a\0b", "录音"]
)
def test_names_that_could_leave_the_store_are_refused(store: RecordingStore, name: str) -> None:
    with pytest.raises(InvalidInputError, match="not a name"):
        store.put_bytes(b"", name)
    with pytest.raises(InvalidInputError, match="not a name"):
        store.open(name)


def test_failed_copy_leaves_the_old_file_and_no_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = RecordingStore(str(tmp_path / "store"))
    store.put_bytes(b"old", NAME)

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("recordings.store.os.fsync", full_disk)
    with pytest.raises(UnavailableError, match="No space left"):
        store.put_bytes(b"new", NAME)
    assert read(store) == b"old"
    assert [path.name for path in (tmp_path / "store").rglob("*") if path.is_file()] == ["abc.wav"]


def test_store_that_is_no_directory_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UnavailableError):
        RecordingStore(str(tmp_path / "file")).put_bytes(b"", NAME)


def test_unknown_kind_of_store_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="recordings_url"):
        RecordingStore("carrier-pigeon://roost")
