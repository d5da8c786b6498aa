import hashlib
import json
import os
import wave
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import func, select

from hotline.db import Database
from hotline.errors import InvalidInputError
from ivr.journal import Journal, JournalWriter
from ivr.media.types import DirectionQuality, StreamQuality
from recordings.chain_repository import paths_of_call
from recordings.models import Call, CallQuality, Recording
from recordings.repository import find_call, find_recording
from recordings.service import archive, ingest_recording, store_call
from recordings.store import RecordingStore

START = datetime(2026, 1, 5, 1, 30, tzinfo=UTC)
NOW = START + timedelta(minutes=1)


@pytest.fixture
def store(tmp_path: Path) -> RecordingStore:
    return RecordingStore(str(tmp_path / "store"))


def write_journal(folder: Path, *, reason: str = "completed", call_id: str = "c1") -> Path:
    writer = JournalWriter(folder / "spool" / f"{call_id}.jsonl")
    writer.append(
        "opened",
        START,
        call_id=call_id,
        node="n1",
        sip_call_id="x@y",
        caller="13800138000",
        called="12345",
        peer="127.0.0.1:5060",
        codec="PCMA",
        sample_rate=8000,
    )
    writer.append("answered", START + timedelta(milliseconds=3), answer_ms=3.2)
    writer.append("prompt", START, start_ms=0, end_ms=900, text="您好")
    writer.append("demand", START, start_ms=1000, end_ms=1900)
    writer.append("ended", START + timedelta(seconds=2), reason=reason, duration_ms=2000)
    writer.append("closed", START + timedelta(seconds=2))
    writer.close()
    return writer.path


def write_wav(journal_path: Path, *, seconds: float = 2.0, channels: int = 2, width: int = 2) -> Path:
    path = journal_path.with_suffix(".wav")
    with wave.open(str(path), "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(width)
        writer.setframerate(8000)
        writer.writeframes(np.full(int(seconds * 8000) * channels * width, 7, dtype=np.uint8).tobytes())
    return path


def ingest(database: Database, journal: Journal, store: RecordingStore) -> Call:
    with database.reading() as session:
        known = paths_of_call(session, journal.call_id)
    stored = store_call(journal, store=store, known=known)
    with database.transaction() as session:
        return ingest_recording(session, journal=journal, stored=stored, now=NOW)


def test_call_and_recording_become_rows(database: Database, store: RecordingStore, tmp_path: Path) -> None:
    path = write_journal(tmp_path)
    content = write_wav(path).read_bytes()
    ingest(database, Journal.read(path), store)
    with database.reading() as session:
        call, recording = find_call(session, "c1"), find_recording(session, "c1")
        assert call is not None
        assert recording is not None
        assert call.recording is recording
    assert (call.caller_number, call.called_number, call.codec, call.node) == ("13800138000", "12345", "PCMA", "n1")
    assert (call.started_at, call.ended_at, call.answer_ms) == (START, START + timedelta(seconds=2), 3.2)
    assert (call.end_reason, call.duration_ms) == ("completed", 2000)
    assert [entry["kind"] for entry in call.details["entries"]] == ["prompt", "demand"]
    assert recording.path == "2026/01/05/c1.wav"
    assert recording.sha256 == hashlib.sha256(content).hexdigest()
    assert (recording.channels, recording.sample_rate, recording.duration_ms) == (2, 8000, 2000)
    assert (recording.size_bytes, recording.repaired) == (len(content), False)
    with store.open(recording.path) as opened:
        assert opened.read() == content
    with store.open("2026/01/05/c1.peaks.json") as opened:
        assert json.load(opened) == {"rate": 100.0, "channels": [[7, 7] * 200] * 2}


def test_ingesting_again_adds_nothing(database: Database, store: RecordingStore, tmp_path: Path) -> None:
    path = write_journal(tmp_path)
    write_wav(path)
    for _ in range(3):
        ingest(database, Journal.read(path), store)
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Call)) == 1
        assert session.scalar(select(func.count()).select_from(Recording)) == 1


def test_missing_wav_still_gives_a_call(database: Database, store: RecordingStore, tmp_path: Path) -> None:
    ingest(database, Journal.read(write_journal(tmp_path)), store)
    with database.reading() as session:
        assert find_call(session, "c1") is not None
        assert find_recording(session, "c1") is None


@pytest.mark.parametrize("content", [b"", b"RIFF", b"no wav at all, but some bytes" * 10])
def test_unreadable_wav_gives_a_call_and_is_kept(
    database: Database, store: RecordingStore, tmp_path: Path, content: bytes
) -> None:
    path = write_journal(tmp_path)
    path.with_suffix(".wav").write_bytes(content)
    ingest(database, Journal.read(path), store)
    with database.reading() as session:
        assert find_call(session, "c1") is not None
        assert find_recording(session, "c1") is None
    with store.open("2026/01/05/c1.wav.damaged") as opened:
        assert opened.read() == content


def test_eight_bit_wav_counts_as_unreadable(store: RecordingStore, tmp_path: Path) -> None:
    path = write_journal(tmp_path)
    write_wav(path, width=1)
    assert store_call(Journal.read(path), store=store).audio is None


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_wav_that_ends_within_a_sample_is_kept_up_to_there(store: RecordingStore, tmp_path: Path, lost: int) -> None:
    path = write_journal(tmp_path)
    audio = write_wav(path)
    os.truncate(audio, audio.stat().st_size - lost)
    stored = store_call(Journal.read(path), store=store).audio
    assert stored is not None
    assert stored.repaired
    with store.open(stored.file.name) as opened, wave.open(opened) as reader:
        assert (reader.getnframes(), len(reader.readframes(20_000))) == (15_999, 4 * 15_999)


