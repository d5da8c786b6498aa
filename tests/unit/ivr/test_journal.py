"""The call's journal."""

import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.errors import ProtocolError
from ivr.journal import Journal, JournalEntry, JournalThread, JournalWriter

AT = datetime(2026, 1, 5, 1, 30, tzinfo=UTC)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "spool/abc.jsonl")
    writer.append("opened", AT, call_id="abc", caller="13800138000")
    writer.append("segment", AT, speaker="caller", words=[["您好", 100, 400, 0.9]])
    writer.append("closed", AT)
    writer.close()
    journal = Journal.read(tmp_path / "spool/abc.jsonl")
    assert journal.call_id == "abc"
    assert journal.audio_path == tmp_path / "spool/abc.wav"
    assert [entry.kind for entry in journal.entries] == ["opened", "segment", "closed"]
    assert journal.closed
    segment = journal.first("segment")
    assert segment is not None
    assert segment.data["words"] == [["您好", 100, 400, 0.9]]
    assert segment.at == AT


def test_each_line_is_on_disk_before_the_writer_is_closed(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "abc.jsonl")
    writer.append("opened", AT)
    assert len(Journal.read(tmp_path / "abc.jsonl").entries) == 1
    writer.close()


@pytest.mark.parametrize("torn", ['{"kind": "demand", "at": "2026', "\x00\x00\x00", "[1, 2]", "7", "", '{"kind": "x"}'])
def test_a_torn_or_foreign_line_is_skipped(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "abc.jsonl"
    path.write_text(JournalEntry("opened", AT, {}).serialize() + "\n" + torn, encoding="utf-8")
    journal = Journal.read(path)
    assert [entry.kind for entry in journal.entries] == ["opened"]
    assert not journal.closed


@given(st.text(max_size=80))
def test_garbage_is_a_protocol_error(line: str) -> None:
    with pytest.raises(ProtocolError):
        JournalEntry.parse(line)


@given(
    st.from_regex(r"[a-z]{1,10}", fullmatch=True),
    st.datetimes(timezones=st.just(UTC)),
    st.dictionaries(st.sampled_from(["text", "start_ms"]), st.one_of(st.text(), st.integers())),
)
def test_entries_survive_the_round_trip(kind: str, at: datetime, data: dict[str, object]) -> None:
    entry = JournalEntry(kind, at, data)
    assert JournalEntry.parse(entry.serialize()) == entry
    assert "\n" not in entry.serialize()


def test_line_separators_of_unicode_do_not_tear_a_line(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "abc.jsonl")
    writer.append("opened", AT, called="info\u2028x\u2029y\x85z", caller="13800138000")
    writer.close()
    (entry,) = Journal.read(tmp_path / "abc.jsonl").entries
    assert entry.data["caller"] == "13800138000"


def test_a_torn_last_line_does_not_swallow_what_is_appended(tmp_path: Path) -> None:
    path = tmp_path / "abc.jsonl"
    path.write_text(JournalEntry("opened", AT, {}).serialize() + '\n{"kind": "dem', encoding="utf-8")
    writer = JournalWriter(path)
    writer.append("ended", AT, reason="media_crashed")
    writer.close()
    assert [entry.kind for entry in Journal.read(path).entries] == ["opened", "ended"]


class Disk:
    """`os.write` that can be full, and that takes only a few bytes at a time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = threading.Event()
        self.refused = threading.Event()
        self._write = os.write
        monkeypatch.setattr("ivr.journal.os.write", self.write)

    def write(self, file: int, data: bytes) -> int:
        if self.full.is_set():
            self.refused.set()
            raise OSError(28, "No space left on device")
        return self._write(file, bytes(data[:7]))


def test_what_a_full_disk_refuses_is_written_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    journals = JournalThread(retry_s=0.02)
    journals.start()
    closed = threading.Event()
    journal = journals.open(tmp_path / "abc.jsonl")
    journal.append("opened", AT, call_id="abc")
    disk.full.set()
    journal.append("ended", AT, reason="caller_hangup")
    journal.append("closed", AT)
    journal.close(closed.set)
    assert disk.refused.wait(5)
    assert not closed.is_set()
    disk.full.clear()
    assert closed.wait(5)
    journals.stop()
    assert [entry.kind for entry in Journal.read(tmp_path / "abc.jsonl").entries] == ["opened", "ended", "closed"]


def test_a_journal_that_cannot_be_opened_does_not_hold_up_another(tmp_path: Path) -> None:
    (tmp_path / "no").write_text("a file, no folder")
    journals = JournalThread(retry_s=0.02)
    journals.start()
    refused, written, closed = (
        journals.open(tmp_path / "no/a.jsonl"),
        journals.open(tmp_path / "b.jsonl"),
        threading.Event(),
    )
    refused.append("opened", AT)
    written.append("opened", AT)
    written.close(closed.set)
    assert closed.wait(5)
    (tmp_path / "no").unlink()
    again = threading.Event()
    refused.close(again.set)
    assert again.wait(5)
    journals.stop()
    assert len(Journal.read(tmp_path / "no/a.jsonl").entries) == 1


def test_appending_never_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stalled, release = threading.Event(), threading.Event()
    original = os.fsync

    def stall(file: int) -> None:
        stalled.set()
        release.wait(10)
        original(file)

    monkeypatch.setattr("ivr.journal.os.fsync", stall)
    journals = JournalThread()
    journals.start()
    first, second, closed = journals.open(tmp_path / "a.jsonl"), journals.open(tmp_path / "b.jsonl"), threading.Event()
    first.close(closed.set)
    assert stalled.wait(5)
    second.append("opened", AT)  # returns though the disk stands still
    assert not closed.is_set()
    release.set()
    assert closed.wait(5)
    journals.stop()
