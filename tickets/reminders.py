"""Tells people while a step of a ticket still has time, and says when it has none left.

At 50 and 80 % of a step's time its people are reminded; at 100 % the ticket is overdue and comes under the eyes of the
supervisors. What was told is in the ticket's history, so nobody is told twice, and what a stopped worker has missed is
made good: of several reminders that were missed the last one is told.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from hotline.bus import Bus, Event
from hotline.clock import Clock as Time
from hotline.db import Database
from hotline.jobs import Jobs
from tickets import repository
from tickets.clocks import Clock, moment_of
from tickets.commands import CHANGED, Desk, apply_changes, refresh_due
from tickets.due import SHARES, clocks_of
from tickets.events import record_event
from tickets.lifecycle import State
from tickets.models import Ticket, TicketEvent
from tickets.projection import encode
from tickets.working_time import WorkingTime

log = logging.getLogger(__name__)

LEASE = "reminders"
REMINDED, OVERDUE = "reminded", "overdue"
CHUNK = 100


@dataclass(frozen=True)
class Reminder:
    """A share of a step's time that is used up: of `tickets.due.SHARES`."""

    step: str
    share: float
    started_at: datetime
    due_at: datetime

    @property
    def overdue(self) -> bool:
        """Whether no time is left."""
        return self.share >= 1.0


Tell = Callable[[Session, Ticket, Reminder, datetime], None]
"""Puts notices into the outbox, in the transaction that writes the event."""


def due_reminders(
    clocks: dict[str, Clock], events: list[TicketEvent], working: WorkingTime, *, now: datetime
) -> list[Reminder]:
    """What is to be told now and was not, by step: pure."""
    found = []
    for step, clock in clocks.items():
        moments = {share: moment_of(clock, working, share=share) for share in SHARES}
        passed = [share for share, moment in moments.items() if moment is not None and moment <= now]
        due = moments[1.0]
        if passed and due is not None and passed[-1] > _told(events, step, clock.started_at):
            found.append(Reminder(step, passed[-1], clock.started_at, due))
    return found


def remind(session: Session, ticket: Ticket, *, desk: Desk, tell: Tell, now: datetime) -> list[Reminder]:
    """Writes what is due to a ticket that is held by this transaction, and when to look again."""
    events = list(repository.events_of(session, ticket.id))
    clocks = clocks_of(State(ticket.state), events, tier=ticket.tier, overlay=ticket.overlay, site=desk.site)
    found = due_reminders(clocks, events, desk.working, now=now)
    for reminder in found:
        data = {
            "step": reminder.step,
            "share": reminder.share,
            "started_at": reminder.started_at.isoformat(),
            "due_at": reminder.due_at.isoformat(),
        }
        if reminder.overdue and OVERDUE not in ticket.flags:
            changes = {"flags": [*ticket.flags, OVERDUE]}
            apply_changes(session, ticket, changes, now=now)
            data["set"] = encode(changes)
        record_event(session, ticket, OVERDUE if reminder.overdue else REMINDED, now=now, data=data)
        tell(session, ticket, reminder, now)
    refresh_due(ticket, events, desk, now=now)
    return found


def _told(events: list[TicketEvent], step: str, started_at: datetime) -> float:
    told = [
        float(event.data["share"])
        for event in events
        if event.kind in (REMINDED, OVERDUE)
        and event.data.get("step") == step
        and datetime.fromisoformat(event.data["started_at"]) == started_at
    ]
    return max(told, default=0.0)


class ReminderJobs:
    """Looks at the tickets whose time has come. State is in rows only."""

    def __init__(self, *, database: Database, jobs: Jobs, bus: Bus, clock: Time, desk: Desk, tell: Tell) -> None:
        self._database = database
        self._jobs = jobs
        self._bus = bus
        self._clock = clock
        self._desk = desk
        self._tell = tell

    def sweep(self) -> None:
        """All that is due, each ticket in a transaction of its own. One worker at a time does so.

        Raises `UnavailableError` while the database is away.
        """
        if self._jobs.leased(LEASE):
            return
        with self._jobs.lease(LEASE):
            while numbers := self._due():
                for number in numbers:
                    self._look_at(number)
                if len(numbers) < CHUNK:
                    return

    def _due(self) -> list[str]:
        with self._database.reading() as session:
            return repository.numbers_to_check(session, self._clock.now(), limit=CHUNK)

    def _look_at(self, number: str) -> None:
        now = self._clock.now()
        with self._database.transaction() as session:
            ticket = repository.lock_ticket(session, number, None)
            found = remind(session, ticket, desk=self._desk, tell=self._tell, now=now)
        for reminder in found:
            log.info("ticket %s: %s has used %d %% of its time", number, reminder.step, reminder.share * 100)
        if found:
            data = {"number": number, "ticket_id": ticket.id, "command": "", "state": ticket.state}
            self._bus.publish(Event(name=CHANGED, at=now, data=data))
