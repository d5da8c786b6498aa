"""Queries for tickets, their numbers and evidence."""

from datetime import datetime

from sqlalchemy import bindparam, delete, func, select, text
from sqlalchemy.orm import Session

from hotline.db import UtcDateTime
from hotline.errors import NotFoundError
from tickets.models import Evidence, LookupFailures, Ticket, TicketCounter, TicketEvent, TicketNumber

# One statement, the same on SQLite and PostgreSQL; it makes the day's counter where there is none and locks its row.
_LOCK_COUNTER = text(
    "INSERT INTO ticket_counters (day, last_serial) VALUES (:day, 0) "
    "ON CONFLICT (day) DO UPDATE SET last_serial = ticket_counters.last_serial"
)

_LOCK_FAILURES = text(
    "INSERT INTO lookup_failures (key, since, failures) VALUES (:key, :now, 0) "
    "ON CONFLICT (key) DO UPDATE SET failures = lookup_failures.failures"
).bindparams(bindparam("now", type_=UtcDateTime()))


def number_of_call(session: Session, call_id: str) -> TicketNumber | None:
    """The number given to a call, or None."""
    return session.scalars(select(TicketNumber).where(TicketNumber.call_id == call_id)).one_or_none()


def lock_counter(session: Session, day: str) -> TicketCounter:
    """The day's counter, held by this transaction until it ends."""
    session.execute(_LOCK_COUNTER, {"day": day})
    return session.get_one(TicketCounter, day, populate_existing=True)


def ticket_of_call(session: Session, call_id: str) -> Ticket | None:
    """The ticket that a call became, or None."""
    return session.scalars(select(Ticket).where(Ticket.call_id == call_id)).one_or_none()


def find_ticket(session: Session, number: str) -> Ticket | None:
    """The ticket of that number, or None."""
    return session.scalars(select(Ticket).where(Ticket.number == number)).one_or_none()


def ticket_by_number(session: Session, number: str) -> Ticket:
    """The ticket of that number; raises `NotFoundError`."""
    ticket = find_ticket(session, number)
    if ticket is None:
        raise NotFoundError(f"没有工单 {number[:40]}")
    return ticket


def find_number(session: Session, number: str) -> TicketNumber | None:
    """A number that was given out, or None."""
    return session.get(TicketNumber, number)


def lock_failures(session: Session, key: str, now: datetime) -> LookupFailures:
    """The failed look-ups of a key, held by this transaction until it ends."""
    session.execute(_LOCK_FAILURES, {"key": key, "now": now})
    return session.get_one(LookupFailures, key, populate_existing=True)


def forget_failures(session: Session, before: datetime) -> None:
    """Removes the failures that were counted since earlier than that."""
    session.execute(delete(LookupFailures).where(LookupFailures.since < before))


def next_sequence(session: Session, ticket_id: int) -> int:
    """The place of a ticket's next event; 1 for the first."""
    query = select(func.max(TicketEvent.sequence)).where(TicketEvent.ticket_id == ticket_id)
    return (session.scalar(query) or 0) + 1


def forget_evidence(session: Session, ticket_id: int, fields: set[str]) -> None:
    """Removes the evidence of `fields`, which is to be replaced."""
    session.execute(delete(Evidence).where(Evidence.ticket_id == ticket_id, Evidence.field.in_(fields)))
