"""A day at the hotline, from two calls to the three rates, every clock and figure reckoned by hand.

A heater at 9:42: sent at 9:50, signed, on site by 11:40, done by 13:30, a part paid, the caller content. Wages owed to
fifteen people at 9:55: sent to the labour bureau with the town beside it, mediated in deliberation, paid the same day,
the caller basically content.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from ingest_rig import Site, leave_call, make_site
from sqlalchemy import select
from ticket_people import DISPATCHER, LEADER, REVIEWER

from hotline.db import Database
from hotline.settings import Settings
from tickets.clocks import ClockState, read_clock
from tickets.commands import CommandRequest, Desk, load_desk, perform
from tickets.formulas import load_formulas, period_at
from tickets.lifecycle import Command
from tickets.models import Ticket, Unit
from tickets.projection import differences
from tickets.rate_repository import cases_of
from tickets.rates import explain, rates_of, shown, tables
from tickets.replay import row_of
from tickets.repository import events_of, lock_ticket
from tickets.roles import Actor, Role
from tickets.ticket_clocks import clock_of

ZONE = ZoneInfo("Asia/Shanghai")
HEATER = (
    "您好 我 姓 张 住 在 延庆区 张山营镇",
    "我家 的 煤改电 设备 坏 了 一直 报警 屋里 温度 上 不 去",
    "我 的 电话 是 幺 三 八 零 零 幺 三 八 零 零 零",
)
WAGES = ("您好 我们 十五 个 人 在 工地 干活 老板 拖欠 工资 三万 二 一直 不 发 工资", "我 姓 吕 在 康庄镇")
ANSWERS = {
    "heater": (("contacted", "yes"), ("solved", "yes"), ("satisfied", "satisfied")),
    "wages": (("contacted", "yes"), ("solved", "yes"), ("satisfied", "basically")),
}


def at(clock: str) -> datetime:
    """A moment of Monday, 5 January 2026, at the site."""
    hour, minute = map(int, clock.split(":"))
    return datetime(2026, 1, 5, hour, minute, tzinfo=ZONE)


@dataclass
class Day:
    """The hotline on that Monday."""

    site: Site
    desk: Desk

    def call(self, clock: str, call_id: str, said: tuple[str, ...], caller: str) -> str:
        """A call that ends at that time; its ticket's number."""
        self.site.clock.at = at(clock)
        leave_call(self.site, said=said, call_id=call_id, caller=caller)
        self.site.ingest(f"n1/{call_id}.jsonl")
        with self.site.database.reading() as session:
            return session.scalars(select(Ticket.number).where(Ticket.call_id == call_id)).one()

    def give(self, clock: str, number: str, command: Command, actor: Actor, reason: str = "", **said: object) -> None:
        with self.site.database.transaction() as session:
            ticket = lock_ticket(session, number, None)
            request = CommandRequest(command, said, reason)
            perform(session, ticket, request, actor=actor, desk=self.desk, now=at(clock))

    def call_back(self, clock: str, number: str, call_id: str, answers: tuple[tuple[str, str], ...]) -> None:
        """The engine's survey call, answered by keys."""
        self.site.clock.at = at(clock)
        given = tuple(
            ("survey", {"question": question, "answer": answer, "means": "key", "offset_ms": 5000})
            for question, answer in answers
        )
        opened = {"direction": "out", "purpose": "flow", "flow": "survey", "variables": {"ticket": number}}
        leave_call(self.site, said=("好",), demand=False, call_id=call_id, opened=opened, happened=given)
        self.site.ingest(f"n1/{call_id}.jsonl")

    def ticket(self, number: str) -> Ticket:
        with self.site.database.reading() as session:
            ticket = session.scalars(select(Ticket).where(Ticket.number == number)).one()
            _ = ticket.events, ticket.units
            assert differences(row_of(session, ticket), ticket.events) == {}
            return ticket

    def clocks(self, number: str) -> dict[str, tuple[str, str]]:
        """Step -> (how it ended, until when it had time), each as it was reckoned by hand below."""
        with self.site.database.reading() as session:
            ticket = session.scalars(select(Ticket).where(Ticket.number == number)).one()
            periods = self.desk.site.clocks(ticket.tier, ticket.overlay)
            any_day = self.desk.site.deadlines[ticket.tier].any_day
            events = events_of(session, ticket.id)
            found = {}
            for step in periods:
                clock = clock_of(step, events, periods=periods, any_day=any_day)
                assert clock is not None
                reading = read_clock(clock, self.desk.working, now=at("23:59"))
                assert reading.due_at is not None
                found[step] = (reading.state.value, f"{reading.due_at.astimezone(ZONE):%m-%d %H:%M}")
            return found


