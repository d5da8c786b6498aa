"""Rows of tickets, their units, events and evidence, the numbers given out, and failed look-ups."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, ForeignKey, Index, String, Text, UniqueConstraint, event, insert, inspect, update
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, Mapper, mapped_column, relationship

import asr.models  # noqa: F401 - calls and segments, which these rows refer to
from hotline.db import Base
from tickets.words import WRITTEN, document


class TicketCounter(Base):
    """The last serial given out on a local day; its row is the lock that keeps the serials gap-free."""

    __tablename__ = "ticket_counters"

    day: Mapped[str] = mapped_column(String(8), primary_key=True)
    last_serial: Mapped[int]


class TicketNumber(Base):
    """A number given to a call, or without one to a demand of another channel.

    Gap-free per day: (day, serial) is unique and serials are taken in order.
    """

    __tablename__ = "ticket_numbers"
    __table_args__ = (UniqueConstraint("day", "serial"),)

    number: Mapped[str] = mapped_column(String(16), primary_key=True)
    day: Mapped[str] = mapped_column(String(8))
    serial: Mapped[int]
    lookup_code: Mapped[str] = mapped_column(String(6))
    call_id: Mapped[str | None] = mapped_column(String(32), unique=True)
    assigned_at: Mapped[datetime]


class Ticket(Base):
    """The current state of a ticket: a projection of its events (`tickets.projection`).

    `version` is the optimistic lock. `due_at`, `due_step` and `check_at` follow from the events, the deadlines and the
    calendar: what the ticket waits for, until when, and when that is to be looked at again.
    """

    __tablename__ = "tickets"
    __table_args__ = (
        Index(None, "state", "created_at", "id"),
        Index(None, "due_at", "id"),
        Index(None, "unit", "state"),
        Index(None, "created_at", "id"),
        Index(None, "updated_at", "id"),
    )

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
    town: Mapped[str] = mapped_column(String(64), default="")
    community: Mapped[str] = mapped_column(String(64), default="")
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]
    confidential: Mapped[bool] = mapped_column(default=False)
    anonymous: Mapped[bool] = mapped_column(default=False)
    caller_kind: Mapped[str] = mapped_column(String(16), default="person")
    petitioner: Mapped[dict[str, Any]] = mapped_column(default=dict)
    unit: Mapped[str] = mapped_column(String(32), default="")
    handler: Mapped[str] = mapped_column(String(64), default="")
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("tickets.id"), index=True)
    passes: Mapped[int] = mapped_column(default=1)
    measures: Mapped[str] = mapped_column(Text, default="")
    result: Mapped[str] = mapped_column(Text, default="")
    reply: Mapped[str] = mapped_column(Text, default="")
    fee_cents: Mapped[int | None]
    dispatched_at: Mapped[datetime | None]
    signed_at: Mapped[datetime | None]
    contacted_at: Mapped[datetime | None]
    on_site_at: Mapped[datetime | None]
    submitted_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None] = mapped_column(index=True)
    due_at: Mapped[datetime | None]
    due_step: Mapped[str] = mapped_column(String(16), default="")
    check_at: Mapped[datetime | None] = mapped_column(index=True)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(default=1)

    events: Mapped[list["TicketEvent"]] = relationship(back_populates="ticket", order_by="TicketEvent.sequence")
    evidence: Mapped[list["Evidence"]] = relationship(back_populates="ticket", order_by="Evidence.id")
    units: Mapped[list["TicketUnit"]] = relationship(cascade="all, delete-orphan", order_by="TicketUnit.unit")

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class IndexedTicket(Base):
    """What is written in a ticket, as a search by text finds it (`tickets.text_search`).

    It follows the ticket's row; on SQLite an FTS5 table follows this one by triggers, on PostgreSQL `words` is a
    tsvector with a GIN index.
    """

    __tablename__ = "indexed_tickets"
    __table_args__ = (Index("ix_indexed_tickets_words", "words", postgresql_using="gin").ddl_if(dialect="postgresql"),)

    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id", ondelete="CASCADE"), primary_key=True)
    words: Mapped[str] = mapped_column(Text().with_variant(TSVECTOR(), "postgresql"))


@event.listens_for(Ticket, "after_insert")
def _index_new(_mapper: Mapper[Ticket], connection: Connection, ticket: Ticket) -> None:
    words = document((getattr(ticket, name) for name in WRITTEN), connection.dialect.name)
    connection.execute(insert(IndexedTicket), {"ticket_id": ticket.id, "words": words})


@event.listens_for(Ticket, "after_update")
def _index_changed(_mapper: Mapper[Ticket], connection: Connection, ticket: Ticket) -> None:
    attributes = inspect(ticket).attrs
    if any(attributes[name].history.has_changes() for name in WRITTEN):
        words = document((getattr(ticket, name) for name in WRITTEN), connection.dialect.name)
        row = IndexedTicket.ticket_id == ticket.id
        connection.execute(update(IndexedTicket).where(row).values(words=words))


class TicketEvent(Base):
    """Append-only: who did what, when, from where, and why. `key` names a command: once it has its event, sending it
    again changes nothing."""

    __tablename__ = "ticket_events"
    __table_args__ = (UniqueConstraint("ticket_id", "sequence"), UniqueConstraint("ticket_id", "key"))

    id: Mapped[int] = mapped_column(primary_key=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"))
    sequence: Mapped[int]
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(String(32))
    actor: Mapped[str] = mapped_column(String(64))
    origin: Mapped[str] = mapped_column(String(64), default="")
    reason: Mapped[str] = mapped_column(Text, default="")
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    key: Mapped[str | None] = mapped_column(String(64))

    ticket: Mapped[Ticket] = relationship(back_populates="events")


class Unit(Base):
    """Who handles tickets. `kind`: town, department, company (of public services), office (the district's, which takes
    what is nobody's)."""

    __tablename__ = "units"

    code: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    kind: Mapped[str] = mapped_column(String(16))
    email: Mapped[str] = mapped_column(String(128), default="")
    phone: Mapped[str] = mapped_column(String(32), default="")
    active: Mapped[bool] = mapped_column(default=True)


class TicketUnit(Base):
    """A unit that works on a ticket now, and may see it: the lead (`Ticket.unit` too) or a co-handler."""

    __tablename__ = "ticket_units"
    __table_args__ = (Index(None, "unit", "ticket_id"),)

    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"), primary_key=True)
    unit: Mapped[str] = mapped_column(String(32), primary_key=True)
    lead: Mapped[bool] = mapped_column(default=False)


class TicketReader(Base):
    """A person named for a confidential ticket."""

    __tablename__ = "ticket_readers"

    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"), primary_key=True)
    username: Mapped[str] = mapped_column(String(64), primary_key=True)


class OldNumber(Base):
    """The number that an imported ticket had in an older system; the same one is not imported again."""

    __tablename__ = "old_numbers"

    source: Mapped[str] = mapped_column(String(32), primary_key=True)
    number: Mapped[str] = mapped_column(String(64), primary_key=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"), index=True)


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
