"""Tickets taken through their life by commands, on both databases."""

import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from ticket_people import (
    BUREAU,
    COMPANY,
    DISPATCHER,
    HANDLER,
    HEAD,
    MONDAY,
    NUMBER,
    REVIEWER,
    TOWN,
    Counter,
    add_ticket,
    give,
    seed_units,
)

from hotline.bus import MemoryBus
from hotline.clock import ManualClock
from hotline.db import Database
from hotline.errors import ConflictError, ForbiddenError, HotlineError, InvalidInputError, NotFoundError
from hotline.settings import Settings
from tickets.access import Viewer
from tickets.commands import CHANGED, CommandRequest, execute, load_desk
from tickets.lifecycle import Command
from tickets.models import Ticket, Unit
from tickets.projection import differences
from tickets.replay import row_of
from tickets.repository import lock_ticket, readers_of
from tickets.roles import SYSTEM_ACTOR, Actor, Role

TO_HANDLING = (Command.DISPATCH, Command.SIGN_IN)
TO_CALL_BACK = (*TO_HANDLING, Command.SUBMIT, Command.APPROVE)


@pytest.fixture
def counter(database: Database) -> Counter:
    desk = load_desk(Settings(timezone="Asia/Shanghai"))
    with database.transaction() as session:
        seed_units(session)
        add_ticket(session, NUMBER, "c0ffee")
    return Counter(database, desk)


def test_the_usual_way_fills_the_row_and_its_history(counter: Counter) -> None:
    counter.give(*TO_HANDLING, Command.CONTACT, Command.ARRIVE, Command.RECORD)
    ticket = counter.ticket()
    assert (ticket.state, ticket.unit, ticket.handler) == ("handling", TOWN, "ban")
    assert [(link.unit, link.lead) for link in ticket.units] == [(COMPANY, False), (TOWN, True)]
    minutes = [ticket.dispatched_at, ticket.signed_at, ticket.contacted_at, ticket.on_site_at]
    assert minutes == [MONDAY + timedelta(minutes=count) for count in (1, 2, 3, 4)]
    assert (ticket.due_step, ticket.due_at) == ("done", MONDAY + timedelta(hours=4, minutes=1))
    counter.give(Command.SUBMIT, Command.APPROVE, Command.CLOSE, Command.ARCHIVE)
    ticket = counter.ticket()
    assert (ticket.state, ticket.result, ticket.measures) == ("archived", "已修好", "更换主板")
    assert (ticket.due_at, ticket.due_step, ticket.check_at) == (None, "", None)
    assert ticket.closed_at == MONDAY + timedelta(minutes=8)
    assert [event.actor for event in ticket.events[3:6]] == ["pai", "ban", "ban"]
    counter.agrees()


def test_a_command_that_comes_twice_is_done_once(counter: Counter) -> None:
    first = counter.give(Command.DISPATCH, key="k1")
    again = counter.give(Command.DISPATCH, key="k1")
    assert (first.repeated, again.repeated) == (False, True)
    assert again.event.id == first.event.id
    assert [event.kind for event in counter.ticket().events].count("dispatch") == 1


def test_a_key_names_one_command_alone(counter: Counter) -> None:
    counter.give(Command.DISPATCH, key="k1")
    with pytest.raises(ConflictError, match="已用于另一操作"):
        counter.give(Command.SIGN_IN, key="k1")
    with pytest.raises(InvalidInputError, match="操作标识"):
        counter.give(Command.SIGN_IN, key="k" * 65)


def test_who_saw_an_older_version_is_told(counter: Counter) -> None:
    seen = counter.ticket().version
    counter.give(Command.NOTE)
    with pytest.raises(ConflictError, match="已被他人更新"):
        counter.give(Command.DISPATCH, expected_version=seen)
    counter.give(Command.DISPATCH, expected_version=counter.ticket().version)


