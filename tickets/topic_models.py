"""Rows of topics: what each is, what was known of it on each day, which tickets are in it today."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import Date, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from hotline.db import Base


class TopicRun(Base):
    """A day's look at all tickets; its row is why a day is looked at once."""

    __tablename__ = "topic_runs"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    ran_at: Mapped[datetime]
    texts: Mapped[int]
    seasonal: Mapped[list[Any]] = mapped_column(default=list)


class TopicRow(Base):
    """A topic, the same from day to day. `name`: the newest day's."""

    __tablename__ = "topics"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    first_day: Mapped[date] = mapped_column(Date)
    last_day: Mapped[date] = mapped_column(Date, index=True)


class TopicDay(Base):
    """A topic as it was on a day: tickets of the five weeks until then, growth, and what `Topic.to_data` gives."""

    __tablename__ = "topic_days"
    __table_args__ = (UniqueConstraint("topic_id", "day"), Index(None, "day"))

    id: Mapped[int] = mapped_column(primary_key=True)
    topic_id: Mapped[int] = mapped_column(ForeignKey("topics.id"))
    day: Mapped[date] = mapped_column(Date)
    name: Mapped[str] = mapped_column(String(200))
    tickets: Mapped[int]
    week: Mapped[int]
    before: Mapped[int]
    chance: Mapped[float]
    rising: Mapped[bool]
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    reasons: Mapped[dict[str, Any]] = mapped_column(default=dict)

    topic: Mapped[TopicRow] = relationship()


class TopicTicket(Base):
    """The topic that a ticket is in on the newest day."""

    __tablename__ = "topic_tickets"

    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id", ondelete="CASCADE"), primary_key=True)
    topic_id: Mapped[int] = mapped_column(ForeignKey("topics.id"), index=True)
