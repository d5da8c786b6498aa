import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.figures import SPOKEN_DIGITS
from asr.masking import HIDDEN, digits_in, mask_numbers, mask_phone, mask_words

DIGITS = "0123456789零一二三四五六七八九幺"


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("13800138000", "138****8000"),
        ("01069101234", "010****1234"),
        ("010-69101234", "010-****1234"),
        ("+8613800138000", "+861******8000"),
        ("69101234", "691***34"),
        ("110", "***"),
        ("", ""),
        ("anonymous", "*********"),
    ],
)
def test_phone_keeps_its_ends_only(number: str, shown: str) -> None:
    assert mask_phone(number) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("电话是13800138000。", "电话是138****8000。"),
        ("电话是幺三八零零幺三八零零零", "电话是幺三八****八零零零"),
        ("我的号码 138 0013 8000 谢谢", "我的号码 138 **** 8000 谢谢"),
        ("工单号是YQ20261124000016查询码是073987", "工单号是YQ20261124000016查询码是******"),
        ("YQ202611240000161", "YQ202********0161"),
        ("我的电话是1380。1380。", "我的电话是138*。**80。"),
        ("幺三八，零零幺三，八零零零。", "幺三八，****，八零零零。"),
        ("身份证11010519491231002X", "身份证110***********002X"),
        ("卡号6222 0212 3456 7890 123", "卡号622* **** **** ***0 123"),
        ("二零二六年一共两万三千块钱，拨打12345，住在302室", "二零二六年一共两万三千块钱，拨打12345，住在302室"),
        ("", ""),
    ],
)
def test_only_long_runs_of_digits_are_hidden(text: str, shown: str) -> None:
    assert mask_numbers(text) == shown


def test_a_number_spoken_in_many_words_is_hidden_across_them() -> None:
    assert mask_words(["我", "电话", "幺", "三", "八", "零零", "幺", "三", "八", "零", "零", "零", "对"]) == [
        "我", "电话", "幺", "三", "八", "**", "*", "*", "八", "零", "零", "零", "对",
    ]  # fmt: skip


@pytest.mark.parametrize("digit", sorted(SPOKEN_DIGITS))
def test_every_spoken_digit_is_hidden_and_counted(digit: str) -> None:
    assert mask_numbers("电话" + 11 * digit) == "电话" + 3 * digit + 4 * HIDDEN + 4 * digit
    assert digits_in(f"电话{digit}") == 1


@given(st.lists(st.text(max_size=12), max_size=12))
def test_masking_keeps_every_length_and_every_character_that_is_no_digit(words: list[str]) -> None:
    masked = mask_words(words)
    assert [len(word) for word in masked] == [len(word) for word in words]
    for before, after in zip("".join(words), "".join(masked), strict=True):
        assert before == after or after == HIDDEN


@given(st.text(DIGITS, min_size=7, max_size=30), st.text("号码是，ab", max_size=6))
def test_a_long_number_never_leaves_whole(number: str, around: str) -> None:
    masked = mask_numbers(around + number + around)
    assert number not in masked
    assert masked.count(HIDDEN) >= 2
