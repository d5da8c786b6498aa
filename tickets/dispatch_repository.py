"""Queries about how the like of a ticket was sent. Confidential ones teach nothing: a suggestion would tell of them."""

from datetime import datetime

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from tickets.events import SYSTEM
from tickets.lifecycle import Command
from tickets.models import Evidence, Ticket, TicketEvent

NEWEST = 500  # tickets of the like that are looked at


def confidences(session: Session, ticket_id: int) -> dict[str, float]:
    """Field -> confidence of its evidence."""
    query = select(Evidence.field, Evidence.confidence).where(Evidence.ticket_id == ticket_id)
    return {row.field: row.confidence for row in session.execute(query)}


def first_unit(session: Session, ticket: Ticket, *, since: datetime) -> str:
    """The unit that has the oldest ticket, not older than `since`, of the same caller about the same matter in the same
    place; empty where there is none."""
    if not (ticket.phone and ticket.category and ticket.town):
        return ""
    query = select(Ticket.unit).where(
        Ticket.phone == ticket.phone,
        Ticket.category == ticket.category,
        Ticket.town == ticket.town,
        Ticket.address == ticket.address,
        Ticket.created_at >= since,
        Ticket.created_at < ticket.created_at,
        Ticket.id != ticket.id,
        Ticket.unit != "",
        ~Ticket.confidential,
    )
    return session.scalar(query.order_by(Ticket.created_at, Ticket.id).limit(1)) or ""


def habits_of(session: Session, ticket: Ticket, *, since: datetime) -> dict[str, int]:
    """Unit -> to how many tickets of the same category and town people, not rules, made it the lead: of the newest that
    are not older than `since`."""
    if not ticket.category:
        return {}
    by_person = exists().where(
        TicketEvent.ticket_id == Ticket.id, TicketEvent.kind == Command.DISPATCH.value, TicketEvent.actor != SYSTEM
    )
    newest = (
        select(Ticket.id, Ticket.unit)
        .where(
            Ticket.category == ticket.category,
            Ticket.town == ticket.town,
            Ticket.created_at >= since,
            Ticket.id != ticket.id,
            Ticket.unit != "",
            ~Ticket.confidential,
        )
        .order_by(Ticket.id.desc())
        .limit(NEWEST)
        .subquery()
    )
    query = select(newest.c.unit, func.count()).join(Ticket, Ticket.id == newest.c.id).where(by_person)
    return {row[0]: row[1] for row in session.execute(query.group_by(newest.c.unit))}
