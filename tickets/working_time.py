"""Working days of the PRC and the hours of duty on them. Pure: a day in, an answer out.

Known years come from the package chinesecalendar, which has the State Council's yearly notices (days off, and weekends
that are worked instead). Of a year that it does not know yet Monday to Friday are worked, until the site writes the
notice into its own file, which is above the package.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import chinese_calendar

from hotline.errors import ConfigurationError
from hotline.settings import Settings
from tickets.datafile import Table, load_data_file

SATURDAY = 5
ONE_DAY = timedelta(days=1)

Span = tuple[datetime, datetime]
"""A stretch of time in UTC, begin before end."""


class CalendarFile(Table):
    """The site's own days. `years`: those for which the file is complete, so that nobody is warned of them."""

    version: Literal[1]
    days_off: tuple[date, ...] = ()
    working_days: tuple[date, ...] = ()
    years: tuple[int, ...] = ()


@dataclass(frozen=True)
class WorkCalendar:
    """Which days are worked."""

    days_off: frozenset[date] = frozenset()
    working_days: frozenset[date] = frozenset()
    years: frozenset[int] = frozenset()

    def is_working_day(self, day: date) -> bool:
        """Whether people are at work on `day`."""
        if day in self.working_days:
            return True
        return day not in self.days_off and _is_working_day(day)

    def knows(self, year: int) -> bool:
        """Whether the days off of `year` are known, from the package or the site's file."""
        return year in self.years or _is_published(year)


def load_calendar(path: Path | None) -> WorkCalendar:
    """The site's file over the package; raises `ConfigurationError` for a day that is both, naming the file."""
    if path is None:
        return WorkCalendar()
    table = load_data_file(path, CalendarFile)
    if both := sorted({*table.days_off} & {*table.working_days}):
        raise ConfigurationError(f"{path}: {both[0]} is a day off and a working day")
    return WorkCalendar(frozenset(table.days_off), frozenset(table.working_days), frozenset(table.years))


@dataclass(frozen=True)
class WorkingTime:
    """When work is done: `duty` hours (local, not over midnight) on the calendar's working days."""

    calendar: WorkCalendar
    zone: ZoneInfo
    duty: tuple[tuple[time, time], ...]
    day_length: timedelta = field(init=False)
    """Duty of one working day."""

    def __post_init__(self) -> None:
        ends = [moment for span in self.duty for moment in span]
        if not self.duty or ends != sorted(set(ends)):
            raise ValueError("hours of duty follow each other and do not touch")
        nominal = date(2000, 1, 1)
        lengths = (datetime.combine(nominal, end) - datetime.combine(nominal, begin) for begin, end in self.duty)
        object.__setattr__(self, "day_length", sum(lengths, timedelta()))

    def is_working_day(self, moment: datetime) -> bool:
        """Whether the local day of `moment` is worked."""
        return self.calendar.is_working_day(moment.astimezone(self.zone).date())

    def days(self, start: datetime) -> Iterator[Span]:
        """Whole working days from the one that `start` is in, for ever; the first may begin before `start`."""
        for day in self._working_days(start):
            yield self._midnight(day), self._midnight(day + ONE_DAY)

    def duties(self, start: datetime) -> Iterator[Span]:
        """Hours of duty from the working day that `start` is in, for ever; the first may lie before `start`."""
        for day in self._working_days(start):
            for begin, end in self.duty:
                yield self._moment(day, begin), self._moment(day, end)

    def at_work(self, moment: datetime) -> datetime:
        """`moment`, or where it falls on a day off, the same local time of the next working day."""
        local = moment.astimezone(self.zone)
        day = next(self._working_days(moment))
        return moment if day == local.date() else self._moment(day, local.time())

    def _working_days(self, start: datetime) -> Iterator[date]:
        day = start.astimezone(self.zone).date()
        while True:
            if self.calendar.is_working_day(day):
                yield day
            day += ONE_DAY

    def _midnight(self, day: date) -> datetime:
        return self._moment(day, time())

    def _moment(self, day: date, at: time) -> datetime:
        return datetime.combine(day, at, self.zone).astimezone(UTC)


def unknown_years(calendar: WorkCalendar, today: date) -> list[int]:
    """Of this year and, from December on, the next one, those whose days off are not known."""
    years = [today.year, *([today.year + 1] if today.month == 12 else [])]
    return [year for year in years if not calendar.knows(year)]


def load_working_time(settings: Settings) -> WorkingTime:
    """The site's; raises `ConfigurationError` for a file or hours that make no sense."""
    duty = [span.split("-") for span in settings.tickets.duty_hours]
    try:
        hours = tuple((time.fromisoformat(begin), time.fromisoformat(end)) for begin, end in duty)
        return WorkingTime(load_calendar(settings.tickets.calendar_path), settings.zone, hours)
    except ValueError as error:
        raise ConfigurationError(f"tickets.duty_hours: {error}", hint='it looks like ["08:30-18:00"]') from error


@lru_cache(maxsize=1)
def _published_years() -> tuple[int, int]:
    days = sorted(chinese_calendar.holidays)
    return days[0].year, days[-1].year


def _is_published(year: int) -> bool:
    first, last = _published_years()
    return first <= year <= last


def _is_working_day(day: date) -> bool:
    if _is_published(day.year):
        return bool(chinese_calendar.is_workday(day))
    return day.weekday() < SATURDAY
