"""Rows of transcripts: versions, never overwritten."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Boolean, Double, ForeignKey, Index, String, Text, UniqueConstraint, true
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column, relationship

import recordings.models  # noqa: F401 - calls, which these rows refer to
from hotline.db import Base


class Transcript(Base):
    """One version of a call's transcript.

    `origin`: live (captions), batch (after hang-up), second (heard again by a slower engine) or edit (a person).

    What was heard or written stays as it is; `current`, `unsure_share` and the confirmation are notes on it.
    """

    __tablename__ = "transcripts"
    __table_args__ = (
        UniqueConstraint("call_id", "version"),
        UniqueConstraint("call_id", "edit_key"),
        Index("ix_transcripts_current_unsure_share", "current", "unsure_share"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    call_id: Mapped[str] = mapped_column(ForeignKey("calls.id"))
    version: Mapped[int]
    origin: Mapped[str] = mapped_column(String(16))
    engine: Mapped[str] = mapped_column(String(32))
    model: Mapped[str] = mapped_column(String(128))
    demo_model: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    current: Mapped[bool] = mapped_column(Boolean, default=True, server_default=true())
    """Whether pages show this version of the call's."""
    unsure_share: Mapped[float] = mapped_column(Double, default=0.0, server_default="0")
    """Of the characters that a recognizer heard and nobody confirmed, the share it was unsure of, 0 to 1."""
    editor: Mapped[str] = mapped_column(String(64), default="", server_default="")
    base_version: Mapped[int | None]
    """The version that was edited."""
    changes: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))
    """What was done to it, see `asr.editing.describe`; no text."""
    edit_key: Mapped[str | None] = mapped_column(String(64))
    """Chosen by the page: the same edit sent twice is one version."""
    confirmed_by: Mapped[str] = mapped_column(String(64), default="", server_default="")
    confirmed_at: Mapped[datetime | None]

    segments: Mapped[list["Segment"]] = relationship(
        back_populates="transcript", order_by="Segment.position", cascade="all, delete-orphan"
    )


class Segment(Base):
    """An utterance of one speaker. `words`: [[text, start_ms, end_ms, confidence], ...] on the recording's clock."""

    __tablename__ = "segments"
    __table_args__ = (UniqueConstraint("transcript_id", "position"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    transcript_id: Mapped[int] = mapped_column(ForeignKey("transcripts.id"))
    position: Mapped[int]
    speaker: Mapped[str] = mapped_column(String(16))
    start_ms: Mapped[int]
    end_ms: Mapped[int]
    text: Mapped[str] = mapped_column(Text)
    confidence: Mapped[float]
    words: Mapped[list[Any]] = mapped_column(default=list)
    edited_by: Mapped[str] = mapped_column(String(64), default="", server_default="")
    edited_at: Mapped[datetime | None]
    confirmed_by: Mapped[str] = mapped_column(String(64), default="", server_default="")
    confirmed_at: Mapped[datetime | None]

    transcript: Mapped[Transcript] = relationship(back_populates="segments")


class RecognitionScore(Base):
    """How far a machine's version was from the confirmed text, for one speaker; made anew from the versions at will."""

    __tablename__ = "recognition_scores"
    __table_args__ = (
        UniqueConstraint("transcript_id", "speaker"),
        Index("ix_recognition_scores_day", "day"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    transcript_id: Mapped[int] = mapped_column(ForeignKey("transcripts.id", ondelete="CASCADE"))
    reference_id: Mapped[int] = mapped_column(ForeignKey("transcripts.id", ondelete="CASCADE"))
    speaker: Mapped[str] = mapped_column(String(16))
    seat: Mapped[str] = mapped_column(String(64))
    """The only seat of the call, where the speaker is one."""
    origin: Mapped[str] = mapped_column(String(16))
    engine: Mapped[str] = mapped_column(String(32))
    model: Mapped[str] = mapped_column(String(128))
    day: Mapped[str] = mapped_column(String(10))
    """The call's day at the site, 2026-01-05."""
    characters: Mapped[int]
    substitutions: Mapped[int]
    deletions: Mapped[int]
    insertions: Mapped[int]


class IndexedTranscript(Base):
    """The version of a call's transcript that a search finds. `rules`: by which it was indexed."""

    __tablename__ = "indexed_transcripts"

    call_id: Mapped[str] = mapped_column(ForeignKey("calls.id"), primary_key=True)
    transcript_id: Mapped[int] = mapped_column(ForeignKey("transcripts.id", ondelete="CASCADE"), unique=True)
    rules: Mapped[int]


class IndexedSegment(Base):
    """A segment as a search finds it: `words` with personal numbers hidden, `unmasked` where there are any.

    On SQLite an FTS5 table follows this one by triggers; on PostgreSQL the columns are tsvectors with GIN indexes. A
    segment that is deleted is found no more: the database sees to it.
    """

    __tablename__ = "indexed_segments"
    __table_args__ = (
        Index("ix_indexed_segments_call", "segment_id", "call_id", "speaker"),
        Index("ix_indexed_segments_words", "words", postgresql_using="gin").ddl_if(dialect="postgresql"),
        Index("ix_indexed_segments_unmasked", "unmasked", postgresql_using="gin").ddl_if(dialect="postgresql"),
    )

    segment_id: Mapped[int] = mapped_column(ForeignKey("segments.id", ondelete="CASCADE"), primary_key=True)
    call_id: Mapped[str] = mapped_column(ForeignKey("indexed_transcripts.call_id", ondelete="CASCADE"), index=True)
    speaker: Mapped[str] = mapped_column(String(16))
    words: Mapped[str] = mapped_column(Text().with_variant(TSVECTOR(), "postgresql"))
    unmasked: Mapped[str | None] = mapped_column(Text().with_variant(TSVECTOR(), "postgresql"))
