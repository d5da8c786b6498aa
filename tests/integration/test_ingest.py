"""A finished call in the spool becomes a call, recording, transcript and ticket: once, whatever happens in between."""

import json
import os
import threading
import wave
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recognizer_rig import MODEL, RunningServer, free_port, running_server, speech
from sqlalchemy import select

import tickets.jobs
from asr.engines.scripted import ScriptedEvent, ScriptedRecognizer
from asr.engines.vosk import VoskRecognizer
from asr.models import Segment, Transcript
from asr.recognizer import Final, Word
from hotline.bus import MemoryBus
from hotline.clock import ManualClock
from hotline.db import Database
from hotline.errors import ConflictError, InvalidInputError, UnavailableError
from hotline.jobs import MemoryJobs
from hotline.settings import AsrSettings, Settings
from ivr.journal import JournalWriter
from recordings.models import Call, Recording
from recordings.store import RecordingStore
from tickets.jobs import TicketJobs
from tickets.models import Evidence, Ticket, TicketEvent, TicketNumber
from tickets.numbering import parse_number

CALL_ID = "0123456789abcdef0123456789abcdef"
JOURNAL = f"n1/{CALL_ID}.jsonl"
LIGHT = "我 姓 王 妫水北街 的 路灯 坏 了 三天 都 没有 人 修"
MODEL_NOTE = {"model": "m", "engine": "vosk", "demo": True}


@dataclass
class Site:
    """A worker's surroundings in a temporary directory."""

    settings: Settings
    database: Database
    clock: ManualClock
    bus: MemoryBus
    queue: MemoryJobs
    store: RecordingStore

    def worker(self) -> TicketJobs:
        return TicketJobs(
            settings=self.settings,
            database=self.database,
            jobs=self.queue,
            bus=self.bus,
            store=self.store,
            clock=self.clock,
        )

    def ingest(self, path: str = JOURNAL) -> None:
        self.worker().ingest_call(path)

    def ticket(self) -> Ticket | None:
        with self.database.reading() as session:
            ticket = session.scalars(select(Ticket)).one_or_none()
            if ticket is not None:
                _ = ticket.events, ticket.evidence  # loaded while the session is open
            return ticket

    def count(self, model: type) -> int:
        with self.database.reading() as session:
            return len(session.scalars(select(model)).all())

    def spooled(self) -> list[str]:
        return sorted(path.name for path in self.settings.spool_dir.rglob("*") if path.is_file())

    def event_names(self) -> list[str]:
        return [event.name for event in self.bus.published]


@pytest.fixture
def site(database: Database, settings: Settings, tmp_path: Path) -> Site:
    unreachable = AsrSettings(url=f"ws://127.0.0.1:{free_port()}")
    return Site(
        settings=settings.model_copy(update={"asr": unreachable}),
        database=database,
        clock=ManualClock(),
        bus=MemoryBus(),
        queue=MemoryJobs(),
        store=RecordingStore(str(tmp_path / "store")),
    )


def words(text: str, *, start_ms: int = 1000) -> list[list[Any]]:
    out: list[list[Any]] = []
    for word in text.split():
        out.append([word, start_ms, start_ms + 200 * len(word), 0.9])
        start_ms += 200 * len(word)
    return out