@pytest.fixture
def day(database: Database, settings: Settings, tmp_path: Path) -> Day:
    zoned = settings.model_copy(update={"timezone": "Asia/Shanghai"})
    with database.transaction() as session:
        session.add_all(
            [
                Unit(code="zsy", name="张山营镇", kind="town"),
                Unit(code="kz", name="康庄镇", kind="town"),
                Unit(code="rsj", name="区人力社保局", kind="department"),
                Unit(code="rl", name="区热力公司", kind="company"),
            ]
        )
    return Day(make_site(database, zoned, tmp_path), load_desk(zoned))


def heater(day: Day) -> str:
    number = day.call("9:42", "a" * 32, HEATER, "13800138000")
    town = Actor("ban", Role.UNIT_HANDLER, "zsy")
    day.give("9:50", number, Command.DISPATCH, DISPATCHER, unit="zsy", co_units=["rl"], basis="catalogue")
    day.give("9:58", number, Command.SIGN_IN, town)
    day.give("10:05", number, Command.CONTACT, town, method="phone", reached=True)
    day.give("11:40", number, Command.ARRIVE, town, note="已到户")
    day.give("13:30", number, Command.SUBMIT, town, result="主板已更换，供暖恢复", fee_cents=8500)
    day.give("13:45", number, Command.APPROVE, REVIEWER)
    day.call_back("16:10", number, "b" * 32, ANSWERS["heater"])
    return number


def wages(day: Day) -> str:
    number = day.call("9:55", "c" * 32, WAGES, "13910002345")
    bureau, town = Actor("lao", Role.UNIT_HEAD, "rsj"), Actor("kang", Role.UNIT_HEAD, "kz")
    day.give("10:02", number, Command.DISPATCH, LEADER, unit="rsj", co_units=["kz"], basis="leader")
    day.give("10:02", number, Command.INSTRUCT, LEADER, text="今天必须见到钱")
    day.give("10:10", number, Command.SIGN_IN, bureau)
    day.give("10:20", number, Command.DELIBERATE, LEADER, units=["rsj", "kz"], question="工资由谁垫付")
    day.give("10:30", number, Command.OPINION, town, opinion="由施工方先行垫付")
    day.give("10:40", number, Command.CONCLUDE, LEADER, decision="施工方今天付清，劳动监察到场见证")
    day.give("11:00", number, Command.CONTACT, bureau, method="visit", reached=True)
    day.give("16:30", number, Command.SUBMIT, bureau, result="调解成功，三万二千元已当面付清")
    day.give("16:40", number, Command.APPROVE, REVIEWER)
    day.call_back("17:20", number, "d" * 32, ANSWERS["wages"])
    return number


