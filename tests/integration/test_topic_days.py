"""Topics on rows: found once a day, the same ones from day to day, with what they are candidates for."""

import random
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from demo.matters import complain
from hotline.clock import ManualClock
from hotline.db import Database
from hotline.jobs import MemoryJobs
from hotline.settings import Settings
from hotline.settings_sections import TopicSettings
from tickets import topic_repository as stored
from tickets.access import Viewer
from tickets.models import Ticket
from tickets.survey_models import Survey
from tickets.topic_jobs import JOB, TopicJobs, refresh_topics
from tickets.topic_models import TopicDay, TopicRow, TopicRun

NOW = datetime.fromisoformat("2026-11-20T09:00:00+08:00")
LAMPS, WAGES = 17, 29


def add_calls(
    session: Session, kind: int | None, count: int, *, first: int, days: int = 35, **fields: Any
) -> list[Ticket]:
    chance = random.Random(first)
    tickets = []
    for number in range(count):
        made = complain(chance, kind)
        at = NOW - timedelta(days=chance.uniform(0.1, days - 1.5))
        values = {"content": made.text, "category": made.category, "place": made.town, "created_at": at} | fields
        tickets.append(
            Ticket(
                number=f"T{first + number:06}",
                lookup_code="000000",
                state="closed",
                channel="phone",
                updated_at=at,
                **values,
            )
        )
    session.add_all(tickets)
    session.flush()
    return tickets


def find(database: Database, settings: Settings, *, now: datetime = NOW, **bounds: Any) -> None:
    changed = settings.model_copy(update={"topics": TopicSettings(at_least=5, **bounds)})
    refresh_topics(database, settings=changed, now=now)


def test_topics_are_stored_with_growth_places_and_reasons(database: Database, settings: Settings) -> None:
    with database.transaction() as session:
        add_calls(session, None, 300, first=2000)
        add_calls(session, LAMPS, 40, first=0, days=7)
        for number, ticket in enumerate(add_calls(session, WAGES, 60, first=100)):
            session.add(
                Survey(
                    ticket_id=ticket.id,
                    pass_number=1,
                    phone="1",
                    state="done",
                    solved="no" if number % 2 else "yes",
                    created_at=NOW,
                )
            )
        add_calls(session, LAMPS, 1, first=900, confidential=True, content="保密的路灯不亮一片漆黑")
    find(database, settings, large=12)
    with database.reading() as session:
        run = stored.last_run(session)
        assert run is not None
        assert (run.day, run.texts) == (NOW.date(), 400)
        topics = stored.topics_on(session, run.day)
        assert topics[0].rising
        assert topics[0].reasons["early"]
        assert topics[0].details["categories"][0][0] == "市政园林/路灯"
        monthly = [topic for topic in topics if "monthly" in topic.reasons]
        assert monthly
        assert monthly[0].details["categories"][0][0] == "劳动社保/欠薪"
        assert "未解决" in "".join(monthly[0].reasons["monthly"])
        shown = stored.visible_tickets(session, topics[0].details["examples"], Viewer("v", "viewer"))
        assert shown
        assert stored.visible_tickets(session, topics[0].details["examples"], Viewer("u", "unit_handler", "x")) == {}


def test_topics_keep_their_identity_and_history(database: Database, settings: Settings) -> None:
    with database.transaction() as session:
        add_calls(session, LAMPS, 40, first=0)
    find(database, settings)
    find(database, settings)
    find(database, settings, now=NOW + timedelta(days=1))
    with database.reading() as session:
        topics = stored.topics_on(session, (NOW + timedelta(days=1)).date())
        largest = max(topics, key=lambda topic: topic.tickets)
        days = [each.day for each in stored.history_of(session, largest.topic_id, NOW.date())]
        assert days == [NOW.date(), (NOW + timedelta(days=1)).date()]
        assert largest.topic.first_day == NOW.date()
        assert len(list(session.scalars(select(TopicRow)))) <= len(topics) + 2
        assert {topic.day for topic in stored.days_since(session, NOW.date())} == set(days)


def test_a_season_of_former_years_is_told(database: Database, settings: Settings) -> None:
    with database.transaction() as session:
        for back in (1, 2):
            centre = NOW - timedelta(days=364 * back) + timedelta(days=10)
            add_calls(session, 0, 30, first=1000 * back, created_at=centre)
            for month in range(12):
                at = NOW - timedelta(days=364 * back) + timedelta(days=30 * month)
                add_calls(session, LAMPS, 8, first=1000 * back + 100 + 10 * month, created_at=at)
        add_calls(session, LAMPS, 1, first=9000, created_at=NOW - timedelta(days=3 * 364))
    find(database, settings)
    with database.reading() as session:
        run = stored.last_run(session)
        assert run is not None
        assert [season["category"] for season in run.seasonal] == ["供暖/集中供热温度"]
        assert "同期" in run.seasonal[0]["words"]


def test_an_empty_system_has_a_run_and_no_topics(database: Database, settings: Settings) -> None:
    find(database, settings)
    with database.reading() as session:
        run = stored.last_run(session)
        assert run is not None
        assert (run.texts, run.seasonal) == (0, [])
        assert stored.topics_on(session, run.day) == []


def test_the_job_is_handed_in_once_a_day_after_its_hour(database: Database, settings: Settings) -> None:
    clock, queue = ManualClock(NOW.replace(hour=2)), MemoryJobs()
    worker = TopicJobs(settings=settings, database=database, jobs=queue, clock=clock)
    worker.sweep()
    assert queue.waiting == []
    clock.advance(2 * 3600)
    worker.sweep()
    worker.sweep()
    assert queue.waiting == [(JOB, {})]
    queue.run_all(worker.functions())
    worker.find_topics()
    TopicJobs(settings=settings, database=database, jobs=queue, clock=clock).sweep()
    assert queue.waiting == []
    clock.advance(24 * 3600)
    worker.sweep()
    queue.run_all(worker.functions())
    with database.reading() as session:
        assert len(list(session.scalars(select(TopicRun)))) == 2
        assert list(session.scalars(select(TopicDay))) == []