def leave_call(
    site: Site,
    *,
    said: tuple[str, ...] = (LIGHT,),
    caller: str = "13910001234",
    complete: bool = True,
    reason: str = "completed",
    demand: bool = True,
    closed: bool = True,
    audio: bytes | None = b"",
    call_id: str = CALL_ID,
) -> Path:
    """Writes what the media process leaves behind: a journal and, unless `audio` is None, a stereo WAV."""
    now = site.clock.now()
    writer = JournalWriter(site.settings.spool_dir / "n1" / f"{call_id}.jsonl")
    writer.append("opened", now, call_id=call_id, node="n1", caller=caller, called="12345", codec="PCMA")
    writer.append("answered", now, answer_ms=3.0)
    writer.append("prompt", now, start_ms=0, end_ms=900, text="您好")
    for position, text in enumerate(said):
        spoken = words(text, start_ms=1000 + 8000 * position)
        writer.append("segment", now, speaker="caller", start_ms=spoken[0][1], end_ms=spoken[-1][2], words=spoken)
    if demand:
        writer.append("demand", now, start_ms=1000, end_ms=9000)
    writer.append("ended", now, reason=reason, duration_ms=10_000)
    writer.append("captions", now, complete=complete, **MODEL_NOTE)
    if closed:
        writer.append("closed", now)
    writer.close()
    os.utime(writer.path, (now.timestamp(), now.timestamp()))
    if audio is not None:
        left = np.frombuffer(audio or bytes(16_000), dtype="<i2")
        with wave.open(str(writer.path.with_suffix(".wav")), "wb") as wav:
            wav.setnchannels(2)
            wav.setsampwidth(2)
            wav.setframerate(8000)
            wav.writeframes(np.stack([left, np.zeros_like(left)], axis=1).tobytes())
    return writer.path


def snapshot(site: Site) -> dict[str, list[dict[str, Any]]]:
    """All rows without what is random (ids, lookup codes), to compare two ways to the same end."""
    loose = {"id", "lookup_code", "ticket_id", "transcript_id", "segment_id"}
    models = (Call, Recording, Transcript, Segment, TicketNumber, Ticket, TicketEvent, Evidence)
    with site.database.reading() as session:
        return {
            model.__tablename__: [
                {
                    column.name: getattr(row, column.name)
                    for column in model.__table__.columns
                    if column.name not in loose or model is Call
                }
                for row in session.scalars(select(model)).all()
            ]
            for model in models
        }


def test_a_call_becomes_rows_a_ticket_and_an_archived_spool(site: Site) -> None:
    leave_call(site)
    site.ingest()
    ticket = site.ticket()
    assert ticket is not None
    assert parse_number(ticket.number).serial == 1
    assert len(ticket.lookup_code) == 6
    assert (ticket.state, ticket.channel, ticket.call_id) == ("to_dispatch", "phone", CALL_ID)
    assert (ticket.category, ticket.type, ticket.tier) == ("市政园林/路灯", "help", "T3")
    assert (ticket.caller_name, ticket.phone, ticket.place) == ("王", "13910001234", "妫水北街")
    assert ticket.title == "妫水北街路灯不亮"
    assert [event.kind for event in ticket.events] == ["created", "fields_extracted", "accepted"]
    assert ticket.events[1].data["clocks"]["dispatch"] == "24h"
    assert [site.count(model) for model in (Call, Recording, Transcript, Ticket)] == [1, 1, 1, 1]
    assert site.spooled() == []
    assert site.store.exists(f"2026/01/05/{CALL_ID}.jsonl")
    created = site.bus.published[-1]
    assert created.name == "ticket.created"
    assert created.data == {"ticket_id": ticket.id, "number": ticket.number, "call_id": CALL_ID}


def test_evidence_points_at_the_words_and_the_audio(site: Site) -> None:
    leave_call(site)
    site.ingest()
    ticket = site.ticket()
    assert ticket is not None
    evidence = {item.field: item for item in ticket.evidence}
    assert set(evidence) == {"category", "type", "tier", "caller_name", "phone", "place", "address"}
    place = evidence["place"]
    assert (place.quote, place.source, place.start_ms, place.end_ms) == ("妫水北街", "transcript", 1600, 2400)
    with site.database.reading() as session:
        segment = session.get_one(Segment, place.segment_id)
    assert segment.speaker == "caller"
    phone = evidence["phone"]
    assert (phone.source, phone.segment_id, phone.start_ms) == ("caller_id", None, None)


