"""How long what is kept: the site's rules (`retention.yaml`), and when a thing is due. Pure but for the reading."""

import calendar
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from hotline.errors import ConfigurationError
from tickets.datafile import Table, load_data_file

PeriodText = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,3}[dmy]$")]
DAY = timedelta(days=1)


class RetentionFile(Table):
    """The file as it stands."""

    version: Literal[1]
    audio: PeriodText
    access_log: PeriodText
    categories: dict[str, PeriodText]


@dataclass(frozen=True)
class RetentionRules:
    """The file, checked. `categories`: audio by first level or by category."""

    audio: str
    access_log: str
    categories: dict[str, str]

    def audio_rule(self, category: str) -> tuple[str, str]:
        """The period of a call's audio, and the name of the rule that gives it; the most exact one counts."""
        for name in (category, category.partition("/")[0]):
            if name and name in self.categories:
                return self.categories[name], f"audio {self.categories[name]} ({name})"
        return self.audio, f"audio {self.audio}"


def load_retention(path: Path) -> RetentionRules:
    """Reads the file; raises `ConfigurationError` naming file, line and key."""
    file = load_data_file(path, RetentionFile)
    start = datetime(2001, 1, 1)  # noqa: DTZ001 - only to measure; the shortest months are in no leap year
    if after(start, file.access_log) - start < (after(start, "6m") - start):
        raise ConfigurationError(f"{path}: access_log: an access log is kept for 6 months or longer")
    return RetentionRules(file.audio, file.access_log, file.categories)


def after(start: datetime, period: str) -> datetime:
    """`start` and a period of days, months or years; of a month that is too short its last day.

    >>> after(datetime(2024, 2, 29), "1y")
    datetime.datetime(2025, 2, 28, 0, 0)
    """
    count, unit = int(period[:-1]), period[-1]
    if unit == "d":
        return start + timedelta(days=count)
    months = start.year * 12 + start.month - 1 + count * (12 if unit == "y" else 1)
    year, month = divmod(months, 12)
    return start.replace(year=year, month=month + 1, day=min(start.day, calendar.monthrange(year, month + 1)[1]))


def before(end: datetime, period: str) -> datetime:
    """The moment a period before `end`: what is older is due."""
    return after(end, f"-{period}")


Schedule = Literal["due", "wait", "clock"]


def schedule(last: datetime | None, now: datetime, *, max_gap_days: float) -> Schedule:
    """Whether the daily run is due. `clock`: after so long a gap the clock may be wrong; a person starts it."""
    if last is None:
        return "due"
    gap = now - last
    if gap > timedelta(days=max_gap_days):
        return "clock"
    return "due" if gap >= DAY else "wait"
