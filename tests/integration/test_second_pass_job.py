"""A call is heard again after its ticket is there: by a recognizer elsewhere, by a model in a process of its own."""

import logging
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sherpa_models
from ingest_rig import CALL_ID, MODEL_NOTE, Site, leave_call, make_site, words
from recognizer_rig import MODEL, free_port, running_server, speech
from sqlalchemy import select

from asr.engines.scripted import ScriptedEvent, ScriptedRecognizer
from asr.models import Transcript
from asr.recognizer import Final, ModelInfo, Word
from asr.repository import latest_transcript
from asr.service import Utterance, store_transcript
from hotline.clock import ManualClock
from hotline.db import Database
from hotline.errors import UnavailableError
from hotline.settings import Settings
from recordings.compression import Compression
from tickets.second_pass_job import SecondPassJobs

BETTER = "我 姓 王 妫水北街 的 路灯 坏 了"
INFO = ModelInfo(name="big", engine="sherpa", demo=False)


@pytest.fixture
def site(database: Database, settings: Settings, tmp_path: Path) -> Site:
    return make_site(database, settings, tmp_path)


def second(site: Site, **asr: object) -> None:
    """Sets the site's second pass."""
    site.settings = site.settings.model_copy(update={"asr": site.settings.asr.model_copy(update=asr)})


def jobs(site: Site) -> SecondPassJobs:
    return SecondPassJobs(
        settings=site.settings,
        database=site.database,
        jobs=site.queue,
        bus=site.bus,
        store=site.store,
        clock=site.clock,
    )


def run(site: Site) -> None:
    site.queue.run_all(jobs(site).functions())


def versions(site: Site) -> list[Transcript]:
    with site.database.reading() as session:
        found = list(session.scalars(select(Transcript).order_by(Transcript.version)))
        for version in found:
            _ = version.segments  # loaded while the session is open
        return found


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """The address of a recognizer that hears BETTER in every channel."""
    final = Final(tuple(Word(*word) for word in words(BETTER, start_ms=100)))
    with running_server(ScriptedRecognizer([ScriptedEvent(300, final)], model=INFO)) as server:
        yield server.url


def test_without_a_second_recognizer_nothing_is_handed_in(site: Site) -> None:
    leave_call(site)
    site.ingest()
    assert site.queue.waiting == []


def test_a_second_version_is_added_and_shown_and_the_ticket_was_there_before(site: Site, elsewhere: str) -> None:
    second(site, second_pass_url=elsewhere)
    leave_call(site)
    site.ingest()
    ticket = site.ticket()
    assert ticket is not None
    assert site.queue.waiting == [("second_pass", {"call_id": CALL_ID})]
    run(site)
    live, again = versions(site)
    assert (live.origin, live.version, live.current) == ("live", 1, False)
    assert (again.origin, again.version, again.current) == ("second", 2, True)
    assert (again.engine, again.model, again.demo_model) == ("sherpa", "big", False)
    assert [segment.speaker for segment in again.segments] == ["hotline", "caller"]
    assert again.segments[1].text.startswith("我姓王")
    later = site.ticket()
    assert later is not None
    assert (later.version, later.title) == (ticket.version, ticket.title)
    assert site.bus.published[-1].data == {"call_id": CALL_ID, "shown": True}


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
def test_a_compressed_recording_is_heard_again(site: Site, elsewhere: str) -> None:
    second(site, second_pass_url=elsewhere)
    leave_call(site)
    site.ingest()
    rules = site.settings.recordings.model_copy(update={"compress_after_days": 1})
    settings = site.settings.model_copy(update={"recordings": rules})
    clock = ManualClock(site.clock.now() + timedelta(days=3650))
    done = Compression(settings=settings, database=site.database, store=site.store, clock=clock).run()
    assert (done.files, done.failed) == (1, [])
    run(site)
    assert [version.origin for version in versions(site)] == ["live", "second"]


def test_both_sides_are_heard_where_a_person_answered(site: Site, elsewhere: str) -> None:
    second(site, second_pass_url=elsewhere)
    said = words("请 您 讲 一 讲 是 什么 事情")
    seat = ("segment", {"speaker": "seat", "start_ms": 1000, "end_ms": 3000, "words": said})
    leave_call(site, happened=(seat,))
    site.ingest()
    run(site)
    assert [segment.speaker for segment in versions(site)[-1].segments] == ["hotline", "caller", "seat"]


def test_the_job_run_again_adds_nothing(site: Site, elsewhere: str) -> None:
    second(site, second_pass_url=elsewhere)
    leave_call(site)
    site.ingest()
    for _ in range(2):
        jobs(site).second_pass(CALL_ID)
    assert [version.origin for version in versions(site)] == ["live", "second"]


def test_a_persons_edit_stays_in_sight(site: Site, elsewhere: str) -> None:
    second(site, second_pass_url=elsewhere)
    leave_call(site)
    site.ingest()
    with site.database.transaction() as session:
        edited = Utterance("caller", "我姓汪。", (Word("我姓汪", 1000, 1600, 1.0),))
        store_transcript(session, call_id=CALL_ID, origin="edit", model=INFO, segments=[edited], now=site.clock.now())
    run(site)
    assert [(item.origin, item.current) for item in versions(site)] == [
        ("live", False),
        ("edit", True),
        ("second", False),
    ]
    with site.database.reading() as session:
        shown = latest_transcript(session, CALL_ID)
        assert shown is not None
        assert shown.origin == "edit"
    assert site.bus.published[-1].data["shown"] is False


def test_a_recognizer_that_is_away_holds_up_no_ticket_and_is_tried_again(site: Site) -> None:
    second(site, second_pass_url=f"ws://127.0.0.1:{free_port()}")
    leave_call(site)
    site.ingest()
    assert site.ticket() is not None
    assert site.spooled() == []
    with pytest.raises(UnavailableError):
        run(site)
    assert [version.origin for version in versions(site)] == ["live"]


def test_a_model_works_in_a_process_of_its_own(site: Site) -> None:
    """The bundled model; on the live captions, which are wrong here, the second pass shows what was said."""
    second(site, second_pass_model_path=MODEL)
    leave_call(site, said=("您好",), audio=speech("street_light"))
    site.ingest()
    run(site)
    again = versions(site)[-1]
    assert (again.origin, again.engine, again.model, again.demo_model) == ("second", "vosk", "zh_tiny", True)
    said = "".join(segment.text for segment in again.segments if segment.speaker == "caller")
    assert "路" in said
    assert len(said) > 15
    assert again.segments[-1].end_ms <= 10_000


@pytest.mark.parametrize("harm", ["absent", "ends the process", "too slow"])
def test_what_cannot_work_is_logged_and_given_up(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture, harm: str
) -> None:
    path = sherpa_models.tdnn_ctc(tmp_path, metadata={"model_type": "tdnn"} if harm == "ends the process" else None)
    second(
        site,
        second_pass_model_path=tmp_path / "none" if harm == "absent" else path,
        second_pass_timeout_s=0.01 if harm == "too slow" else 60.0,
    )
    leave_call(site)
    site.ingest()
    with caplog.at_level(logging.ERROR):
        run(site)
    assert "has no second pass" in caplog.text
    assert [version.origin for version in versions(site)] == ["live"]
    assert MODEL_NOTE["model"] == versions(site)[0].model
