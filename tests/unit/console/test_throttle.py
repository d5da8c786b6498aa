"""How often a person may do something."""

from datetime import UTC, datetime, timedelta

import pytest

from console.throttle import Throttle
from hotline.errors import TooManyRequestsError

NOW = datetime(2026, 1, 5, 1, 30, tzinfo=UTC)


def test_so_many_in_any_minute_and_no_more() -> None:
    throttle = Throttle(3)
    for second in (0, 10, 20):
        throttle.admit("wang", NOW + timedelta(seconds=second))
    with pytest.raises(TooManyRequestsError, match="3"):
        throttle.admit("wang", NOW + timedelta(seconds=59))
    throttle.admit("wang", NOW + timedelta(seconds=60))
    with pytest.raises(TooManyRequestsError):
        throttle.admit("wang", NOW + timedelta(seconds=69))
    throttle.admit("wang", NOW + timedelta(seconds=70))


def test_each_person_has_their_own() -> None:
    throttle = Throttle(1)
    throttle.admit("wang", NOW)
    throttle.admit("li", NOW)
    with pytest.raises(TooManyRequestsError):
        throttle.admit("wang", NOW)


def test_who_is_refused_is_not_counted_and_who_left_is_forgotten() -> None:
    throttle = Throttle(1)
    throttle.admit("wang", NOW)
    for second in range(1, 60):
        with pytest.raises(TooManyRequestsError):
            throttle.admit("wang", NOW + timedelta(seconds=second))
    throttle.admit("wang", NOW + timedelta(seconds=60))
    throttle.admit("li", NOW + timedelta(minutes=5))
    assert set(throttle._times) == {"li"}
