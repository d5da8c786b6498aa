"""A caller's numbers, however they are told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from speech_rig import NOTHING, speech_of

from tickets.extraction.phones import find_phones

CALLER_ID = "13910001234"
NUMBER = "13800138000"


def phones(text: str, seat: str = "", *, area_code: str = "010", caller_id: str = CALLER_ID) -> dict[str, str]:
    return {
        each.field: each.value
        for each in find_phones(speech_of(text), speech_of(seat), caller_id=caller_id, area_code=area_code)
    }


@pytest.mark.parametrize(
    "text",
    [
        "我 的 电话 是 幺三八 零零 幺三八 零零零",
        "电话 幺三八 嗯 零零幺三 | 八 零零零",
        "一三八零零一三八洞洞洞",
        "13800138000",
        "电话 幺三八零零幺三八零零零 您 记 一下",
        "幺三八零零幺三八零零幺 不是 幺 是 零",
        "幺三八零零幺三八零零三 不是 三 是 零",
        "幺三八零零幺三八零零三 是 零 不是 三",
        "幺三八 不对 幺三八 零零幺三 八零零零",
        "幺三九 零零幺三 不对 不对 幺三八 零零幺三 八零零零",
        "幺三八 零零幺三 八零零幺 不对 八零零零",
        "幺三八 零零幺四 不对 零零幺三 | 八零零零",
        "幺三八零零幺三八零零幺 | 哎 我 刚才 说 错 了 最后 一位 是 零",
        "幺三八零零幺三八零幺幺 最后 两位 是 零零",
        "幺三八零零幺三八零零幺 尾号 应该 是 八零零零",
        "幺三九零零幺三八零零零 前 三位 是 幺三八",
        "幺三八零零幺四八零零零 中间 四位 是 零零幺三",
        "幺三八零零幺三七零零零 第八 位 应该 是 八 不是 七",
        "幺三八零零幺三八零零幺 最后 一位 不是 幺 是 零",
        "幺三八零零幺三八零零零 重复 一遍 幺三八零零幺三八零零零",
        "幺三八零零幺三八零零 我 再 说 一遍 啊 幺三八零零幺三八零零零",
        "幺三八 幺三八 零零幺三 零零幺三 八零零零 八零零零",
        "幺三八零零要三八零零零",
        "手机 幺三八零零幺三八零零零 三号楼",
        "手机 幺三八零零幺三八零零零 家 在 三零二室",
        "加 八六 幺三八零零幺三八零零零",
        "他 的 电话 是 一三九零零零零一二三四 | 我 的 电话 是 一三八零零一三八零零零",
        "我 的 电话 是 一三八零零一三八零零零 | 物业 电话 是 一三九零零零零一二三四",
        "我 原来 的 电话 是 一三九零零零零一二三四 不用 了 现在 是 一三八零零一三八零零零",
        "工资 一共 两万三千 二十 个人 电话 一三八零零一三八零零零",
    ],
)
def test_mobile_number_is_understood_as_it_is_told(text: str) -> None:
    assert phones(text)["phone"] == NUMBER


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("座机 六九一零一二三四", "01069101234"),
        ("座机 零幺零 六九幺零 幺二三四", "01069101234"),
        ("家里 电话 零三一三 七零二 一二三四", "03137021234"),
    ],
)
def test_landline_has_its_area_code_or_gets_the_sites(text: str, number: str) -> None:
    assert phones(text)["phone"] == number


def test_extension_and_second_number_are_kept() -> None:
    assert phones("电话 零幺零 六九一零 一二三四 转 八零二") == {"phone": "01069101234", "phone_extension": "802"}
    both = phones("我 手机 一三八零零一三八零零零 座机 是 零幺零 六九一零 一二三四 转 八零二")
    assert both == {"phone": NUMBER, "other_phones": "01069101234转802"}


@pytest.mark.parametrize(
    "text",
    [
        "电话 是 幺三八 零零 幺三八",
        "电话 是 幺二八 零零 幺三八 零零零",
        "电话 是 幺三八 零零 幺三八 零零零 零",
        "尾号 是 八零零零",
        "不是 三 是 四",
        "那个 骗子 给 我 打电话 的 号码 诈骗 电话 幺三八零零幺三八零零零",
        "老板 的 手机 幺三八零零幺三八零零零",
        "你们 打 九五五九八",
        "六九一零一二三四 户",
        "没有 说",
        "",
        "一 在 后面 一号楼",  # what only looks like a correction ends the telling
    ],
)
def test_what_is_no_number_of_the_callers_leaves_the_calling_number(text: str) -> None:
    assert phones(text) == {"phone": CALLER_ID}


@pytest.mark.parametrize(
    ("reply", "number"),
    [
        ("对", "13800138001"),
        ("嗯 对 的", "13800138001"),
        ("不对 最后 一位 是 零", NUMBER),
        ("不是 幺 是 零", NUMBER),
        ("不对 是 八零零零", NUMBER),
        ("不对", CALLER_ID),
    ],
)
def test_number_that_the_seat_reads_back_counts_as_the_caller_answers(reply: str, number: str) -> None:
    seat = speech_of("您 的 电话 是 幺三八零零幺三八零零幺 对 吗", start_ms=5_000, position=1)
    caller = speech_of(reply, start_ms=9_000, position=2)
    found = find_phones(caller, seat, caller_id=CALLER_ID)
    assert found[0].value == number


def test_number_read_back_and_not_answered_does_not_count() -> None:
    seat = speech_of("您 的 电话 是 幺三八零零幺三八零零幺 对 吗", start_ms=5_000, position=1)
    late = speech_of("对 还有 一件事", start_ms=60_000, position=2)
    assert find_phones(late, seat, caller_id=CALLER_ID)[0].value == CALLER_ID


def test_sure_of_a_number_said_twice_less_of_one_that_was_guessed() -> None:
    once, twice, guessed = (
        find_phones(speech_of(text), NOTHING, caller_id="")[0].confidence
        for text in (
            "幺三八零零幺三八零零零",
            "幺三八零零幺三八零零零 再说一遍 幺三八零零幺三八零零零",
            "幺三八零零要三八零零零",
        )
    )
    assert twice > once > guessed


SPELLINGS = {
    digit: (digit, *spoken)
    for digit, spoken in zip(
        "0123456789", ("零洞〇", "幺一", "二两", "三", "四", "五", "六", "七拐", "八", "九勾"), strict=True
    )
}
MOBILE = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)


@st.composite
def told(draw: st.DrawFn, digits: str) -> str:
    """`digits` in any spelling, in groups with pauses, fillers or breaks between."""
    spoken, at = "", 0
    style = draw(st.sampled_from(["spoken", "figures"]))
    while at < len(digits):
        size = draw(st.integers(1, 4))
        for digit in digits[at : at + size]:
            spoken += digit if style == "figures" else draw(st.sampled_from(SPELLINGS[digit][1:]))
        at += size
        if at < len(digits):
            spoken += draw(st.sampled_from([" ", " ", " _ ", " 嗯 ", " 那个 ", " 就是 ", " | "]))
    return spoken


def _other(draw: st.DrawFn, digit: str) -> str:
    return draw(st.sampled_from([each for each in "0123456789" if each != digit]))


@st.composite
def told_with_a_correction(draw: st.DrawFn) -> tuple[str, str]:
    """A number and how it was told: plainly, wrongly and put right, or twice."""
    number = draw(MOBILE)
    say = lambda digits: draw(told(digits))  # noqa: E731
    wrong_at = draw(st.integers(3, 10))
    wrong = number[:wrong_at] + _other(draw, number[wrong_at]) + number[wrong_at + 1 :]
    sorry = draw(st.sampled_from([" 不对 ", " | 不对 不对 ", " 错 了 ", " 哦不 ", " 说 错 了 应该 是 "]))
    how = draw(st.sampled_from(["plain", "restart", "cut", "tail", "swap", "last", "again", "place"]))
    if how == "restart":
        return number, say(wrong) + sorry + say(number)
    if how == "cut":
        return number, say(wrong[: wrong_at + 1]) + sorry + say(number)
    if how == "tail":
        return number, say(wrong) + sorry + say(number[draw(st.integers(3, wrong_at)) :])
    if how == "swap" and wrong.rfind(wrong[wrong_at]) == wrong_at:
        return number, f"{say(wrong)} 不是 {say(wrong[wrong_at])} 是 {say(number[wrong_at])}"
    if how == "last":
        wrong = number[:-1] + _other(draw, number[-1])
        last = draw(st.sampled_from(["最后 一位 是", "| 最后 一位 应该 是", "说 错 了 最后 一位 是"]))
        return number, f"{say(wrong)} {last} {say(number[-1])}"
    if how == "place":
        place = "十一" if wrong_at == 10 else "一二三四五六七八九十"[wrong_at]
        return number, f"{say(wrong)} 第{place}位 是 {say(number[wrong_at])}"
    if how == "again":
        return number, say(number) + draw(st.sampled_from([" 重复 一遍 ", " 我 再 说 一遍 ", " | 再 报 一次 "])) + say(
            number
        )
    return number, say(number)


@given(
    case=told_with_a_correction(),
    before=st.sampled_from(["", "我 的 电话 是 ", "联系 电话 "]),
    after=st.sampled_from(["", " 谢谢", " 您 记 一下", " | 好 的"]),
)
def test_any_number_told_in_any_style_comes_out_right(case: tuple[str, str], before: str, after: str) -> None:
    number, spoken = case
    assert phones(before + spoken + after)["phone"] == number


@given(text=st.text(alphabet="一三八零幺不对是最后位重复遍电话我他的 |_嗯要就号楼前中间第", max_size=120))
def test_any_words_give_a_whole_number_or_none(text: str) -> None:
    number = phones(text, caller_id="").get("phone", "13800138000")
    assert len(number) in (11, 12) or number.startswith("010")
