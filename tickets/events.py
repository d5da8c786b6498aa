"""Appends to a ticket's history."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from tickets import repository
from tickets.models import Ticket, TicketEvent

SYSTEM = "system"


def record_event(
    session: Session,
    ticket: Ticket,
    kind: str,
    *,
    now: datetime,
    data: dict[str, Any],
    actor: str = SYSTEM,
    origin: str = "",
    reason: str = "",
    key: str | None = None,
    sequence: int | None = None,
) -> TicketEvent:
    """Writes one event behind the others; `data` is plain JSON. `sequence`: its place, where that is known."""
    event = TicketEvent(
        ticket_id=ticket.id,
        sequence=sequence or repository.next_sequence(session, ticket.id),
        at=now,
        kind=kind,
        actor=actor,
        origin=origin[:64],
        reason=reason,
        data=data,
        key=key,
    )
    session.add(event)
    session.flush()
    return event