def test_of_many_who_press_at_once_one_dispatches(counter: Counter) -> None:
    done, refused = [], []
    start = threading.Barrier(8)

    def press(index: int) -> None:
        start.wait()
        try:
            with counter.database.transaction() as session:
                ticket = lock_ticket(session, NUMBER, None)
                give(session, ticket, Command.DISPATCH, desk=counter.desk, now=MONDAY, key=f"person-{index}")
            done.append(index)
        except ConflictError:
            refused.append(index)

    threads = [threading.Thread(target=press, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(done), len(refused)) == (1, 7)
    counter.agrees()


def test_people_of_another_unit_are_turned_away(counter: Counter) -> None:
    counter.give(Command.DISPATCH)
    with pytest.raises(ForbiddenError, match="不由您的单位承办"):
        counter.give(Command.SIGN_IN, actor=replace(HANDLER, unit=BUREAU))
    with pytest.raises(ForbiddenError):
        counter.give(Command.SIGN_IN, actor=replace(HANDLER, unit=""))
    with pytest.raises(ForbiddenError):
        counter.give(Command.SIGN_IN, actor=replace(HANDLER, unit=COMPANY))  # helps only
    counter.give(Command.SIGN_IN)
    counter.give(Command.ARRIVE, actor=replace(HANDLER, unit=COMPANY))
    with pytest.raises(ForbiddenError):
        counter.give(Command.SUBMIT, actor=replace(HANDLER, unit=COMPANY))


@pytest.mark.parametrize("actor", [HANDLER, Actor("x", Role.VIEWER), Actor("x", Role.AUDITOR), Actor("x", "root")])
def test_roles_without_the_right_are_told_who_has_it(counter: Counter, actor: Actor) -> None:
    with pytest.raises(ForbiddenError) as caught:
        counter.give(Command.DISPATCH, actor=actor)
    assert caught.value.hint == "可以派单的是：审核员、派单员、领导、督办员"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"unit": "nobody"}, "没有这些承办单位，或已停用：nobody"),
        ({"unit": TOWN, "co_units": [TOWN]}, "主办单位不能同时是协办单位"),
        ({"unit": ""}, "unit：不能为空"),
        ({"unit": TOWN, "colour": "red"}, "colour：没有这一项"),
        ({"unit": TOWN, "basis": "whim"}, "basis：不在可选范围内"),
        ({"co_units": []}, "unit：必须填写"),
        ({"unit": TOWN, "co_units": ["a"] * 11}, "co_units：太多"),
    ],
)
def test_a_dispatch_that_makes_no_sense_changes_nothing(counter: Counter, options: dict[str, Any], why: str) -> None:
    before = counter.ticket().version
    with pytest.raises(InvalidInputError, match=why):
        counter.give(Command.DISPATCH, **options)
    assert counter.ticket().version == before


def test_a_unit_that_is_closed_gets_no_ticket(counter: Counter) -> None:
    with counter.database.transaction() as session:
        session.get_one(Unit, TOWN).active = False
    with pytest.raises(InvalidInputError, match="已停用：zsy"):
        counter.give(Command.DISPATCH)


def test_a_reason_is_asked_for_where_the_rules_want_one(counter: Counter) -> None:
    counter.give(Command.DISPATCH)
    with pytest.raises(InvalidInputError, match="申请退单必须说明原因"):
        counter.give(Command.ASK_RETURN, reason=" ")
    with pytest.raises(InvalidInputError, match="原因最多"):
        counter.give(Command.ASK_RETURN, reason="因" * 1001)


def test_a_unit_returns_a_ticket_once_and_in_time(counter: Counter) -> None:
    counter.give(Command.DISPATCH, Command.ASK_RETURN, Command.DENY_RETURN)
    with pytest.raises(ConflictError, match="已对此工单申请过退单"):
        counter.give(Command.ASK_RETURN)
    counter.give(Command.SIGN_IN)


def test_a_granted_return_leaves_no_unit_and_the_next_one_may_return_it_too(counter: Counter) -> None:
    counter.give(Command.DISPATCH, Command.ASK_RETURN, Command.GRANT_RETURN)
    ticket = counter.ticket()
    assert (ticket.state, ticket.unit, ticket.units, ticket.due_step) == ("to_dispatch", "", [], "dispatch")
    counter.give(Command.DISPATCH, unit=BUREAU)
    counter.give(Command.ASK_RETURN, actor=replace(HEAD, unit=BUREAU))
    counter.agrees()


def test_after_the_deadline_of_signing_in_nothing_is_returned(counter: Counter) -> None:
    counter.give(Command.DISPATCH)
    counter.now += timedelta(minutes=30)
    with pytest.raises(ConflictError, match="签收时限已过"):
        counter.give(Command.ASK_RETURN)


