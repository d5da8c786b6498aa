from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.errors import ConfigurationError
from hotline.settings import Settings
from tickets.retention_rules import after, before, load_retention, schedule

NOW = datetime(2026, 1, 5, 1, 30, tzinfo=UTC)
moments = st.integers(0, 36_500 * 86_400).map(lambda seconds: NOW + timedelta(seconds=seconds))
periods = st.tuples(st.integers(1, 400), st.sampled_from("dmy")).map(lambda pair: f"{pair[0]}{pair[1]}")


def file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "retention.yaml"
    path.write_text(text, "utf-8")
    return path


def test_the_rules_of_the_product_are_two_years_of_audio_and_half_a_year_of_log_at_least(settings: Settings) -> None:
    rules = load_retention(settings.tickets.retention_path)
    assert rules.audio_rule("供暖/煤改电设备") == ("2y", "audio 2y")
    assert after(NOW, rules.access_log) - NOW >= timedelta(days=181)


def test_the_most_exact_category_counts(tmp_path: Path) -> None:
    rules = load_retention(
        file(tmp_path, "version: 1\naudio: 2y\naccess_log: 1y\ncategories: {劳动社保: 3y, 劳动社保/欠薪: 5y}\n")
    )
    assert rules.audio_rule("劳动社保/欠薪") == ("5y", "audio 5y (劳动社保/欠薪)")
    assert rules.audio_rule("劳动社保/社会保险")[0] == "3y"
    assert rules.audio_rule("")[0] == "2y"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("version: 1\naudio: 0y\naccess_log: 1y\ncategories: {}\n", ":2: audio"),
        ("version: 1\naudio: 2y\naccess_log: 5m\ncategories: {}\n", "6 months"),
        ("version: 1\naudio: 2y\naccess_log: 1y\n", "categories"),
        ("version: 1\naudio: 2y\naccess_log: 1y\ncategories: {供暖: 2 years}\n", ":4: categories"),
    ],
)
def test_a_wrong_rule_is_named_with_its_line(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        load_retention(file(tmp_path, text))


@pytest.mark.parametrize(
    ("start", "period", "end"),
    [
        ("2024-02-29", "1y", "2025-02-28"),
        ("2024-02-29", "4y", "2028-02-29"),
        ("2025-12-31", "2m", "2026-02-28"),
        ("2025-12-31", "1d", "2026-01-01"),
    ],
)
def test_periods_follow_the_calendar(start: str, period: str, end: str) -> None:
    assert after(datetime.fromisoformat(start), period) == datetime.fromisoformat(end)


@given(moments, periods, st.integers(1, 10**6))
def test_what_is_older_than_a_period_is_due(now: datetime, period: str, seconds: int) -> None:
    try:
        limit = before(now, period)
    except ValueError:  # before the first year
        return
    assert after(limit, period) <= now, "nothing is due before its time"
    assert after(now, period) > now


def test_a_run_is_due_each_day_and_missed_ones_are_one() -> None:
    def at(**gap: float) -> str:
        return schedule(NOW, NOW + timedelta(**gap), max_gap_days=40)

    assert schedule(None, NOW, max_gap_days=40) == "due"
    assert [at(hours=23), at(hours=24), at(days=9), at(days=40), at(days=41)] == ["wait", "due", "due", "due", "clock"]
    assert at(days=-400) == "wait", "a clock that was set back deletes nothing"
    assert at(days=36_500) == "clock", "nor does one that ran ahead"
