"""Queries for calls and recordings."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from recordings.models import Call, ChainLink, Recording
from recordings.retention_models import LegalHold


def find_call(session: Session, call_id: str) -> Call | None:
    """The call, or None."""
    return session.get(Call, call_id)


def find_recording(session: Session, call_id: str) -> Recording | None:
    """The recording of a call, or None."""
    return session.scalars(select(Recording).where(Recording.call_id == call_id)).one_or_none()


def recording_at(session: Session, path: str) -> Recording | None:
    """The recording whose file that is, or None."""
    return session.scalars(select(Recording).where(Recording.path == path).limit(1)).one_or_none()


def recordings_stored_on(session: Session, day: datetime) -> Sequence[Recording]:
    """The recordings that were stored within a day from `day` on."""
    within = (Recording.stored_at >= day, Recording.stored_at < day + timedelta(days=1))
    return session.scalars(select(Recording).where(*within).order_by(Recording.id)).all()


def uncompressed(session: Session, *, ended_by: datetime, after: int, limit: int) -> Sequence[Recording]:
    """The next recordings behind the id `after` that are WAVs in the chain, of calls that had ended by then.

    Those of calls under a hold are left out, and those without sound.
    """
    held = select(LegalHold.id).where(LegalHold.call_id == Recording.call_id, LegalHold.released_at.is_(None))
    chained = select(ChainLink.position).where(ChainLink.path == Recording.path)
    query = (
        select(Recording)
        .join(Call)
        .where(Recording.id > after, Recording.path.like("%.wav"), Call.ended_at <= ended_by)
        .where(Recording.duration_ms > 0, chained.exists(), ~held.exists())
        .order_by(Recording.id)
        .limit(limit)
    )
    return session.scalars(query).all()
