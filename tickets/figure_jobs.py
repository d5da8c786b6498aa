"""Keeps the sums of days and the drafts of the rates up to date, a piece at a time, each with its mark."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta

from hotline.clock import Clock
from hotline.db import Database
from hotline.jobs import Jobs
from hotline.settings import Settings
from tickets import figure_repository as repository
from tickets.commands import Desk
from tickets.formulas import load_formulas, period_at
from tickets.lifecycle import State
from tickets.models import Ticket
from tickets.outcomes import ClockFacts, clock_facts
from tickets.rate_service import compute
from tickets.ticket_clocks import Happened

JOB = "refresh_figures"
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
SETTLE = timedelta(seconds=60)
"""A transaction that stamps a change is over after so long."""
PIECE = 500


class FigureJobs:
    """The job `refresh_figures`, and the sweep that calls for it."""

    def __init__(self, *, settings: Settings, database: Database, jobs: Jobs, desk: Desk, clock: Clock) -> None:
        self._settings, self._database, self._jobs, self._desk, self._clock = settings, database, jobs, desk, clock

    def functions(self) -> dict[str, Callable[..., None]]:
        """By the job's name."""
        return {JOB: self.refresh}

    def sweep(self) -> None:
        """Calls for a refresh where the last one is older than `figures.refresh_s`."""
        with self._database.reading() as session:
            found = repository.mark(session)
        age = None if found is None else (self._clock.now() - found.refreshed_at).total_seconds()
        if (age is None or not 0 <= age < self._settings.figures.refresh_s) and not self._jobs.leased(JOB):
            self._jobs.enqueue(JOB)

    def refresh(self) -> None:
        """Counts what has changed since the last time; raises `UnavailableError` where another run does."""
        with self._jobs.lease(JOB):
            refresh(self._database, self._desk, self._settings, now=self._clock.now())


def refresh(database: Database, desk: Desk, settings: Settings, *, now: datetime) -> int:
    """Brings sums and drafts up to `now`; how many tickets were looked at."""
    seen, piece = 0, PIECE
    while piece == PIECE and seen < settings.figures.max_tickets:
        piece = _clocks(database, desk, settings, now=now)
        seen += piece
    _days(database, settings, now=now)
    _calls(database)
    _drafts(database, settings, now=now)
    return seen


def _clocks(database: Database, desk: Desk, settings: Settings, *, now: datetime) -> int:
    """The clocks of the next tickets that changed. What is slow is done before the transaction, which would hold others
    up: a ticket that changes meanwhile has its turn again."""
    with database.reading() as session:
        mark = repository.mark(session)
        after = (mark.changed_at, mark.ticket_id) if mark else (BEGINNING, 0)
        days = set(mark.days) if mark else set()
        tickets = repository.changed_tickets(session, after, now - SETTLE, PIECE)
        events = repository.events_of_tickets(session, [ticket.id for ticket in tickets])
    clocks = [(ticket, _clocks_of(ticket, events.get(ticket.id, []), desk, now=now)) for ticket in tickets]
    for ticket in tickets:
        days |= {repository.local_day(at, settings.zone) for at in (ticket.created_at, ticket.closed_at) if at}
    with database.transaction() as session:
        days |= repository.replace_clocks(session, clocks, settings.zone)
        days |= repository.miss_overdue(session, now, settings.zone, PIECE)
        last = (tickets[-1].updated_at, tickets[-1].id) if tickets else after
        repository.set_mark(session, changed_at=last[0], ticket_id=last[1], days=days, now=now)
    return len(tickets)


def _clocks_of(ticket: Ticket, events: Sequence[Happened], desk: Desk, *, now: datetime) -> list[ClockFacts]:
    if ticket.tier not in desk.site.deadlines:
        return []
    return clock_facts(
        State(ticket.state),
        events,
        periods=desk.site.clocks(ticket.tier, ticket.overlay),
        any_day=desk.site.deadlines[ticket.tier].any_day,
        working=desk.working,
        now=now,
    )


def _days(database: Database, settings: Settings, *, now: datetime) -> None:
    """Sums anew the days that the mark names, one at a time."""
    with database.reading() as session:
        mark = repository.mark(session)
    left = list(mark.days) if mark else []
    while mark is not None and left:
        day = date.fromisoformat(left.pop())
        with database.reading() as session:
            tickets = repository.count_tickets(session, day, settings.zone)
            clocks = repository.count_clocks(session, day)
        with database.transaction() as session:
            repository.write_counts(session, day, repository.TICKET_KINDS, tickets)
            repository.write_counts(session, day, repository.CLOCK_KINDS, clocks)
            repository.set_mark(session, changed_at=mark.changed_at, ticket_id=mark.ticket_id, days=left, now=now)


def _calls(database: Database) -> None:
    """Sums anew the days that have calls which are not in them."""
    with database.reading() as session:
        waiting = repository.uncounted_calls(session)
    for day, call_ids in sorted(waiting.items()):
        with database.reading() as session:
            counts = repository.count_calls(session, date.fromisoformat(day))
        with database.transaction() as session:
            repository.write_counts(session, date.fromisoformat(day), repository.CALL_KINDS, counts)
            repository.mark_counted(session, call_ids)


def _drafts(database: Database, settings: Settings, *, now: datetime) -> None:
    """The period that goes on, and the one before it: appeals against it are still decided."""
    formulas = load_formulas(settings.tickets.rates_path)
    formula, period = period_at(formulas, now, settings.zone)
    before = period_at(formulas, period.begin - timedelta(seconds=1), settings.zone)
    for one, span in ((formula, period), before):
        with database.reading() as session:
            reckoned = compute(session, one, span)
        with database.transaction() as session:
            repository.set_draft(
                session,
                period=span.name,
                formula=one.name,
                cases=len(reckoned.cases),
                outputs=reckoned.outputs,
                now=now,
            )
