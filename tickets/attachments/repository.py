"""Queries for attachments."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tickets.access import Viewer, visible_to
from tickets.attachments.models import Attachment
from tickets.models import Ticket


def attachments_of(session: Session, ticket_id: int) -> Sequence[Attachment]:
    """A ticket's, oldest first."""
    return session.scalars(select(Attachment).where(Attachment.ticket_id == ticket_id).order_by(Attachment.id)).all()


def count_attachments(session: Session, ticket_id: int) -> int:
    """How many a ticket has."""
    return session.scalar(select(func.count()).select_from(Attachment).where(Attachment.ticket_id == ticket_id)) or 0


def same_file(session: Session, ticket_id: int, sha256: str) -> Attachment | None:
    """The ticket's attachment with these bytes, or None."""
    query = select(Attachment).where(Attachment.ticket_id == ticket_id, Attachment.sha256 == sha256)
    return session.scalars(query).one_or_none()


def attachment_seen_by(session: Session, attachment_id: int, viewer: Viewer) -> tuple[Attachment, str] | None:
    """An attachment with its ticket's number, None also where the viewer may not see the ticket."""
    query = (
        select(Attachment, Ticket.number)
        .join(Ticket, Ticket.id == Attachment.ticket_id)
        .where(Attachment.id == attachment_id, visible_to(viewer))
    )
    row = session.execute(query).one_or_none()
    return None if row is None else (row[0], row[1])
