"""Queries for surveys, their attempts and answers."""

from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from tickets.survey_models import Survey, SurveyAnswer, SurveyAttempt, SurveyOptOut
from tickets.survey_rules import OPEN, SurveyState


def lock_survey(session: Session, survey_id: int) -> Survey:
    """The survey as it is now, held by this transaction until it ends."""
    return session.get_one(Survey, survey_id, with_for_update=True, populate_existing=True)


def surveys_of_ticket(session: Session, ticket_id: int) -> list[Survey]:
    """All surveys of a ticket, the first pass first."""
    query = select(Survey).where(Survey.ticket_id == ticket_id).order_by(Survey.pass_number, Survey.id)
    return list(session.scalars(query))


def find_survey(session: Session, ticket_id: int, pass_number: int, phone: str) -> Survey | None:
    """The survey of one caller in one pass, or None."""
    query = select(Survey).where(
        Survey.ticket_id == ticket_id, Survey.pass_number == pass_number, Survey.phone == phone
    )
    return session.scalars(query).one_or_none()


def scheduled_for(session: Session, phone: str) -> list[Survey]:
    """What is still to be asked of a number, held by this transaction."""
    query = select(Survey).where(Survey.phone == phone, Survey.state == SurveyState.SCHEDULED.value)
    return list(session.scalars(query.with_for_update()))


def opted_out(session: Session, phone: str) -> bool:
    """Whether that number wants no call-backs."""
    return session.get(SurveyOptOut, phone) is not None


def add_opt_out(session: Session, phone: str, *, by: str, now: datetime) -> None:
    """Notes that it wants none; again, nothing changes."""
    if not opted_out(session, phone):
        session.add(SurveyOptOut(phone=phone, since=now, by=by))


def forget_opt_out(session: Session, phone: str) -> None:
    """It may be rung again."""
    session.execute(delete(SurveyOptOut).where(SurveyOptOut.phone == phone))


def open_surveys(session: Session) -> list[Survey]:
    """What is scheduled or under way, the earliest first."""
    query = select(Survey).where(Survey.state.in_([state.value for state in OPEN])).order_by(Survey.due_at, Survey.id)
    return list(session.scalars(query))


def due_surveys(session: Session, now: datetime, *, limit: int) -> list[Survey]:
    """The scheduled surveys whose time has come, the longest due first."""
    query = (
        select(Survey)
        .where(Survey.state == SurveyState.SCHEDULED.value, Survey.due_at <= now)
        .order_by(Survey.due_at, Survey.id)
        .limit(limit)
    )
    return list(session.scalars(query))


def attempts_under_way(session: Session) -> list[SurveyAttempt]:
    """The attempts of which nothing has been heard yet."""
    query = select(SurveyAttempt).where(SurveyAttempt.ended_at.is_(None)).order_by(SurveyAttempt.started_at)
    return list(session.scalars(query))


def find_attempt(session: Session, call_id: str) -> SurveyAttempt | None:
    """The attempt that a call is, or None."""
    return session.get(SurveyAttempt, call_id)


def last_attempt(session: Session, survey_id: int) -> SurveyAttempt | None:
    """The newest attempt of a survey, or None."""
    query = select(SurveyAttempt).where(SurveyAttempt.survey_id == survey_id).order_by(SurveyAttempt.number.desc())
    return session.scalars(query.limit(1)).one_or_none()


def is_calling(session: Session, survey_id: int) -> bool:
    """Whether an attempt of the survey is under way."""
    query = select(func.count()).where(SurveyAttempt.survey_id == survey_id, SurveyAttempt.ended_at.is_(None))
    return bool(session.scalar(query))


def answers_of_survey(session: Session, survey_id: int) -> list[SurveyAnswer]:
    """All answers in the order they were given."""
    query = select(SurveyAnswer).where(SurveyAnswer.survey_id == survey_id)
    return list(session.scalars(query.order_by(SurveyAnswer.given_at, SurveyAnswer.id)))


def answers_of_call(session: Session, call_id: str) -> list[SurveyAnswer]:
    """What was answered in one call."""
    return list(session.scalars(select(SurveyAnswer).where(SurveyAnswer.call_id == call_id)))
