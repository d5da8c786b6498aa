"""Names, addresses, times, sums, wishes and feelings, as callers say them."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from speech_rig import NOTHING, speech_of

from hotline.settings_sections import TicketSettings
from tickets.extraction import Finding
from tickets.extraction.addresses import find_address
from tickets.extraction.amounts import find_amounts
from tickets.extraction.feeling import find_feeling, find_vulnerable
from tickets.extraction.names import find_enterprise, find_name
from tickets.extraction.times import find_times
from tickets.extraction.wants import find_wants
from tickets.extraction.wishes import find_wishes
from tickets.service import load_site_data

NOW = datetime(2026, 1, 5, 9, 42, tzinfo=ZoneInfo("Asia/Shanghai"))  # a Monday


def values(found: list[Finding]) -> dict[str, str]:
    return {item.field: item.value for item in found}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("我 姓 章 立早 章", "章"),
        ("我 姓 张 立早 章", "章"),  # as recognizers write it
        ("我 叫 李建果 建设 的 建 国家 的 国", "李建国"),
        ("您 叫 我 老 赵 就行", "赵"),
        ("他 名字叫 李建国", None),
        ("我 父亲 叫 李建国", None),
    ],
)
def test_name_is_written_as_its_characters_are_told(text: str, name: str | None) -> None:
    assert values(find_name(speech_of(text), NOTHING)).get("caller_name") == name


def test_form_of_address_tells_the_gender_also_from_the_seat() -> None:
    assert values(find_name(speech_of("我 是 王 大爷"), NOTHING)) == {"caller_name": "王大爷", "gender": "male"}
    assert values(find_name(speech_of("我 姓 章"), speech_of("张女士 您好"))) == {
        "caller_name": "章女士",
        "gender": "female",
    }
    assert values(find_name(speech_of("你好"), speech_of("我 找 一下 王先生"))) == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("我们 公司 叫 延庆 惠民 商贸 有限公司", {"enterprise": "延庆惠民商贸有限公司", "caller_kind": "enterprise"}),
        ("我 是 一家 小 企业 的 负责人", {"caller_kind": "enterprise"}),
        ("我 是 某某 建筑 公司 的 员工", {}),
        ("我们 公司 拖欠 工资", {}),
    ],
)
def test_who_speaks_for_an_enterprise_is_no_employee_of_it(text: str, found: dict[str, str]) -> None:
    assert values(find_enterprise(speech_of(text))) == found


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("住 在 张山营镇 西大庄科村 二号楼 三单元 五零二室", "西大庄科村2号楼3单元502室"),
        ("川北小区 六号楼 一单元 五零一 楼上 漏水", "川北小区6号楼1单元501室"),
        ("张山营镇 西大庄可村", "西大庄科村"),  # by its sound
        ("妫水北街 和 高塔街 交叉口", "妫水北街和高塔街交叉口"),
        ("儒林街道 旁边 的 工地", "儒林街道旁边"),
        ("永宁镇 太平街 十八号 门口", "太平街18号门口"),
        ("村里 路 不好 走", None),
        ("我们 小区 的 物业", None),
        ("别 让 村里 知道", None),
    ],
)
def test_address_is_all_that_was_said_of_it(text: str, address: str | None) -> None:
    _, found = find_address(speech_of(text), load_site_data(TicketSettings()).gazetteer)
    assert values(found).get("address") == address


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("昨天 晚上 八点 停电", {"event_time": "2026-01-04 20:00"}),
        ("昨天 夜里 十二点", {"event_time": "2026-01-05 00:00"}),
        ("前天 下午 三点 一刻", {"event_time": "2026-01-03 15:15"}),
        ("上周三 就 坏 了", {"event_time": "2025-12-31"}),
        ("三月五号 签 的", {"event_time": "2025-03-05"}),
        ("半个 小时 前", {"event_time": "2026-01-05 09:12"}),
        ("从 上周五 开始", {"since": "2026-01-02"}),
        ("已经 三天 了", {"since": "3天（2026-01-02 起）"}),
        ("一个 半 月 了", {"since": "1个半月"}),
        ("每天 夜里 十二点", {"recurring": "每天夜里12点"}),
        ("二月三十号", {}),
        ("明天 上午 十点", {}),
        ("昨天 我 反映 过", {}),
        ("等 我 五分钟", {}),
    ],
)
def test_times_are_reckoned_from_the_call(text: str, found: dict[str, str]) -> None:
    assert values(find_times(speech_of(text), NOW)) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("拖欠 三万二 没 给", {"amounts": "32000元"}),
        ("两千多块 钱", {"amounts": "2000多元"}),
        ("交 了 五百块 罚 了 二百 一共 七百块", {"amounts": "700元、500元、200元"}),
        ("一平米 三块五 太贵", {"amounts": "每平米3.5元"}),
        ("欠 十五个 人 的 钱", {"people": "15人"}),
        ("三百多户 居民", {"people": "300多户"}),
        ("两百 多 米 没有 灯", {}),
        ("买 了 十五个 灯泡", {}),
        ("一个 人 在 家", {}),
    ],
)
def test_sums_and_heads_are_counted_and_nothing_else(text: str, found: dict[str, str]) -> None:
    assert values(find_amounts(speech_of(text))) == found


@pytest.mark.parametrize(
    ("text", "wants"),
    [
        ("灯 坏 了 希望 你们 尽快 派 人 来 修 一下 谢谢", "尽快派人来修一下"),
        ("能不能 给 我们 村 装 几盏 路灯", "给我们村装几盏路灯"),
        ("请问 社保卡 怎么 补办", "社保卡怎么补办"),
        ("路灯 坏 了", None),
    ],
)
def test_demand_is_its_clause_without_what_is_polite(text: str, wants: str | None) -> None:
    assert values(find_wants(speech_of(text))).get("wants") == wants


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("太过分 了 我 要 曝光", {"mood": "angry"}),
        ("我 急死 了", {"mood": "upset"}),
        ("赶紧 来 人", {"urgency": "urgent"}),
        ("不 着急 慢慢 来", {}),
        ("路灯 坏 了", {}),
    ],
)
def test_calm_callers_have_no_mood(text: str, found: dict[str, str]) -> None:
    assert values(find_feeling(speech_of(text))) == found


def test_people_in_need_are_flagged_more_so_without_heating_in_winter() -> None:
    speech = speech_of("家里 有 老人 没有 暖气")
    winter, summer = NOW, NOW.replace(month=7)
    heating = "供暖/集中供热温度"
    assert values(find_vulnerable(speech, category=heating, now=winter)) == {"vulnerable": "老人、供暖季停暖"}
    assert values(find_vulnerable(speech, category=heating, now=summer)) == {"vulnerable": "老人"}
    assert find_vulnerable(speech_of("老人 去 医院 看病 不 方便"), category="", now=winter) == []


def test_wishes_for_another_language_are_flags() -> None:
    assert values(find_wishes(speech_of("我 不会 说 普通话"))) == {"dialect": "true"}
    assert values(find_wishes(speech_of("do you speak english"))) == {"foreign_language": "true"}


@given(
    text=st.text(alphabet="昨前今天上个周月三五十两百千万点半号日年晚夜每从已经了元块多几人户前后开始 |", max_size=80)
)
def test_any_words_give_times_and_sums_whose_evidence_was_said(text: str) -> None:
    speech = speech_of(text)
    for item in (*find_times(speech, NOW), *find_amounts(speech)):
        assert item.span is not None
        assert item.span.quote.replace("\n", "") in speech.text.replace("\n", "")
        if item.field == "event_time" and len(item.value) > 4:
            assert item.value[:10] <= "2026-01-06"
