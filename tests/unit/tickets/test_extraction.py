"""Cases are written as recognizers write: words with blanks between, ` | ` between two utterances."""

import csv
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from speech_rig import WORD_MS, speech_of

from hotline.settings_sections import TicketSettings
from tickets.extraction import TITLE_LENGTH, UNHEARD_TITLE, Extraction, Finding, extract
from tickets.gazetteer import load_gazetteer
from tickets.service import SiteData, load_site_data
from tickets.speech import Speech

CALLER_ID = "13910001234"


@pytest.fixture(scope="module")
def site() -> SiteData:
    return load_site_data(TicketSettings())


NOW = datetime(2026, 1, 5, 9, 42, tzinfo=ZoneInfo("Asia/Shanghai"))  # a Monday


def run(site: SiteData, text: str, caller_id: str = CALLER_ID) -> Extraction:
    return extract(speech_of(text), caller_id=caller_id, taxonomy=site.taxonomy, gazetteer=site.gazetteer, now=NOW)


def finding(extraction: Extraction, field: str) -> Finding:
    return next(item for item in extraction.findings if item.field == field)


with open(Path(__file__).with_name("callers.tsv"), encoding="utf-8", newline="") as _file:
    CALLERS = list(csv.DictReader(_file, delimiter="\t"))


@pytest.mark.parametrize("heard", ["spoken", "recognised"])
@pytest.mark.parametrize("caller", CALLERS, ids=[row["name"] for row in CALLERS])
def test_callers_are_understood_as_spoken_and_as_recognised(site: SiteData, caller: dict[str, str], heard: str) -> None:
    result = run(site, caller[heard])
    assert (result.category, result.tier) == (caller["category"], caller["tier"])
    assert 0 < len(result.title) <= TITLE_LENGTH


@pytest.mark.parametrize(("heard", "phone"), [("spoken", "13800138000"), ("recognised", CALLER_ID)])
def test_broken_heating_is_a_promise_of_hours(site: SiteData, heard: str, phone: str) -> None:
    result = run(site, CALLERS[0][heard])
    assert (result.category, result.tier, result.overlay) == ("供暖/煤改电设备", "T2", "coal_to_electric")
    assert (result.place, result.caller_name, result.phone) == ("张山营镇", "张", phone)
    assert result.title == "张山营镇煤改电设备故障：温度上不去、一直报警"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("我 姓 李", "李"),
        ("免贵 姓 欧阳", "欧阳"),
        ("我 是 王 女士", "王女士"),
        ("我 姓 赵 | 您 叫 我 赵 先生 就 行", "赵先生"),
        ("我 叫 刘 建国 住 在 永宁", "刘建国"),
        ("我 叫 刘建国我 住 永宁", "刘"),
        ("您好 我 张 _ 住 在 张山营镇", "张"),
        ("您好 我 张 | 住 在 张山营镇", "张"),
        ("您好 我 常 去 那边", ""),
        ("您好 _ 我 张山营镇 的", ""),
        ("这件事 我 严 _ 不 知道", ""),
        ("你 帮 我 找 李 先生", ""),
        ("我 姓 什么 不 重要", ""),
        ("我 是 小区 居民", ""),
        ("我 不 想 说 姓 张 还是 姓 李", ""),
    ],
)
def test_name_is_what_the_caller_gives_and_no_more(site: SiteData, text: str, name: str) -> None:
    assert run(site, text).caller_name == name


@pytest.mark.parametrize(
    ("text", "phone", "source"),
    [
        ("我 的 电话 是 幺三八 零零 幺三八 零零零", "13800138000", "transcript"),
        ("电话 一三九 一二三四 | 五六七八", "13912345678", "transcript"),
        ("电话 13712345678 谢谢", "13712345678", "transcript"),
        ("电话 是 幺三八 零零 幺三八", CALLER_ID, "caller_id"),
        ("电话 是 幺二八 零零 幺三八 零零零", CALLER_ID, "caller_id"),
        ("电话 是 幺三八 零零 幺三八 零零零 零", CALLER_ID, "caller_id"),
        ("没有 说", CALLER_ID, "caller_id"),
    ],
)
def test_phone_is_a_whole_mobile_number_that_was_said_or_the_calling_number(
    site: SiteData, text: str, phone: str, source: str
) -> None:
    result = run(site, text)
    assert result.phone == phone
    assert finding(result, "phone").source == source


@pytest.mark.parametrize(
    ("caller_id", "phone"),
    [("+86 139-1000 1234", "+8613910001234"), ("anonymous", ""), ("", ""), ("alice1", ""), ("1" * 40, "")],
)
def test_calling_number_counts_only_where_it_is_one(site: SiteData, caller_id: str, phone: str) -> None:
    assert run(site, "您好", caller_id).phone == phone


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("我 就 不 说 姓名 了", ("anonymous",)),
        ("我 不 方便 留 名字", ("anonymous",)),
        ("我 要 匿名 举报", ("anonymous",)),
        ("请 给 我 保密", ("confidential",)),
        ("千万 别 让 村里 知道 是 我 说 的", ("confidential",)),
        ("家里 有 很 重 的 煤气味", ("emergency",)),
        ("匿名 举报 请 保密", ("anonymous", "confidential")),
        ("我 说 一下 我 的 名字", ()),
        ("路灯 坏 了", ()),
    ],
)
def test_wishes_and_dangers_are_flags_with_evidence(site: SiteData, text: str, flags: tuple[str, ...]) -> None:
    result = run(site, text)
    assert result.flags == flags
    assert {item.field for item in result.findings} >= set(flags)


