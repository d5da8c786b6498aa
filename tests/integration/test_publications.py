"""The three rates from the rows: published with their inputs, replayed, corrected; appeals and exclusions."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from figure_seed import BAD, FAIR, GOOD, NOVEMBER, SILENT, seed_ticket, seed_units
from sqlalchemy import text, update
from ticket_people import ADMIN, HANDLER, HEAD, NUMBER, SUPERVISOR, Counter, add_ticket
from ticket_people import seed_units as seed_people_units

from hotline.db import Database
from hotline.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from hotline.settings import Settings
from tickets.access import Viewer
from tickets.commands import load_desk
from tickets.figure_models import Publication
from tickets.formulas import load_formulas, month_period
from tickets.lifecycle import Command
from tickets.models import TicketUnit
from tickets.publication import line_of
from tickets.rate_repository import cases_for, cases_of, current_publication, publication_by_id, publications
from tickets.rate_service import compute, publish, published_outputs, replay
from tickets.roles import Actor, Role
from tickets.survey_models import Survey

ZONE = ZoneInfo("Asia/Shanghai")
AFTER = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def month(settings: Settings):  # type: ignore[no-untyped-def]
    return month_period(load_formulas(settings.tickets.rates_path), "2026-11", ZONE)


@pytest.fixture
def seeded(database: Database) -> Database:
    with database.transaction() as session:
        seed_units(session)
        seed_ticket(session, 1, BAD, GOOD)  # redone: the second counts
        seed_ticket(session, 2, FAIR)
        seed_ticket(session, 3, BAD, unit="zsy", town="张山营镇", flags=("excluded",))
        seed_ticket(session, 4, SILENT, unit="zsy")
        seed_ticket(session, 5, GOOD, unit="cgw", category="市政园林/路灯")
        seed_ticket(session, 6, GOOD, at=NOVEMBER - timedelta(days=60))
        parent = seed_ticket(session, 7, unit="rsj", category="劳动社保/欠薪")
        middle = seed_ticket(session, 8, unit="", parent_id=parent.id)
        seed_ticket(session, 9, BAD, unit="", parent_id=middle.id, flags=("under_appeal",))
    return database


def test_cases_are_the_tickets_called_back_in_the_period(seeded: Database, month) -> None:  # type: ignore[no-untyped-def]
    with seeded.reading() as session:
        cases = {case.number[10:15]: case for case in cases_of(session, month[1])}
    assert sorted(cases) == ["00001", "00002", "00003", "00004", "00005", "00009"]
    assert [item.pass_number for item in cases["00001"].call_backs] == [1, 2]
    assert (cases["00002"].unit_name, cases["00002"].kind) == ("永宁镇", "town")
    assert cases["00003"].excluded == "未填原因"
    assert (cases["00009"].unit, cases["00009"].under_appeal) == ("rsj", True)  # of the ticket it was merged into


def test_rates_by_hand(seeded: Database, month) -> None:  # type: ignore[no-untyped-def]
    with seeded.reading() as session:
        outputs = compute(session, *month).outputs
    towns = {line.key: line for line in map(line_of, outputs["without_excluded"]["towns"])}
    # 永宁镇: 满意 and 基本满意 of two, both solved: 100 x (0.1 + 0.5 + 0.4 x 1.9 / 2)
    assert towns["yn"].rates.score(month[0]) == 98
    assert (towns["yn"].place, towns["zsy"].place, towns["zsy"].rates.valid) == (1, None, 0)
    total = line_of(outputs["with_excluded"]["total"][0]).rates
    assert (total.valid, total.rate("solved"), total.rate("satisfied")) == (5, Fraction(3, 5), Fraction(29, 50))


def test_a_publication_replays_though_the_rows_changed(seeded: Database, month) -> None:  # type: ignore[no-untyped-def]
    with seeded.transaction() as session:
        number = publish(session, *month, by="du", now=AFTER).id
    with seeded.transaction() as session:
        seed_ticket(session, 20, BAD)
    with seeded.reading() as session:
        found = publication_by_id(session, number)
        done = replay(found)
        assert (done.differences, len(done.cases), found.cases) == ((), 6, 6)
        assert published_outputs(found) != compute(session, *month).outputs


def test_a_correction_names_what_it_corrects(seeded: Database, month) -> None:  # type: ignore[no-untyped-def]
    with seeded.transaction() as session:
        first = publish(session, *month, by="du", now=AFTER).id
    refused = {
        "已发布": {},
        "不是": {"corrects": first + 7, "note": "更正"},
        "原因": {"corrects": first, "note": " "},
    }
    for told, options in refused.items():
        with pytest.raises((ConflictError, InvalidInputError), match=told), seeded.transaction() as session:
            publish(session, *month, by="du", now=AFTER, **options)
    with seeded.transaction() as session:
        second = publish(session, *month, by="du", now=AFTER, corrects=first, note="补计一件回访")
        assert second.corrects_id == first
        assert current_publication(session, "2026-11") is second
    with pytest.raises(ConflictError), seeded.transaction() as session:
        publish(session, *month, by="du", now=AFTER, corrects=first, note="再次更正")
    with seeded.reading() as session:
        assert [item.corrects_id for item in publications(session, period="2026-11")] == [first, None]
        with pytest.raises(NotFoundError):
            publication_by_id(session, 2**40)


def test_a_period_that_goes_on_is_not_published(seeded: Database, month) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConflictError, match="尚未结束"), seeded.transaction() as session:
        publish(session, *month, by="du", now=month[1].end - timedelta(seconds=1))


def test_nothing_changes_or_deletes_a_publication(seeded: Database, month) -> None:  # type: ignore[no-untyped-def]
    with seeded.transaction() as session:
        number = publish(session, *month, by="du", now=AFTER).id
    with pytest.raises(ConflictError), seeded.transaction() as session:
        publication_by_id(session, number).note = "anything"
    with pytest.raises(ConflictError), seeded.transaction() as session:
        session.delete(publication_by_id(session, number))
    for statement in (update(Publication).values(note="x"), text("DELETE FROM publications")):
        with pytest.raises(Exception, match="cannot be changed"), seeded.transaction() as session:
            session.execute(statement)


def test_a_month_without_tickets_is_published_with_dashes(database: Database, month) -> None:  # type: ignore[no-untyped-def]
    with database.transaction() as session:
        found = publish(session, *month, by="du", now=AFTER)
        assert (found.cases, replay(found).differences) == (0, ())
        assert line_of(published_outputs(found)["with_excluded"]["total"][0]).rates.score(month[0]) is None


def test_a_unit_sees_its_own_tickets_but_no_confidential_one(seeded: Database, month) -> None:  # type: ignore[no-untyped-def]
    with seeded.transaction() as session:
        secret = seed_ticket(session, 30, BAD, confidential=True)
        plain = seed_ticket(session, 31, GOOD)
        session.add_all(TicketUnit(ticket_id=item.id, unit="yn", lead=True) for item in (secret, plain))
    with seeded.reading() as session:
        handler = Viewer("ban", Role.UNIT_HANDLER, "yn")
        assert [case.number[10:15] for case in cases_for(session, month[1], handler, unit="yn")] == ["00031"]
        assert cases_for(session, month[1], handler, unit="zsy") == []
        leader = Viewer("qu", Role.LEADER)
        assert [case.number[10:15] for case in cases_for(session, month[1], leader, unit="rsj")] == ["00009"]


@pytest.fixture
def handled(database: Database, settings: Settings) -> Counter:
    with database.transaction() as session:
        seed_people_units(session)
        add_ticket(session, NUMBER, "c0ffee")
    counter = Counter(database, load_desk(settings))
    counter.give(Command.DISPATCH, Command.SIGN_IN)
    return counter


def test_an_appeal_is_asked_by_the_head_and_decided_by_a_supervisor(handled: Counter) -> None:
    with pytest.raises(ConflictError, match="没有待裁定的申诉"):
        handled.give(Command.DECIDE_APPEAL)
    for nobody in (HANDLER, SUPERVISOR, Actor("zhang", Role.UNIT_HEAD, "cgw")):
        with pytest.raises(ForbiddenError):
            handled.give(Command.APPEAL, actor=nobody)
    with pytest.raises(InvalidInputError, match="原因"):
        handled.give(Command.APPEAL, reason=" ")
    handled.give(Command.APPEAL)
    assert handled.ticket().flags == ["under_appeal"]
    with pytest.raises(ConflictError, match="待裁定"):
        handled.give(Command.APPEAL)
    with pytest.raises(ForbiddenError):
        handled.give(Command.DECIDE_APPEAL, actor=HEAD)
    for said, told in (({"granted": True, "code": "luck"}, "格式不对"), ({"granted": True}, "选择不计入考核的理由")):
        with pytest.raises(InvalidInputError, match=told):
            handled.give(Command.DECIDE_APPEAL, **said)
    handled.give(Command.DECIDE_APPEAL)
    assert handled.ticket().flags == ["excluded"]
    with pytest.raises(ConflictError, match="已裁定"):
        handled.give(Command.APPEAL)
    handled.agrees()


def test_an_appeal_that_is_denied_changes_nothing_but_cannot_be_made_again(handled: Counter) -> None:
    handled.give(Command.APPEAL)
    handled.give(Command.DECIDE_APPEAL, granted=False)
    assert handled.ticket().flags == []
    with pytest.raises(ConflictError, match="已裁定"):
        handled.give(Command.APPEAL)
    handled.agrees()


def test_a_ticket_that_was_excluded_before_stays_so_once(handled: Counter) -> None:
    handled.give(Command.FLAG, flag="excluded", code="malicious")
    handled.give(Command.APPEAL)
    handled.give(Command.DECIDE_APPEAL)
    assert handled.ticket().flags == ["excluded"]


def test_an_appeal_is_decided_before_the_ticket_is_archived(handled: Counter) -> None:
    handled.give(Command.SUBMIT, Command.APPROVE, Command.CLOSE, Command.APPEAL)
    with pytest.raises(ConflictError, match="尚未裁定"):
        handled.give(Command.ARCHIVE)
    handled.give(Command.DECIDE_APPEAL, Command.ARCHIVE)


def test_there_is_one_way_to_be_under_appeal(handled: Counter) -> None:
    for command in (Command.FLAG, Command.UNFLAG):
        with pytest.raises(InvalidInputError):
            handled.give(command, actor=ADMIN, flag="under_appeal")


def test_why_a_ticket_was_excluded_is_told_with_the_rates(handled: Counter, month) -> None:  # type: ignore[no-untyped-def]
    handled.give(Command.APPEAL)
    handled.give(Command.DECIDE_APPEAL, reason="管网归热力公司，电话 13800138000")
    with handled.database.transaction() as session:
        ticket_id = handled.ticket().id
        session.add(
            Survey(
                ticket_id=ticket_id, pass_number=1, phone="", state="completed", created_at=NOVEMBER, closed_at=NOVEMBER
            )
        )
    with handled.database.reading() as session:
        (case,) = cases_of(session, month[1])
    assert case.excluded.startswith("不属承办单位职责（管网归热力公司")
    assert "13800138000" not in case.excluded
