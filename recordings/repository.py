"""Queries for calls and recordings."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from recordings.models import Call, Recording


def find_call(session: Session, call_id: str) -> Call | None:
    """The call, or None."""
    return session.get(Call, call_id)


def find_recording(session: Session, call_id: str) -> Recording | None:
    """The recording of a call, or None."""
    return session.scalars(select(Recording).where(Recording.call_id == call_id)).one_or_none()
