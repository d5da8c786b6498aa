from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from tickets.clocks import Pause
from tickets.lifecycle import State
from tickets.ticket_clocks import STEP_OF_STATE, STEP_RULES, clock_of

START = datetime(2026, 1, 5, 1, tzinfo=UTC)
PERIODS = {"dispatch": "1h", "sign_in": "15min", "reply": "2h"}


@dataclass(frozen=True)
class Event:
    kind: str
    at: datetime


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
        ("reply", ("created", "dispatch", "sign_in", "submit", "send_back"), 1, 3),
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


def test_every_step_that_a_state_waits_for_has_its_rule() -> None:
    assert set(STEP_OF_STATE.values()) == set(STEP_RULES)
    assert State.CLOSED not in STEP_OF_STATE