def test_an_extension_is_granted_once_and_moves_the_deadline(counter: Counter) -> None:
    counter.give(*TO_HANDLING, Command.CONTACT, Command.ARRIVE)
    counter.give(Command.EDIT, overlay="")  # without the promise the reply alone runs
    assert counter.ticket().due_at == MONDAY + timedelta(hours=24, minutes=1)
    with pytest.raises(InvalidInputError, match="延期不能超过原时限（24h）"):
        counter.give(Command.ASK_EXTENSION, period="2d", told_caller=True)
    with pytest.raises(InvalidInputError, match="延期须先向诉求人说明原因"):
        counter.give(Command.ASK_EXTENSION, period="1h", told_caller=False)
    counter.give(Command.ASK_EXTENSION, period="24h", told_caller=True)
    counter.give(Command.DECIDE_EXTENSION, granted=True)
    assert counter.ticket().due_at == MONDAY + timedelta(hours=48, minutes=1)
    with pytest.raises(ConflictError, match="已延期一次"):
        counter.give(Command.ASK_EXTENSION)
    counter.agrees()


def test_an_extension_comes_too_late_when_the_reply_is_due(counter: Counter) -> None:
    counter.give(*TO_HANDLING)
    counter.now += timedelta(hours=25)
    with pytest.raises(ConflictError, match="答复时限已过"):
        counter.give(Command.ASK_EXTENSION)


def test_suspension_stops_the_clocks_and_resuming_gives_the_time_back(counter: Counter) -> None:
    counter.give(*TO_HANDLING, Command.SUSPEND)
    assert (counter.ticket().due_at, counter.ticket().check_at) == (None, None)
    counter.now += timedelta(hours=5)
    counter.give(Command.RESUME)
    assert counter.ticket().due_at == MONDAY + timedelta(hours=7, minutes=2)  # on site: 2 h and the pause of 5:01


def test_not_solved_is_done_over_and_the_second_time_supervised(counter: Counter) -> None:
    counter.give(*TO_CALL_BACK)
    with pytest.raises(ConflictError, match="尚未重办，不能转督办"):
        counter.give(Command.SUPERVISE)
    counter.give(Command.REDO)
    ticket = counter.ticket()
    assert (ticket.state, ticket.unit, ticket.passes, ticket.signed_at) == ("to_sign", TOWN, 2, None)
    counter.give(Command.SIGN_IN, Command.SUBMIT, Command.APPROVE)
    with pytest.raises(ConflictError, match="已重办 1 次，应转督办"):
        counter.give(Command.REDO)
    counter.give(Command.SUPERVISE, Command.SUBMIT, Command.APPROVE, Command.CLOSE)
    assert counter.ticket().state == "closed"
    counter.agrees()


def test_who_closes_without_a_call_back_says_why(counter: Counter) -> None:
    counter.give(*TO_CALL_BACK)
    with pytest.raises(InvalidInputError, match="没有回访结果"):
        counter.give(Command.CLOSE, reason="")


def test_what_a_person_corrects_becomes_evidence_of_a_person(counter: Counter) -> None:
    counter.give(Command.EDIT, category="供暖/集中供热温度", tier="T1")
    ticket = counter.ticket()
    assert (ticket.category, ticket.tier) == ("供暖/集中供热温度", "T1")
    assert ticket.due_at == MONDAY - timedelta(minutes=1) + timedelta(hours=1)  # dispatch of T1
    found = {item.field: (item.value, item.source) for item in ticket.evidence}
    assert found["category"] == ("供暖/集中供热温度", "human")
    for wrong in ({"category": "天气"}, {"tier": "T9"}, {"type": "rant"}, {"overlay": "none"}):
        with pytest.raises(InvalidInputError, match="没有"):
            counter.give(Command.EDIT, **wrong)
    with pytest.raises(InvalidInputError, match="没有修改"):
        counter.give(Command.EDIT, tier="T1")
    counter.agrees()


def test_what_stood_before_a_correction_is_remembered(counter: Counter) -> None:
    before = counter.ticket()
    counter.give(Command.EDIT, caller_name="章女士", petitioner={"gender": "female"})
    ticket = counter.ticket()
    told = ticket.events[-1].data
    assert told["was"] == {"caller_name": before.caller_name, "petitioner": before.petitioner}
    assert told["set"] == {"caller_name": "章女士", "petitioner": {"gender": "female"}}
    found = {item.field: (item.value, item.source) for item in ticket.evidence}
    assert found["gender"] == ("female", "human")
    counter.give(Command.EDIT, petitioner={})
    assert {item.field: item.value for item in counter.ticket().evidence}["gender"] == ""
    counter.agrees()


