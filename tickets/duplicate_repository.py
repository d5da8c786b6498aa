"""Queries for duplicates: what a ticket is compared with, and what was suggested."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, delete, func, or_, select
from sqlalchemy.orm import Session, joinedload

from tickets.access import Viewer, visible_to
from tickets.duplicate_models import DuplicateCheck, DuplicateSuggestion
from tickets.duplicates import Matter
from tickets.lifecycle import State
from tickets.models import Ticket
from tickets.wording import LENGTH

# A ticket at its end takes no other in, and one that was never a matter of ours is none.
_ENDED = frozenset(
    {State.CLOSED, State.ARCHIVED, State.ANSWERED_DIRECTLY, State.TRANSFERRED, State.MERGED, State.REFUSED}
)
MERGEABLE = tuple(sorted(state.value for state in set(State) - _ENDED))
_town = func.coalesce(func.nullif(Ticket.town, ""), Ticket.place)
_COLUMNS = (
    *(
        Ticket.id,
        Ticket.number,
        Ticket.created_at,
        Ticket.title,
        func.substr(Ticket.content, 1, LENGTH),
        Ticket.category,
    ),
    *(_town, Ticket.community, Ticket.address, Ticket.phone, Ticket.latitude, Ticket.longitude),
)


def unchecked_tickets(session: Session, *, since: datetime, limit: int) -> list[int]:
    """The tickets made since then that were not compared yet, the oldest first."""
    query = (
        select(Ticket.id)
        .outerjoin(DuplicateCheck, DuplicateCheck.ticket_id == Ticket.id)
        .where(Ticket.created_at >= since, DuplicateCheck.ticket_id.is_(None))
        .order_by(Ticket.created_at, Ticket.id)
        .limit(limit)
    )
    return list(session.scalars(query))


def forget_checks(session: Session, *, before: datetime) -> None:
    """Removes what was noted earlier than that; such tickets are too old to be looked at again."""
    session.execute(delete(DuplicateCheck).where(DuplicateCheck.checked_at < before))


def matter_of(session: Session, ticket_id: int) -> Matter | None:
    """What is compared of a ticket; None where it is not there or at its end."""
    query = select(*_COLUMNS).where(Ticket.id == ticket_id, Ticket.state.in_(MERGEABLE))
    row = session.execute(query).one_or_none()
    return _matter(row) if row is not None else None


def block_of(session: Session, matter: Matter, *, days: float, limit: int) -> list[Matter]:
    """The newest tickets that `matter` may be about too: of the days around it, of its town, of its caller, or of its
    category where one of the two has no town."""
    near = [Ticket.phone == matter.phone] if matter.phone else []
    if matter.town:
        near.append(_town == matter.town)
        near += [(_town == "") & (Ticket.category == matter.category)] if matter.category else []
    elif matter.category:
        near.append(Ticket.category == matter.category)
    if not near:
        return []
    query = (
        select(*_COLUMNS)
        .where(
            Ticket.created_at >= matter.at - timedelta(days=days),
            Ticket.created_at <= matter.at + timedelta(days=days),
            Ticket.id != matter.ticket_id,
            Ticket.state.in_(MERGEABLE),
            or_(*near),
        )
        .order_by(Ticket.created_at.desc(), Ticket.id.desc())
        .limit(limit)
    )
    return [_matter(row) for row in session.execute(query)]


def pairs_of(session: Session, ticket_id: int) -> set[int]:
    """The tickets that were ever suggested together with a ticket, whatever was decided."""
    query = select(DuplicateSuggestion.ticket_id, DuplicateSuggestion.other_id).where(
        or_(DuplicateSuggestion.ticket_id == ticket_id, DuplicateSuggestion.other_id == ticket_id)
    )
    return {each for pair in session.execute(query) for each in pair} - {ticket_id}


def suggestions_about(session: Session, ticket_id: int, viewer: Viewer) -> list[DuplicateSuggestion]:
    """The open suggestions in which a ticket is one of the two, the surest first; both must be visible to `viewer`."""
    query = _visible(viewer).where(
        or_(DuplicateSuggestion.ticket_id == ticket_id, DuplicateSuggestion.other_id == ticket_id)
    )
    return list(session.scalars(query.order_by(DuplicateSuggestion.score.desc(), DuplicateSuggestion.id)))


def open_suggestions(
    session: Session, viewer: Viewer, *, before_id: int | None = None, limit: int
) -> list[DuplicateSuggestion]:
    """All that wait for a decision, the newest first, a page at a time."""
    query = _visible(viewer)
    if before_id is not None:
        query = query.where(DuplicateSuggestion.id < before_id)
    return list(session.scalars(query.order_by(DuplicateSuggestion.id.desc()).limit(limit)))


def find_suggestion(session: Session, suggestion_id: int, viewer: Viewer) -> DuplicateSuggestion | None:
    """One that is open or decided, held until the transaction ends; None where `viewer` does not see both tickets."""
    query = _visible(viewer, open_only=False).where(DuplicateSuggestion.id == suggestion_id)
    return session.scalars(query.with_for_update(of=DuplicateSuggestion)).one_or_none()


def _visible(viewer: Viewer, *, open_only: bool = True) -> Select[DuplicateSuggestion]:
    seen = select(Ticket.id).where(visible_to(viewer))
    mergeable = seen.where(Ticket.state.in_(MERGEABLE)) if open_only else seen
    query = (
        select(DuplicateSuggestion)
        .where(DuplicateSuggestion.ticket_id.in_(mergeable), DuplicateSuggestion.other_id.in_(mergeable))
        .options(joinedload(DuplicateSuggestion.ticket), joinedload(DuplicateSuggestion.other))
    )
    return query.where(DuplicateSuggestion.state == "open") if open_only else query


def _matter(row: Row[*tuple[Any, ...]]) -> Matter:
    identity, number, at, title, content, category, town, community, address, phone, latitude, longitude = row
    return Matter(
        ticket_id=identity,
        number=number,
        at=at,
        text=content or title,
        category=category,
        town=town,
        community=community,
        address=address,
        phone=phone,
        latitude=latitude,
        longitude=longitude,
    )
