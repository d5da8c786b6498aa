from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickets.clocks import Clock, ClockState, Pause, due_at, read_clock, running_time
from tickets.deadlines import Period, parse_period
from tickets.working_time import WorkCalendar, WorkingTime

ZONE = ZoneInfo("Asia/Shanghai")
DUTY = ((time(8, 30), time(18)),)
WORKING = WorkingTime(WorkCalendar(), ZONE, DUTY)  # 8:30 to 18:00
HALF_HOUR = timedelta(minutes=30)
FIRST = datetime(2026, 2, 9, tzinfo=ZONE).astimezone(UTC)  # the week before the Spring Festival


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE).astimezone(UTC)


def clock(start: str, period: str, *, any_day: bool = False, pauses: tuple[Pause, ...] = ()) -> Clock:
    return Clock(at(start), parse_period(period), any_day=any_day, pauses=pauses)


@pytest.mark.parametrize(
    ("start", "period", "any_day", "due"),
    [
        ("2026-01-10 23:50", "15min", True, "2026-01-11 00:05"),
        ("2026-01-09 20:00", "2h", True, "2026-01-09 22:00"),
        ("2026-01-09 20:00", "24h", False, "2026-01-12 20:00"),  # a weekend between
        ("2026-01-10 20:00", "24h", False, "2026-01-13 00:00"),
        ("2026-01-06 10:00", "1wd", False, "2026-01-07 10:00"),
        ("2026-01-09 17:00", "1wd", False, "2026-01-12 17:00"),
        ("2026-01-10 12:00", "1wd", False, "2026-01-12 18:00"),
        ("2026-01-05 10:00", "7d", False, "2026-01-12 10:00"),
        ("2026-01-03 10:00", "7d", False, "2026-01-12 10:00"),  # would end on a Saturday
        ("2026-01-03 10:00", "7d", True, "2026-01-10 10:00"),
        ("2026-02-09 10:00", "7d", False, "2026-02-24 10:00"),  # would end in the Spring Festival
    ],
)
def test_due(start: str, period: str, any_day: bool, due: str) -> None:
    assert due_at(clock(start, period, any_day=any_day), WORKING) == at(due)


def test_a_pause_moves_the_deadline_by_what_was_left() -> None:
    pause = Pause(at("2026-01-06 12:00"), at("2026-01-08 12:00"))
    assert due_at(clock("2026-01-06 10:00", "1wd", pauses=(pause,)), WORKING) == at("2026-01-09 10:00")
    assert due_at(clock("2026-01-06 10:00", "4h", any_day=True, pauses=(pause,)), WORKING) == at("2026-01-08 14:00")
    after = Pause(at("2026-01-07 10:00"), at("2026-01-20 10:00"))
    assert due_at(clock("2026-01-06 10:00", "1wd", pauses=(after,)), WORKING) == at("2026-01-07 10:00")


def test_a_clock_that_stands_for_good_is_due_at_no_time_unless_it_was_before() -> None:
    assert due_at(clock("2026-01-06 10:00", "1wd", pauses=(Pause(at("2026-01-06 12:00")),)), WORKING) is None
    assert due_at(clock("2026-01-06 10:00", "1wd", pauses=(Pause(at("2026-01-07 12:00")),)), WORKING) is not None


def test_an_extension_comes_on_top_and_a_change_of_tier_loses_no_pause() -> None:
    pause = Pause(at("2026-01-06 11:00"), at("2026-01-06 13:00"))
    before = Clock(at("2026-01-06 10:00"), Period(2, "h"), any_day=True, pauses=(pause,))
    assert due_at(before, WORKING) == at("2026-01-06 14:00")
    extended = Clock(before.started_at, before.period, any_day=True, extension=Period(2, "h"), pauses=(pause,))
    assert due_at(extended, WORKING) == at("2026-01-06 16:00")
    changed = Clock(before.started_at, Period(24, "h"), any_day=True, pauses=(pause,))
    assert due_at(changed, WORKING) == at("2026-01-07 12:00")


@pytest.mark.parametrize(
    ("now", "state", "used"),
    [
        ("2026-01-06 10:00", ClockState.RUNNING, 0.0),
        ("2026-01-06 10:30", ClockState.RUNNING, 0.25),
        ("2026-01-06 11:30", ClockState.PAUSED, 0.5),
        ("2026-01-06 13:30", ClockState.RUNNING, 0.75),
        ("2026-01-06 14:00", ClockState.RUNNING, 1.0),
        ("2026-01-06 15:00", ClockState.OVERDUE, 1.5),
    ],
)
def test_a_running_clock_is_read(now: str, state: ClockState, used: float) -> None:
    pause = Pause(at("2026-01-06 11:00"), at("2026-01-06 13:00"))
    reading = read_clock(clock("2026-01-06 10:00", "2h", any_day=True, pauses=(pause,)), WORKING, now=at(now))
    assert (reading.state, reading.used) == (state, used)


