"""Rows of calls and their recordings."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Integer, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from hotline.db import Base


class Call(Base):
    """One telephone call. `details` keeps what the journal says beyond the columns (prompts, digits, demand spans)."""

    __tablename__ = "calls"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    sip_call_id: Mapped[str] = mapped_column(String(255), default="")
    node: Mapped[str] = mapped_column(String(64), default="")
    caller_number: Mapped[str] = mapped_column(String(64), default="", index=True)
    called_number: Mapped[str] = mapped_column(String(64), default="")
    peer: Mapped[str] = mapped_column(String(64), default="")
    codec: Mapped[str] = mapped_column(String(16), default="")
    started_at: Mapped[datetime] = mapped_column(index=True)
    answered_at: Mapped[datetime | None]
    ended_at: Mapped[datetime]
    answer_ms: Mapped[float | None]
    duration_ms: Mapped[int] = mapped_column(Integer, default=0)
    end_reason: Mapped[str] = mapped_column(String(32), default="")
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)

    recording: Mapped["Recording | None"] = relationship(back_populates="call")


class Recording(Base):
    """The stereo WAV of a call (left caller, right our side) in the recording store."""

    __tablename__ = "recordings"

    id: Mapped[int] = mapped_column(primary_key=True)
    call_id: Mapped[str] = mapped_column(ForeignKey("calls.id"), unique=True)
    path: Mapped[str] = mapped_column(String(255))
    sha256: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int]
    channels: Mapped[int]
    sample_rate: Mapped[int]
    duration_ms: Mapped[int]
    repaired: Mapped[bool] = mapped_column(default=False)
    stored_at: Mapped[datetime]

    call: Mapped[Call] = relationship(back_populates="recording")