def test_anonymous_caller_has_no_name(site: SiteData) -> None:
    assert run(site, "我 姓 张 但是 我 不 想 留 姓名").caller_name == ""


@pytest.mark.parametrize(
    ("text", "place", "address"),
    [
        ("我 在 康庄镇", "康庄镇", ""),
        ("龙庆峡 门口", "旧县镇", "龙庆峡门口"),
        ("妫水北街 路灯", "妫水北街", "妫水北街"),
        ("路灯 坏 了", "", ""),
    ],
)
def test_place_is_the_town_and_address_the_name_in_it(site: SiteData, text: str, place: str, address: str) -> None:
    result = run(site, text)
    assert (result.place, result.address) == (place, address)


def test_a_place_brings_its_town_community_and_grid(site: SiteData, tmp_path: Path) -> None:
    path = tmp_path / "places.tsv"
    path.write_text("名称,类型,所属乡镇,所属社区,网格\n金水湾公寓,其他,康庄镇,一街社区,110119-04\n", encoding="utf-8")
    gazetteer = load_gazetteer(TicketSettings().gazetteer_path, path)
    found = run(replace(site, gazetteer=gazetteer), "我 住 在 金水湾公寓 | 没有 暖气")
    assert (found.town, found.community) == ("康庄镇", "一街社区")
    assert finding(found, "grid").value == "110119-04"
    assert finding(found, "community").span == finding(found, "town").span


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("康庄镇 的 老板 欠 我们 半年 工资", "康庄镇拖欠工资"),
        ("咨询 一下 公租房 怎么 申请", "咨询：保障房申请"),
        ("表扬 一下 修 路灯 的 师傅", "表扬：路灯不亮已办理"),
        ("沈家营镇 家里 有 煤气味", "沈家营镇燃气泄漏"),
        ("您好 我 反映 一下 有个 说不清 的 事情", "有个说不清的事情。"),
        ("", UNHEARD_TITLE),
        ("喂 您好", UNHEARD_TITLE),
    ],
)
def test_title_names_place_and_matter(site: SiteData, text: str, title: str) -> None:
    assert run(site, text).title == title


def test_evidence_points_at_segment_characters_and_audio(site: SiteData) -> None:
    result = run(site, "您好 | 我 姓 张 住 在 张山营镇")
    span = finding(result, "place").span
    assert span is not None
    assert (span.segment, span.char_start, span.char_end, span.quote) == (1, 5, 9, "张山营镇")
    assert (span.start_ms, span.end_ms) == (6 * WORD_MS, 7 * WORD_MS)


def test_number_told_in_two_breaths_has_the_audio_of_both(site: SiteData) -> None:
    span = finding(run(site, "电话 幺三八零零 | 幺三八零零零"), "phone").span
    assert span is not None
    assert (span.segment, span.char_start, span.char_end) == (0, 2, 7)
    assert (span.start_ms, span.end_ms, span.quote) == (WORD_MS, 3 * WORD_MS, "幺三八零零幺三八零零零")


def test_nothing_said_leaves_only_the_calling_number(site: SiteData) -> None:
    result = extract(Speech(()), caller_id=CALLER_ID, taxonomy=site.taxonomy, gazetteer=site.gazetteer, now=NOW)
    assert [item.field for item in result.findings] == ["phone"]
    assert (result.category, result.content, result.keywords) == ("", "", ())


ALPHABET = "我姓张叫李女士路灯坏了煤气味着火电话一三八零零幺不说名保密延庆镇妫水北街 |"


@given(text=st.text(alphabet=ALPHABET, max_size=80), caller_id=st.text(max_size=20))
def test_any_words_give_a_ticket_whose_evidence_lies_in_the_speech(text: str, caller_id: str) -> None:
    site = load_site_data(TicketSettings())
    speech = speech_of(text)
    result = extract(speech, caller_id=caller_id, taxonomy=site.taxonomy, gazetteer=site.gazetteer, now=NOW)
    assert 0 < len(result.title) <= TITLE_LENGTH
    assert len({item.field for item in result.findings}) == len(result.findings)
    spoken = {segment.position: "".join(word.text for word in segment.words) for segment in speech.segments}
    for item in result.findings:
        assert 0 <= item.confidence <= 1
        if item.span:
            quoted = spoken[item.span.segment][item.span.char_start : item.span.char_end]
            assert quoted
            assert item.span.quote.startswith(quoted)
            assert item.span.start_ms < item.span.end_ms