def test_a_clock_that_is_paused_tells_no_due_moment_which_nobody_knew() -> None:
    pause = Pause(at("2026-01-06 11:00"), at("2026-01-06 13:00"))
    paused = clock("2026-01-06 10:00", "2h", any_day=True, pauses=(pause,))
    assert read_clock(paused, WORKING, now=at("2026-01-06 12:00")).due_at is None
    assert read_clock(paused, WORKING, now=at("2026-01-06 13:00")).due_at == at("2026-01-06 14:00")


@pytest.mark.parametrize(
    ("done", "state"), [("2026-01-06 12:00", ClockState.MET), ("2026-01-06 12:01", ClockState.MISSED)]
)
def test_what_was_done_is_met_or_missed_for_ever(done: str, state: ClockState) -> None:
    stopped = Clock(at("2026-01-06 10:00"), Period(2, "h"), any_day=True, stopped_at=at(done))
    assert read_clock(stopped, WORKING, now=at("2026-01-09 10:00")).state is state
    assert read_clock(stopped, WORKING, now=at("2026-01-06 11:00")).state is ClockState.RUNNING  # not done yet


def test_a_period_that_is_moved_over_a_weekend_is_used_up_when_it_is_due() -> None:
    reading = read_clock(clock("2026-01-03 10:00", "7d"), WORKING, now=at("2026-01-11 10:00"))
    assert reading.state is ClockState.RUNNING
    assert reading.used == pytest.approx(8 / 9)


def test_a_pause_cannot_end_before_it_begins() -> None:
    with pytest.raises(ValueError, match="pause"):
        Pause(at("2026-01-06 11:00"), at("2026-01-06 10:00"))


moments = st.integers(0, 10 * 48).map(lambda steps: FIRST + steps * HALF_HOUR)
periods = st.one_of(
    st.builds(Period, st.integers(1, 60), st.just("h")),
    st.builds(Period, st.integers(1, 3), st.just("wd")),
    st.builds(Period, st.integers(1, 9), st.just("d")),
)
pauses = st.lists(
    st.tuples(moments, st.one_of(st.none(), st.integers(0, 300))).map(
        lambda drawn: Pause(drawn[0], None if drawn[1] is None else drawn[0] + drawn[1] * HALF_HOUR)
    ),
    max_size=3,
).map(tuple)
clocks = st.builds(
    Clock,
    started_at=moments,
    period=periods,
    any_day=st.booleans(),
    extension=st.none(),
    pauses=pauses,
    stopped_at=st.none(),
)


def counts(clock: Clock, moment: datetime) -> bool:
    """Whether the half hour from `moment` counts, by looking at nothing else."""
    if any(pause.begin <= moment and (pause.end is None or moment < pause.end) for pause in clock.pauses):
        return False
    local = moment.astimezone(ZONE)
    if clock.period.unit == "wd":
        return WORKING.is_working_day(moment) and (8, 30) <= (local.hour, local.minute) < (18, 0)
    return clock.any_day or clock.period.unit == "d" or WORKING.is_working_day(moment)


def slow_due(clock: Clock) -> datetime | None:
    """The due moment by going from half hour to half hour for 60 days."""
    length = {"h": 2, "d": 48, "wd": 19}[clock.period.unit] * clock.period.amount
    moment = clock.started_at
    for _ in range(60 * 48):
        length -= counts(clock, moment)
        moment += HALF_HOUR
        if not length:
            break
    else:
        return None
    while not clock.any_day and clock.period.unit == "d" and not WORKING.is_working_day(moment):
        moment += timedelta(days=1)
    return moment


@given(clocks)
def test_the_due_moment_is_that_of_the_slow_model(clock: Clock) -> None:
    assert due_at(clock, WORKING) == slow_due(clock)


@given(clocks, moments)
def test_what_has_run_is_that_of_the_slow_model(clock: Clock, until: datetime) -> None:
    steps = range(max(0, (until - clock.started_at) // HALF_HOUR))
    run = sum(counts(clock, clock.started_at + step * HALF_HOUR) for step in steps)
    assert running_time(clock, WORKING, clock.pauses, until=until) == run * HALF_HOUR


@given(clocks, moments)
def test_a_reading_agrees_with_the_due_moment(clock: Clock, now: datetime) -> None:
    reading = read_clock(clock, WORKING, now=max(now, clock.started_at))
    late = reading.due_at is not None and max(now, clock.started_at) > reading.due_at
    assert (reading.state is ClockState.OVERDUE) == late
    assert reading.used >= 0
    if reading.state is ClockState.RUNNING:
        assert reading.used <= 1
