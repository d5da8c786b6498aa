"""Formulas and their periods."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.errors import ConfigurationError, InvalidInputError
from hotline.settings_sections import PACKAGE_ROOT
from tickets.formulas import (
    Formula,
    PeriodRule,
    RatePeriod,
    formula_named,
    load_formulas,
    month_period,
    period_at,
)

ZONE = ZoneInfo("Asia/Shanghai")
SHIPPED = PACKAGE_ROOT / "tickets/data/rates.yaml"
OURS = load_formulas(SHIPPED)
THIRDS = OURS[0].model_copy(
    update={
        "name": "thirds",
        "effective": date(2027, 1, 1),
        "weights": {"contacted": "0.30", "solved": "0.35", "satisfied": "0.35"},
        "period": PeriodRule(day=1, at="00:00"),
    }
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE).astimezone(UTC)


def test_the_shipped_period_goes_from_the_nineteenth_at_noon_to_the_next() -> None:
    formula, period = month_period(OURS, "2026-11", ZONE)
    assert formula.name == "beijing-2024"
    assert (period.begin, period.end) == (
        at("2026-10-19 12:00"),
        at("2026-11-19 12:00"),
    )
    assert at("2026-10-19 12:00") in period
    assert at("2026-11-19 12:00") not in period
    assert period.words(ZONE) == "2026 年 10 月 19 日 12:00 至 2026 年 11 月 19 日 12:00"


def test_january_begins_in_the_year_before() -> None:
    assert month_period(OURS, "2026-01", ZONE)[1].begin == at("2025-12-19 12:00")


def test_a_period_of_whole_months_is_named_by_its_month() -> None:
    formula, period = month_period((*OURS, THIRDS), "2027-02", ZONE)
    assert formula.name == "thirds"
    assert (period.begin, period.end) == (
        at("2027-02-01 00:00"),
        at("2027-03-01 00:00"),
    )


def test_a_formula_holds_for_periods_that_begin_when_it_is_in_force() -> None:
    later = THIRDS.model_copy(update={"effective": date(2026, 11, 1), "period": OURS[0].period})
    assert month_period((*OURS, later), "2026-11", ZONE)[0].name == "beijing-2024"
    assert month_period((*OURS, later), "2026-12", ZONE)[0].name == "thirds"


@pytest.mark.parametrize("month", ["", "2026", "2026-13", "2026-0", "x-y", "99999-01", "2018-12"])
def test_what_is_no_month_of_ours_is_refused(month: str) -> None:
    with pytest.raises(InvalidInputError):
        month_period(OURS, month, ZONE)


@given(st.integers(0, 20 * 365 * 24 * 60).map(lambda minutes: at("2020-01-01") + timedelta(minutes=minutes)))
def test_every_moment_is_in_the_period_found_for_it(moment: datetime) -> None:
    _, period = period_at(OURS, moment, ZONE)
    assert moment in period
    assert timedelta(days=28) <= period.end - period.begin <= timedelta(days=31)


def test_a_formula_survives_its_text() -> None:
    assert Formula.of_text(THIRDS.text()) == THIRDS
    assert formula_named([*OURS, THIRDS], "thirds") is THIRDS
    with pytest.raises(InvalidInputError, match="没有名为"):
        formula_named(OURS, "thirds")


def test_a_period_ends_after_it_begins() -> None:
    with pytest.raises(InvalidInputError):
        RatePeriod("x", at("2026-01-01"), at("2026-01-01"))


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ('solved: "0.50"', 'solved: "0.40"', "add up to 1"),
        ('no: "0"', 'no: "2"', "answers"),
        ("valid: [contacted, solved, satisfied]", "valid: []", "valid must name"),
        (
            "valid: [contacted, solved, satisfied]",
            "valid: [contacted, charming]",
            "valid",
        ),
        ("day: 19", "day: 31", "day"),
        ("counts: last", "counts: first", "counts"),
        ('contacted: {"yes": "1", "no": "0"}', "", "answers must have"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(tmp_path: Path, right: str, wrong: str, told: str) -> None:
    path = tmp_path / "rates.yaml"
    text = SHIPPED.read_text(encoding="utf-8")
    target = right.replace('no: "0"', '"no": "0"')
    assert target in text
    path.write_text(text.replace(target, wrong.replace('no: "2"', '"no": "2"'), 1), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=told) as caught:
        load_formulas(path)
    assert f"{path}:" in str(caught.value)


def test_two_formulas_of_one_day_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "rates.yaml"
    text = SHIPPED.read_text(encoding="utf-8")
    again = text[text.index("  - name") :].replace("beijing-2024", "other")
    path.write_text(text + again, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="same effective"):
        load_formulas(path)
