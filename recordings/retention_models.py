"""Rows of retention: legal holds, deletion certificates, runs."""

from datetime import datetime
from typing import Any

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from hotline.db import Base


class LegalHold(Base):
    """While it is not released, nothing of the call is deleted."""

    __tablename__ = "legal_holds"

    id: Mapped[int] = mapped_column(primary_key=True)
    call_id: Mapped[str] = mapped_column(String(32), index=True)
    reason: Mapped[str] = mapped_column(Text)
    placed_by: Mapped[str] = mapped_column(String(64))
    placed_at: Mapped[datetime]
    released_by: Mapped[str] = mapped_column(String(64), default="")
    released_at: Mapped[datetime | None]
    release_reason: Mapped[str] = mapped_column(Text, default="")


class DeletionCertificate(Base):
    """A `recordings.certificates.Certificate`; never changed or deleted but for `erased_at`, when the files were gone.

    It outlives what it speaks of, so it refers to no row.
    """

    __tablename__ = "deletion_certificates"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(String(16))
    call_id: Mapped[str] = mapped_column(String(32), index=True)
    ticket: Mapped[str] = mapped_column(String(16))
    rule: Mapped[str] = mapped_column(String(128))
    due_at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(64))
    files: Mapped[list[Any]]
    previous: Mapped[str] = mapped_column(String(64))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    erased_at: Mapped[datetime | None]


class RetentionRun(Base):
    """One run to its end."""

    __tablename__ = "retention_runs"

    id: Mapped[int] = mapped_column(primary_key=True)
    ended_at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(64))
    deleted: Mapped[int]
