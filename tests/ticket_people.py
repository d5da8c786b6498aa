"""Units, people and the usual words of commands, for tests that take tickets through their life."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from console_seed import seed_heating_call
from sqlalchemy import select
from sqlalchemy.orm import Session

from hotline.db import Database
from tickets.commands import CommandRequest, Desk, Outcome, perform
from tickets.events import record_event
from tickets.lifecycle import Command, State
from tickets.models import Ticket, Unit
from tickets.projection import DEFAULTS, differences
from tickets.replay import row_of
from tickets.repository import lock_ticket
from tickets.roles import Actor, Role

MONDAY = datetime(2026, 1, 5, 1, 30, tzinfo=UTC)  # 9:30 at the site
NUMBER = "YQ20260105000011"
TOWN, BUREAU, COMPANY, OFFICE = "zsy", "cgw", "rl", "qb"
UNITS = {
    TOWN: ("张山营镇", "town"),
    BUREAU: ("区城市管理委", "department"),
    COMPANY: ("区热力公司", "company"),
    OFFICE: ("区政府办公室", "office"),
}
OPERATOR, REVIEWER, DISPATCHER = (
    Actor("hua", Role.OPERATOR),
    Actor("shen", Role.REVIEWER),
    Actor("pai", Role.DISPATCHER),
)
HANDLER, HEAD = Actor("ban", Role.UNIT_HANDLER, TOWN), Actor("zhang", Role.UNIT_HEAD, TOWN)
LEADER, SUPERVISOR, ADMIN = Actor("qu", Role.LEADER), Actor("du", Role.SUPERVISOR), Actor("guan", Role.ADMIN)
USUAL: Mapping[Command, tuple[Actor, dict[str, Any], str]] = {
    Command.ACCEPT: (OPERATOR, {}, ""),
    Command.RECONSIDER: (REVIEWER, {}, "再核实"),
    Command.ANSWER_DIRECTLY: (OPERATOR, {"reply": "已当场答复"}, ""),
    Command.TRANSFER: (OPERATOR, {"service": "119"}, ""),
    Command.REFUSE: (REVIEWER, {}, "不属于受理范围"),
    Command.DISPATCH: (DISPATCHER, {"unit": TOWN, "co_units": [COMPANY]}, ""),
    Command.SIGN_IN: (HANDLER, {}, ""),
    Command.ASK_RETURN: (HEAD, {"code": "not_our_duty"}, "设备归热力公司"),
    Command.GRANT_RETURN: (REVIEWER, {}, ""),
    Command.DENY_RETURN: (REVIEWER, {}, "属地单位先接"),
    Command.DELIBERATE: (DISPATCHER, {"units": [BUREAU], "question": "费用由谁承担"}, ""),
    Command.OPINION: (HEAD, {"opinion": "由厂家承担"}, ""),
    Command.CONCLUDE: (LEADER, {"decision": "镇里先修，费用另议"}, ""),
    Command.ASK_EXTENSION: (HEAD, {"period": "1h", "told_caller": True}, "等配件"),
    Command.DECIDE_EXTENSION: (SUPERVISOR, {"granted": True}, "情况属实"),
    Command.SUSPEND: (SUPERVISOR, {}, "等待上级批复"),
    Command.RESUME: (SUPERVISOR, {}, ""),
    Command.CONTACT: (HANDLER, {"method": "phone", "reached": True}, ""),
    Command.ARRIVE: (HANDLER, {"note": "已到户"}, ""),
    Command.RECORD: (HANDLER, {"measures": "更换主板"}, ""),
    Command.SUBMIT: (HANDLER, {"result": "已修好"}, ""),
    Command.SEND_BACK: (REVIEWER, {}, "没有说明费用"),
    Command.APPROVE: (REVIEWER, {}, ""),
    Command.CALL_BACK: (OPERATOR, {"reached": False, "note": "无人接听"}, ""),
    Command.CLOSE: (OPERATOR, {}, "诉求人已当面确认"),
    Command.REDO: (OPERATOR, {}, "诉求人说没有解决"),
    Command.SUPERVISE: (OPERATOR, {}, "再次没有解决"),
    Command.ARCHIVE: (REVIEWER, {}, ""),
    Command.EDIT: (OPERATOR, {"title": "煤改电设备报警"}, ""),
    Command.NOTE: (OPERATOR, {"text": "家里有老人"}, ""),
    Command.FLAG: (SUPERVISOR, {"flag": "unreasonable"}, "反复诉求"),
    Command.UNFLAG: (SUPERVISOR, {"flag": "unreasonable"}, "复核后取消"),
    Command.NAME_READERS: (REVIEWER, {"readers": ["shen"]}, ""),
    Command.INSTRUCT: (LEADER, {"text": "今天必须修好"}, ""),
    Command.APPEAL: (HEAD, {"code": "not_our_duty"}, "管网归热力公司"),
    Command.DECIDE_APPEAL: (SUPERVISOR, {"granted": True, "code": "not_our_duty"}, "情况属实"),
    Command.URGE: (SUPERVISOR, {"text": "请尽快到场"}, ""),
}
"""Who usually gives a command, what it says, and why. `MERGE` needs the number of another ticket."""


def seed_units(session: Session) -> None:
    """Four units."""
    session.add_all(Unit(code=code, name=name, kind=kind) for code, (name, kind) in UNITS.items())
    session.flush()


def give(
    session: Session,
    ticket: Ticket,
    command: Command,
    *,
    desk: Desk,
    now: datetime,
    actor: Actor | None = None,
    reason: str | None = None,
    key: str | None = None,
    expected_version: int | None = None,
    **arguments: Any,
) -> Outcome:
    """The command as it is usually given, but for what is named."""
    who, said, why = USUAL.get(command, (ADMIN, {}, ""))
    request = CommandRequest(
        command,
        arguments or said,
        why if reason is None else reason,
        key=key,
        expected_version=expected_version,
    )
    return perform(session, ticket, request, actor=actor or who, desk=desk, now=now)


_EXTRACTED = {
    *("category", "type", "tier", "overlay", "title", "content", "caller_name", "phone", "place", "address"),
    *("town", "community"),
}


def add_ticket(session: Session, number: str, call_id: str) -> Ticket:
    """A ticket of tier T2 with the promise of heaters, accepted a minute ago."""
    ticket = seed_heating_call(session, None, now=MONDAY - timedelta(minutes=1), call_id=call_id, number=number)
    for event in ticket.events:
        session.delete(event)
    session.flush()
    session.expire(ticket, ["events"])
    ticket.state, ticket.flags, ticket.keywords = State.TO_DISPATCH.value, [], []
    ticket.tier, ticket.overlay = "T2", "coal_to_electric"
    at = MONDAY - timedelta(minutes=1)
    ticket.created_at = ticket.updated_at = at
    data = {"number": number, "call_id": call_id, "channel": ticket.channel}
    record_event(session, ticket, "created", now=at, data=data)
    fields = {name: getattr(ticket, name) for name in DEFAULTS if name in _EXTRACTED}
    record_event(session, ticket, "fields_extracted", now=at, data={"fields": fields, "flags": [], "keywords": []})
    record_event(session, ticket, "accepted", now=at, data={"from": "accepting", "to": "to_dispatch"})
    return ticket


@dataclass
class Counter:
    """A ticket and the time at the counter; each command comes a minute after the one before."""

    database: Database
    desk: Desk
    now: datetime = MONDAY

    def give(self, *commands: Command, **options: Any) -> Outcome:
        with self.database.transaction() as session:
            for command in commands:
                self.now += timedelta(minutes=1)
                ticket = lock_ticket(session, options.pop("number", NUMBER), None)
                outcome = give(session, ticket, command, desk=self.desk, now=self.now, **options)
        return outcome

    def ticket(self, number: str = NUMBER) -> Ticket:
        with self.database.reading() as session:
            ticket = session.scalars(select(Ticket).where(Ticket.number == number)).one()
            _ = ticket.events, ticket.units, ticket.evidence
            return ticket

    def agrees(self) -> None:
        """The row is what its events say."""
        with self.database.reading() as session:
            for ticket in session.scalars(select(Ticket)):
                assert differences(row_of(session, ticket), ticket.events) == {}
