"""What call-backs by people and by the engine do to a ticket, on both databases."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select
from ticket_people import HANDLER, MONDAY, NUMBER, Counter, add_ticket, seed_units

from hotline.db import Database
from hotline.errors import ConflictError, ForbiddenError, InvalidInputError
from hotline.settings import Settings
from tickets.commands import load_desk
from tickets.lifecycle import Command
from tickets.survey import set_opt_out, start_survey
from tickets.survey_models import Survey

MERGED, SECOND_PHONE = "YQ20260105000026", "13910002345"
WORK = (Command.SIGN_IN, Command.SUBMIT, Command.APPROVE)
YES = {"reached": True, "contacted": "yes", "solved": "yes", "satisfied": "basically"}
NO = {"reached": True, "contacted": "yes", "solved": "no", "satisfied": "not_satisfied"}


@pytest.fixture
def counter(database: Database) -> Counter:
    with database.transaction() as session:
        seed_units(session)
        add_ticket(session, NUMBER, "c0ffee")
    return Counter(database, load_desk(Settings(timezone="Asia/Shanghai")))


def surveys(counter: Counter) -> list[Survey]:
    with counter.database.reading() as session:
        return list(session.scalars(select(Survey).order_by(Survey.id)))


def merge(counter: Counter) -> None:
    """A second caller about the same matter."""
    with counter.database.transaction() as session:
        add_ticket(session, MERGED, "beef")
    counter.give(Command.EDIT, number=MERGED, phone=SECOND_PHONE)
    counter.give(Command.RECONSIDER, number=MERGED)
    counter.give(Command.MERGE, number=MERGED, into=NUMBER)


def test_what_a_person_heard_closes_the_ticket(counter: Counter) -> None:
    counter.give(Command.DISPATCH, *WORK)
    counter.give(Command.CALL_BACK, note="当面说修好了", **YES)
    ticket = counter.ticket()
    assert ticket.state == "closed"
    assert [(event.kind, event.actor) for event in ticket.events[-2:]] == [("call_back", "hua"), ("close", "system")]
    (survey,) = surveys(counter)
    assert (survey.state, survey.by, survey.note, survey.attempts) == ("completed", "hua", "当面说修好了", 1)
    assert (survey.contacted, survey.solved, survey.satisfied) == ("yes", "yes", "basically")
    counter.agrees()


def test_every_caller_of_merged_tickets_is_asked_and_one_who_is_not_content_counts(counter: Counter) -> None:
    merge(counter)
    counter.give(Command.DISPATCH, *WORK)
    assert [survey.phone for survey in surveys(counter)] == [counter.ticket().phone, SECOND_PHONE]
    counter.give(Command.CALL_BACK, **YES)
    assert counter.ticket().state == "to_call_back"
    counter.give(Command.CALL_BACK, phone=SECOND_PHONE, **NO)
    assert (counter.ticket().state, counter.ticket().passes) == ("to_sign", 2)
    counter.give(*WORK)
    for phone in (counter.ticket().phone, SECOND_PHONE):
        counter.give(Command.CALL_BACK, phone=phone, **NO)
    assert (counter.ticket().state, counter.ticket().passes) == ("supervised", 3)
    assert counter.ticket().events[-1].reason == "重办后回访：诉求未解决"
    counter.agrees()


def test_a_person_who_reaches_nobody_has_made_an_attempt(counter: Counter) -> None:
    counter.give(Command.DISPATCH, *WORK)
    for attempt in range(1, 4):
        counter.give(Command.CALL_BACK)
        (survey,) = surveys(counter)
        assert (survey.attempts, survey.state) == (attempt, "scheduled" if attempt < 3 else "not_reached")
        counter.now += timedelta(hours=4)
    assert counter.ticket().state == "to_call_back"  # a person decides


def test_a_number_that_wants_no_call_backs_is_not_rung(counter: Counter) -> None:
    phone = counter.ticket().phone
    with counter.database.transaction() as session:
        set_opt_out(session, phone, wants_none=True, actor="hua", now=MONDAY)
        set_opt_out(session, phone, wants_none=True, actor="hua", now=MONDAY)
        with pytest.raises(InvalidInputError, match="不是可以拨打的号码"):
            set_opt_out(session, "nobody", wants_none=True, actor="hua", now=MONDAY)
    counter.give(Command.DISPATCH, *WORK)
    assert [(survey.state, survey.due_at) for survey in surveys(counter)] == [("not_reached", None)]
    with counter.database.transaction() as session:
        with pytest.raises(ConflictError, match="不愿接受电话回访"):
            start_survey(session, NUMBER, plan=counter.desk.survey, now=MONDAY, actor="cli")
        set_opt_out(session, phone, wants_none=False, actor="hua", now=MONDAY)
        survey = start_survey(session, NUMBER, plan=counter.desk.survey, now=MONDAY, actor="cli")
        assert (survey.state, survey.due_at) == ("scheduled", MONDAY)


def test_who_opts_out_while_a_call_back_is_due_is_left_alone(counter: Counter) -> None:
    counter.give(Command.DISPATCH, *WORK)
    with counter.database.transaction() as session:
        set_opt_out(session, counter.ticket().phone, wants_none=True, actor="hua", now=MONDAY)
    assert [survey.state for survey in surveys(counter)] == ["not_reached"]
    assert counter.ticket().events[-1].kind == "survey_not_reached"


def test_answers_are_whole_and_from_a_caller_of_the_ticket(counter: Counter) -> None:
    counter.give(Command.DISPATCH, *WORK)
    with pytest.raises(InvalidInputError, match="填写不全"):
        counter.give(Command.CALL_BACK, reached=True, solved="yes")
    with pytest.raises(InvalidInputError, match="不是本工单诉求人的号码"):
        counter.give(Command.CALL_BACK, phone="13900000000", **YES)
    with pytest.raises(ForbiddenError):
        counter.give(Command.CALL_BACK, actor=HANDLER, **YES)  # the unit does not mark its own work


def test_an_unreasonable_demand_and_a_careful_site_leave_it_to_people(counter: Counter) -> None:
    counter.give(Command.FLAG, flag="unreasonable")
    counter.give(Command.DISPATCH, *WORK)
    counter.give(Command.CALL_BACK, **NO)
    assert counter.ticket().state == "to_call_back"
    counter.give(Command.UNFLAG, flag="unreasonable")
    counter.desk = replace(counter.desk, automatic_call_back=False)
    counter.give(Command.CALL_BACK, **YES)
    assert counter.ticket().state == "to_call_back"
    counter.give(Command.CLOSE, reason="")  # the answer is there: no reason is needed
