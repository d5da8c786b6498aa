"""Queries of transcripts."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session, selectinload

from asr.models import RecognitionScore, Transcript
from asr.scoring import Errors
from asr.search import index_transcript
from recordings.models import Call

EDIT = "edit"


def latest_transcript(session: Session, call_id: str) -> Transcript | None:
    """The version that counts: a person's newest, else the newest of a machine, which never displaces a person's."""
    query = (
        select(Transcript)
        .where(Transcript.call_id == call_id)
        .order_by((Transcript.origin == EDIT).desc(), Transcript.version.desc())
        .limit(1)
    )
    return session.scalar(query)


def transcript_version(session: Session, call_id: str, version: int) -> Transcript | None:
    """That version, with its segments."""
    query = select(Transcript).options(selectinload(Transcript.segments))
    return session.scalar(query.where(Transcript.call_id == call_id, Transcript.version == version))


def transcript_of_edit(session: Session, call_id: str, key: str) -> Transcript | None:
    """The version that the edit with this key made."""
    return session.scalar(select(Transcript).where(Transcript.call_id == call_id, Transcript.edit_key == key))


def transcript_versions(session: Session, call_id: str, *, limit: int) -> Sequence[Transcript]:
    """The newest versions first, without their segments."""
    query = select(Transcript).where(Transcript.call_id == call_id).order_by(Transcript.version.desc()).limit(limit)
    return session.scalars(query).all()


def machine_transcripts(session: Session, call_id: str) -> Sequence[Transcript]:
    """What recognizers made of the call, with segments, the oldest first."""
    query = select(Transcript).options(selectinload(Transcript.segments)).order_by(Transcript.version)
    return session.scalars(query.where(Transcript.call_id == call_id, Transcript.origin != EDIT)).all()


def edited_transcripts(session: Session, *, since: datetime, limit: int) -> Sequence[Transcript]:
    """The transcripts that people edited last, as pages show them now."""
    query = select(Transcript).where(Transcript.origin == EDIT, Transcript.current, Transcript.created_at >= since)
    return session.scalars(query.order_by(Transcript.created_at.desc()).limit(limit)).all()


def count_versions(session: Session, call_id: str) -> int:
    """How many versions there are."""
    return session.scalar(select(func.count()).where(Transcript.call_id == call_id)) or 0


def lock_call(session: Session, call_id: str) -> Call | None:
    """The call, held by this transaction, so that who changes its transcript does so one after the other."""
    return session.scalar(select(Call).where(Call.id == call_id).with_for_update())


def make_current(session: Session, transcript: Transcript) -> None:
    """Pages show this version from now on, and a search finds it."""
    others = update(Transcript).where(Transcript.call_id == transcript.call_id, Transcript.id != transcript.id)
    session.execute(others.where(Transcript.current).values(current=False))
    transcript.current = True
    session.flush()
    index_transcript(session, transcript)


def spoken_versions(session: Session, call_id: str) -> tuple[int, ...]:
    """The ids of what recognizers made of the call and of the version that pages show."""
    query = select(Transcript.id).where(
        Transcript.call_id == call_id, or_(Transcript.origin != EDIT, Transcript.current)
    )
    return tuple(session.scalars(query.order_by(Transcript.id)))


def transcripts(session: Session, ids: Collection[int]) -> Sequence[Transcript]:
    """These versions with their segments."""
    query = select(Transcript).options(selectinload(Transcript.segments)).where(Transcript.id.in_(ids))
    return session.scalars(query.order_by(Transcript.id)).all()


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


def confirmed_transcripts(session: Session) -> Sequence[Transcript]:
    """Of each call with a confirmed version the newest of them."""
    newest = (
        select(Transcript.call_id, func.max(Transcript.version).label("version"))
        .where(Transcript.confirmed_at.is_not(None))
        .group_by(Transcript.call_id)
        .subquery()
    )
    same = (Transcript.call_id == newest.c.call_id) & (Transcript.version == newest.c.version)
    return session.scalars(select(Transcript).join(newest, same).order_by(Transcript.id)).all()


def forget_scores(session: Session, call_id: str | None = None) -> None:
    """Removes the scores of a call, or all."""
    query = delete(RecognitionScore)
    if call_id is not None:
        own = select(Transcript.id).where(Transcript.call_id == call_id)
        query = query.where(RecognitionScore.transcript_id.in_(own))
    session.execute(query)


@dataclass(frozen=True, kw_only=True)
class QualityRow:
    """The pooled errors of the calls of one day that had this engine, model, pass and speaker."""

    day: str
    origin: str
    engine: str
    model: str
    speaker: str
    seat: str
    calls: int
    errors: Errors


def recognition_quality(session: Session, *, first_day: str = "", last_day: str = "") -> list[QualityRow]:
    """Scores by day, engine, model, pass, speaker and seat, the oldest first; days are 2026-01-05, both included."""
    table = RecognitionScore
    key = (table.day, table.origin, table.engine, table.model, table.speaker, table.seat)
    sums = [func.sum(c) for c in (table.characters, table.substitutions, table.deletions, table.insertions)]
    query = select(*key, func.count(), *sums).group_by(*key).order_by(*key)
    if first_day:
        query = query.where(table.day >= first_day)
    if last_day:
        query = query.where(table.day <= last_day)
    return [
        QualityRow(
            day=day,
            origin=origin,
            engine=engine,
            model=model,
            speaker=speaker,
            seat=seat,
            calls=calls,
            errors=Errors(*map(int, errors)),
        )
        for day, origin, engine, model, speaker, seat, calls, *errors in session.execute(query)
    ]
