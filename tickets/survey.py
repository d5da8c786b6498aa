"""Call-back surveys: scheduled for a ticket, tried, answered, closed. Never commits.

What the answers mean for the ticket (redo, supervision, closing) is not decided here: they are facts, kept with their
call and told in the ticket's history.
"""

import re
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from hotline.errors import ConflictError, InvalidInputError
from recordings.models import FLOW, INBOUND, Call
from tickets import repository
from tickets import survey_repository as surveys
from tickets.events import SYSTEM, record_event
from tickets.models import Ticket
from tickets.survey_models import Survey, SurveyAnswer, SurveyAttempt
from tickets.survey_rules import OPEN, Outcome, SurveyPlan, SurveyState

RATED = ("contacted", "solved", "satisfied")  # the answers that the three rates count
_NUMBER = re.compile(r"\+?[0-9]{3,31}")  # what can be rung
TICKET_VARIABLE = "ticket"  # what a survey's call brings along: the ticket's number


def schedule_survey(
    session: Session, ticket: Ticket, phone: str, *, plan: SurveyPlan, now: datetime, actor: str = SYSTEM
) -> Survey:
    """The survey of one of the ticket's callers in this pass, or a new one.

    Without a number to ring, or for a caller who wants no call-backs, it is closed at once: a person decides.
    """
    survey = surveys.find_survey(session, ticket.id, ticket.passes, phone)
    if survey is not None:
        return survey
    rings = bool(_NUMBER.fullmatch(phone)) and not surveys.opted_out(session, phone)
    due = plan.next_attempt(made=0, last=None, now=now) if rings else None
    survey = Survey(
        ticket_id=ticket.id,
        pass_number=ticket.passes,
        phone=phone,
        state=(SurveyState.SCHEDULED if due else SurveyState.NOT_REACHED).value,
        due_at=due,
        created_at=now,
        closed_at=None if due else now,
    )
    session.add(survey)
    session.flush()
    data = {"survey_id": survey.id, "pass": survey.pass_number, "due_at": due.isoformat() if due else None}
    record_event(session, ticket, "survey_scheduled", now=now, data=data, actor=actor)
    if due is None:
        _tell_closed(session, survey, now)
    return survey


def cancel_surveys(session: Session, ticket: Ticket, *, now: datetime) -> None:
    """The ticket goes on without the answers. A call that is under way still tells what it hears."""
    for survey in surveys.surveys_of_ticket(session, ticket.id):
        if survey.state in OPEN:
            survey = surveys.lock_survey(session, survey.id)
            survey.state, survey.due_at, survey.closed_at = SurveyState.CANCELLED.value, None, now
            record_event(session, ticket, "survey_cancelled", now=now, data={"survey_id": survey.id})


def begin_attempt(session: Session, survey: Survey, *, plan: SurveyPlan, now: datetime) -> SurveyAttempt | None:
    """A new attempt to be sent; None where the survey is not due, or the hours are over: then it is due later."""
    survey = surveys.lock_survey(session, survey.id)
    if survey.state != SurveyState.SCHEDULED or survey.due_at is None or survey.due_at > now:
        return None
    due = plan.next_attempt(made=survey.attempts, last=None, now=now)
    if due is not None and due > now:
        survey.due_at = due
        return None
    survey.attempts += 1
    survey.state, survey.due_at = SurveyState.CALLING.value, None
    attempt = SurveyAttempt(id=uuid.uuid4().hex, survey_id=survey.id, number=survey.attempts, started_at=now)
    session.add(attempt)
    session.flush()
    return attempt


def end_attempt(session: Session, attempt: SurveyAttempt, outcome: Outcome, *, plan: SurveyPlan, now: datetime) -> None:
    """What became of an attempt. The first news counts, but answers that come after all replace `lost`."""
    survey = surveys.lock_survey(session, attempt.survey_id)
    session.refresh(attempt)
    answers = outcome in (Outcome.COMPLETED, Outcome.PARTIAL, Outcome.SILENT)
    if attempt.ended_at is not None and not (answers and attempt.outcome == Outcome.LOST):
        return
    attempt.ended_at, attempt.outcome = now, outcome.value
    data = {"survey_id": survey.id, "attempt": attempt.number, "outcome": outcome.value, "call_id": attempt.id}
    record_event(session, _ticket(session, survey), "survey_attempted", now=now, data=data)
    _settle(session, survey, plan, now)


def lose_attempts(session: Session, *, before: datetime, plan: SurveyPlan, now: datetime) -> int:
    """Gives up the attempts begun before then of which nothing was heard; returns how many."""
    lost = [item for item in surveys.attempts_under_way(session) if item.started_at < before]
    for attempt in lost:
        end_attempt(session, attempt, Outcome.LOST, plan=plan, now=now)
    return len(lost)


def take_answers(session: Session, call: Call, *, plan: SurveyPlan, now: datetime) -> Ticket | None:
    """Keeps what a survey's call was answered, with its ticket, which is returned; None where none is known.

    Repeating it changes nothing. A call that nobody scheduled answers the ticket's open survey, or one made for it.
    """
    attempt = surveys.find_attempt(session, call.id)
    if attempt is not None:
        survey = surveys.lock_survey(session, attempt.survey_id)
        ticket = _ticket(session, survey)
    else:
        number = str(call.details.get("variables", {}).get(TICKET_VARIABLE, ""))
        found = repository.find_ticket(session, number)
        if found is None:
            return None
        ticket = found
        answered = surveys.answers_of_call(session, call.id)
        if answered:
            survey_id = answered[0].survey_id
        else:
            survey_id = schedule_survey(session, ticket, ticket.phone, plan=plan, now=now).id
        survey = surveys.lock_survey(session, survey_id)
    if not surveys.answers_of_call(session, call.id):
        for answer in _answers(call, survey):
            session.add(answer)
            if answer.question in RATED:
                setattr(survey, answer.question, answer.answer)
        session.flush()
    if attempt is not None:
        answered_now = {answer.question for answer in surveys.answers_of_call(session, call.id)}
        end_attempt(session, attempt, plan.outcome(answered_now), plan=plan, now=now)
    else:
        _settle(session, survey, plan, now)
    return ticket


