"""How long each step of a tier may take (`deadlines.yaml`)."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from tickets.datafile import Table, load_data_file
from tickets.taxonomy import Tier

PERIOD = re.compile(r"([1-9][0-9]{0,3})(min|h|d|wd)")
STEPS = ("dispatch", "sign_in", "first_contact", "reply")
PeriodText = Annotated[str, Field(pattern=rf"^{PERIOD.pattern}$")]


class TierTable(Table):
    """A tier as the file has it."""

    what: str
    dispatch: PeriodText
    sign_in: PeriodText
    first_contact: PeriodText
    reply: PeriodText
    any_day: bool


class DeadlinesFile(Table):
    """The whole file: every tier must be there."""

    version: Literal[1]
    tiers: dict[Tier, TierTable] = Field(min_length=4)


@dataclass(frozen=True)
class Period:
    """An amount of time: minutes, hours, days or working days. `str` gives the file's form."""

    amount: int
    unit: str

    def __str__(self) -> str:
        return f"{self.amount}{self.unit}"


@dataclass(frozen=True)
class TierDeadlines:
    """The clocks of a tier; `any_day`: they also run on days off."""

    what: str
    dispatch: Period
    sign_in: Period
    first_contact: Period
    reply: Period
    any_day: bool

    def clocks(self) -> dict[str, str]:
        """Step -> how long it may take, in the file's form."""
        return {step: str(getattr(self, step)) for step in STEPS}


def parse_period(text: str) -> Period:
    """`15min`, `2h`, `7d` or `1wd`; raises ValueError."""
    match = PERIOD.fullmatch(text)
    if match is None:
        raise ValueError(f"not a period: {text!r}")
    return Period(int(match[1]), match[2])


def load_deadlines(path: Path) -> dict[str, TierDeadlines]:
    """Reads the file: tier -> clocks; raises `ConfigurationError` naming file, line and key."""
    return {
        tier: TierDeadlines(
            what=table.what,
            dispatch=parse_period(table.dispatch),
            sign_in=parse_period(table.sign_in),
            first_contact=parse_period(table.first_contact),
            reply=parse_period(table.reply),
            any_day=table.any_day,
        )
        for tier, table in load_data_file(path, DeadlinesFile).tiers.items()
    }
