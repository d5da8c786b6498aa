"""The call's journal."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.errors import ProtocolError
from ivr.journal import Journal, JournalEntry, JournalWriter

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
