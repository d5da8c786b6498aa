"""Queries of holds, certificates and runs. A certificate's number is its key: of two writers at once one is refused."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from recordings.certificates import GENESIS, Certificate, sealed
from recordings.models import Call, Recording
from recordings.retention_models import DeletionCertificate, LegalHold, RetentionRun


def locked_call(session: Session, call_id: str) -> Call | None:
    """The call, held by this transaction: a hold and a deletion come one after the other."""
    return session.get(Call, call_id, with_for_update=True, populate_existing=True)


def recorded_calls(session: Session, *, ended_by: datetime) -> Sequence[str]:
    """The calls with a recording that had ended by then, the oldest first."""
    return session.scalars(
        select(Call.id).join(Recording).where(Call.ended_at <= ended_by).order_by(Call.ended_at)
    ).all()


def hold_of(session: Session, call_id: str) -> LegalHold | None:
    """The hold that a call is under, or None."""
    query = select(LegalHold).where(LegalHold.call_id == call_id, LegalHold.released_at.is_(None))
    return session.scalars(query).first()


def holds(session: Session, *, released: bool = False) -> Sequence[LegalHold]:
    """The holds in force, the newest first; with `released`, all that ever were."""
    query = select(LegalHold).order_by(LegalHold.id.desc())
    return session.scalars(query if released else query.where(LegalHold.released_at.is_(None))).all()


def certify(
    session: Session,
    *,
    kind: str,
    call_id: str = "",
    ticket: str = "",
    rule: str,
    due_at: datetime,
    actor: str,
    files: list[dict[str, Any]],
    now: datetime,
) -> DeletionCertificate:
    """Adds the next certificate."""
    last = session.scalars(select(DeletionCertificate).order_by(DeletionCertificate.number.desc()).limit(1)).first()
    certificate = sealed(
        Certificate(
            number=last.number + 1 if last else 1,
            at=now,
            kind=kind,
            call_id=call_id,
            ticket=ticket,
            rule=rule,
            due_at=due_at,
            actor=actor,
            files=files,
            previous=last.digest if last else GENESIS,
            digest="",
        )
    )
    row = DeletionCertificate(**asdict(certificate))
    session.add(row)
    session.flush()
    return row


def certificates(session: Session) -> Sequence[Certificate]:
    """All certificates, the first one first."""
    rows = session.scalars(select(DeletionCertificate).order_by(DeletionCertificate.number))
    names = Certificate.__dataclass_fields__
    return [Certificate(**{name: getattr(row, name) for name in names}) for row in rows]


def certificate_of_call(session: Session, call_id: str) -> int | None:
    """The number of the certificate of a call's recording, or None."""
    query = select(DeletionCertificate.number).where(DeletionCertificate.call_id == call_id)
    return session.scalars(query.order_by(DeletionCertificate.number.desc())).first()


def unerased(session: Session) -> Sequence[DeletionCertificate]:
    """Certificates whose files may still be there: a run was killed, or the store was away."""
    return session.scalars(select(DeletionCertificate).where(DeletionCertificate.erased_at.is_(None))).all()


def last_run(session: Session) -> datetime | None:
    """When the last run ended."""
    return session.scalars(select(RetentionRun.ended_at).order_by(RetentionRun.id.desc()).limit(1)).first()
