"""Queries for tickets, their numbers and evidence."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import bindparam, delete, func, select, text
from sqlalchemy.orm import Session, selectinload

from hotline.db import UtcDateTime
from hotline.errors import NotFoundError
from tickets.access import Viewer, visible_to
from tickets.lifecycle import Command
from tickets.models import Evidence, LookupFailures, Ticket, TicketCounter, TicketEvent, TicketNumber, TicketReader

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


def lock_ticket(session: Session, number: str, viewer: Viewer | None) -> Ticket:
    """The ticket of that number, held by this transaction until it ends; raises `NotFoundError`, also where `viewer`
    may not see it."""
    query = select(Ticket).where(Ticket.number == number).with_for_update().execution_options(populate_existing=True)
    ticket = session.scalars(query if viewer is None else query.where(visible_to(viewer))).one_or_none()
    if ticket is None:
        raise NotFoundError(f"没有工单 {number[:40]}", hint="请核对工单编号")
    return ticket


def events_of(session: Session, ticket_id: int) -> Sequence[TicketEvent]:
    """A ticket's history, in order."""
    query = select(TicketEvent).where(TicketEvent.ticket_id == ticket_id).order_by(TicketEvent.sequence)
    return session.scalars(query).all()


def readers_of(session: Session, ticket_id: int) -> list[str]:
    """The people named for a confidential ticket, sorted."""
    query = select(TicketReader.username).where(TicketReader.ticket_id == ticket_id).order_by(TicketReader.username)
    return list(session.scalars(query))


def set_readers(session: Session, ticket_id: int, usernames: Iterable[str]) -> None:
    """Names other people instead."""
    session.execute(delete(TicketReader).where(TicketReader.ticket_id == ticket_id))
    session.add_all(TicketReader(ticket_id=ticket_id, username=username) for username in usernames)


def tickets_after(session: Session, ticket_id: int, limit: int) -> Sequence[Ticket]:
    """The tickets behind that id, with their history and units, in order."""
    loaded = (selectinload(Ticket.events), selectinload(Ticket.units))
    return session.scalars(
        select(Ticket).options(*loaded).where(Ticket.id > ticket_id).order_by(Ticket.id).limit(limit)
    ).all()


def phones_of(session: Session, ticket: Ticket) -> list[str]:
    """The numbers of all callers of a ticket: its own and those of the tickets merged into it, each once."""
    merged = session.scalars(select(Ticket.phone).where(Ticket.parent_id == ticket.id).order_by(Ticket.id))
    return list(dict.fromkeys([ticket.phone, *(phone for phone in merged if phone)]))


def numbers_to_check(session: Session, now: datetime, *, limit: int) -> list[str]:
    """The tickets whose deadlines are to be looked at by now, the longest waiting first."""
    query = select(Ticket.number).where(Ticket.check_at <= now).order_by(Ticket.check_at).limit(limit)
    return list(session.scalars(query))


def edited_fields(session: Session, ticket_id: int) -> set[str]:
    """The fields that a person put right."""
    query = select(TicketEvent.data).where(TicketEvent.ticket_id == ticket_id, TicketEvent.kind == Command.EDIT.value)
    return {name for data in session.scalars(query) for name in data.get("set", {})}


def removed_flags(session: Session, ticket_id: int) -> set[str]:
    """The flags that a person took away."""
    kind = Command.UNFLAG.value
    query = select(TicketEvent.data).where(TicketEvent.ticket_id == ticket_id, TicketEvent.kind == kind)
    return {str(data["flag"]) for data in session.scalars(query) if "flag" in data}


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
