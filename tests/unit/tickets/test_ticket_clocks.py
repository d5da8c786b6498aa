from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tickets.clocks import Pause
from tickets.lifecycle import State
from tickets.ticket_clocks import clock_of, most_urgent, open_clocks
from tickets.working_time import WorkCalendar, WorkingTime

START = datetime(2026, 1, 5, 1, tzinfo=UTC)
WORKING = WorkingTime(WorkCalendar(), ZoneInfo("Asia/Shanghai"), ((time(8, 30), time(18)),))
PERIODS = {"dispatch": "1h", "sign_in": "15min", "first_contact": "30min", "reply": "2h"}


@dataclass(frozen=True)
class Event:
    kind: str
    at: datetime
    data: dict[str, Any] = field(default_factory=dict)


def events(*kinds: str) -> list[Event]:
    """A minute apart."""
    return [Event(kind, START + index * timedelta(minutes=1)) for index, kind in enumerate(kinds)]


def minute(count: int) -> datetime:
    return START + count * timedelta(minutes=1)


@pytest.mark.parametrize(
    ("step", "happened", "started", "stopped"),
    [
        ("dispatch", ("created", "fields_extracted", "accept"), 0, None),
        ("dispatch", ("created", "accept", "dispatch", "sign_in"), 0, 2),
        ("dispatch", ("created", "merge"), 0, 1),
        ("dispatch", ("created", "dispatch", "ask_return", "grant_return"), 3, None),
        ("sign_in", ("created", "dispatch", "sign_in"), 1, 2),
        ("sign_in", ("created", "dispatch", "sign_in", "submit", "approve", "redo"), 5, None),
        ("reply", ("created", "dispatch", "sign_in", "submit", "send_back"), 1, None),
        ("reply", ("created", "dispatch", "sign_in", "submit", "send_back", "submit"), 1, 5),
        ("first_contact", ("created", "dispatch", "sign_in", "contact", "submit", "send_back"), 1, 3),
        ("first_contact", ("created", "dispatch", "sign_in", "arrive"), 1, 3),
        ("reply", ("created", "dispatch", "submit", "approve", "supervise"), 4, None),
        ("reply", ("created", "dispatch", "sign_in", "submit", "approve", "redo", "sign_in", "submit"), 5, 7),
    ],
)
def test_the_last_start_counts_and_the_first_stop_after_it(
    step: str, happened: tuple[str, ...], started: int, stopped: int | None
) -> None:
    clock = clock_of(step, events(*happened), periods=PERIODS, any_day=True)
    assert clock is not None
    assert clock.started_at == minute(started)
    assert clock.stopped_at == (None if stopped is None else minute(stopped))
    assert str(clock.period) == PERIODS[step]


def test_a_step_that_has_not_begun_has_no_clock() -> None:
    assert clock_of("reply", events("created", "accept"), periods=PERIODS, any_day=True) is None


def test_the_clock_stands_while_the_ticket_is_suspended_or_its_return_is_judged() -> None:
    happened = events("created", "dispatch", "ask_return", "deny_return", "sign_in", "suspend", "resume", "suspend")
    reply = clock_of("reply", happened, periods=PERIODS, any_day=True)
    assert reply is not None
    assert reply.pauses == (Pause(minute(2), minute(3)), Pause(minute(5), minute(6)), Pause(minute(7)))


def test_the_review_of_what_was_handed_in_and_sent_back_takes_none_of_the_units_time() -> None:
    happened = events("created", "dispatch", "sign_in", "submit", "send_back", "submit")
    reply = clock_of("reply", happened, periods=PERIODS, any_day=True)
    assert reply is not None
    assert reply.pauses == (Pause(minute(3), minute(4)),)


@pytest.mark.parametrize(
    ("data", "extension"),
    [({"granted": True, "period": "1h"}, "1h"), ({"granted": False, "period": "1h"}, None)],
)
def test_an_extension_prolongs_the_reply_alone_and_only_when_it_is_granted(
    data: dict[str, Any], extension: str | None
) -> None:
    happened = [*events("created", "dispatch", "sign_in"), Event("decide_extension", minute(9), data)]
    reply = clock_of("reply", happened, periods=PERIODS, any_day=True)
    contact = clock_of("first_contact", happened, periods=PERIODS, any_day=True)
    assert reply is not None
    assert contact is not None
    assert (str(reply.extension) if reply.extension else None) == extension
    assert contact.extension is None


def test_a_step_without_a_time_has_no_clock() -> None:
    happened = events("created", "dispatch")
    assert clock_of("on_site", happened, periods=PERIODS, any_day=True) is None
    assert clock_of("on_site", happened, periods={**PERIODS, "on_site": "2h"}, any_day=True) is not None


def test_the_clock_that_is_due_first_is_the_most_urgent() -> None:
    happened = events("created", "dispatch", "sign_in")
    clocks = open_clocks(State.HANDLING, happened, periods=PERIODS, any_day=True)
    assert set(clocks) == {"first_contact", "reply"}
    found = most_urgent(clocks, WORKING, now=minute(5))
    assert found is not None
    assert (found[0], found[2].due_at) == ("first_contact", minute(31))
    assert most_urgent({}, WORKING, now=minute(5)) is None


def test_nothing_is_due_once_a_ticket_has_ended() -> None:
    assert open_clocks(State.CLOSED, events("created", "dispatch"), periods=PERIODS, any_day=True) == {}
