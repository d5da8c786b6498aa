"""Business hours, the working days of the PRC, and when a call is tried again."""

from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.errors import ConfigurationError
from ivr.menu.hours import AttemptRule, Calendar, Interval, OpeningHours, load_calendar, parse_interval

SHANGHAI = ZoneInfo("Asia/Shanghai")
CALENDAR = load_calendar()
OFFICE = OpeningHours(
    working_days=(parse_interval("09:00-12:00"), parse_interval("14:00-18:00")),
    days_off=(parse_interval("10:00-11:00"),),
    calendar=CALENDAR,
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


@pytest.mark.parametrize(
    ("day", "worked"),
    [
        ("2026-01-05", True),  # a Monday
        ("2026-01-10", False),  # a Saturday
        ("2026-01-04", True),  # a Sunday worked for New Year
        ("2026-02-14", True),
        ("2026-02-16", False),  # Spring Festival, a Monday
        ("2026-09-20", True),
        ("2026-10-01", False),
        ("2026-10-10", True),
        ("2025-10-08", False),
        ("2025-10-11", True),
    ],
)
def test_working_days_of_the_state_councils_notice(day: str, worked: bool) -> None:
    assert CALENDAR.is_working_day(date.fromisoformat(day)) is worked


def test_days_off_and_worked_weekends_of_2026_are_as_many_as_announced() -> None:
    assert sum(day.year == 2026 for day in CALENDAR.off) == 3 + 9 + 3 + 5 + 3 + 3 + 7
    assert sum(day.year == 2026 for day in CALENDAR.working) == 6
    assert all(day.weekday() >= 5 for day in CALENDAR.working)


def test_a_year_that_is_not_listed_goes_by_the_weekday() -> None:
    assert 2031 not in CALENDAR.years
    assert CALENDAR.is_working_day(date(2031, 10, 1))
    assert not CALENDAR.is_working_day(date(2031, 10, 4))


@pytest.mark.parametrize(
    ("time", "is_open"),
    [
        ("2026-01-05T08:59", False),
        ("2026-01-05T09:00", True),
        ("2026-01-05T11:59:59", True),
        ("2026-01-05T12:00", False),
        ("2026-01-05T17:59", True),
        ("2026-10-01T09:30", False),
        ("2026-10-01T10:30", True),
        ("2026-09-20T14:30", True),
    ],
)
def test_open_hours_include_their_begin_and_not_their_end(time: str, is_open: bool) -> None:
    assert OFFICE.is_open(at(time)) is is_open


def test_the_next_opening_is_now_the_same_day_or_after_the_holidays() -> None:
    assert OFFICE.next_opening(at("2026-01-05T09:30")) == at("2026-01-05T09:30")
    assert OFFICE.next_opening(at("2026-01-05T12:30")) == at("2026-01-05T14:00")
    weekdays = OpeningHours((Interval(540, 600),), calendar=CALENDAR)
    assert weekdays.next_opening(at("2026-02-14T10:00")) == at("2026-02-24T09:00")


def test_hours_that_never_open_have_no_next_opening() -> None:
    assert OpeningHours(()).next_opening(at("2026-01-05T09:30")) is None


@given(st.integers(0, 2 * 365 * 24 * 60))
def test_the_next_opening_is_open_and_not_before(minute: int) -> None:
    moment = at("2025-01-01T00:00") + timedelta(minutes=minute)
    opening = OFFICE.next_opening(moment)
    assert opening is not None
    assert opening >= moment
    assert OFFICE.is_open(opening)
    probe = moment
    while probe < opening:
        assert not OFFICE.is_open(probe)
        probe += timedelta(minutes=37)


@pytest.mark.parametrize(
    "text", ["9:00-12:00", "09:00-09:00", "12:00-09:00", "09:00-24:30", "25:00-26:00", "09:00", ""]
)
def test_what_is_no_part_of_a_day_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"hours|part"):
        parse_interval(text)


def test_a_day_may_end_at_midnight() -> None:
    assert parse_interval("00:00-24:00") == Interval(0, 1440)


def test_attempts_are_apart_and_end() -> None:
    rule = AttemptRule(attempts=2, apart_s=3600, ring_s=30, hours=OFFICE)
    now = at("2026-01-05T09:10")
    assert rule.next_attempt(made=0, last=None, now=now) == now
    assert rule.next_attempt(made=1, last=now, now=now) == at("2026-01-05T10:10")
    assert rule.next_attempt(made=1, last=at("2026-01-05T11:30"), now=now) == at("2026-01-05T14:00")
    assert rule.next_attempt(made=2, last=now, now=now) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("years:\n  next: {}\n", "line 2: not a year: next"),
        ("years:\n  2026:\n    off: [tomorrow]\n", "line 3: a day of 2026"),
        ("years:\n  2026:\n    off: [2025-01-01]\n", "a day of 2026"),
        ("years:\n  2026:\n    off: [2026-02-30]\n", "a day of 2026"),
        ("years:\n  2026:\n    off: [2026-05-05 .. 2026-05-01]\n", "a day of 2026"),
        ("years:\n  2026:\n    holidays: []\n", "unknown key holidays"),
        ("", "the file is empty"),
    ],
)
def test_a_wrong_holiday_file_is_refused_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "holidays.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=words):
        load_calendar(path)


def test_an_empty_calendar_knows_weekends() -> None:
    assert not Calendar().is_working_day(date(2026, 1, 10))
