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
    reason: str = "",
) -> None:
    """Writes one event behind the others; `data` is plain JSON."""
    sequence = repository.next_sequence(session, ticket.id)
    session.add(
        TicketEvent(ticket_id=ticket.id, sequence=sequence, at=now, kind=kind, actor=actor, reason=reason, data=data)
    )
    session.flush()