def record_call_back(
    session: Session,
    ticket: Ticket,
    phone: str,
    *,
    answers: Mapping[str, str] | None,
    note: str,
    plan: SurveyPlan,
    actor: str,
    now: datetime,
) -> Survey:
    """A person rang: what was answered (`RATED`), None where nobody was reached, which counts as an attempt."""
    survey = surveys.lock_survey(session, schedule_survey(session, ticket, phone, plan=plan, now=now, actor=actor).id)
    survey.attempts += 1
    survey.note, survey.by = note, actor
    if answers is not None:
        for question, answer in answers.items():
            setattr(survey, question, answer)
        survey.state, survey.due_at, survey.closed_at = SurveyState.COMPLETED.value, None, now
    elif survey.state == SurveyState.SCHEDULED:
        survey.due_at = plan.next_attempt(made=survey.attempts, last=now, now=now)
        if survey.due_at is None:
            survey.state, survey.closed_at = SurveyState.NOT_REACHED.value, now
    session.flush()
    return survey


def set_opt_out(session: Session, phone: str, *, wants_none: bool, actor: str, now: datetime) -> None:
    """Whether a number is rung for call-backs; one that is due already is not rung any more."""
    if not _NUMBER.fullmatch(phone):
        raise InvalidInputError(f"不是可以拨打的号码：{phone[:32]}")
    if not wants_none:
        surveys.forget_opt_out(session, phone)
        return
    surveys.add_opt_out(session, phone, by=actor, now=now)
    for survey in surveys.scheduled_for(session, phone):
        survey.state, survey.due_at, survey.closed_at = SurveyState.NOT_REACHED.value, None, now
        _tell_closed(session, survey, now)


def is_survey(call: Call, plan: SurveyPlan) -> bool:
    """Whether a call was one of our surveys."""
    return call.direction != INBOUND and call.purpose == FLOW and call.flow == plan.flow


def _answers(call: Call, survey: Survey) -> list[SurveyAnswer]:
    """The last answer to each question: a later one corrects."""
    last: dict[str, dict[str, Any]] = {}
    for entry in call.details.get("entries", ()):
        if entry["kind"] == "survey" and isinstance(entry.get("question"), str) and entry.get("answer"):
            last[entry["question"][:32]] = entry
    return [
        SurveyAnswer(
            survey_id=survey.id,
            call_id=call.id,
            question=question,
            answer=str(entry["answer"])[:32],
            means=str(entry.get("means", "key"))[:16],
            offset_ms=entry["offset_ms"] if isinstance(entry.get("offset_ms"), int) else None,
            given_at=datetime.fromisoformat(entry["at"]),
        )
        for question, entry in last.items()
    ]


def _settle(session: Session, survey: Survey, plan: SurveyPlan, now: datetime) -> None:
    """The survey's state after news of a call."""
    answered = {answer.question for answer in surveys.answers_of_survey(session, survey.id)}
    complete = answered >= set(plan.questions)
    if survey.state == SurveyState.CANCELLED or (surveys.is_calling(session, survey.id) and not complete):
        return
    last = surveys.last_attempt(session, survey.id)
    before = survey.state
    state, due = plan.settle(answered=answered, made=survey.attempts, last=last.started_at if last else None, now=now)
    if before not in OPEN and state in OPEN:  # closed already
        return
    survey.state, survey.due_at = state.value, due
    if state not in OPEN and state != before:
        survey.closed_at = now
        _tell_closed(session, survey, now)


def _tell_closed(session: Session, survey: Survey, now: datetime) -> None:
    answers = {
        answer.question: {
            "answer": answer.answer,
            "means": answer.means,
            "call_id": answer.call_id,
            "offset_ms": answer.offset_ms,
        }
        for answer in surveys.answers_of_survey(session, survey.id)
    }
    data = {"survey_id": survey.id, "pass": survey.pass_number, "attempts": survey.attempts, "answers": answers}
    kind = "survey_not_reached" if survey.state == SurveyState.NOT_REACHED else "surveyed"
    record_event(session, _ticket(session, survey), kind, now=now, data={**data, "state": survey.state})


def _ticket(session: Session, survey: Survey) -> Ticket:
    return session.get_one(Ticket, survey.ticket_id)


def start_survey(session: Session, number: str, *, plan: SurveyPlan, now: datetime, actor: str) -> Survey:
    """A person wants the caller of ticket `number` asked; raises `NotFoundError` and `ConflictError`."""
    ticket = repository.ticket_by_number(session, number)
    if not _NUMBER.fullmatch(ticket.phone):
        raise ConflictError(f"工单 {ticket.number} 没有可以拨打的联系电话，不能回访")
    if surveys.opted_out(session, ticket.phone):
        raise ConflictError(f"工单 {ticket.number} 的来电人不愿接受电话回访", hint="`hotline survey opt-in` 可以恢复")
    survey = schedule_survey(session, ticket, ticket.phone, plan=plan, now=now, actor=actor)
    if survey.state not in OPEN:  # asked before: once more, in place of what was heard
        survey.state, survey.due_at, survey.closed_at = SurveyState.SCHEDULED.value, now, None
        record_event(session, ticket, "survey_scheduled", now=now, data={"survey_id": survey.id}, actor=actor)
        session.flush()
    return survey
