"""A finished call in the spool becomes a call, recording, transcript and ticket: once, whatever happens in between."""

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from classifier_site import letters
from ingest_rig import CALL_ID, JOURNAL, Site, leave_call, make_site, snapshot
from sqlalchemy import select

import tickets.jobs
from asr.models import Segment, Transcript
from hotline.bus import MemoryBus
from hotline.db import Database
from hotline.errors import ConflictError, InvalidInputError, UnavailableError
from hotline.settings import Settings
from hotline.site_files import SiteFile
from recordings.models import Call, Recording
from tickets.classifier.store import ModelStore
from tickets.classifier.training import Plan, learn_from_all, train
from tickets.models import Ticket, TicketNumber
from tickets.numbering import parse_number


@pytest.fixture
def site(database: Database, settings: Settings, tmp_path: Path) -> Site:
    return make_site(database, settings, tmp_path)


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
    assert created.data == {
        "ticket_id": ticket.id,
        "number": ticket.number,
        "call_id": CALL_ID,
        "confidential": False,
    }


def test_evidence_points_at_the_words_and_the_audio(site: Site) -> None:
    leave_call(site)
    site.ingest()
    ticket = site.ticket()
    assert ticket is not None
    evidence = {item.field: item for item in ticket.evidence}
    assert set(evidence) == {
        *("category", "type", "tier", "caller_name", "phone", "place", "address"),
        "since",
    }
    place = evidence["place"]
    assert (place.quote, place.source, place.start_ms, place.end_ms) == ("妫水北街", "transcript", 1600, 2400)
    with site.database.reading() as session:
        segment = session.get_one(Segment, place.segment_id)
    assert segment.speaker == "caller"
    phone = evidence["phone"]
    assert (phone.source, phone.segment_id, phone.start_ms) == ("caller_id", None, None)


def test_a_trained_classifier_gives_the_category_and_its_evidence(site: Site, settings: Settings) -> None:
    names = {
        "市政/路灯": "市政园林/路灯",
        "市政/井盖": "市政园林/排水井盖",
        "劳动": "劳动社保/欠薪",
        "医疗": "医疗民政/就医服务",
    }
    examples = [replace(example, label=names[example.label]) for example in letters(each=20)]
    texts = [example.text for example in examples]
    version = "20260101-000000"
    model, _ = train(examples, learn_from_all(texts), words={}, background=texts, plan=Plan(0.5, 1), version=version)
    store = ModelStore(settings.data_dir)
    store.save(model, {})
    store.use(version)
    leave_call(site)
    site.ingest()
    ticket = site.ticket()
    assert ticket is not None
    (evidence,) = [item for item in ticket.evidence if item.field == "category"]
    assert (ticket.category, evidence.value) == ("市政园林/路灯", "市政园林/路灯")
    assert evidence.source == f"model {version}"
    assert "路灯" in evidence.quote
    assert 0.5 < evidence.confidence <= 1
    assert evidence.start_ms is not None


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


STEPS = ["store_call", "ingest_recording", "transcribe_call", "store_transcript", "create_ticket", "archive"]


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
        "call_qualities": 1,
        "recordings": 1,
        "transcripts": 1,
        "segments": 2,
        "ticket_numbers": 1,
        "tickets": 1,
        "ticket_events": 3,
        "evidence": 8,
    }
    assert broken["tickets"][0]["version"] == 1
    assert "ticket.created" in site.event_names()


def test_two_workers_at_once_end_with_one_ticket(site: Site) -> None:
    leave_call(site)
    start = threading.Barrier(2)

    def work() -> None:
        worker = site.worker()
        start.wait()
        with suppress(ConflictError, UnavailableError):  # the slower one; its job would be tried again
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


def test_recorded_demand_becomes_a_ticket_also_when_no_word_was_understood(site: Site) -> None:
    leave_call(site, said=())
    site.ingest()
    ticket = site.ticket()
    assert ticket is not None
    assert (ticket.title, ticket.phone) == ("来电录音待听取", "13910001234")
    assert site.count(Transcript) == 1


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


def test_sweep_hands_in_a_call_that_the_clock_says_is_yet_to_come(site: Site) -> None:
    leave_call(site)
    site.clock.advance(-3 * 3600)
    site.worker().sweep_spool()
    assert site.queue.waiting == [("ingest_call", {"journal_path": JOURNAL})]


