"""When a hotline is open: hours of the day on working days and days off, and the calendar that tells these apart.

Working days of the PRC are Monday to Friday, less the public holidays, plus the weekends that are worked instead; the
State Council announces both once a year, so they are a data file (`ivr/data/prc_holidays.yaml`).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path

from hotline.errors import ConfigurationError
from ivr.menu.yaml_reader import Node, YamlReader

HOLIDAYS = Path(__file__).parents[1] / "data/prc_holidays.yaml"
INTERVAL = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-(?:([01][0-9]|2[0-3]):([0-5][0-9])|24:00)")
DAYS = re.compile(r"(\d{4}-\d{2}-\d{2})(?: \.\. (\d{4}-\d{2}-\d{2}))?")
SEARCH_DAYS = 366


@dataclass(frozen=True)
class Interval:
    """A part of a day in minutes since midnight, `begin` included, `end` (up to 1440) not."""

    begin: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.begin < self.end <= 1440:
            raise ValueError(f"not a part of a day: minutes {self.begin} to {self.end}")


@dataclass(frozen=True)
class Calendar:
    """Which days are worked. Outside of `years` only the weekday counts."""

    off: frozenset[date] = frozenset()
    working: frozenset[date] = frozenset()
    years: frozenset[int] = frozenset()

    def is_working_day(self, day: date) -> bool:
        return day in self.working or (day.weekday() < 5 and day not in self.off)


@dataclass(frozen=True)
class OpeningHours:
    """Open hours of working days and of days off, in the calendar's local time."""

    working_days: tuple[Interval, ...]
    days_off: tuple[Interval, ...] = ()
    calendar: Calendar = field(default_factory=Calendar)

    def is_open(self, at: datetime) -> bool:
        """`at`: aware, in the site's time zone."""
        minute = at.hour * 60 + at.minute
        return any(part.begin <= minute < part.end for part in self._parts(at.date()))

    def next_opening(self, at: datetime) -> datetime | None:
        """`at` itself where it is open, else the next opening; None where there is none within a year."""
        if self.is_open(at):
            return at
        for ahead in range(SEARCH_DAYS):
            day = at.date() + timedelta(days=ahead)
            for part in sorted(self._parts(day), key=lambda part: part.begin):
                begin = datetime.combine(day, time(part.begin // 60, part.begin % 60), tzinfo=at.tzinfo)
                if begin > at:
                    return begin
        return None

    def _parts(self, day: date) -> tuple[Interval, ...]:
        return self.working_days if self.calendar.is_working_day(day) else self.days_off


@dataclass(frozen=True)
class AttemptRule:
    """How often an outbound call is tried: `attempts` in all, `apart_s` at least between two, inside `hours`."""

    attempts: int
    apart_s: float
    ring_s: float
    hours: OpeningHours

    def next_attempt(self, *, made: int, last: datetime | None, now: datetime) -> datetime | None:
        """When to try (again); None: enough tries. All times aware, in the site's time zone."""
        if made >= self.attempts:
            return None
        earliest = now if last is None else max(now, last + timedelta(seconds=self.apart_s))
        return self.hours.next_opening(earliest)


def parse_interval(text: str) -> Interval:
    """`09:00-17:30`, up to `24:00`; raises ValueError."""
    match = INTERVAL.fullmatch(text)
    if match is None:
        raise ValueError(f"not hours such as 09:00-17:30: {text}")
    end = 1440 if match[3] is None else int(match[3]) * 60 + int(match[4])
    return Interval(int(match[1]) * 60 + int(match[2]), end)


def load_calendar(path: Path = HOLIDAYS) -> Calendar:
    """Reads a holiday file; raises `ConfigurationError` naming every problem with its line."""
    reader = YamlReader()
    calendar = read_calendar(reader, path)
    if reader.problems:
        raise ConfigurationError("; ".join(map(str, reader.problems)))
    return calendar


def read_calendar(reader: YamlReader, path: Path) -> Calendar:
    """Reads a holiday file; what is wrong goes to the reader's problems."""
    top = reader.mapping(reader.load(path), known=frozenset({"years"}))
    off: set[date] = set()
    working: set[date] = set()
    years: set[int] = set()
    for year, node in reader.mapping(top.get("years")).items():
        if not re.fullmatch(r"\d{4}", year):
            reader.wrong(node, f"not a year: {year}")
            continue
        years.add(int(year))
        lists = reader.mapping(node, known=frozenset({"off", "working"}))
        off.update(_days(reader, reader.items(lists.get("off")), int(year)))
        working.update(_days(reader, reader.items(lists.get("working")), int(year)))
    return Calendar(off=frozenset(off), working=frozenset(working), years=frozenset(years))


def read_hours(reader: YamlReader, node: Node, calendar: Calendar) -> OpeningHours:
    """One entry of a flow's `hours`."""
    lists = reader.mapping(node, known=frozenset({"working_days", "days_off"}))
    return OpeningHours(
        working_days=_intervals(reader, lists.get("working_days")),
        days_off=_intervals(reader, lists.get("days_off")),
        calendar=calendar,
    )


def _intervals(reader: YamlReader, node: Node | None) -> tuple[Interval, ...]:
    out: list[Interval] = []
    for item in reader.items(node):
        try:
            out.append(parse_interval(reader.text(item)))
        except ValueError as error:
            reader.wrong(item, str(error))
    return tuple(out)


def _days(reader: YamlReader, items: Iterable[Node], year: int) -> set[date]:
    """Single days and `first .. last` of one year."""
    days: set[date] = set()
    for item in items:
        match = DAYS.fullmatch(reader.text(item))
        try:
            if match is None:
                raise ValueError
            first, last = date.fromisoformat(match[1]), date.fromisoformat(match[2] or match[1])
            if not first <= last or {first.year, last.year} != {year}:
                raise ValueError
        except ValueError:
            reader.wrong(item, f"a day of {year}, or two such as {year}-05-01 .. {year}-05-05, is needed here")
            continue
        days.update(first + timedelta(days=ahead) for ahead in range((last - first).days + 1))
    return days
