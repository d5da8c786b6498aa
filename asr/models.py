"""Rows of transcripts: versions, never overwritten."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from hotline.db import Base


class Transcript(Base):
    """One version of a call's transcript. `origin`: live (captions), batch (after hang-up) or edit (a person)."""

    __tablename__ = "transcripts"
    __table_args__ = (UniqueConstraint("call_id", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    call_id: Mapped[str] = mapped_column(ForeignKey("calls.id"))
    version: Mapped[int]
    origin: Mapped[str] = mapped_column(String(16))
    engine: Mapped[str] = mapped_column(String(32))
    model: Mapped[str] = mapped_column(String(128))
    demo_model: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]

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

    transcript: Mapped[Transcript] = relationship(back_populates="segments")
