"""Many rows at once for tickets of an older system."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from tickets.models import IndexedTicket, OldNumber, Ticket, TicketEvent, TicketNumber, TicketUnit
from tickets.words import WRITTEN, document

CHUNK = 500


def known_numbers(session: Session, source: str, numbers: Sequence[str]) -> set[str]:
    """Which of them this source brought before."""
    known: set[str] = set()
    for start in range(0, len(numbers), CHUNK):
        chunk = numbers[start : start + CHUNK]
        query = select(OldNumber.number).where(OldNumber.source == source, OldNumber.number.in_(chunk))
        known.update(session.scalars(query))
    return known


def ticket_of_old_number(session: Session, number: str) -> Sequence[Ticket]:
    """The tickets that had that number in an older system."""
    query = select(Ticket).join(OldNumber, OldNumber.ticket_id == Ticket.id).where(OldNumber.number == number)
    return session.scalars(query.order_by(Ticket.id)).all()


def add_numbers(session: Session, given: Sequence[dict[str, Any]]) -> None:
    """The numbers that were given out."""
    session.execute(insert(TicketNumber), given)


def add_tickets(session: Session, given: Sequence[dict[str, Any]]) -> Sequence[int]:
    """The tickets, found by their texts too; their ids in the same order."""
    ids = session.scalars(insert(Ticket).returning(Ticket.id, sort_by_parameter_order=True), given).all()
    dialect = session.get_bind().dialect.name
    texts = (document((row.get(name) for name in WRITTEN), dialect) for row in given)
    rows = [{"ticket_id": ticket_id, "words": words} for ticket_id, words in zip(ids, texts, strict=True)]
    session.execute(insert(IndexedTicket), rows)
    return ids


def add_events(session: Session, given: Sequence[dict[str, Any]]) -> None:
    """Their histories."""
    session.execute(insert(TicketEvent), given)


def add_old_numbers(session: Session, given: Sequence[dict[str, Any]]) -> None:
    """What they were called before."""
    session.execute(insert(OldNumber), given)


def add_units(session: Session, given: Sequence[dict[str, Any]]) -> None:
    """Who handles them."""
    if given:
        session.execute(insert(TicketUnit), given)
