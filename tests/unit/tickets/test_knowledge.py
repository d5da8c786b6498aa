"""Snippets: tables of them, which fit a text, and what is said at the ends of a call."""

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.errors import ConfigurationError
from hotline.settings_sections import PACKAGE_ROOT, TicketSettings
from tickets.knowledge import COLUMNS, KnowledgeIndex, Snippet, load_snippets, parse_snippets
from tickets.scripts import load_scripts
from tickets.sheets import Bounds, read_sheet

EXAMPLE = PACKAGE_ROOT / "tickets/data/examples/knowledge.yaml"
TODAY = date(2026, 11, 20)
BOUNDS = Bounds(1_000_000, 1_000_000, 1_000)


@pytest.fixture(scope="module")
def index() -> KnowledgeIndex:
    table = load_snippets(EXAMPLE)
    assert table.faults == ()
    return KnowledgeIndex(table.snippets)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("我家暖气不热，屋里才十四度", "JS-004"),
        ("煤改电的热泵一直报警不制热", "JS-005"),
        ("厨房里有煤气味，是不是漏气了", "JS-010"),
        ("工地上的包工头拖欠我们三个月工资", "JS-019"),
        ("川北小区门口一排路灯都不亮", "JS-016"),
        ("电梯里困人了，快来人", "JS-011"),
        ("买的东西是假货商家不退款", "JS-021"),
        ("我想查一下我的工单进度，编号有", "JS-002"),
        ("半夜还在施工，噪音扰民", "JS-014"),
        ("孩子划片上学的事", "JS-023"),
    ],
)
def test_the_snippet_that_fits_comes_first_with_its_words(index: KnowledgeIndex, text: str, code: str) -> None:
    found = index.suggest(text, day=TODAY)
    assert found[0].snippet.code == code
    assert found[0].words
    assert all(word in text for word in found[0].words)


@pytest.mark.parametrize("text", ["", "您好，麻烦您", "13800138000", "今天天气真好啊"])
def test_what_says_nothing_gets_no_suggestion(index: KnowledgeIndex, text: str) -> None:
    assert index.suggest(text, day=TODAY) == []


def test_only_what_is_valid_on_the_day_is_suggested() -> None:
    old = Snippet(code="A", title="取暖补贴", body="去年的标准", valid_to=date(2026, 3, 31))
    new = Snippet(code="B", title="取暖补贴", body="今年的标准", valid_from=date(2026, 4, 1))
    index = KnowledgeIndex([old, new])
    assert [each.snippet.code for each in index.suggest("取暖补贴怎么领", day=date(2026, 3, 31))] == ["A"]
    assert [each.snippet.code for each in index.suggest("取暖补贴怎么领", day=date(2026, 4, 1))] == ["B"]


def test_the_category_decides_between_equals() -> None:
    snippets = [
        Snippet(code="A", title="停水停电怎么办", body="", category="水电气讯/供水"),
        Snippet(code="B", title="停水停电怎么办", body="", category="水电气讯/供电"),
    ]
    found = KnowledgeIndex(snippets).suggest("停水停电了", day=TODAY, category="水电气讯/供电")
    assert [each.snippet.code for each in found] == ["B", "A"]


@given(st.text(max_size=80))
def test_any_text_may_be_asked(text: str) -> None:
    for each in KnowledgeIndex([Snippet(code="A", title="路灯不亮", body="登记灯杆编号")]).suggest(text, day=TODAY):
        assert each.score > 0


def test_nothing_known_suggests_nothing() -> None:
    assert KnowledgeIndex([]).suggest("路灯不亮", day=TODAY) == []


def table(*lines: str) -> bytes:
    return "\n".join(("编号,标题,内容,责任单位,标签,生效日期,失效日期", *lines)).encode()


def test_a_table_is_read_with_dates_and_tags() -> None:
    sheet = read_sheet(table("A1,取暖补贴,按户发放,mzj,补贴、取暖，冬天,2026/1/5,2026-12-31"), COLUMNS, BOUNDS)
    (snippet,) = parse_snippets(sheet).snippets
    assert snippet.tags == ("补贴", "取暖", "冬天")
    assert (snippet.valid_from, snippet.valid_to) == (date(2026, 1, 5), date(2026, 12, 31))
    assert snippet.unit == "mzj"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("A1,,内容,,,,", "标题"),
        ("A1,标题,,,,,", "内容"),
        (f"{'x' * 33},标题,内容,,,,", "编号有 33 字"),
        ("a/b,标题,内容,,,,", "编号只能"),
        ("A1,标题,内容,,,明天,", "不是日期"),
        ("A1,标题,内容,,,2026-02-30,", "不是日期"),
        ("A1,标题,内容,,,2026-05-01,2026-04-01", "早于"),
    ],
)
def test_each_wrong_line_is_told(line: str, problem: str) -> None:
    parsed = parse_snippets(read_sheet(table("A0,好的,内容,,,,", line), COLUMNS, BOUNDS))
    assert [snippet.code for snippet in parsed.snippets] == ["A0"]
    assert any(problem in str(fault) and "3" in str(fault) for fault in parsed.faults), parsed.faults


def test_a_code_twice_is_told() -> None:
    parsed = parse_snippets(read_sheet(table("A1,一,甲,,,,", "A1,二,乙,,,,"), COLUMNS, BOUNDS))
    assert "多次" in str(parsed.faults[0])


def test_scripts_are_filled_with_names_and_unknown_ones_stay_visible() -> None:
    scripts = load_scripts(TicketSettings().scripts_path)
    assert {"call", "live", "enterprise"} <= scripts.keys()
    filled = scripts["live"].filled({"leader_name": "张三", "leader_post": "副区长"})
    assert "副区长张三" in filled.greeting
    assert "（热线名称）" in filled.greeting
    assert "{" not in filled.greeting + filled.closing


@pytest.mark.parametrize(
    ("greeting", "problem"),
    [("您好{name}", "unknown placeholder {name}"), ("您好{", "brace"), ("  ", "empty")],
)
def test_a_wrong_script_is_found_when_it_is_loaded(tmp_path: Path, greeting: str, problem: str) -> None:
    path = tmp_path / "scripts.yaml"
    path.write_text(f"version: 1\nscripts:\n  call: {{label: 日常, greeting: '{greeting}', closing: 再见}}\n", "utf-8")
    with pytest.raises(ConfigurationError, match=r"scripts\.call\.greeting") as raised:
        load_scripts(path)
    assert problem in raised.value.message


def test_there_must_be_a_script_for_calls(tmp_path: Path) -> None:
    path = tmp_path / "scripts.yaml"
    path.write_text("version: 1\nscripts:\n  live: {label: 领导, greeting: 您好, closing: 再见}\n", "utf-8")
    with pytest.raises(ConfigurationError, match="`call`"):
        load_scripts(path)
