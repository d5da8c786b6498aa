"""Rows of suggested duplicates, and which tickets were looked at."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from hotline.db import Base
from tickets.models import Ticket


class DuplicateSuggestion(Base):
    """Two tickets that may be about one matter: the later one and the earlier. `state`: open, accepted, dismissed.

    A pair has one row for ever: what was dismissed is not suggested again.
    """

    __tablename__ = "duplicate_suggestions"
    __table_args__ = (UniqueConstraint("ticket_id", "other_id"), Index(None, "other_id"), Index(None, "state", "id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id", ondelete="CASCADE"))
    other_id: Mapped[int] = mapped_column(ForeignKey("tickets.id", ondelete="CASCADE"))
    score: Mapped[float]
    reasons: Mapped[list[Any]] = mapped_column(default=list)
    state: Mapped[str] = mapped_column(String(16), default="open")
    created_at: Mapped[datetime]
    decided_by: Mapped[str] = mapped_column(String(64), default="")
    decided_at: Mapped[datetime | None]

    ticket: Mapped[Ticket] = relationship(foreign_keys=[ticket_id])
    other: Mapped[Ticket] = relationship(foreign_keys=[other_id])


class DuplicateCheck(Base):
    """A ticket that was compared with the others when it came in; the row is why it happens once."""

    __tablename__ = "duplicate_checks"

    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id", ondelete="CASCADE"), primary_key=True)
    checked_at: Mapped[datetime] = mapped_column(index=True)
