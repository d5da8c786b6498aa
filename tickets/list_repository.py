"""The tickets that somebody may see: a page of a filtered list, or one. Every query here has `visible_to`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Text, and_, cast, or_, select, true
from sqlalchemy.orm import Session, selectinload

from tickets.access import Viewer, visible_to
from tickets.models import Ticket
from tickets.text_search import narrowed


@dataclass(frozen=True, kw_only=True)
class TicketQuery:
    """What a ticket must match; what is empty matches all.

    `category`: one, or a first level with all below it. `unit`: the lead's code. `created_from` is within,
    `created_before` and `due_before` are not. `text`: a part of title, content, place or address.
    """

    states: tuple[str, ...] = ()
    category: str = ""
    unit: str = ""
    town: str = ""
    tier: str = ""
    channel: str = ""
    flag: str = ""
    created_from: datetime | None = None
    created_before: datetime | None = None
    due_before: datetime | None = None
    text: str = ""


@dataclass(frozen=True)
class Place:
    """Behind which ticket a page goes on: time and id, because several may share a time."""

    created_at: datetime
    ticket_id: int


def list_tickets(
    session: Session, viewer: Viewer, wanted: TicketQuery, *, after: Place | None, limit: int
) -> Sequence[Ticket]:
    """The newest first, those that follow `after`."""
    near = narrowed(session, wanted.text)
    query = select(Ticket).where(visible_to(viewer), *_conditions(wanted), *near)
    if after is not None:
        same_time = and_(Ticket.created_at == after.created_at, Ticket.id < after.ticket_id)
        query = query.where(or_(Ticket.created_at < after.created_at, same_time))
    return session.scalars(query.order_by(Ticket.created_at.desc(), Ticket.id.desc()).limit(limit)).all()


def due_tickets(session: Session, viewer: Viewer, *, limit: int) -> Sequence[Ticket]:
    """Those with a deadline, the first due first, with their events; confidential ones and those that another person
    handles are left out."""
    mine = Ticket.handler.in_(("", viewer.username)) if viewer.username else true()
    conditions = (visible_to(viewer), Ticket.due_at.is_not(None), ~Ticket.confidential, mine)
    query = select(Ticket).options(selectinload(Ticket.events)).where(*conditions)
    return session.scalars(query.order_by(Ticket.due_at, Ticket.id).limit(limit)).all()


def visible_ticket(session: Session, viewer: Viewer, number: str) -> Ticket | None:
    """The ticket of that number with its units, or None where there is none for this viewer."""
    query = select(Ticket).options(selectinload(Ticket.units))
    return session.scalar(query.where(Ticket.number == number, visible_to(viewer)))


def number_of_ticket(session: Session, viewer: Viewer, ticket_id: int) -> str | None:
    """The number of the ticket with that id, or None where there is none for this viewer."""
    return session.scalar(select(Ticket.number).where(Ticket.id == ticket_id, visible_to(viewer)))


def _conditions(wanted: TicketQuery) -> list[ColumnElement[bool]]:
    exact = ((Ticket.unit, wanted.unit), (Ticket.town, wanted.town), (Ticket.tier, wanted.tier))
    found: list[ColumnElement[bool]] = [column == value for column, value in exact if value]
    if wanted.channel:
        found.append(Ticket.channel == wanted.channel)
    if wanted.states:
        found.append(Ticket.state.in_(wanted.states))
    if wanted.category:
        below = Ticket.category.startswith(f"{wanted.category}/", autoescape=True)
        found.append(or_(Ticket.category == wanted.category, below))
    if wanted.flag:
        found.append(cast(Ticket.flags, Text).contains(f'"{wanted.flag}"', autoescape=True))
    if wanted.created_from is not None:
        found.append(Ticket.created_at >= wanted.created_from)
    if wanted.created_before is not None:
        found.append(Ticket.created_at < wanted.created_before)
    if wanted.due_before is not None:
        found.append(Ticket.due_at < wanted.due_before)
    if wanted.text:
        written = (Ticket.title, Ticket.content, Ticket.place, Ticket.address)
        found.append(or_(*(column.icontains(wanted.text, autoescape=True) for column in written)))
    return found
