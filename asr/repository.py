"""Queries of transcripts."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from asr.models import Transcript


def latest_transcript(session: Session, call_id: str) -> Transcript | None:
    """The newest version of a call's transcript."""
    query = select(Transcript).where(Transcript.call_id == call_id).order_by(Transcript.version.desc()).limit(1)
    return session.scalar(query)


def transcript_of_origin(session: Session, call_id: str, origin: str) -> Transcript | None:
    """The first version of `origin`."""
    query = (
        select(Transcript)
        .where(Transcript.call_id == call_id, Transcript.origin == origin)
        .order_by(Transcript.version)
        .limit(1)
    )
    return session.scalar(query)


def next_version(session: Session, call_id: str) -> int:
    """1 for the first."""
    return (session.scalar(select(func.max(Transcript.version)).where(Transcript.call_id == call_id)) or 0) + 1
