"""Rows of tickets, their events and evidence, the numbers given out, and failed look-ups."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from hotline.db import Base


class TicketCounter(Base):
    """The last serial given out on a local day; its row is the lock that keeps the serials gap-free."""

    __tablename__ = "ticket_counters"

    day: Mapped[str] = mapped_column(String(8), primary_key=True)
    last_serial: Mapped[int]


class TicketNumber(Base):
    """A number given to a call. Gap-free per day: (day, serial) is unique and serials are taken in order."""

    __tablename__ = "ticket_numbers"
    __table_args__ = (UniqueConstraint("day", "serial"),)

    number: Mapped[str] = mapped_column(String(16), primary_key=True)
    day: Mapped[str] = mapped_column(String(8))
    serial: Mapped[int]
    lookup_code: Mapped[str] = mapped_column(String(6))
    call_id: Mapped[str] = mapped_column(String(32), unique=True)
    assigned_at: Mapped[datetime]


class Ticket(Base):
    """The current state of a ticket: a projection of its events. `version` is the optimistic lock."""

    __tablename__ = "tickets"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(String(16), unique=True)
    lookup_code: Mapped[str] = mapped_column(String(6))
    call_id: Mapped[str | None] = mapped_column(ForeignKey("calls.id"), unique=True)
    state: Mapped[str] = mapped_column(String(32), index=True)
    channel: Mapped[str] = mapped_column(String(16))
    type: Mapped[str] = mapped_column(String(16), default="")
    tier: Mapped[str] = mapped_column(String(4), default="")
    overlay: Mapped[str] = mapped_column(String(64), default="")
    category: Mapped[str] = mapped_column(String(64), default="", index=True)
    title: Mapped[str] = mapped_column(String(200), default="")
    content: Mapped[str] = mapped_column(Text, default="")
    caller_name: Mapped[str] = mapped_column(String(64), default="")
    phone: Mapped[str] = mapped_column(String(64), default="", index=True)
    place: Mapped[str] = mapped_column(String(64), default="")
    address: Mapped[str] = mapped_column(String(200), default="")
    keywords: Mapped[list[Any]] = mapped_column(default=list)
    flags: Mapped[list[Any]] = mapped_column(default=list)
    created_at: Mapped[datetime] = mapped_column(index=True)
    updated_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(default=1)

    events: Mapped[list["TicketEvent"]] = relationship(back_populates="ticket", order_by="TicketEvent.sequence")
    evidence: Mapped[list["Evidence"]] = relationship(back_populates="ticket", order_by="Evidence.id")

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class TicketEvent(Base):
    """Append-only: who did what, when, from where, and why."""

    __tablename__ = "ticket_events"
    __table_args__ = (UniqueConstraint("ticket_id", "sequence"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"))
    sequence: Mapped[int]
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(String(32))
    actor: Mapped[str] = mapped_column(String(64))
    origin: Mapped[str] = mapped_column(String(64), default="")
    reason: Mapped[str] = mapped_column(Text, default="")
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)

    ticket: Mapped[Ticket] = relationship(back_populates="events")


class Evidence(Base):
    """Why an automatic field has its value: rule, confidence, transcript segment and audio span where there is one."""

    __tablename__ = "evidence"
    __table_args__ = (UniqueConstraint("ticket_id", "field"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"))
    field: Mapped[str] = mapped_column(String(32))
    value: Mapped[str] = mapped_column(String(200))
    source: Mapped[str] = mapped_column(String(32))
    confidence: Mapped[float]
    quote: Mapped[str] = mapped_column(String(200), default="")
    segment_id: Mapped[int | None] = mapped_column(ForeignKey("segments.id"))
    start_ms: Mapped[int | None]
    end_ms: Mapped[int | None]

    ticket: Mapped[Ticket] = relationship(back_populates="evidence")


class LookupFailures(Base):
    """How often a caller, or anybody for a ticket, gave a wrong lookup code since `since`; its row is the lock."""

    __tablename__ = "lookup_failures"

    key: Mapped[str] = mapped_column(String(80), primary_key=True)
    since: Mapped[datetime] = mapped_column(index=True)
    failures: Mapped[int]
