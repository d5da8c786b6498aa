"""How rates are reckoned: versioned formulas (`rates.yaml`) and their periods. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from hotline.errors import InvalidInputError
from tickets.datafile import Table, load_data_file

QUESTIONS = ("contacted", "solved", "satisfied")
"""What the three rates ask: response, resolution, satisfaction."""
Question = Literal["contacted", "solved", "satisfied"]
ShareText = Annotated[str, Field(pattern=r"^(0(\.[0-9]{1,4})?|1(\.0{1,4})?)$")]
_MOMENT = timedelta(microseconds=1)


class PeriodRule(Table):
    """From `day` of a month at `at`, local, to the same of the next."""

    day: Annotated[int, Field(ge=1, le=28)]
    at: Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class Formula(Table):
    """One way of reckoning. Shares are decimal texts, so that nothing is rounded on the way."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,31}$")]
    title: str = Field(max_length=200)
    effective: date
    period: PeriodRule
    valid: tuple[Question, ...]
    counts: Literal["last", "every"]
    answers: dict[Question, dict[str, ShareText]]
    weights: dict[Question, ShareText]
    decimals: Annotated[int, Field(ge=0, le=6)]

    @model_validator(mode="after")
    def _complete(self) -> "Formula":
        for name, table in (("answers", self.answers), ("weights", self.weights)):
            if set(table) != set(QUESTIONS):
                raise ValueError(f"{name} must have {', '.join(QUESTIONS)}")
        if sum(Fraction(weight) for weight in self.weights.values()) != 1:
            raise ValueError("the weights must add up to 1")
        if not self.valid:
            raise ValueError("valid must name a question")
        return self

    def share(self, question: str, answer: str) -> Fraction:
        """What an answer adds to its rate; nothing where it is not known."""
        return Fraction(self.answers[question].get(answer, "0"))  # type: ignore[index]

    def weight(self, question: str) -> Fraction:
        """What a rate adds to the score."""
        return Fraction(self.weights[question])  # type: ignore[index]

    def text(self) -> str:
        """The whole formula, in one form: equal texts are equal formulas."""
        return json.dumps(self.model_dump(mode="json"), ensure_ascii=False, sort_keys=True)

    @classmethod
    def of_text(cls, text: str) -> "Formula":
        """The inverse of `text`."""
        return cls.model_validate_json(text)


class RatesFile(Table):
    """The whole file."""

    version: Literal[1]
    formulas: Annotated[tuple[Formula, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _apart(self) -> "RatesFile":
        for what in ("name", "effective"):
            values = [getattr(formula, what) for formula in self.formulas]
            if len(set(values)) < len(values):
                raise ValueError(f"two formulas have the same {what}")
        return self


@dataclass(frozen=True)
class RatePeriod:
    """From `begin` up to, not including, `end`, both in UTC. `name`: `2026-11`, or what somebody chose."""

    name: str
    begin: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.end <= self.begin:
            raise InvalidInputError("统计周期的结束须晚于开始")

    def __contains__(self, moment: datetime) -> bool:
        return self.begin <= moment < self.end

    def words(self, zone: ZoneInfo) -> str:
        """How people read it."""
        begin, end = self.begin.astimezone(zone), self.end.astimezone(zone)
        return f"{begin:%Y 年 %-m 月 %-d 日 %H:%M} 至 {end:%Y 年 %-m 月 %-d 日 %H:%M}"


def load_formulas(path: Path) -> tuple[Formula, ...]:
    """The site's formulas, the oldest first; raises `ConfigurationError` naming file and line."""
    return tuple(
        sorted(
            load_data_file(path, RatesFile).formulas,
            key=lambda formula: formula.effective,
        )
    )


def formula_named(formulas: Sequence[Formula], name: str) -> Formula:
    """Raises `InvalidInputError` where there is none."""
    for formula in formulas:
        if formula.name == name:
            return formula
    known = "、".join(formula.name for formula in formulas)
    raise InvalidInputError(f"没有名为 {name[:32]!r} 的计算口径", hint=f"可选：{known}")


def month_period(formulas: Sequence[Formula], month: str, zone: ZoneInfo) -> tuple[Formula, RatePeriod]:
    """The period named `2026-11` and the formula that holds for it, the newest that was in force when it began; raises
    `InvalidInputError` for what is no month, or one before all formulas."""
    try:
        year, number = map(int, month.split("-"))
        first = date(year, number, 1)
    except (ValueError, OverflowError):
        raise InvalidInputError(f"{month[:16]!r} 不是月份", hint="写作 2026-11") from None
    for formula in reversed(formulas):
        period = _period(formula.period, first, zone)
        if period.begin.astimezone(zone).date() >= formula.effective:
            return formula, period
    raise InvalidInputError(f"{month} 没有适用的计算口径", hint="在 rates.yaml 中添加一个更早生效的版本")


def period_at(formulas: Sequence[Formula], moment: datetime, zone: ZoneInfo) -> tuple[Formula, RatePeriod]:
    """The period that `moment` is in."""
    local = moment.astimezone(zone).date()
    for shift in (0, 1, -1):
        formula, period = month_period(formulas, f"{_shifted(local, shift):%Y-%m}", zone)
        if moment in period:
            return formula, period
    raise InvalidInputError("当前时间不在任何统计周期内", hint="检查 rates.yaml 中各版本的周期是否衔接")


def _period(rule: PeriodRule, month: date, zone: ZoneInfo) -> RatePeriod:
    """Of the two periods that touch the month, the one whose last moment is in it."""
    at = time.fromisoformat(rule.at)
    ends = [datetime.combine(_shifted(month, shift).replace(day=rule.day), at, zone) for shift in (0, 1)]
    end = next(moment for moment in ends if (moment - _MOMENT).replace(day=1).date() == month)
    begin = datetime.combine(_shifted(end.date(), -1).replace(day=rule.day), at, zone)
    return RatePeriod(f"{month:%Y-%m}", begin.astimezone(UTC), end.astimezone(UTC))


def _shifted(day: date, months: int) -> date:
    count = day.year * 12 + day.month - 1 + months
    return date(count // 12, count % 12 + 1, 1)
