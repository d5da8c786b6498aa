"""Sums of days and drafts of rates, kept from rows that change."""

from datetime import UTC, date, datetime, timedelta

import pytest
from console_seed import seed_heating_call
from figure_seed import GOOD, seed_ticket
from ticket_people import NUMBER, give, seed_units

from hotline.clock import ManualClock
from hotline.db import Database
from hotline.jobs import MemoryJobs
from hotline.settings import Settings
from recordings.models import Call
from tickets import figures
from tickets.commands import Desk, load_desk
from tickets.figure_jobs import JOB, FigureJobs, refresh
from tickets.figure_models import ClockOutcome
from tickets.figure_repository import by_day, draft, figures_of, note_call
from tickets.figures import Span
from tickets.lifecycle import Command
from tickets.repository import lock_ticket

MADE = datetime(2026, 1, 5, 1, 30, tzinfo=UTC)  # a Monday, 9:30
DAY = Span(date(2026, 1, 5), date(2026, 1, 5))
JANUARY = Span(date(2026, 1, 1), date(2026, 1, 31))


@pytest.fixture
def desk(settings: Settings) -> Desk:
    return load_desk(settings)


@pytest.fixture
def heating(database: Database, desk: Desk) -> Database:
    """A ticket that was sent out in time and signed in."""
    with database.transaction() as session:
        seed_units(session)
        ticket = seed_heating_call(session, None, now=MADE)
        ticket.created_at = ticket.updated_at = MADE
        session.flush()
        ticket = lock_ticket(session, NUMBER, None)
        give(session, ticket, Command.DISPATCH, desk=desk, now=MADE + timedelta(minutes=8))
        give(session, ticket, Command.SIGN_IN, desk=desk, now=MADE + timedelta(minutes=20))
    return database


def count(database: Database, settings: Settings, desk: Desk, *, after: timedelta) -> int:
    return refresh(database, desk, settings, now=MADE + after)


def test_a_ticket_and_its_clocks_are_counted(heating: Database, settings: Settings, desk: Desk) -> None:
    assert count(heating, settings, desk, after=timedelta(minutes=30)) == 1
    with heating.reading() as session:
        found = figures_of(session, DAY)
        assert found.get(figures.TICKETS) == 1
        assert found.get(figures.TICKETS, "hour", "09") == 1
        assert found.get(figures.TICKETS, "unit", "zsy") == 1
        assert found.get(figures.CLOCK_MET, "step", "sign_in") == 1
        assert found.get(figures.CLOCK_MISSED) == 0
        assert by_day(session, DAY, figures.TICKETS) == {"2026-01-05": 1}
        own = figures_of(session, DAY, unit="zsy")
        assert (own.get(figures.TICKETS), own.get(figures.CLOCK_MET)) == (1, 1)
        assert figures_of(session, DAY, unit="cgw").get(figures.TICKETS) == 0


def test_what_did_not_change_is_not_looked_at_again(heating: Database, settings: Settings, desk: Desk) -> None:
    count(heating, settings, desk, after=timedelta(minutes=30))
    with heating.reading() as session:
        before = figures_of(session, JANUARY)
    assert count(heating, settings, desk, after=timedelta(minutes=31)) == 0
    with heating.reading() as session:
        assert figures_of(session, JANUARY) == before


def test_a_clock_is_missed_though_nothing_happens(heating: Database, settings: Settings, desk: Desk) -> None:
    count(heating, settings, desk, after=timedelta(minutes=30))
    assert count(heating, settings, desk, after=timedelta(days=20)) == 0
    count(heating, settings, desk, after=timedelta(days=20))
    with heating.reading() as session:
        found = figures_of(session, JANUARY)
        missed = found.get(figures.CLOCK_MISSED)
        assert missed >= 2
        assert found.get(figures.CLOCK_MISSED, "unit", "zsy") == missed
        assert session.query(ClockOutcome).filter_by(outcome="running").count() == 0


def test_a_correction_moves_the_count(heating: Database, settings: Settings, desk: Desk) -> None:
    count(heating, settings, desk, after=timedelta(minutes=30))
    with heating.transaction() as session:
        ticket = lock_ticket(session, NUMBER, None)
        give(
            session,
            ticket,
            Command.EDIT,
            town="永宁镇",
            desk=desk,
            now=MADE + timedelta(days=3),
        )
    assert count(heating, settings, desk, after=timedelta(days=3, minutes=5)) == 1
    with heating.reading() as session:
        assert figures_of(session, DAY).get(figures.TICKETS, "town", "永宁镇") == 1
        assert figures_of(session, DAY).get(figures.TICKETS) == 1


def call(call_id: str, *, answer_ms: float | None, waited: tuple[int, str] | None = None, **fields: object) -> Call:
    entries = []
    if waited:
        entries = [
            {"kind": "queued", "queue": "operator", "offset_ms": 1000},
            {"kind": "unqueued", "reason": waited[1], "offset_ms": 1000 + waited[0]},
        ]
    return Call(
        id=call_id,
        started_at=MADE,
        ended_at=MADE + timedelta(minutes=2),
        duration_ms=120_000,
        answer_ms=answer_ms,
        details={"entries": entries},
        **fields,
    )


def test_answer_times_and_abandonment(database: Database, settings: Settings, desk: Desk) -> None:
    calls = [
        call("a", answer_ms=3.2, waited=(9_000, "connected")),
        call("b", answer_ms=20_000, waited=(40_000, "connected")),
        call("c", answer_ms=5, waited=(30_000, "left")),
        call("d", answer_ms=None),
        call("e", answer_ms=4, direction="out"),
    ]
    with database.transaction() as session:
        session.add_all(calls)
        session.flush()
        for one in (*calls, calls[0]):  # a job that is done again
            note_call(session, one, settings.zone)
    count(database, settings, desk, after=timedelta(minutes=5))
    with database.reading() as session:
        found = figures_of(session, DAY)
    assert (found.get(figures.CALLS), found.get(figures.ANSWERED), found.get(figures.FAST)) == (4, 3, 2)
    assert (found.get(figures.QUEUED), found.get(figures.CONNECTED), found.get(figures.CONNECTED_FAST)) == (3, 2, 1)
    assert (found.get(figures.ABANDONED), found.get(figures.WAITED_MS)) == (1, 79_000)
    assert found.get(figures.CALLS, "hour", "09") == 4
    assert found.get(figures.ABANDONED, "queue", "operator") == 1


def test_the_rates_of_the_period_that_goes_on_are_kept(database: Database, settings: Settings, desk: Desk) -> None:
    with database.transaction() as session:
        seed_ticket(session, 1, GOOD, at=MADE)
    count(database, settings, desk, after=timedelta(hours=1))
    with database.reading() as session:
        kept, before = draft(session, "2026-01"), draft(session, "2025-12")
        assert kept is not None
        assert before is not None
        assert (kept.cases, before.cases) == (1, 0)


def test_a_refresh_is_called_for_when_the_last_is_old(database: Database, settings: Settings, desk: Desk) -> None:
    clock, jobs = ManualClock(MADE), MemoryJobs()
    mine = FigureJobs(settings=settings, database=database, jobs=jobs, desk=desk, clock=clock)
    mine.sweep()
    assert jobs.waiting == [(JOB, {})]
    jobs.run_all(mine.functions())
    mine.sweep()
    assert jobs.waiting == []
    clock.advance(settings.figures.refresh_s)
    mine.sweep()
    assert jobs.waiting == [(JOB, {})]
