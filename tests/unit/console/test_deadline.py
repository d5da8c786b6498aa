from datetime import UTC, datetime, timedelta

import pytest

from console.deadline import deadline, length
from hotline.settings import Settings
from tickets.models import Ticket, TicketEvent
from tickets.service import load_site_data
from tickets.working_time import load_working_time

NOW = datetime(2026, 1, 5, 1, 30, tzinfo=UTC)  # Monday, 9:30 at the site
SETTINGS = Settings(timezone="Asia/Shanghai")
SITE, WORKING = load_site_data(SETTINGS.tickets), load_working_time(SETTINGS)


def ticket(state: str = "to_dispatch", tier: str = "T2", *kinds: str) -> Ticket:
    events = [TicketEvent(sequence=index, at=NOW, kind=kind) for index, kind in enumerate(kinds or ("created",))]
    return Ticket(number="1", state=state, tier=tier, overlay="", events=events)


@pytest.mark.parametrize(
    ("after", "text", "tone"),
    [
        (timedelta(), "派单还剩 2 小时", "active"),
        (timedelta(minutes=50, seconds=1), "派单还剩 1 小时 9 分", "active"),
        (timedelta(minutes=100), "派单还剩 20 分", "warning"),
        (timedelta(hours=3), "派单已超时 1 小时", "danger"),
        (timedelta(minutes=-5), "派单还剩 2 小时 5 分", "active"),
    ],
)
def test_a_ticket_tells_how_long_its_next_step_may_take(after: timedelta, text: str, tone: str) -> None:
    found = deadline(ticket(), SITE, WORKING, now=NOW + after)
    assert found is not None
    assert (found.text, found.tone, found.due_at) == (text, tone, NOW + timedelta(hours=2))


def test_a_clock_of_working_days_goes_over_the_weekend() -> None:
    friday = NOW + timedelta(days=4)
    waiting = ticket("to_sign", "T3", "created", "dispatch")
    for event in waiting.events:
        event.at = friday
    found = deadline(waiting, SITE, WORKING, now=friday)
    assert found is not None
    assert found.due_at == friday + timedelta(days=3)
    assert found.text == "签收还剩 3 天"


def test_a_suspended_ticket_waits_without_a_limit() -> None:
    found = deadline(ticket("suspended", "T2", "created", "dispatch", "sign_in", "suspend"), SITE, WORKING, now=NOW)
    assert found is not None
    assert (found.text, found.due_at) == ("计时已暂停", None)


@pytest.mark.parametrize(("state", "tier"), [("closed", "T2"), ("to_dispatch", "")])
def test_without_a_step_or_a_tier_there_is_no_limit(state: str, tier: str) -> None:
    assert deadline(ticket(state, tier), SITE, WORKING, now=NOW) is None


@pytest.mark.parametrize(
    ("minutes", "text"),
    [(0.5, "不到 1 分钟"), (5, "5 分"), (60, "1 小时"), (61, "1 小时 1 分"), (1440, "1 天"), (1505, "1 天 1 小时")],
)
def test_lengths_are_told_by_their_two_largest_units(minutes: float, text: str) -> None:
    assert length(timedelta(minutes=minutes)) == text
