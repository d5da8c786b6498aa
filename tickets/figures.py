"""Figures of days: how they are counted, added up, and compared with the same days before. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction

from hotline.errors import InvalidInputError

MAX_DAYS = 800
"""Longest span that is looked at."""
TICKETS, CLOSED = "tickets", "closed"
CALLS, ANSWERED, FAST = "calls", "answered", "answered_fast"
QUEUED, CONNECTED, CONNECTED_FAST, ABANDONED, WAITED_MS = (
    "queued",
    "connected",
    "connected_fast",
    "abandoned",
    "waited_ms",
)
CLOCK_MET, CLOCK_MISSED = "clock_met", "clock_missed"
TOTAL = ""
FAST_MS = 15_000
"""GB/T 33358: answered within 15 seconds ..."""
FAST_TARGET = Fraction(95, 100)
"""... 95 of 100 calls."""
STEP_LABELS = {
    "dispatch": "派单",
    "sign_in": "签收",
    "first_contact": "首次联系",
    "on_site": "到场",
    "done": "修复",
    "reply": "答复",
}


@dataclass(frozen=True)
class Span:
    """Days, both included."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise InvalidInputError("结束日期早于开始日期")
        if self.days > MAX_DAYS:
            raise InvalidInputError(f"一次最多查看 {MAX_DAYS} 天")

    @property
    def days(self) -> int:
        """How many."""
        return (self.last - self.first).days + 1

    def each(self) -> list[date]:
        """All of them."""
        return [self.first + timedelta(days=index) for index in range(self.days)]

    def words(self) -> str:
        """How people read it."""
        if self.days == 1:
            return f"{self.first:%Y-%m-%d}"
        return f"{self.first:%Y-%m-%d} 至 {self.last:%Y-%m-%d}（{self.days} 天）"


@dataclass(frozen=True)
class Comparison:
    """The same number of days before, and how it is called."""

    name: str
    span: Span


@dataclass(frozen=True)
class Figures:
    """Sums of a span: (kind, dimension, key) -> count."""

    sums: Mapping[tuple[str, str, str], int]

    def get(self, kind: str, dimension: str = TOTAL, key: str = TOTAL) -> int:
        """A count; 0 where nothing was."""
        return self.sums.get((kind, dimension, key), 0)

    def share(self, part: str, whole: str, dimension: str = TOTAL, key: str = TOTAL) -> Fraction | None:
        """`part` of `whole`; None where there is no whole."""
        count = self.get(whole, dimension, key)
        return Fraction(self.get(part, dimension, key), count) if count else None

    def clocks_met(self, dimension: str = TOTAL, key: str = TOTAL) -> Fraction | None:
        """The share of decided clocks that were met."""
        met, missed = self.get(CLOCK_MET, dimension, key), self.get(CLOCK_MISSED, dimension, key)
        return Fraction(met, met + missed) if met + missed else None

    def keys(self, kind: str, dimension: str) -> list[str]:
        """What was counted, the most first, then by name."""
        found = [(key, count) for (one, own, key), count in self.sums.items() if one == kind and own == dimension]
        return [key for key, _ in sorted(found, key=lambda item: (-item[1], item[0]))]


@dataclass(frozen=True)
class Top:
    """One of the most frequent, beside the days before."""

    key: str
    count: int
    before: int

    @property
    def change(self) -> Fraction | None:
        """Of the count before; None where there was nothing before."""
        return change(self.count, self.before)


def comparisons(span: Span) -> tuple[Comparison, ...]:
    """With a week, a month and a year before: as many days, begun so much earlier (a day that the month does not have
    is its last one). A span is not compared with days of its own. A whole month is compared with whole months."""
    if span == _month_of(span.first):
        return tuple(
            Comparison(name, _month_of(_months_before(span.first, months)))
            for name, months in (("上月", 1), ("去年同月", 12))
        )
    found = []
    for name, first in (
        ("上周同期", span.first - timedelta(days=7)),
        ("上月同期", _months_before(span.first, 1)),
        ("去年同期", _months_before(span.first, 12)),
    ):
        last = first + timedelta(days=span.days - 1)
        if last < span.first:
            found.append(Comparison(name, Span(first, last)))
    return tuple(found)


def change(now: int, before: int) -> Fraction | None:
    """Growth as a share of what was before; None where there was nothing."""
    return Fraction(now - before, before) if before else None


def change_words(now: int, before: int) -> str:
    """Growth as people read it: +12.5%, 持平, — where there was nothing before."""
    growth = change(now, before)
    if growth is None:
        return "—"
    tenths = int(abs(growth) * 1000 + Fraction(1, 2))
    if not growth or not tenths:
        return "持平"
    return f"{'+' if growth > 0 else '−'}{tenths // 10}.{tenths % 10}%"


def top(now: Figures, before: Figures, kind: str, dimension: str, limit: int) -> list[Top]:
    """The most frequent keys."""
    return [
        Top(key, now.get(kind, dimension, key), before.get(kind, dimension, key))
        for key in now.keys(kind, dimension)[:limit]
    ]


def summed(rows: Iterable[tuple[str, str, str, int]]) -> Figures:
    """Rows of kind, dimension, key and count, added up."""
    sums: dict[tuple[str, str, str], int] = defaultdict(int)
    for kind, dimension, key, count in rows:
        sums[kind, dimension, key] += count
    return Figures(dict(sums))


def first_levels(figures: Figures, kind: str) -> Figures:
    """Categories by their first level."""
    return summed(
        (one, own, key.partition("/")[0], count)
        for (one, own, key), count in figures.sums.items()
        if one == kind and own == "category"
    )


def by_hour(figures: Figures, kind: str) -> list[int]:
    """Counts of the 24 hours of the day."""
    return [figures.get(kind, "hour", f"{hour:02}") for hour in range(24)]


def percent(share: Fraction | None, decimals: int = 1) -> str:
    """A share as people read it, half up; a dash without one."""
    if share is None:
        return "—"
    number = int(share * 100 * 10**decimals + Fraction(1, 2))
    return f"{number // 10**decimals}.{number % 10**decimals:0{decimals}}%"


def _months_before(day: date, months: int) -> date:
    count = day.year * 12 + day.month - 1 - months
    year, month = count // 12, count % 12 + 1
    following = date(year + month // 12, month % 12 + 1, 1)
    return date(year, month, min(day.day, (following - timedelta(days=1)).day))


def month_span(month: str) -> Span:
    """The days of `2026-11`; raises `InvalidInputError`."""
    try:
        year, number = map(int, month.split("-"))
        return _month_of(date(year, number, 1))
    except (ValueError, OverflowError):
        raise InvalidInputError(f"{month[:16]!r} 不是月份", hint="写作 2026-11") from None


def _month_of(day: date) -> Span:
    following = _months_before(day.replace(day=1), -1)
    return Span(day.replace(day=1), following - timedelta(days=1))


def series(days: Sequence[date], counts: Mapping[str, int]) -> list[int]:
    """A count for each day."""
    return [counts.get(day.isoformat(), 0) for day in days]
