"""Sends tickets that a rule of the site lets go without a person, and no others.

Off until `tickets.auto_dispatch` names categories; the catalogue's entry must say so too, and the suggestion be sure
enough. The ticket's history says which rule gave leave, by which version of the catalogue.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from hotline.bus import Bus, Event
from hotline.clock import Clock
from hotline.db import Database
from hotline.jobs import Jobs
from tickets import repository
from tickets.commands import CHANGED, CommandRequest, Desk, perform
from tickets.dispatching import advise, leave_of
from tickets.lifecycle import Command, State
from tickets.models import Ticket
from tickets.roles import SYSTEM_ACTOR

log = logging.getLogger(__name__)

LEASE = "auto-dispatch"
KEY = "auto-dispatch"
CHUNK = 200
NEW = timedelta(hours=1)
"""A ticket that has waited for longer is a person's: somebody looks at it already."""


class AutoDispatchJobs:
    """Looks at the tickets that wait for dispatch. State is in rows only."""

    def __init__(self, *, database: Database, jobs: Jobs, bus: Bus, clock: Clock, desk: Desk) -> None:
        self._database = database
        self._jobs = jobs
        self._bus = bus
        self._clock = clock
        self._desk = desk

    def sweep(self) -> None:
        """All that may go, each ticket in a transaction of its own. One worker at a time does so.

        Raises `UnavailableError` while the database is away.
        """
        categories = self._desk.settings.auto_dispatch
        if not categories or self._jobs.leased(LEASE):
            return
        with self._jobs.lease(LEASE):
            with self._database.reading() as session:
                numbers = waiting(session, categories, since=self._clock.now() - NEW)
            for number in numbers:
                self._look_at(number)

    def _look_at(self, number: str) -> None:
        now = self._clock.now()
        with self._database.transaction() as session:
            ticket = repository.lock_ticket(session, number, None)
            sent = send(session, ticket, desk=self._desk, now=now)
        if sent:
            log.info("ticket %s is dispatched to %s by rule", number, ticket.unit)
            data = {
                "number": number,
                "ticket_id": ticket.id,
                "command": Command.DISPATCH.value,
                "state": ticket.state,
            }
            self._bus.publish(Event(name=CHANGED, at=now, data=data))


def waiting(session: Session, categories: Sequence[str], *, since: datetime) -> Sequence[str]:
    """Numbers of the tickets in such categories that wait for dispatch since not before `since`, the oldest first."""
    of_them: list[ColumnElement[bool]] = [Ticket.category.in_(categories)]
    of_them += [Ticket.category.startswith(f"{name}/", autoescape=True) for name in categories if "/" not in name]
    query = select(Ticket.number).where(
        Ticket.state == State.TO_DISPATCH.value, Ticket.created_at >= since, or_(*of_them)
    )
    return session.scalars(query.order_by(Ticket.created_at, Ticket.id).limit(CHUNK)).all()


def send(session: Session, ticket: Ticket, *, desk: Desk, now: datetime) -> bool:
    """Dispatches a ticket that is held by this transaction where a rule gives leave; False where none does."""
    if ticket.state != State.TO_DISPATCH.value:
        return False
    advice = advise(session, ticket, settings=desk.settings, now=now, limit=1)
    leave = leave_of(advice, desk.settings)
    first = advice.first
    if first is None or not leave:
        return False
    arguments = {
        "unit": first.unit,
        "co_units": list(first.co_units),
        "basis": first.basis,
        "suggested": first.unit,
    }
    reason = f"{leave}（第 {advice.catalogue} 版）"
    perform(
        session,
        ticket,
        CommandRequest(Command.DISPATCH, arguments, reason, key=KEY),
        actor=SYSTEM_ACTOR,
        desk=desk,
        now=now,
    )
    return True