def test_recording_without_a_sample_is_kept_as_it_is(store: RecordingStore, tmp_path: Path) -> None:
    path = write_journal(tmp_path)
    write_wav(path, seconds=0)
    audio = store_call(Journal.read(path), store=store).audio
    assert audio is not None
    assert audio.duration_ms == 0


def test_recording_of_a_crashed_media_process_is_marked_repaired(store: RecordingStore, tmp_path: Path) -> None:
    path = write_journal(tmp_path, reason="media_crashed")
    write_wav(path)
    audio = store_call(Journal.read(path), store=store).audio
    assert audio is not None
    assert audio.repaired


def test_recording_found_on_a_later_run_is_added(database: Database, store: RecordingStore, tmp_path: Path) -> None:
    path = write_journal(tmp_path)
    ingest(database, Journal.read(path), store)
    write_wav(path)
    ingest(database, Journal.read(path), store)
    with database.reading() as session:
        assert find_recording(session, "c1") is not None


def test_journal_with_strange_values_still_gives_a_call(
    database: Database, store: RecordingStore, tmp_path: Path
) -> None:
    writer = JournalWriter(tmp_path / "c1.jsonl")
    writer.append("opened", START, caller="1" * 500, sip_call_id="a\0b", node=None)
    writer.append("answered", START, answer_ms="soon")
    writer.append("ended", START + timedelta(seconds=3), duration_ms="long")
    writer.append("closed", START)
    writer.close()
    ingest(database, Journal.read(writer.path), store)
    with database.reading() as session:
        call = find_call(session, "c1")
    assert call is not None
    assert (len(call.caller_number), call.sip_call_id, call.answer_ms, call.duration_ms) == (64, "ab", None, 3000)


def test_quality_of_each_stream_becomes_a_row(database: Database, store: RecordingStore, tmp_path: Path) -> None:
    path = write_journal(tmp_path)
    writer = JournalWriter(path)
    full = StreamQuality(
        received=DirectionQuality(packets=500, loss=0.02, jitter_ms=3.5, mos=4.1),
        sent=DirectionQuality(packets=490, loss=0.1, jitter_ms=7.0, mos=3.2),
        round_trip_ms=41.5,
    )
    unreported = StreamQuality(received=DirectionQuality(packets=7))
    for party, quality in (("caller", full), ("8001", unreported), ("8001", full)):
        writer.append("quality", NOW, party=party, **asdict(quality))
    writer.close()
    for _ in range(2):
        call = ingest(database, Journal.read(path), store)
    with database.reading() as session:
        rows = session.scalars(select(CallQuality).order_by(CallQuality.position)).all()
    assert [(row.call_id, row.position, row.party) for row in rows] == [
        ("c1", 0, "caller"),
        ("c1", 1, "8001"),
        ("c1", 2, "8001"),
    ]
    caller, seat, _ = rows
    assert (caller.received_packets, caller.received_loss, caller.received_jitter_ms, caller.received_mos) == (
        500, 0.02, 3.5, 4.1,
    )  # fmt: skip
    assert (caller.sent_packets, caller.sent_loss, caller.sent_jitter_ms, caller.sent_mos) == (490, 0.1, 7.0, 3.2)
    assert caller.round_trip_ms == 41.5
    assert (seat.received_packets, seat.received_loss, seat.received_mos) == (7, 0, None)
    assert (seat.sent_packets, seat.sent_loss, seat.sent_mos, seat.round_trip_ms) == (None,) * 4
    assert "quality" not in [entry["kind"] for entry in call.details["entries"]]


STRANGE = [None, "many", float("nan"), float("inf"), -1, 10**400, [], {}]


@pytest.mark.parametrize("value", STRANGE, ids=repr)
def test_quality_that_is_no_number_is_unknown(
    database: Database, store: RecordingStore, tmp_path: Path, value: object
) -> None:
    path = write_journal(tmp_path)
    writer = JournalWriter(path)
    direction = dict.fromkeys(("packets", "loss", "jitter_ms", "mos"), value)
    writer.append("quality", NOW, party="x\0" * 90, received=direction, sent=value, round_trip_ms=value)
    writer.close()
    ingest(database, Journal.read(path), store)
    with database.reading() as session:
        row = session.scalars(select(CallQuality)).one()
    assert row.party == "x" * 64
    columns = {column.name for column in CallQuality.__table__.columns} - {"id", "call_id", "position", "party"}
    assert {getattr(row, name) for name in columns} == {None}


def test_journal_without_a_readable_line_is_refused(store: RecordingStore, tmp_path: Path) -> None:
    path = tmp_path / "c1.jsonl"
    path.write_text("{torn")
    write_wav(path)
    with pytest.raises(InvalidInputError, match="no readable line"):
        store_call(Journal.read(path), store=store)


def test_archiving_moves_the_journal_beside_the_recording(store: RecordingStore, tmp_path: Path) -> None:
    path = write_journal(tmp_path)
    write_wav(path)
    content = path.read_bytes()
    journal = Journal.read(path)
    store_call(journal, store=store)
    archive(journal)
    assert list(path.parent.iterdir()) == []
    with store.open("2026/01/05/c1.jsonl") as opened:
        assert opened.read() == content


def test_archiving_keeps_the_tracks_of_participants(store: RecordingStore, tmp_path: Path) -> None:
    path = write_journal(tmp_path)
    write_wav(path)
    track = write_wav(path.with_name("c1.8001-1.jsonl"), channels=1)
    other = write_wav(path.with_name("c12.8001-1.jsonl"), channels=1)
    journal = Journal.read(path)
    store_call(journal, store=store)
    archive(journal)
    assert store.exists("2026/01/05/c1.8001-1.wav")
    assert not track.exists()
    assert other.exists(), "another call's"
