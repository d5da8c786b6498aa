"""What of the tickets everybody may know. Every query here has `public`."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Text, and_, cast, select
from sqlalchemy.orm import Session

from tickets.lifecycle import ENDED
from tickets.models import Ticket

_HIDDEN_TYPES = ("report",)  # who is accused of something is nobody's business before it is proven
_HIDDEN_FLAGS = ("anonymous", "confidential")


@dataclass(frozen=True, kw_only=True)
class PublicQuery:
    """`categories`: those that are offered to the public, or some of them. `open`: True, False or None for both."""

    categories: Collection[str]
    created_from: datetime
    created_to: datetime
    open: bool | None = None


def public_tickets(session: Session, wanted: PublicQuery, *, limit: int) -> Sequence[Ticket]:
    """The newest first."""
    conditions = [public(wanted.categories), Ticket.created_at.between(wanted.created_from, wanted.created_to)]
    if wanted.open is not None:
        ended = Ticket.state.in_(ENDED)
        conditions.append(~ended if wanted.open else ended)
    query = select(Ticket).where(and_(*conditions)).order_by(Ticket.created_at.desc(), Ticket.id.desc())
    return session.scalars(query.limit(limit)).all()


def public_tickets_named(session: Session, numbers: Collection[str], categories: Collection[str]) -> Sequence[Ticket]:
    """Those of these numbers that everybody may know, the newest first."""
    query = select(Ticket).where(public(categories), Ticket.number.in_(numbers))
    return session.scalars(query.order_by(Ticket.created_at.desc(), Ticket.id.desc())).all()


def public(categories: Collection[str]) -> ColumnElement[bool]:
    """Of these categories; nothing confidential, nobody who stays anonymous, no accusation."""
    flags = cast(Ticket.flags, Text)
    return and_(
        Ticket.category.in_(categories),
        ~Ticket.confidential,
        ~Ticket.anonymous,
        Ticket.type.not_in(_HIDDEN_TYPES),
        *(~flags.contains(f'"{flag}"', autoescape=True) for flag in _HIDDEN_FLAGS),
    )
