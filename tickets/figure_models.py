"""Rows of figures: what was published with everything it was reckoned from; facts of clocks and calls; sums of days."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, Text, event
from sqlalchemy.orm import Mapped, Mapper, mapped_column

from hotline.db import Base
from hotline.errors import ConflictError


class Publication(Base):
    """The three rates of a period as they were published; never changed or deleted (triggers refuse it as well).

    `inputs`: `tickets.publication.inputs_text`, packed; `inputs_sha256` covers the formula and the inputs. A correction
    is another publication, which names the one it corrects.
    """

    __tablename__ = "publications"

    id: Mapped[int] = mapped_column(primary_key=True)
    period: Mapped[str] = mapped_column(String(32), index=True)
    period_begin: Mapped[datetime]
    period_end: Mapped[datetime]
    formula: Mapped[str] = mapped_column(String(32))
    formula_text: Mapped[str] = mapped_column(Text)
    inputs: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    inputs_sha256: Mapped[str] = mapped_column(String(64))
    cases: Mapped[int]
    outputs: Mapped[str] = mapped_column(Text, deferred=True)
    outputs_sha256: Mapped[str] = mapped_column(String(64))
    published_at: Mapped[datetime]
    published_by: Mapped[str] = mapped_column(String(64))
    note: Mapped[str] = mapped_column(Text, default="")
    corrects_id: Mapped[int | None] = mapped_column(ForeignKey("publications.id"), unique=True)


def _refuse(_mapper: Mapper[Any], _connection: object, publication: Publication) -> None:
    raise ConflictError(f"publication {publication.id} cannot be changed", hint="publish a correction")


event.listen(Publication, "before_update", _refuse)
event.listen(Publication, "before_delete", _refuse)


class ClockOutcome(Base):
    """What became of a clock of a ticket (`tickets.outcomes.ClockFacts`), with the tier it ran under; `day`: the local
    day on which it was decided, empty while it runs."""

    __tablename__ = "clock_outcomes"
    __table_args__ = (Index(None, "day"), Index(None, "outcome", "due_at"))

    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"), primary_key=True)
    step: Mapped[str] = mapped_column(String(16), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    unit: Mapped[str] = mapped_column(String(32))
    tier: Mapped[str] = mapped_column(String(4))
    outcome: Mapped[str] = mapped_column(String(8))
    started_at: Mapped[datetime]
    due_at: Mapped[datetime | None]
    day: Mapped[str] = mapped_column(String(10), default="")


class CallOutcome(Base):
    """What figures count of a call (`tickets.outcomes.CallFigures`). It names nobody and outlives the call's rows, so
    it refers to none. `counted`: the sums of its day have it."""

    __tablename__ = "call_outcomes"
    __table_args__ = (Index(None, "day"), Index(None, "counted"))

    call_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    day: Mapped[str] = mapped_column(String(10))
    hour: Mapped[int]
    answer_ms: Mapped[int | None] = mapped_column(BigInteger)
    queue: Mapped[str] = mapped_column(String(64), default="")
    waited_ms: Mapped[int | None] = mapped_column(BigInteger)
    left: Mapped[str] = mapped_column(String(16), default="")
    counted: Mapped[bool] = mapped_column(default=False)


class DailyFigure(Base):
    """A sum of a local day: how many of a kind, in all (`dimension` and `key` empty) or by hour, channel, type,
    category, town, unit, tier, step or queue."""

    __tablename__ = "daily_figures"

    day: Mapped[str] = mapped_column(String(10), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    dimension: Mapped[str] = mapped_column(String(16), primary_key=True)
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)


class FigureMark(Base):
    """How far the sums have come, one row: the tickets that changed up to then have their clocks, and `days` are to be
    summed anew."""

    __tablename__ = "figure_marks"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    changed_at: Mapped[datetime]
    ticket_id: Mapped[int]
    days: Mapped[list[Any]]
    refreshed_at: Mapped[datetime]


class RateDraft(Base):
    """The three rates of a period as they were when last reckoned; `outputs` as in `Publication`."""

    __tablename__ = "rate_drafts"

    period: Mapped[str] = mapped_column(String(32), primary_key=True)
    formula: Mapped[str] = mapped_column(String(32))
    computed_at: Mapped[datetime]
    cases: Mapped[int]
    outputs: Mapped[str] = mapped_column(Text)
