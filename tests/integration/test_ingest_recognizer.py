"""Ingestion with a recognizer that is there, away, or late."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from ingest_rig import CALL_ID, LIGHT, Site, leave_call, make_site, words
from recognizer_rig import MODEL, RunningServer, running_server, speech
from sqlalchemy import select

from asr.engines.scripted import ScriptedEvent, ScriptedRecognizer
from asr.engines.vosk import VoskRecognizer
from asr.models import Transcript
from asr.recognizer import Final, Word
from hotline.db import Database
from hotline.errors import UnavailableError
from hotline.settings import Settings
from hotline.settings_sections import AsrSettings
from recordings.models import Recording
from tickets.events import record_event
from tickets.models import Ticket

AUDIO = f"2026/01/05/{CALL_ID}.wav"


@pytest.fixture
def site(database: Database, settings: Settings, tmp_path: Path) -> Site:
    return make_site(database, settings, tmp_path)


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


def test_trying_again_for_the_recognizer_copies_no_audio_again(site: Site) -> None:
    leave_call(site, said=(), complete=False)
    with pytest.raises(UnavailableError):
        site.ingest()
    site.store.delete(AUDIO)
    with pytest.raises(UnavailableError):
        site.ingest()
    assert not site.store.exists(AUDIO)


def test_sweep_hands_in_no_call_whose_job_tried_a_moment_ago(site: Site) -> None:
    leave_call(site, said=(), complete=False)
    site.clock.advance(site.settings.tickets.sweep_after_s + 1)
    with pytest.raises(UnavailableError):
        site.ingest()
    site.worker().sweep_spool()
    assert site.queue.waiting == []


def test_clock_set_back_does_not_hold_the_ticket_up(site: Site) -> None:
    leave_call(site, said=(), complete=False)
    site.clock.advance(-3 * 3600)
    site.ingest()
    ticket = site.ticket()
    assert ticket is not None
    assert ticket.flags == ["untranscribed"]


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
    assert len({item.field for item in ticket.evidence}) == len(ticket.evidence) == 8
    assert site.spooled() == []


def test_what_a_person_has_changed_meanwhile_stays(site: Site, recognizer: RunningServer) -> None:
    make_untranscribed_ticket(site)
    with site.database.transaction() as session:
        ticket = session.scalars(select(Ticket)).one()
        ticket.title, ticket.petitioner = "听录音后填写的标题", {"gender": "female"}
        now, by = site.clock.now(), "li"
        edited = {"set": {"title": ticket.title, "petitioner": ticket.petitioner}}
        record_event(session, ticket, "edit", now=now, data=edited, actor=by)
        record_event(session, ticket, "unflag", now=now, data={"flag": "anonymous"}, actor=by)
    recognizer.start()
    site.ingest()
    recognizer.stop()
    completed = site.ticket()
    assert completed is not None
    assert (completed.title, completed.category) == ("听录音后填写的标题", "市政园林/路灯")
    assert completed.petitioner == {"gender": "female"}
    assert completed.flags == []


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
    assert (ticket.place, ticket.caller_name, ticket.phone) == ("张山营镇", "张", "13800138000")  # the number he says
    assert ticket.events[1].data["clocks"]["on_site"] == "2h"
    assert "overlay" in {item.field for item in ticket.evidence}
