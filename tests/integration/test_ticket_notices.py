"""Who is told what while a ticket lives."""

from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from console_seed import PHONE
from sqlalchemy import select
from ticket_people import COMPANY, HEAD, MONDAY, NUMBER, REVIEWER, TOWN, Counter, add_ticket, seed_units

from hotline.clock import ManualClock
from hotline.db import Database
from hotline.errors import ConflictError
from hotline.settings import Settings
from hotline.settings_notices import NoticeSettings
from tickets.commands import load_desk
from tickets.intake import Demand, take_demand
from tickets.lifecycle import Command
from tickets.models import Ticket, Unit
from tickets.notices.models import Notice, WebhookDelivery, WebhookSubscription
from tickets.notices.occasions import tell_created, tell_reminder
from tickets.notices.subscriptions import EVENTS
from tickets.reminders import Reminder
from tickets.repository import lock_ticket

OTHER = "YQ20260105000029"


@pytest.fixture
def counter(database: Database, settings: Settings, tmp_path: Path) -> Counter:
    notices = NoticeSettings(
        sms_gateway=tmp_path / "x", wecom_gateway=tmp_path / "x", smtp_host="mail", smtp_sender="hotline@example.cn"
    )
    with database.transaction() as session:
        seed_units(session)
        add_ticket(session, NUMBER, "c0ffee")
        town = session.get_one(Unit, TOWN)
        town.email, town.phone = "zsy@example.cn", "13900139000"
        session.add(
            WebhookSubscription(
                name="grid",
                url="https://grid.example.cn/",
                events=list(EVENTS),
                key_id="1",
                salt="00" * 32,
                created_at=MONDAY,
                created_by="x",
            )
        )
    return Counter(database, load_desk(settings.model_copy(update={"notices": notices})))


def told(counter: Counter) -> list[tuple[str, str, str]]:
    with counter.database.reading() as session:
        notices = session.scalars(select(Notice).order_by(Notice.id)).all()
        return [(item.kind, item.channel, item.recipient) for item in notices]


def texts(counter: Counter, kind: str) -> list[str]:
    with counter.database.reading() as session:
        return list(session.scalars(select(Notice.text).where(Notice.kind == kind).order_by(Notice.id)))


def events(counter: Counter) -> list[str]:
    with counter.database.reading() as session:
        return list(session.scalars(select(WebhookDelivery.event).order_by(WebhookDelivery.id)))


def change(counter: Counter, **columns: object) -> None:
    with counter.database.transaction() as session:
        ticket = lock_ticket(session, NUMBER, None)
        for name, value in columns.items():
            setattr(ticket, name, value)


def test_a_dispatch_is_told_to_the_caller_and_by_every_way_to_the_unit(counter: Counter) -> None:
    counter.give(Command.DISPATCH)
    assert told(counter) == [
        ("dispatched", "sms", PHONE),
        ("to_sign", "email", "zsy@example.cn"),
        ("to_sign", "sms", "13900139000"),
        ("to_sign", "wecom", "13900139000"),
    ]
    assert texts(counter, "dispatched") == [f"您的诉求（工单{NUMBER}）已派至张山营镇办理，工作人员将与您联系。"]
    assert "签收时限：2026-01-05 10:01" in texts(counter, "to_sign")[0]
    assert events(counter) == ["ticket.state_changed"]


def test_the_whole_life_of_a_ticket_tells_each_step_once(counter: Counter) -> None:
    counter.give(Command.DISPATCH, Command.ASK_RETURN, Command.DENY_RETURN, Command.SIGN_IN)
    counter.give(Command.ASK_EXTENSION, Command.DECIDE_EXTENSION, Command.SUSPEND, Command.RESUME)
    counter.give(Command.CONTACT, Command.SUBMIT, Command.SEND_BACK, Command.SUBMIT, Command.APPROVE)
    counter.give(Command.REDO, Command.SIGN_IN, Command.SUBMIT, Command.APPROVE, Command.SUPERVISE)
    counter.give(Command.SUBMIT, Command.APPROVE, Command.CLOSE)
    kinds = [kind for kind, channel, _ in told(counter) if channel in ("sms", "email")]
    assert list(dict.fromkeys(kinds)) == [
        "dispatched",
        "to_sign",
        "return_decided",
        "extended",
        "extension_decided",
        "suspended",
        "sent_back",
        "done",
        "redo",
        "supervised",
    ]
    assert "等配件" in texts(counter, "extended")[0]
    assert "驳回" in texts(counter, "return_decided")[0]
    assert len(texts(counter, "done")) == 3
    assert events(counter)[-2:] == ["ticket.state_changed", "ticket.closed"]
    assert events(counter).count("ticket.closed") == 1


