"""Queries of the review queue: the current transcripts that nobody confirmed, those in need first."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, literal, or_, select
from sqlalchemy.orm import Session

from asr.models import Transcript
from asr.repository import EDIT
from console.models import User
from recordings.models import Call
from tickets.access import Viewer, visible_to
from tickets.models import Ticket

LIFE_AND_SAFETY = "T1"


class Queue(StrEnum):
    """Which of the transcripts that wait for their confirmation."""

    ALL = "all"
    LOW = "low"  # a recognizer was unsure of much of it
    NEW = "new"  # nobody changed it yet
    MINE = "mine"  # this person changed it last


@dataclass(frozen=True, kw_only=True)
class QueueFilter:
    """What the queue shows to whom."""

    queue: Queue
    viewer: Viewer
    low_share: float


@dataclass(frozen=True)
class Place:
    """A transcript's place in the queue: emergencies, then the less sure ones, then the older ones first."""

    urgent: int
    unsure_share: float
    transcript_id: int


@dataclass(frozen=True)
class QueueEntry:
    """A ticket and its transcript that wait."""

    ticket: Ticket
    transcript: Transcript
    duration_ms: int

    @property
    def place(self) -> Place:
        urgent = int(self.ticket.tier == LIFE_AND_SAFETY)
        return Place(urgent, self.transcript.unsure_share, self.transcript.id)


_URGENT = case((Ticket.tier == LIFE_AND_SAFETY, 1), else_=0)


def queue_page(session: Session, wanted: QueueFilter, *, after: Place | None, limit: int) -> Sequence[QueueEntry]:
    """The entries that follow a place, those in need first."""
    query = _waiting(select(Ticket, Transcript, Call.duration_ms), wanted)
    if after is not None:
        query = query.where(_follows(after))
    query = query.order_by(_URGENT.desc(), Transcript.unsure_share.desc(), Transcript.id).limit(limit)
    return [QueueEntry(*row) for row in session.execute(query)]


def queue_lengths(session: Session, wanted: QueueFilter) -> dict[Queue, int]:
    """How many wait in each queue."""
    columns = [func.count(case((condition, 1))) for condition in (_belongs(queue, wanted) for queue in Queue)]
    query = _joined(select(*columns)).where(_open(), visible_to(wanted.viewer))
    return dict(zip(Queue, session.execute(query).one(), strict=True))


def place_of(session: Session, viewer: Viewer, number: str) -> Place | None:
    """Where the current transcript of a ticket stands, or would stand were it not confirmed."""
    query = _joined(select(Ticket, Transcript, Call.duration_ms))
    query = query.where(Ticket.number == number, Transcript.current, visible_to(viewer))
    row = session.execute(query).first()
    return QueueEntry(*row).place if row else None


def display_names(session: Session) -> dict[str, str]:
    """Account -> the person's name."""
    return {user.username: user.display_name for user in session.scalars(select(User))}


def _joined(query: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    return (
        query.select_from(Transcript).join(Call, Call.id == Transcript.call_id).join(Ticket, Ticket.call_id == Call.id)
    )


def _open() -> ColumnElement[bool]:
    return and_(Transcript.current, Transcript.confirmed_at.is_(None))


def _waiting(query: Select[*tuple[Any, ...]], wanted: QueueFilter) -> Select[*tuple[Any, ...]]:
    return _joined(query).where(_open(), _belongs(wanted.queue, wanted), visible_to(wanted.viewer))


def _belongs(queue: Queue, wanted: QueueFilter) -> ColumnElement[bool]:
    conditions = {
        Queue.ALL: Transcript.id.is_not(None),
        Queue.LOW: Transcript.unsure_share >= max(wanted.low_share, 1e-9),
        Queue.NEW: Transcript.origin != EDIT,
        Queue.MINE: Transcript.editor == wanted.viewer.username,
    }
    return conditions[queue]


def _follows(place: Place) -> ColumnElement[bool]:
    urgent = literal(place.urgent)
    same_urgency = urgent == _URGENT
    return or_(
        urgent > _URGENT,
        and_(same_urgency, Transcript.unsure_share < place.unsure_share),
        and_(same_urgency, Transcript.unsure_share == place.unsure_share, Transcript.id > place.transcript_id),
    )