def test_running_again_changes_nothing(site: Site) -> None:
    path = leave_call(site)
    journal, audio = path.read_bytes(), path.with_suffix(".wav").read_bytes()
    site.ingest()
    first = snapshot(site)
    site.clock.advance(60)
    site.ingest()  # the journal is archived
    path.write_bytes(journal)  # as if the worker had been killed while it archived
    site.ingest()
    path.write_bytes(journal)
    path.with_suffix(".wav").write_bytes(audio)
    site.ingest()
    assert snapshot(site) == first
    assert site.spooled() == []


class KilledError(Exception):
    """Stands for the end of the process."""


def kill_at(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, *, after: bool) -> None:
    original: Callable[..., Any] = getattr(owner, name)

    def killed(*args: Any, **kwargs: Any) -> Any:
        if after:
            original(*args, **kwargs)
        raise KilledError

    monkeypatch.setattr(owner, name, killed)


STEPS = ["store_audio", "ingest_recording", "transcribe_call", "store_transcript", "create_ticket", "archive"]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", [*STEPS, "publish", "unlink"])
def test_killed_anywhere_and_run_again_it_ends_the_same(
    site: Site, tmp_path: Path, step: str, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, name = {"publish": (MemoryBus, step), "unlink": (Path, step)}.get(step, (tickets.jobs, step))
    leave_call(site)
    with monkeypatch.context() as patch:
        kill_at(patch, owner, name, after=after)
        with pytest.raises(KilledError):
            site.ingest()
    site.ingest()
    broken = snapshot(site)
    assert site.spooled() == []
    for file in ("wav", "peaks.json", "jsonl"):
        assert site.store.exists(f"2026/01/05/{CALL_ID}.{file}")
    assert {name: len(rows) for name, rows in broken.items()} == {
        "calls": 1,
        "recordings": 1,
        "transcripts": 1,
        "segments": 2,
        "ticket_numbers": 1,
        "tickets": 1,
        "ticket_events": 3,
        "evidence": 7,
    }
    assert broken["tickets"][0]["version"] == 1
    assert "ticket.created" in site.event_names()


def test_two_workers_at_once_end_with_one_ticket(site: Site) -> None:
    leave_call(site)
    start = threading.Barrier(2)

    def work() -> None:
        worker = site.worker()
        start.wait()
        with suppress(ConflictError, FileNotFoundError):  # the slower one; its job would be tried again
            worker.ingest_call(JOURNAL)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    site.ingest()
    assert [site.count(model) for model in (Call, Recording, Transcript, TicketNumber, Ticket)] == [1, 1, 1, 1, 1]
    assert site.spooled() == []


def test_the_number_told_during_the_call_is_the_tickets(site: Site) -> None:
    site.worker().assign_number(CALL_ID)
    told = site.bus.published[-1]
    assert told.name == "number.assigned"
    leave_call(site)
    site.ingest()
    ticket = site.ticket()
    assert ticket is not None
    assert (ticket.number, ticket.lookup_code) == (told.data["number"], told.data["lookup_code"])


def test_assigning_again_tells_the_same_number(site: Site) -> None:
    worker = site.worker()
    worker.assign_number(CALL_ID)
    worker.assign_number(CALL_ID)
    first, second = site.bus.published
    assert first.data == second.data
    assert site.count(TicketNumber) == 1


def test_number_belongs_to_the_local_day(site: Site) -> None:
    site.clock.at = datetime.fromisoformat("2026-01-05T16:30:00+00:00")  # half past midnight in Beijing
    site.worker().assign_number(CALL_ID)
    assert site.bus.published[-1].data["number"].startswith("YQ20260106")


@pytest.mark.parametrize("call_id", ["", "../x", "a" * 33, "a b"])
def test_number_for_no_call_is_refused(site: Site, call_id: str) -> None:
    with pytest.raises(InvalidInputError):
        site.worker().assign_number(call_id)


def test_silent_caller_gets_a_call_row_but_no_ticket(site: Site) -> None:
    leave_call(site, said=(), demand=False, reason="caller_hangup")
    site.ingest()
    assert site.ticket() is None
    assert (site.count(Call), site.count(Recording)) == (1, 1)
    assert site.event_names() == []
    assert site.spooled() == []


def test_told_number_is_kept_also_when_no_word_was_understood(site: Site) -> None:
    site.worker().assign_number(CALL_ID)
    leave_call(site, said=())
    site.ingest()
    ticket = site.ticket()
    assert ticket is not None
    assert ticket.title == "来电录音待听取"
    assert ticket.phone == "13910001234"
    assert ticket.category == ""


def test_call_cut_short_by_a_crash_gets_its_ticket(site: Site) -> None:
    leave_call(site, reason="media_crashed")
    site.ingest()
    assert site.ticket() is not None
    with site.database.reading() as session:
        assert session.scalars(select(Recording)).one().repaired


def test_call_without_a_recording_gets_its_ticket_from_the_captions(site: Site) -> None:
    leave_call(site, audio=None, complete=False)
    site.ingest()
    ticket = site.ticket()
    assert ticket is not None
    assert ticket.category == "市政园林/路灯"
    assert site.count(Recording) == 0


def test_damaged_recording_is_kept_and_the_captions_make_the_ticket(site: Site) -> None:
    path = leave_call(site, complete=False)
    path.with_suffix(".wav").write_bytes(b"RIFF then nonsense")
    site.ingest()
    assert site.ticket() is not None
    assert site.spooled() == []
    with site.store.open(f"2026/01/05/{CALL_ID}.wav.damaged") as kept:
        assert kept.read() == b"RIFF then nonsense"


def test_open_journal_is_left_alone(site: Site) -> None:
    leave_call(site, closed=False)
    site.ingest()
    assert site.count(Call) == 0
    assert len(site.spooled()) == 2


@pytest.mark.parametrize("path", ["n1/gone.wav", "/etc/passwd", "../x.jsonl", "a/b/c.jsonl", "n1/ü.jsonl", "c.jsonl"])
def test_path_that_is_no_journal_in_the_spool_is_refused(site: Site, path: str) -> None:
    with pytest.raises(InvalidInputError, match="not a journal"):
        site.ingest(path)


def test_journal_without_a_readable_line_does_not_count_as_closed(site: Site) -> None:
    path = leave_call(site)
    path.write_text("{torn\n")
    site.ingest()
    assert site.count(Call) == 0


def test_absent_recognizer_makes_the_job_try_again_and_after_a_while_the_ticket_comes_without(site: Site) -> None:
    leave_call(site, said=(), complete=False)
    with pytest.raises(UnavailableError):
        site.ingest()
    assert site.ticket() is None
    site.clock.advance(site.settings.tickets.transcript_patience_s + 1)
    site.ingest()
    ticket = site.ticket()
    assert ticket is not None
    assert ticket.flags == ["untranscribed"]
    assert (ticket.state, ticket.title, ticket.phone) == ("to_dispatch", "来电录音待听取", "13910001234")
    assert site.count(Recording) == 1
    assert len(site.spooled()) == 2  # the audio waits for the recognizer


def scripted(text: str) -> ScriptedRecognizer:
    final = Final(tuple(Word(*word) for word in words(text, start_ms=100)))
    return ScriptedRecognizer([ScriptedEvent(300, final)])


@pytest.fixture
def recognizer(site: Site) -> Iterator[RunningServer]:
    """Comes up late, at the address that the site knows."""
    with running_server(scripted(LIGHT)) as server:
        site.settings = site.settings.model_copy(update={"asr": AsrSettings(url=server.url)})
        server.stop()
        yield server
        server.start()  # `running_server` stops it


def make_untranscribed_ticket(site: Site) -> None:
    leave_call(site, said=(), complete=False)
    site.clock.advance(site.settings.tickets.transcript_patience_s + 1)
    site.ingest()


def test_ticket_is_completed_when_the_recognizer_is_back(site: Site, recognizer: RunningServer) -> None:
    make_untranscribed_ticket(site)
    number = site.ticket()
    recognizer.start()
    site.clock.advance(3600)
    site.ingest()
    recognizer.stop()
    ticket = site.ticket()
    assert ticket is not None
    assert number is not None
    assert ticket.number == number.number
    assert ticket.flags == []
    assert (ticket.category, ticket.caller_name, ticket.title) == ("市政园林/路灯", "王", "妫水北街路灯不亮")
    assert [event.kind for event in ticket.events] == ["created", "fields_extracted", "accepted", "fields_extracted"]
    assert len({item.field for item in ticket.evidence}) == len(ticket.evidence) == 7
    assert site.spooled() == []


def test_what_a_person_has_changed_meanwhile_stays(site: Site, recognizer: RunningServer) -> None:
    make_untranscribed_ticket(site)
    with site.database.transaction() as session:
        ticket = session.scalars(select(Ticket)).one()
        ticket.title, ticket.flags = "听录音后填写的标题", [*ticket.flags, "confidential"]
    recognizer.start()
    site.ingest()
    recognizer.stop()
    completed = site.ticket()
    assert completed is not None
    assert (completed.title, completed.category) == ("听录音后填写的标题", "市政园林/路灯")
    assert completed.flags == ["confidential"]


def test_sweep_hands_in_what_lies_in_the_spool_too_long(site: Site) -> None:
    leave_call(site)
    leave_call(site, call_id="open", closed=False)
    worker = site.worker()
    worker.sweep_spool()
    assert site.queue.waiting == []
    site.clock.advance(site.settings.tickets.sweep_after_s + 1)
    worker.sweep_spool()
    worker.sweep_spool()  # handed in a moment ago
    assert site.queue.waiting == [("ingest_call", {"journal_path": JOURNAL})]
    site.queue.run_all(worker.functions())
    assert site.ticket() is not None
    site.clock.advance(site.settings.tickets.sweep_after_s + 1)
    worker.sweep_spool()
    assert site.queue.waiting == []


def test_sweep_of_a_missing_spool_does_nothing(site: Site) -> None:
    site.worker().sweep_spool()
    assert site.queue.waiting == []


@pytest.mark.parametrize("name", ["heating_zhang", "gas_smell"])
def test_demo_caller_is_recognised_from_the_recording(site: Site, name: str) -> None:
    leave_call(site, said=(), complete=False, audio=speech(name))
    with running_server(VoskRecognizer(MODEL, allow_demo_model=True)) as server:
        site.settings = site.settings.model_copy(update={"asr": AsrSettings(url=server.url)})
        site.ingest()
    ticket = site.ticket()
    assert ticket is not None
    with site.database.reading() as session:
        transcript = session.scalars(select(Transcript)).one()
    assert (transcript.origin, transcript.demo_model) == ("batch", True)
    if name == "gas_smell":
        assert (ticket.category, ticket.tier, ticket.flags) == ("水电气讯/燃气", "T1", ["emergency"])
        return
    assert (ticket.category, ticket.tier, ticket.overlay) == ("供暖/煤改电设备", "T2", "coal_to_electric")
    assert (ticket.place, ticket.caller_name, ticket.phone) == ("张山营镇", "张", "13910001234")
    assert ticket.events[1].data["clocks"]["on_site"] == "2h"
    assert "overlay" in {item.field for item in ticket.evidence}


def test_data_of_the_events_is_plain_json(site: Site) -> None:
    leave_call(site)
    site.ingest()
    ticket = site.ticket()
    assert ticket is not None
    for event in ticket.events:
        assert json.loads(json.dumps(event.data)) == event.data
        assert event.actor == "system"
    assert timedelta(0) <= ticket.events[-1].at - ticket.created_at
