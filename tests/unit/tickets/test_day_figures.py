"""Figures of days, their comparisons, and what becomes of clocks and calls."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.errors import InvalidInputError
from tickets.figures import (
    ABANDONED,
    QUEUED,
    TICKETS,
    Span,
    by_hour,
    change_words,
    comparisons,
    first_levels,
    month_span,
    percent,
    summed,
    top,
)
from tickets.lifecycle import State
from tickets.outcomes import MET, MISSED, RUNNING, call_figures, clock_facts
from tickets.working_time import WorkCalendar, WorkingTime

ZONE = ZoneInfo("Asia/Shanghai")
WORKING = WorkingTime(WorkCalendar(), ZONE, ((time(8, 30), time(18)),))
PERIODS = {"dispatch": "24h", "sign_in": "2h", "first_contact": "4h", "reply": "7d"}
START = datetime(2026, 1, 5, 2, tzinfo=UTC)  # a Monday, 10:00


@dataclass(frozen=True)
class Happening:
    kind: str
    at: datetime
    data: dict[str, Any] = field(default_factory=dict)


def history(*steps: tuple[str, float]) -> list[Happening]:
    """Kind and hours since the ticket was made."""
    return [Happening(kind, START + timedelta(hours=hours), {"unit": "yn"}) for kind, hours in steps]


def facts(state: State, *steps: tuple[str, float], after_h: float = 1000) -> dict[tuple[str, int], str]:
    found = clock_facts(
        state,
        history(*steps),
        periods=PERIODS,
        any_day=True,
        working=WORKING,
        now=START + timedelta(hours=after_h),
    )
    for fact in found:
        assert (fact.decided_at is None) == (fact.outcome == RUNNING)
    return {(fact.step, fact.number): fact.outcome for fact in found}


def test_clocks_are_met_missed_or_run() -> None:
    steps = (("created", 0), ("dispatch", 1), ("sign_in", 4), ("contact", 4.5))
    assert facts(State.HANDLING, *steps, after_h=24) == {
        ("dispatch", 1): MET,
        ("sign_in", 1): MISSED,
        ("first_contact", 1): MET,
        ("reply", 1): RUNNING,
    }
    assert facts(State.HANDLING, *steps, after_h=24 * 30)["reply", 1] == MISSED


def test_each_time_that_a_unit_does_it_over_has_clocks_of_its_own() -> None:
    found = facts(
        State.CLOSED,
        ("created", 0), ("dispatch", 1), ("sign_in", 2), ("submit", 3), ("approve", 4),
        ("redo", 5), ("sign_in", 9), ("submit", 10), ("approve", 11), ("close", 12),
    )  # fmt: skip
    assert (found["sign_in", 1], found["sign_in", 2]) == (MET, MISSED)
    assert (found["reply", 1], found["reply", 2]) == (MET, MET)


def test_a_clock_that_was_dropped_is_neither_met_nor_missed() -> None:
    found = facts(State.TO_SIGN, ("created", 0), ("dispatch", 1), ("dispatch", 1.5), after_h=2)
    assert ("sign_in", 1) not in found
    assert found["sign_in", 2] == RUNNING
    assert facts(State.REFUSED, ("created", 0), ("refuse", 1)) == {("dispatch", 1): MET}


def test_a_missed_clock_is_decided_when_its_time_was_over() -> None:
    (fact,) = clock_facts(
        State.ACCEPTING,
        history(("created", 0)),
        periods=PERIODS,
        any_day=True,
        working=WORKING,
        now=START + timedelta(hours=100),
    )
    assert fact.decided_at == fact.due_at == START + timedelta(hours=24)


ENDED = {"kind": "ended", "duration_ms": 60_000}


def entry(kind: str, offset_ms: int, **data: Any) -> dict[str, Any]:
    return {"kind": kind, "offset_ms": offset_ms, **data}


@pytest.mark.parametrize(
    ("entries", "waited_ms", "left"),
    [
        ([], None, ""),
        ([entry("queued", 2_000, queue="a"), entry("unqueued", 12_000, reason="connected")], 10_000, "connected"),
        ([entry("queued", 2_000, queue="a"), entry("unqueued", 9_000, reason="left")], 7_000, "left"),
        ([entry("queued", 2_000, queue="a"), entry("unqueued", 9_000, reason="timeout")], 7_000, "timeout"),
        ([entry("queued", 2_000, queue="a")], 58_000, "left"),  # the process died while the caller waited
        (
            [
                entry("queued", 0, queue="a"),
                entry("unqueued", 5_000, reason="timeout"),
                entry("queued", 6_000, queue="a"),
                entry("unqueued", 9_000, reason="connected"),
            ],
            8_000,
            "connected",
        ),
        ([entry("unqueued", 9_000, reason="left")], None, ""),
        ([{"kind": "queued", "queue": "a", "offset_ms": None}, entry("unqueued", 10, reason="left")], 10, "left"),
    ],
)
def test_waiting_in_queues(entries: list[dict[str, Any]], waited_ms: int | None, left: str) -> None:
    found = call_figures(direction="in", purpose="flow", answer_ms=3.4, entries=[*entries, ENDED])
    assert found is not None
    assert (found.answer_ms, found.waited_ms, found.left) == (3, waited_ms, left)


@pytest.mark.parametrize(("direction", "purpose"), [("out", "flow"), ("in", "internal"), ("import", "import")])
def test_only_callers_calls_are_counted(direction: str, purpose: str) -> None:
    assert call_figures(direction=direction, purpose=purpose, answer_ms=1, entries=[]) is None


def span(first: str, last: str) -> Span:
    return Span(date.fromisoformat(first), date.fromisoformat(last))


def test_a_week_is_compared_with_as_many_days_before() -> None:
    told = {item.name: item.span for item in comparisons(span("2026-11-09", "2026-11-15"))}
    assert told == {
        "上周同期": span("2026-11-02", "2026-11-08"),
        "上月同期": span("2026-10-09", "2026-10-15"),
        "去年同期": span("2025-11-09", "2025-11-15"),
    }


def test_months_are_compared_with_months_and_nothing_with_days_of_its_own() -> None:
    assert [(item.name, item.span) for item in comparisons(month_span("2026-10"))] == [
        ("上月", month_span("2026-09")),
        ("去年同月", month_span("2025-10")),
    ]
    assert [item.name for item in comparisons(span("2026-10-02", "2026-11-01"))] == ["去年同期"]
    assert [item.name for item in comparisons(span("2026-01-01", "2026-12-31"))] == ["去年同期"]


def test_days_that_a_month_lacks_are_its_last() -> None:
    told = {item.name: item.span.first for item in comparisons(span("2024-02-29", "2024-02-29"))}
    assert told["去年同期"] == date(2023, 2, 28)
    assert {item.name: item.span.first for item in comparisons(span("2026-03-31", "2026-03-31"))}["上月同期"] == date(
        2026, 2, 28
    )


@given(st.dates(date(2021, 1, 1), date(2030, 1, 1)), st.integers(1, 400))
def test_every_comparison_has_as_many_days_and_ends_before(first: date, days: int) -> None:
    own = Span(first, first + timedelta(days=days - 1))
    for other in comparisons(own):
        assert other.span.days == days or other.name in ("上月", "去年同月")
        assert other.span.last < own.first


@pytest.mark.parametrize(("first", "last"), [("2026-01-02", "2026-01-01"), ("2020-01-01", "2026-01-01")])
def test_days_that_make_no_span_are_refused(first: str, last: str) -> None:
    with pytest.raises(InvalidInputError):
        span(first, last)


def test_months() -> None:
    assert month_span("2024-02") == span("2024-02-01", "2024-02-29")
    assert month_span("2026-12") == span("2026-12-01", "2026-12-31")
    for wrong in ("2026", "2026-13", "", "a-b"):
        with pytest.raises(InvalidInputError):
            month_span(wrong)


@pytest.mark.parametrize(
    ("now", "before", "words"),
    [(9, 8, "+12.5%"), (7, 8, "−12.5%"), (8, 8, "持平"), (3, 0, "—"), (0, 4, "−100.0%"), (10_001, 10_000, "持平")],
)
def test_growth_in_words(now: int, before: int, words: str) -> None:
    assert change_words(now, before) == words


def test_sums_by_first_level_hour_and_rank() -> None:
    now = summed(
        [
            (TICKETS, "category", "供暖/煤改电", 3),
            (TICKETS, "category", "供暖/煤改气", 4),
            (TICKETS, "category", "住房/漏雨", 5),
            (TICKETS, "hour", "09", 12),
            (QUEUED, "", "", 4),
            (ABANDONED, "", "", 1),
        ]
    )
    before = summed([(TICKETS, "category", "供暖/煤改电", 5)])
    levels = first_levels(now, TICKETS)
    found = top(levels, first_levels(before, TICKETS), TICKETS, "category", 2)
    assert [(item.key, item.count, item.before) for item in found] == [("供暖", 7, 5), ("住房", 5, 0)]
    assert by_hour(now, TICKETS)[9] == 12
    assert now.share(ABANDONED, QUEUED) == Fraction(1, 4)
    assert summed([]).share(ABANDONED, QUEUED) is None
    assert (percent(Fraction(1, 3)), percent(None), percent(Fraction(1999, 2000))) == ("33.3%", "—", "100.0%")
