from pathlib import Path

import pytest
from chain_rig import Archive, make_archive

from hotline.db import Database
from hotline.errors import ConfigurationError, UnavailableError
from recordings.chain_repository import remove_files
from recordings.keys import Key, KeyRing
from recordings.rekeying import rekey
from recordings.store import RecordingStore

OLD, NEW = Key("old", bytes(32)), Key("new", bytes(range(32)))
WAV = "2026/01/05/c1.wav"


@pytest.fixture
def archive(database: Database, tmp_path: Path) -> Archive:
    made = make_archive(database, tmp_path)
    made.add_call("c1")
    made.add_call("c2", tracks=("8001-1",))
    return made


def contents(archive: Archive) -> dict[str, bytes]:
    out = {}
    for name in archive.store.names("2026"):
        with archive.store.open(name) as file:
            out[name] = file.read()
    return out


def under(archive: Archive, *keys: Key) -> None:
    archive.store = RecordingStore(str(archive.folder / "store"), KeyRing(keys))


def test_plain_files_are_encrypted_and_then_again_under_a_new_key(archive: Archive) -> None:
    before = contents(archive)
    under(archive, OLD)
    assert rekey(archive.database, archive.store, clock=archive.clock).files == 7
    assert contents(archive) == before
    assert {archive.store.key_id(name) for name in before} == {"old"}
    under(archive, NEW, OLD)
    archive.add_call("c3")
    done = rekey(archive.database, archive.store, clock=archive.clock)
    assert (done.files, done.already, done.failed) == (7, 3, [])
    under(archive, NEW)
    assert {name: content for name, content in contents(archive).items() if "c3" not in name} == before
    report = archive.verify()
    assert report.findings == []
    assert report.replaced == 14
    again = rekey(archive.database, archive.store, clock=archive.clock)
    assert (again.files, again.already) == (0, 10)


def test_verification_needs_no_key(archive: Archive) -> None:
    under(archive, OLD)
    rekey(archive.database, archive.store, clock=archive.clock)
    archive.list_links()
    archive.store = RecordingStore(str(archive.folder / "store"))
    assert archive.verify().findings == []
    archive.edit(WAV, lambda content: content[:100] + bytes([content[100] ^ 1]) + content[101:])
    assert archive.problems() == {("changed", WAV)}


@pytest.mark.parametrize("calls", range(7))
def test_killed_between_link_and_file_the_next_run_makes_it_good(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    before = contents(archive)
    under(archive, NEW)
    put, done = RecordingStore.put_as_it_is, 0

    def killed(store: RecordingStore, content: object, name: str) -> None:
        nonlocal done
        if done == calls:
            raise KeyboardInterrupt
        done += 1
        put(store, content, name)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(RecordingStore, "put_as_it_is", killed)
        with pytest.raises(KeyboardInterrupt):
            rekey(archive.database, archive.store, clock=archive.clock)
    assert contents(archive) == before, "every file can be read all the time"
    assert [kind for kind, _ in archive.problems()] == ["unfinished"]
    rekey(archive.database, archive.store, clock=archive.clock)
    assert contents(archive) == before
    assert archive.verify().findings == []


def test_tampered_file_is_told_and_not_made_genuine(archive: Archive) -> None:
    archive.edit(WAV, lambda content: content[:-1] + b"\7")
    archive.path("2026/01/05/c2.wav").unlink()
    under(archive, NEW)
    done = rekey(archive.database, archive.store, clock=archive.clock)
    assert done.files == 5
    assert {path for path, _ in done.failed} == {WAV, "2026/01/05/c2.wav"}
    assert archive.problems() == {("changed", WAV), ("missing", "2026/01/05/c2.wav")}


def test_removed_files_stay_removed(archive: Archive) -> None:
    with archive.database.transaction() as session:
        removed = remove_files(session, "c1", note="certificate 7", now=archive.clock.now())
    for file in removed:
        archive.store.delete(file.name)
    under(archive, NEW)
    assert rekey(archive.database, archive.store, clock=archive.clock).files == 4
    assert not archive.store.exists(WAV)


def test_file_removed_while_it_is_encrypted_does_not_come_back(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    under(archive, NEW)
    put = RecordingStore.put_as_it_is

    def meanwhile(store: RecordingStore, content: object, name: str) -> None:
        if name == WAV:
            with archive.database.transaction() as session:
                remove_files(session, "c1", note="certificate 7", now=archive.clock.now())
            store.delete(name)
        put(store, content, name)  # type: ignore[arg-type]

    monkeypatch.setattr(RecordingStore, "put_as_it_is", meanwhile)
    rekey(archive.database, archive.store, clock=archive.clock)
    assert not archive.store.exists(WAV)


def test_without_a_key_nothing_is_done(archive: Archive) -> None:
    with pytest.raises(ConfigurationError, match="no key"):
        rekey(archive.database, archive.store, clock=archive.clock)


def test_full_disk_ends_the_run_and_loses_nothing(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(archive)
    under(archive, NEW)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("recordings.store.os.fsync", full)
        with pytest.raises(UnavailableError, match="No space left"):
            rekey(archive.database, archive.store, clock=archive.clock)
    assert contents(archive) == before
    rekey(archive.database, archive.store, clock=archive.clock)
    assert archive.verify().findings == []
