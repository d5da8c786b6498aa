"""Queries of the search page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import func, literal, or_, select, tuple_
from sqlalchemy.orm import Session

from asr.models import IndexedTranscript, Segment
from asr.search import Search, matching_calls
from hotline.db import UtcDateTime
from recordings.models import Call
from tickets.access import Viewer, calls_visible_to
from tickets.models import Ticket

Order = Literal["relevance", "time"]


@dataclass(frozen=True, kw_only=True)
class SearchFilter:
    """Calls that began at `since` or later and before `until`, in the order wanted; empty matches all. `category` is
    one or a first level with all below it."""

    since: datetime | None = None
    until: datetime | None = None
    category: str = ""
    order: Order = "relevance"


@dataclass(frozen=True)
class Place:
    """The last call of a page: what it is ordered by."""

    together: int
    segments: int
    started_at: datetime
    call_id: str


@dataclass(frozen=True)
class FoundCall:
    """A call that was found, and its ticket where it became one."""

    place: Place
    caller_number: str
    number: str | None
    title: str | None
    category: str | None

    @property
    def call_id(self) -> str:
        return self.place.call_id

    @property
    def started_at(self) -> datetime:
        return self.place.started_at


def found_calls(
    session: Session,
    viewer: Viewer | None,
    search: Search,
    wanted: SearchFilter,
    *,
    after: Place | None,
    limit: int,
) -> tuple[int, list[FoundCall]]:
    """How many calls there are for `viewer` (None: for all), and those that follow `after`: the best first (most words
    together, then most segments, then the newest) or the newest first."""
    calls = matching_calls(session, search)
    found = (
        select(
            calls.c.together,
            calls.c.segments,
            Call.started_at,
            Call.id,
            Call.caller_number,
            Ticket.number,
            Ticket.title,
            Ticket.category,
            func.count().over().label("total"),
        )
        .join(Call, Call.id == calls.c.call_id)
        .outerjoin(Ticket, Ticket.call_id == Call.id)
    )
    if viewer is not None:
        found = found.where(calls_visible_to(viewer))
    if wanted.since is not None:
        found = found.where(Call.started_at >= wanted.since)
    if wanted.until is not None:
        found = found.where(Call.started_at < wanted.until)
    if wanted.category:
        below = Ticket.category.startswith(f"{wanted.category}/", autoescape=True)
        found = found.where(or_(Ticket.category == wanted.category, below))
    rows = found.subquery()
    key = [rows.c.started_at, rows.c.id]
    last = [literal(after.started_at, UtcDateTime()), literal(after.call_id)] if after else []
    if wanted.order == "relevance":
        key = [rows.c.together, rows.c.segments, *key]
        last = [literal(after.together), literal(after.segments), *last] if after else []
    page = select(rows).order_by(*(part.desc() for part in key)).limit(limit)
    if last:
        page = page.where(tuple_(*key) < tuple_(*last))
    result = session.execute(page).all()
    calls_found = [
        FoundCall(
            Place(row.together, row.segments, row.started_at, row.id),
            row.caller_number,
            row.number,
            row.title,
            row.category,
        )
        for row in result
    ]
    return (result[0].total if result else 0), calls_found


def segments_of(session: Session, call_ids: Sequence[str]) -> dict[str, list[Segment]]:
    """The segments of these calls that are indexed, by call."""
    rows = session.execute(
        select(IndexedTranscript.call_id, Segment)
        .join(Segment, Segment.transcript_id == IndexedTranscript.transcript_id)
        .where(IndexedTranscript.call_id.in_(call_ids))
    )
    found: dict[str, list[Segment]] = {}
    for call_id, segment in rows:
        found.setdefault(call_id, []).append(segment)
    return found