def test_a_ticket_is_merged_into_an_open_one(counter: Counter) -> None:
    other = "YQ20260105000026"
    with counter.database.transaction() as session:
        add_ticket(session, other, "beef")
    counter.give(Command.RECONSIDER)
    for into, why in ((NUMBER, "不能并入自己"), ("YQ20260105000099", "没有工单")):
        with pytest.raises(HotlineError, match=why):
            counter.give(Command.MERGE, into=into)
    counter.give(Command.MERGE, into=other)
    merged, kept = counter.ticket(), counter.ticket(other)
    assert (merged.state, merged.parent_id) == ("merged", kept.id)
    assert (kept.events[-1].kind, kept.events[-1].data) == ("merged_in", {"number": NUMBER})
    counter.give(Command.RECONSIDER, number=other)
    with pytest.raises(ConflictError, match="不能并入"):
        counter.give(Command.MERGE, number=other, into=NUMBER)
    counter.agrees()


def test_flags_have_their_own_people(counter: Counter) -> None:
    with pytest.raises(ForbiddenError, match="不能改变这个标记"):
        counter.give(Command.FLAG, actor=REVIEWER, flag="excluded")
    with pytest.raises(InvalidInputError, match="必须选择理由"):
        counter.give(Command.FLAG, flag="excluded")
    counter.give(Command.FLAG, flag="excluded", code="force_majeure")
    with pytest.raises(ConflictError, match="已有这个标记"):
        counter.give(Command.FLAG, flag="excluded")
    counter.give(Command.UNFLAG, flag="excluded")
    with pytest.raises(ConflictError, match="没有这个标记"):
        counter.give(Command.UNFLAG, flag="excluded")
    assert counter.ticket().flags == []
    counter.agrees()


def test_a_confidential_ticket_is_known_to_the_people_named_for_it(counter: Counter) -> None:
    counter.give(Command.FLAG, flag="confidential", readers=["qu"])
    with counter.database.transaction() as session:
        assert readers_of(session, counter.ticket().id) == ["du", "qu"]
        for viewer in (Viewer("guan", Role.ADMIN), Viewer("pai", Role.DISPATCHER)):
            with pytest.raises(NotFoundError):
                lock_ticket(session, NUMBER, viewer)
        assert lock_ticket(session, NUMBER, Viewer("qu", Role.LEADER)).number == NUMBER
    counter.give(Command.DISPATCH, unit=TOWN, readers=["ban"])
    counter.give(Command.NAME_READERS, readers=["ban"])
    with counter.database.transaction() as session:
        assert readers_of(session, counter.ticket().id) == ["ban", "shen"]
    counter.agrees()
    counter.give(Command.UNFLAG, flag="confidential")
    assert not counter.ticket().confidential
    counter.agrees()


def test_deliberation_brings_in_other_units_and_their_opinions(counter: Counter) -> None:
    counter.give(*TO_HANDLING, Command.DELIBERATE, Command.OPINION)
    counter.give(Command.OPINION, actor=Actor("cg", Role.UNIT_HEAD, BUREAU), opinion="同意")
    counter.give(Command.CONCLUDE)
    assert {link.unit for link in counter.ticket().units} == {TOWN, COMPANY, BUREAU}
    counter.agrees()


def test_rules_and_jobs_do_what_the_table_gives_them(counter: Counter) -> None:
    counter.give(Command.DISPATCH, actor=SYSTEM_ACTOR)
    with pytest.raises(ForbiddenError):
        counter.give(Command.SIGN_IN, actor=SYSTEM_ACTOR)


def test_the_edge_commits_once_and_tells_the_pages_once(counter: Counter) -> None:
    bus, clock = MemoryBus(), ManualClock(MONDAY)
    request = CommandRequest(Command.DISPATCH, {"unit": TOWN}, key="once")
    for _ in range(2):
        execute(
            counter.database,
            bus,
            clock,
            number=NUMBER,
            request=request,
            actor=DISPATCHER,
            viewer=Viewer("pai", Role.DISPATCHER),
            desk=counter.desk,
        )
    assert [event.name for event in bus.published] == [CHANGED]
    with pytest.raises(NotFoundError):
        execute(
            counter.database,
            bus,
            clock,
            number=NUMBER,
            request=CommandRequest(Command.SIGN_IN),
            actor=HANDLER,
            viewer=Viewer("x", Role.UNIT_HANDLER, BUREAU),
            desk=counter.desk,
        )


def test_a_row_that_was_changed_behind_the_events_is_found(counter: Counter) -> None:
    counter.give(Command.DISPATCH)
    with counter.database.transaction() as session:
        session.scalars(select(Ticket)).one().unit = BUREAU
    with counter.database.reading() as session:
        ticket = session.scalars(select(Ticket)).one()
        assert differences(row_of(session, ticket), ticket.events) == {"unit": (BUREAU, TOWN)}
