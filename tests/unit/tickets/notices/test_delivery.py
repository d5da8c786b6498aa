"""What becomes of a delivery after an attempt, and when it goes."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.errors import ConflictError, HotlineError
from tickets.notices.delivery import (
    RETRYABLE,
    STATE_LABELS,
    Backoff,
    DelayedError,
    DeliveryState,
    GoneError,
    Hours,
    RefusedError,
    UnsureError,
    Verdict,
    after_attempt,
    check_retryable,
    parse_hours,
)

NOW = datetime(2026, 1, 5, 1, 30, tzinfo=UTC)
SHANGHAI = ZoneInfo("Asia/Shanghai")
BACKOFF = Backoff(timedelta(seconds=5), 6, timedelta(hours=12), 4)
HOURS = Hours(time(8), time(21), SHANGHAI)


def verdict(error: HotlineError | None, *, attempts: int = 1, repeat: bool = True, hours_left: float = 100) -> Verdict:
    return after_attempt(
        error,
        attempts=attempts,
        backoff=BACKOFF,
        repeat_unsure=repeat,
        expires_at=NOW + timedelta(hours=hours_left),
        now=NOW,
    )


def test_what_was_taken_is_sent_and_what_was_refused_for_good_has_failed() -> None:
    assert verdict(None) == Verdict(DeliveryState.SENT)
    assert verdict(RefusedError("no")) == verdict(GoneError("gone")) == Verdict(DeliveryState.FAILED)


def test_what_may_be_taken_later_is_tried_again_after_longer_and_longer_waits() -> None:
    waits = [verdict(DelayedError("busy"), attempts=number).due_at for number in (1, 2, 3)]
    assert waits == [NOW + timedelta(seconds=seconds) for seconds in (5, 30, 180)]
    assert verdict(DelayedError("busy"), attempts=4) == Verdict(DeliveryState.FAILED)


def test_what_would_come_too_late_expires() -> None:
    assert verdict(DelayedError("busy"), attempts=3, hours_left=0.05) == Verdict(DeliveryState.EXPIRED)


def test_a_far_end_that_says_when_is_not_asked_earlier_but_never_much_later() -> None:
    assert verdict(DelayedError("busy", retry_after_s=60)).due_at == NOW + timedelta(seconds=60)
    assert verdict(DelayedError("busy", retry_after_s=1)).due_at == NOW + timedelta(seconds=5)
    assert verdict(DelayedError("busy", retry_after_s=10**9)).due_at == NOW + timedelta(hours=12)


def test_what_may_have_arrived_is_sent_again_only_where_the_receiver_knows_it_again() -> None:
    assert verdict(UnsureError("silent")).state is DeliveryState.QUEUED
    assert verdict(UnsureError("silent"), repeat=False) == Verdict(DeliveryState.FAILED)
    assert verdict(DelayedError("not taken"), repeat=False).state is DeliveryState.QUEUED


@given(st.floats(0.001, 1e6), st.floats(1, 100), st.floats(0.001, 1e6), st.integers(1, 1000), st.integers(1, 2000))
def test_waits_never_shrink_nor_grow_beyond_the_longest(
    first: float, factor: float, longest: float, count: int, attempt: int
) -> None:
    backoff = Backoff(timedelta(seconds=first), factor, timedelta(seconds=longest), count)
    wait, following = backoff.delay(attempt), backoff.delay(attempt + 1)
    assert (wait is None) == (attempt >= count)
    if wait is not None:
        assert timedelta() < wait <= timedelta(seconds=longest)
        assert following is None or following >= wait


@pytest.mark.parametrize(
    ("local", "allowed"),
    [
        ("2026-01-05T07:59:59", "2026-01-05T08:00:00"),
        ("2026-01-05T08:00:00", "2026-01-05T08:00:00"),
        ("2026-01-05T20:59:59", "2026-01-05T20:59:59"),
        ("2026-01-05T21:00:00", "2026-01-06T08:00:00"),
        ("2026-01-31T23:30:00", "2026-02-01T08:00:00"),
        ("2026-01-05T00:00:00", "2026-01-05T08:00:00"),
    ],
)
def test_callers_are_told_within_their_hours(local: str, allowed: str) -> None:
    moment = datetime.fromisoformat(local).replace(tzinfo=SHANGHAI)
    assert HOURS.allowed_from(moment.astimezone(UTC)) == datetime.fromisoformat(allowed).replace(tzinfo=SHANGHAI)


@given(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_the_moment_allowed_is_within_the_hours_and_at_most_a_night_away(moment: datetime) -> None:
    allowed = HOURS.allowed_from(moment)
    assert moment <= allowed <= moment + timedelta(hours=11)
    assert HOURS.allowed_from(allowed) == allowed


def test_hours_that_end_before_they_begin_are_refused() -> None:
    assert parse_hours("08:00-21:00", SHANGHAI) == HOURS
    for text in ("21:00-08:00", "08:00-08:00", "8-21", ""):
        with pytest.raises(ValueError):
            parse_hours(text, SHANGHAI)


@pytest.mark.parametrize("state", list(DeliveryState))
def test_a_person_sends_again_only_what_is_over_and_did_not_arrive(state: DeliveryState) -> None:
    assert state.label == STATE_LABELS[state]
    if state in RETRYABLE:
        check_retryable(state)
        return
    with pytest.raises(ConflictError, match=state.label):
        check_retryable(state)