def test_sweep_and_other_runs_leave_a_call_alone_that_is_worked_on(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_call(site)
    worker = site.worker()
    original = tickets.jobs.transcribe_call

    def slow(*args: Any, **kwargs: Any) -> Any:
        site.clock.advance(10 * site.settings.tickets.sweep_after_s)
        worker.sweep_spool()
        with pytest.raises(UnavailableError, match="another job"):
            worker.ingest_call(JOURNAL)
        return original(*args, **kwargs)

    monkeypatch.setattr(tickets.jobs, "transcribe_call", slow)
    worker.ingest_call(JOURNAL)
    assert site.ticket() is not None
    assert site.queue.waiting == []


def test_sweep_of_a_missing_spool_does_nothing(site: Site) -> None:
    site.worker().sweep_spool()
    assert site.queue.waiting == []


def test_data_of_the_events_is_plain_json(site: Site) -> None:
    leave_call(site)
    site.ingest()
    ticket = site.ticket()
    assert ticket is not None
    for event in ticket.events:
        assert json.loads(json.dumps(event.data)) == event.data
        assert event.actor == "system"
    assert timedelta(0) <= ticket.events[-1].at - ticket.created_at


SEAT = ("joined", {"party": "8001", "role": "seat", "offset_ms": 4000})
OUTGOING = {"direction": "out", "purpose": "outgoing", "flow": "", "variables": {}}


def test_a_call_with_a_person_becomes_a_ticket_without_a_recorded_demand(site: Site) -> None:
    leave_call(site, demand=False, opened={"direction": "in", "purpose": "flow", "flow": "menu"}, happened=(SEAT,))
    site.ingest()
    ticket = site.ticket()
    assert ticket is not None
    assert ticket.category == "市政园林/路灯"
    with site.database.reading() as session:
        call = session.scalars(select(Call)).one()
    assert (call.direction, call.purpose, call.flow) == ("in", "flow", "menu")


def test_a_wish_to_be_called_back_and_a_wait_in_vain_are_flagged(site: Site) -> None:
    queued = ("queued", {"queue": "operator", "offset_ms": 1000})
    leave_call(site, said=(), demand=False, happened=(queued, ("call_back", {"queue": "operator"})))
    leave_call(site, said=(), demand=False, call_id="vain", happened=(queued,))
    site.ingest()
    site.ingest("n1/vain.jsonl")
    with site.database.reading() as session:
        flags = {ticket.call_id: ticket.flags for ticket in session.scalars(select(Ticket))}
    assert flags == {CALL_ID: ["call_back_requested"], "vain": ["abandoned"]}


def test_an_alarm_makes_an_emergency_whatever_was_understood(site: Site) -> None:
    alarm = ("alarm", {"words": ["着火"], "offset_ms": 3000})
    leave_call(site, said=(), demand=False, complete=False, happened=(alarm,))
    with pytest.raises(UnavailableError):
        site.ingest()  # no recognizer yet
    site.clock.advance(site.settings.tickets.transcript_patience_s + 1)
    site.ingest()
    ticket = site.ticket()
    assert ticket is not None
    assert (ticket.tier, ticket.flags) == ("T1", ["untranscribed", "emergency"])
    assert {(item.field, item.value, item.source) for item in ticket.evidence} >= {
        ("emergency", "着火", "alarm"),
        ("tier", "T1", "alarm"),
    }


@pytest.mark.parametrize(
    "journal",
    [
        {"opened": OUTGOING, "happened": (SEAT,)},
        {"opened": {**OUTGOING, "direction": "in", "purpose": "internal"}, "happened": (SEAT,)},
        {"opened": {**OUTGOING, "purpose": "flow", "flow": "survey"}},
        {"happened": (("variable", {"name": "ticket_number", "value": "20260105000018"}),)},
    ],
    ids=["outgoing", "internal", "survey of no ticket", "progress"],
)
def test_a_call_that_is_nobodys_demand_is_kept_without_a_ticket(site: Site, journal: dict[str, Any]) -> None:
    leave_call(site, demand=False, **journal)
    site.ingest()
    assert site.ticket() is None
    assert (site.count(Call), site.count(Recording), site.count(Transcript)) == (1, 1, 1)
    assert site.spooled() == []


def test_a_misheard_name_of_an_imported_place_is_shown_as_it_is_written(site: Site) -> None:
    SiteFile(site.settings.places_path).change(lambda _: "榆林堡村,村,康庄镇,\n")
    leave_call(site, said=("我 家 在 鱼林 堡 村 路灯 坏 了",))
    site.ingest()
    ticket = site.ticket()
    assert ticket is not None
    assert (ticket.address, ticket.place) == ("榆林堡村", "康庄镇")
    with site.database.reading() as session:
        segment = session.scalars(select(Segment).where(Segment.speaker == "caller")).one()
    assert "榆林堡村" in segment.text
    assert [word[0] for word in segment.words][3:6] == ["鱼林", "堡", "村"]  # the words stay as they were heard
