from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from hotline.errors import ConfigurationError
from hotline.settings import Settings
from hotline.settings_sections import TicketSettings
from tickets.working_time import WorkCalendar, WorkingTime, load_calendar, load_working_time, unknown_years

ZONE = ZoneInfo("Asia/Shanghai")
DUTY = ((time(8, 30), time(18)),)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE).astimezone(UTC)


@pytest.mark.parametrize(
    ("day", "worked"),
    [
        (date(2026, 1, 5), True),
        (date(2026, 1, 10), False),
        (date(2026, 2, 17), False),  # Spring Festival, a Tuesday
        (date(2026, 2, 14), True),  # a Saturday that is worked for it
        (date(2026, 10, 1), False),
        (date(2030, 10, 1), True),  # not published yet: a Tuesday
        (date(2030, 10, 5), False),
    ],
)
def test_days_off_are_those_of_the_state_council(day: date, worked: bool) -> None:
    assert WorkCalendar().is_working_day(day) is worked


def test_the_sites_own_days_are_above_all(tmp_path: Path) -> None:
    path = tmp_path / "calendar.yaml"
    path.write_text(
        "version: 1\ndays_off: [2026-01-05, 2030-10-01]\nworking_days: [2026-02-17]\nyears: [2030]\n", encoding="utf-8"
    )
    calendar = load_calendar(path)
    assert not calendar.is_working_day(date(2026, 1, 5))
    assert calendar.is_working_day(date(2026, 2, 17))
    assert not calendar.is_working_day(date(2030, 10, 1))
    assert calendar.knows(2026)
    assert calendar.knows(2030)
    assert load_calendar(None) == WorkCalendar()


@pytest.mark.parametrize(
    "content",
    [
        "version: 1\ndays_off: [2026-01-05]\nworking_days: [2026-01-05]\n",
        "version: 2\n",
        "version: 1\ndays_off: [tomorrow]\n",
        "version: 1\nholidays: []\n",
    ],
)
def test_a_calendar_that_makes_no_sense_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "calendar.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"calendar\.yaml"):
        load_calendar(path)


def test_people_are_told_of_a_year_whose_days_off_nobody_has_written_down() -> None:
    assert unknown_years(WorkCalendar(), date(2026, 6, 1)) == []
    assert unknown_years(WorkCalendar(), date(2031, 12, 1)) == [2031, 2032]
    assert unknown_years(WorkCalendar(years=frozenset({2031})), date(2031, 12, 1)) == [2032]


def test_duty_is_on_working_days_and_may_have_a_break() -> None:
    noon = (time(8, 30), time(12)), (time(13, 30), time(18))
    working = WorkingTime(WorkCalendar(), ZONE, noon)
    assert working.day_length == timedelta(hours=8)
    spans = list(islice(working.duties(at("2026-01-09 20:00")), 4))  # a Friday evening
    assert spans == [
        (at("2026-01-09 08:30"), at("2026-01-09 12:00")),
        (at("2026-01-09 13:30"), at("2026-01-09 18:00")),
        (at("2026-01-12 08:30"), at("2026-01-12 12:00")),
        (at("2026-01-12 13:30"), at("2026-01-12 18:00")),
    ]
    assert next(working.days(at("2026-01-10 12:00"))) == (at("2026-01-12 00:00"), at("2026-01-13 00:00"))


@pytest.mark.parametrize(
    "duty",
    [
        (),
        ((time(18), time(8)),),
        ((time(8), time(12)), (time(11), time(18))),
        ((time(8), time(12)), (time(12), time(18))),
    ],
)
def test_hours_of_duty_that_make_no_sense_are_refused(duty: tuple[tuple[time, time], ...]) -> None:
    with pytest.raises(ValueError, match="duty"):
        WorkingTime(WorkCalendar(), ZONE, duty)


def test_what_falls_on_a_day_off_is_on_the_next_working_day() -> None:
    working = WorkingTime(WorkCalendar(), ZONE, DUTY)
    assert working.at_work(at("2026-01-10 15:00")) == at("2026-01-12 15:00")
    assert working.at_work(at("2026-01-12 23:00")) == at("2026-01-12 23:00")
    assert working.at_work(at("2026-02-16 09:00")) == at("2026-02-24 09:00")


def test_the_sites_hours_come_from_its_settings() -> None:
    working = load_working_time(Settings(tickets=TicketSettings(duty_hours=("08:30-12:00", "13:30-18:00"))))
    assert working.day_length == timedelta(hours=8)


@pytest.mark.parametrize("duty", [("8-18",), ("08:30",), ("18:00-08:30",), ()])
def test_hours_that_make_no_sense_are_told_by_the_settings_name(duty: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError, match="duty_hours"):
        load_working_time(Settings(tickets=TicketSettings(duty_hours=duty)))