def test_a_return_is_told_to_the_unit_that_asked_for_it(counter: Counter) -> None:
    counter.give(Command.DISPATCH, Command.ASK_RETURN, Command.GRANT_RETURN)
    assert ("return_decided", "email", "zsy@example.cn") in told(counter)
    assert "同意。\n\n设备归热力公司" in texts(counter, "return_decided")[0]


def test_a_command_sent_twice_or_refused_tells_nobody(counter: Counter) -> None:
    counter.give(Command.DISPATCH, key="k1")
    before = told(counter)
    counter.give(Command.DISPATCH, key="k1")
    with pytest.raises(ConflictError):
        counter.give(Command.APPROVE)
    assert told(counter) == before
    assert events(counter) == ["ticket.state_changed"]


def test_an_anonymous_caller_is_told_nothing_and_of_a_confidential_ticket_no_matter_is_told(counter: Counter) -> None:
    change(counter, anonymous=True)
    counter.give(Command.FLAG, actor=REVIEWER, reason="举报", flag="confidential", readers=["pai", "ban"])
    counter.give(Command.DISPATCH)
    assert "dispatched" not in [kind for kind, *_ in told(counter)]
    assert all("煤改电" not in text for text in texts(counter, "to_sign"))
    assert any("保密工单" in text for text in texts(counter, "to_sign"))
    counter.give(Command.ASK_RETURN, actor=HEAD)
    counter.give(Command.DENY_RETURN)
    assert all("见工单" in text for text in texts(counter, "return_decided"))


def test_every_caller_of_merged_tickets_hears_under_his_own_number(counter: Counter) -> None:
    with counter.database.transaction() as session:
        other = add_ticket(session, OTHER, "c0ffef")
        other.phone, other.state = "13700137000", "merged"
        other.parent_id = lock_ticket(session, NUMBER, None).id
    counter.give(Command.DISPATCH, Command.SIGN_IN, Command.CONTACT, Command.SUBMIT, Command.APPROVE)
    assert ("done", "sms", "13700137000") in told(counter)
    assert any(OTHER in text for text in texts(counter, "done"))


def test_an_address_that_is_none_holds_no_ticket_up(counter: Counter, caplog: pytest.LogCaptureFixture) -> None:
    with counter.database.transaction() as session:
        session.get_one(Unit, TOWN).email = "zsy at example"
    change(counter, phone="匿名", title="")
    counter.give(Command.DISPATCH)
    assert [channel for _, channel, _ in told(counter)] == ["sms", "wecom"]
    assert "nobody is told to_sign" in caplog.text
    assert "zsy at example" not in caplog.text
    counter.give(Command.SIGN_IN)


def test_life_and_safety_is_told_at_night_and_all_else_in_the_morning(counter: Counter) -> None:
    counter.now += timedelta(hours=13)
    for tier, key in (("T2", "a"), ("T1", "b")):
        change(counter, tier=tier)
        with counter.database.transaction() as session:
            ticket = lock_ticket(session, NUMBER, None)
            ticket.lookup_code = "48291" + key
            plan = counter.desk.notices
            ticket.number = NUMBER if key == "a" else OTHER
            tell_created(session, ticket, plan=plan, now=counter.now)
            ticket.number = NUMBER
    with counter.database.reading() as session:
        due = [item.due_at for item in session.scalars(select(Notice).order_by(Notice.id))]
    assert due == [MONDAY.replace(hour=0, minute=0) + timedelta(days=1), counter.now]
    assert events(counter) == ["ticket.created", "ticket.created"]


def test_a_demand_that_is_written_is_acknowledged_but_not_to_who_stays_anonymous(counter: Counter) -> None:
    for anonymous in (False, True):
        demand = Demand(content="妫水北街的路灯坏了", channel="web", phone="+86 138 0013 8000", anonymous=anonymous)
        with counter.database.transaction() as session:
            take_demand(
                session,
                demand,
                actor=REVIEWER,
                desk=counter.desk,
                prefix="YQ",
                zone=ZoneInfo("Asia/Shanghai"),
                now=counter.now,
            )
    assert told(counter) == [("received", "sms", PHONE)]
    assert events(counter) == ["ticket.created", "ticket.created"]


def test_reminders_go_to_the_unit_once_for_each_share(counter: Counter) -> None:
    counter.give(Command.DISPATCH)
    before = len(told(counter))
    for share in (0.5, 0.8, 0.8, 1.0):
        with counter.database.transaction() as session:
            ticket = session.scalars(select(Ticket)).one()
            reminder = Reminder("sign_in", share, MONDAY, MONDAY + timedelta(minutes=31))
            tell_reminder(session, ticket, reminder, counter.now, plan=counter.desk.notices)
    found = told(counter)[before:]
    assert [kind for kind, channel, _ in found if channel == "email"] == ["reminder", "reminder", "overdue"]
    assert "签收时限已用 80%，截止 2026-01-05 10:01" in texts(counter, "reminder")[2]
    assert ManualClock().now() == MONDAY
    assert COMPANY != TOWN
