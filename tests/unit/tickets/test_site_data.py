"""The data files that the product ships, and what is wrong with bad ones."""

import re
from pathlib import Path

import pytest

from hotline.errors import ConfigurationError
from hotline.settings_sections import TicketSettings
from tickets.deadlines import Period, load_deadlines, parse_period
from tickets.gazetteer import load_gazetteer
from tickets.service import load_site_data
from tickets.taxonomy import load_taxonomy

SETTINGS = TicketSettings()


def changed(source: Path, folder: Path, pattern: str, replacement: str) -> Path:
    text = source.read_text(encoding="utf-8")
    assert re.search(pattern, text), pattern
    path = folder / source.name
    path.write_text(re.sub(pattern, replacement, text, count=1), encoding="utf-8")
    return path


def test_tree_has_fifteen_first_levels_and_no_empty_one() -> None:
    categories = load_taxonomy(SETTINGS.taxonomy_path).categories
    assert len({name.partition("/")[0] for name in categories}) == 15
    assert len(categories) == 66
    assert all(category.phrases.size >= 3 for category in categories.values())


def test_coal_to_electric_repair_promises_two_and_four_hours() -> None:
    site = load_site_data(SETTINGS)
    clocks = site.clocks("T2", "coal_to_electric")
    assert clocks == {
        "dispatch": "2h",
        "sign_in": "30min",
        "first_contact": "2h",
        "reply": "24h",
        "on_site": "2h",
        "done": "4h",
    }
    assert site.clocks("T3", "")["reply"] == "7d"


@pytest.mark.parametrize(
    ("pattern", "replacement", "message"),
    [
        ("tier: T2", "tier: T9", r"taxonomy\.yaml:\d+: categories\.供暖\.集中供热温度\.tier: "),
        ("type: help", "type: 求助", r"taxonomy\.yaml:\d+: .*\.type: "),
        ("category: 供暖/煤改电设备", "category: 供暖/煤改", "overlay coal_to_electric names no category: 供暖/煤改"),
        ("on_site: 2h", "on_site: soon", r"overlays\.coal_to_electric\.clocks\.on_site: "),
        ("1: \\[屋里冷", "9: [屋里冷", r"phrases\.9"),
        ("\\[屋里冷", "['*屋里冷'", r"phrases\.1\.0: "),
        ("version: 1", "version: 2", r"taxonomy\.yaml:\d+: version: "),
    ],
)
def test_fault_of_the_taxonomy_is_named(tmp_path: Path, pattern: str, replacement: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load_taxonomy(changed(SETTINGS.taxonomy_path, tmp_path, pattern, replacement))


@pytest.mark.parametrize(
    ("pattern", "replacement", "message"),
    [
        ("town: 旧县镇", "town: 新县镇", "龙庆峡: no such town: 新县镇"),
        ("name: 柳沟村", "name: 岔道村", "岔道村 is given twice"),
        ("name: 康庄镇", "title: 康庄镇", r"gazetteer\.yaml:\d+: towns\.1\.name: Field required"),
    ],
)
def test_fault_of_the_gazetteer_is_named(tmp_path: Path, pattern: str, replacement: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load_gazetteer(changed(SETTINGS.gazetteer_path, tmp_path, pattern, replacement))


@pytest.mark.parametrize(
    ("pattern", "replacement", "message"),
    [
        ("dispatch: 1h", "dispatch: 1 hour", r"deadlines\.yaml:\d+: tiers\.T1\.dispatch: "),
        ("  T4: .*\n", "", "tiers: .*at least 4"),
        ("T4:", "T5:", r"tiers\.T5"),
    ],
)
def test_fault_of_the_deadlines_is_named(tmp_path: Path, pattern: str, replacement: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load_deadlines(changed(SETTINGS.deadlines_path, tmp_path, pattern, replacement))


@pytest.mark.parametrize("text", ["1h", "15min", "7d", "1wd"])
def test_period_reads_back(text: str) -> None:
    assert str(parse_period(text)) == text


def test_period_has_an_amount_and_a_unit() -> None:
    assert parse_period("30min") == Period(30, "min")


@pytest.mark.parametrize("text", ["", "h", "0h", "1 h", "1w", "-1h", "1.5h"])
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a period"):
        parse_period(text)