def test_the_heater_is_repaired_the_same_afternoon(day: Day) -> None:
    number = heater(day)
    ticket = day.ticket(number)
    assert (ticket.state, ticket.category, ticket.overlay) == ("closed", "供暖/煤改电设备", "coal_to_electric")
    assert (ticket.tier, ticket.town, ticket.phone, ticket.fee_cents) == ("T2", "张山营镇", "13800138000", 8500)
    assert "overdue" not in ticket.flags
    # T2: dispatch within 2 h of the call; then signing in 30 min, contact and arrival 2 h, repair 4 h, reply 24 h
    assert day.clocks(number) == {
        "dispatch": ("met", "01-05 11:42"),
        "sign_in": ("met", "01-05 10:20"),
        "first_contact": ("met", "01-05 11:50"),
        "on_site": ("met", "01-05 11:50"),
        "done": ("met", "01-05 13:50"),
        "reply": ("met", "01-06 09:50"),
    }
    times = [ticket.dispatched_at, ticket.signed_at, ticket.contacted_at, ticket.on_site_at, ticket.submitted_at]
    assert times == [at(clock) for clock in ("9:50", "9:58", "10:05", "11:40", "13:30")]
    assert ticket.closed_at == at("16:10")
    assert ticket.events[-1].reason == "回访：已解决"


def test_the_wages_are_mediated_and_paid_the_same_day(day: Day) -> None:
    number = wages(day)
    ticket = day.ticket(number)
    assert (ticket.state, ticket.category, ticket.tier) == ("closed", "劳动社保/欠薪", "T3")
    # T3: 24 h of working days for dispatch; a working day of 9.5 h of duty for signing in and contact; 7 days for the
    # reply, which ends on a Monday
    assert day.clocks(number) == {
        "dispatch": ("met", "01-06 09:55"),
        "sign_in": ("met", "01-06 10:02"),
        "first_contact": ("met", "01-06 10:02"),
        "reply": ("met", "01-12 10:02"),
    }
    assert [event.data["opinion"] for event in ticket.events if event.kind == "opinion"] == ["由施工方先行垫付"]


def test_both_count_in_the_three_rates_of_their_month(day: Day) -> None:
    numbers = heater(day), wages(day)
    formulas = load_formulas(day.site.settings.tickets.rates_path)
    formula, period = period_at(formulas, at("17:20"), ZONE)
    assert (period.begin, period.end) == (
        datetime(2025, 12, 19, 12, tzinfo=ZONE),
        datetime(2026, 1, 19, 12, tzinfo=ZONE),
    )
    with day.site.database.reading() as session:
        cases = cases_of(session, period)
    assert [case.number for case in cases] == sorted(numbers)
    rates = rates_of(cases, formula, period)
    assert [rates.rate(question) for question in ("contacted", "solved", "satisfied")] == [1, 1, Fraction(19, 20)]
    # 100 x (0.10 x 1 + 0.50 x 1 + 0.40 x 0.95)
    assert rates.score(formula) == 98
    (town,) = tables(cases, formula, period, variant="all")["towns"]
    (bureau,) = tables(cases, formula, period, variant="all")["departments"]
    assert (town.name, shown(town.rates.score(formula), 2)) == ("张山营镇", "100.00")
    # 100 x (0.10 + 0.50 + 0.40 x 0.90)
    assert (bureau.name, shown(bureau.rates.score(formula), 2)) == ("区人力社保局", "96.00")
    for case in cases:
        assert len(explain(case, formula, period, ZONE).counted) == 1


def test_two_hours_on_site_are_two_hours_to_the_second(day: Day) -> None:
    number = day.call("9:42", "e" * 32, HEATER, "13800138000")
    day.give("9:50", number, Command.DISPATCH, DISPATCHER, unit="zsy", basis="catalogue")
    with day.site.database.reading() as session:
        ticket = session.scalars(select(Ticket)).one()
        periods = day.desk.site.clocks("T2", ticket.overlay)
        clock = clock_of("on_site", events_of(session, ticket.id), periods=periods, any_day=True)
    assert clock is not None
    assert read_clock(clock, day.desk.working, now=at("11:50")).state is ClockState.RUNNING
    assert read_clock(clock, day.desk.working, now=at("11:50") + timedelta(seconds=1)).state is ClockState.OVERDUE
