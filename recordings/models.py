"""Rows of calls and their recordings."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from hotline.db import Base

INBOUND = "in"
FLOW = "flow"
IMPORT = "import"
"""Direction and purpose of a call that is an old file, brought in later: no call of this hotline's days."""


class Call(Base):
    """One telephone call. `details` keeps what the journal says beyond the columns (prompts, digits, demand spans).

    `direction`: `in`, `out` or `import`. `purpose`: `flow` (a caller and a menu), `internal` (between extensions),
    `outgoing` (an extension and a number outside) or `import`. `flow`: the one that was walked.
    """

    __tablename__ = "calls"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    sip_call_id: Mapped[str] = mapped_column(String(255), default="")
    node: Mapped[str] = mapped_column(String(64), default="")
    caller_number: Mapped[str] = mapped_column(String(64), default="", index=True)
    called_number: Mapped[str] = mapped_column(String(64), default="")
    direction: Mapped[str] = mapped_column(String(8), default=INBOUND, server_default=INBOUND)
    purpose: Mapped[str] = mapped_column(String(16), default=FLOW, server_default=FLOW)
    flow: Mapped[str] = mapped_column(String(64), default="", server_default="")
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
    qualities: Mapped[list["CallQuality"]] = relationship(order_by="CallQuality.position")


class CallQuality(Base):
    """One party's stream: what we received of it, and what it reports to have received of us, None where it does not.

    Loss is a share of the packets, 0 to 1; a mean opinion score is 1 to 4.5.
    """

    __tablename__ = "call_qualities"
    __table_args__ = (UniqueConstraint("call_id", "position"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    call_id: Mapped[str] = mapped_column(ForeignKey("calls.id"))
    position: Mapped[int]
    """A party that left and came again has two."""
    party: Mapped[str] = mapped_column(String(64))
    received_packets: Mapped[int | None]
    received_loss: Mapped[float | None]
    received_jitter_ms: Mapped[float | None]
    received_mos: Mapped[float | None]
    sent_packets: Mapped[int | None]
    sent_loss: Mapped[float | None]
    sent_jitter_ms: Mapped[float | None]
    sent_mos: Mapped[float | None]
    round_trip_ms: Mapped[float | None]


class Recording(Base):
    """The sound of a call (left caller, right our side) in the recording store.

    `sha256` and `size_bytes` are those of the file as the store opens it, that is decrypted. `sample_rate` and
    `duration_ms` are those of the recording as it was made, also where it is compressed now.
    """

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


class ChainLink(Base):
    """A link of the chain over the store's files, as `recordings.chain.Link` describes it; never changed or deleted.

    It outlives the call's rows, so it refers to none.
    """

    __tablename__ = "chain_links"
    __table_args__ = (Index("ix_chain_links_day", "day", "position"), Index("ix_chain_links_path", "path", "position"))

    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    day: Mapped[str] = mapped_column(String(10))
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(String(16))
    call_id: Mapped[str] = mapped_column(String(32), index=True)
    path: Mapped[str] = mapped_column(String(255))
    sha256: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    content_sha256: Mapped[str] = mapped_column(String(64))
    note: Mapped[str] = mapped_column(String(255), default="")
    previous: Mapped[str] = mapped_column(String(64))
    digest: Mapped[str] = mapped_column(String(64), unique=True)


class ChainHead(Base):
    """The end of the chain, one row: whoever adds links holds its lock. `listed`: the last link that a manifest has."""

    __tablename__ = "chain_head"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    position: Mapped[int]
    day: Mapped[str] = mapped_column(String(10))
    digest: Mapped[str] = mapped_column(String(64))
    listed: Mapped[int]
