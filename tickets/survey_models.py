"""Rows of call-back surveys: whom to ask, each attempt to reach them, each answer with its call."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from hotline.db import Base
from tickets.models import Ticket


class Survey(Base):
    """One call-back of one caller after one pass of a ticket (a redo begins another pass).

    `contacted`, `solved` and `satisfied` are what the three rates count, empty where nobody said; `state` and when to
    try next follow `tickets.survey_rules`. `by` and `note`: of the person who rang last, where one did.
    """

    __tablename__ = "surveys"
    __table_args__ = (
        UniqueConstraint("ticket_id", "pass_number", "phone"),
        Index(None, "state", "due_at"),
        Index(None, "closed_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"))
    pass_number: Mapped[int]
    phone: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16))
    due_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    contacted: Mapped[str] = mapped_column(String(32), default="")
    solved: Mapped[str] = mapped_column(String(32), default="")
    satisfied: Mapped[str] = mapped_column(String(32), default="")
    note: Mapped[str] = mapped_column(Text, default="")
    by: Mapped[str] = mapped_column(String(64), default="")
    created_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]

    ticket: Mapped[Ticket] = relationship()


class SurveyAttempt(Base):
    """One call. `id` is the command's and the call's, so that sending it again places no second call.

    `sent_at`: when a media process was asked; `ended_at` and `outcome`: when we learnt what became of it.
    """

    __tablename__ = "survey_attempts"
    __table_args__ = (UniqueConstraint("survey_id", "number"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    survey_id: Mapped[int] = mapped_column(ForeignKey("surveys.id"))
    number: Mapped[int]
    started_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None] = mapped_column(index=True)
    outcome: Mapped[str] = mapped_column(String(16), default="")

    survey: Mapped[Survey] = relationship()


class SurveyAnswer(Base):
    """What was said to one question in one call; `offset_ms` points into its recording."""

    __tablename__ = "survey_answers"
    __table_args__ = (UniqueConstraint("call_id", "question"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    survey_id: Mapped[int] = mapped_column(ForeignKey("surveys.id"), index=True)
    call_id: Mapped[str] = mapped_column(ForeignKey("calls.id"))
    question: Mapped[str] = mapped_column(String(32))
    answer: Mapped[str] = mapped_column(String(32))
    means: Mapped[str] = mapped_column(String(16))
    offset_ms: Mapped[int | None]
    given_at: Mapped[datetime]


class SurveyOptOut(Base):
    """A number that wants no call-backs."""

    __tablename__ = "survey_opt_outs"

    phone: Mapped[str] = mapped_column(String(64), primary_key=True)
    since: Mapped[datetime]
    by: Mapped[str] = mapped_column(String(64))
