import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.figures import NUMERALS, SPOKEN_DIGITS
from asr.recognizer import Word
from asr.scoring import cer
from asr.text import aligned, display, join_words


def spoken(*parts: str | int) -> list[Word]:
    """Words of 100 ms a character; a number is a pause in ms."""
    words, at = [], 0
    for part in parts:
        if isinstance(part, int):
            at += part
        else:
            words.append(Word(part, at, at + 100 * len(part), 1.0))
            at += 100 * len(part)
    return words


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (("您好", 350, "我", "姓张", 800, "住", "在", "延庆"), "您好，我姓张。住在延庆。"),
        (("电话", "是", "幺", "三八", "零零幺三八零零零"), "电话是13800138000。"),
        (("是", "一", "三八", 400, "零零", "一", "三八", 400, "零零零"), "是13800138000。"),
        (("是", "一", "三八", 900, "零零", "一", "三八"), "是13800138。"),
        (("是", 400, "一", "三八", "零", 400, "谢谢"), "是，1380，谢谢。"),
        (("九二零路",), "920路。"),
        (("电话", "是", "幺", "三洞", "两拐勾"), "电话是130279。"),
        (("二零二五年",), "2025年。"),
        (("三个", "月"), "三个月。"),
        (("一二", "号"), "一二号。"),
        (("一共", "两万", "三千", "块"), "一共23000块。"),
        (("一五一十",), "一五一十。"),
        (("两万", 400, "三千", "块"), "2万，3000块。"),
        (("有", "人", "修", "吗"), "有人修吗？"),
        (("有", "wifi", "box", "吗", 800, "没有"), "有wifi box吗？没有。"),
        ((), ""),
    ],
)
def test_display(parts: tuple[str | int, ...], text: str) -> None:
    assert display(spoken(*parts)).text == text


def test_a_click_on_a_figure_seeks_to_its_word() -> None:
    words = spoken("电话", "是", "幺", "三八", 400, "零零")
    shown = display(words)
    assert shown.text == "电话是13800。"
    assert [words[index].text for index in shown.word_of] == [
        *("电话", "电话", "是", "幺", "三八", "三八", "零零", "零零", "零零"),
    ]


def test_a_figure_shorter_than_what_was_said_still_seeks_into_it() -> None:
    words = spoken("欠", "一百", "零", "五", "块")
    shown = display(words)
    assert shown.text == "欠105块。"
    assert [words[index].text for index in shown.word_of] == ["欠", "一百", "一百", "零", "块", "块"]


@given(
    st.lists(st.tuples(st.text("零幺一二三十百万我是ab吗", min_size=1, max_size=4), st.integers(0, 1000)), max_size=12)
)
def test_every_word_is_in_the_display_in_order(parts: list[tuple[str, int]]) -> None:
    words = spoken(*(item for part in parts for item in part))
    shown = display(words)
    assert list(shown.word_of) == sorted(shown.word_of)
    numerals = set(NUMERALS) | set(SPOKEN_DIGITS)
    assert {index for index, word in enumerate(words) if not set(word.text) <= numerals} <= set(shown.word_of)


def test_a_text_that_older_rules_wrote_is_aligned_with_its_words() -> None:
    words = spoken("欠", "两万", "三千", "块", 800, "电话", "幺三八")
    assert aligned("欠23000块。电话138。", words) == display(words)
    older = aligned("欠两万三千块，电话138。", words)
    assert [words[index].text for index in older.word_of] == [
        *("欠", "两万", "两万", "三千", "三千", "块", "块"),
        *("电话", "电话", "幺三八", "幺三八", "幺三八", "幺三八"),
    ]
    with pytest.raises(ValueError, match="without words"):
        aligned("无", [])


@given(st.text("我家坏了一三，。", max_size=12), st.lists(st.text("我家坏了一三", min_size=1, max_size=3), min_size=1))
def test_any_text_is_aligned_with_any_words_in_order(text: str, parts: list[str]) -> None:
    shown = aligned(text, spoken(*parts))
    assert shown.text == text
    assert list(shown.word_of) == sorted(shown.word_of)


@pytest.mark.parametrize(
    "said",
    [
        "电话是幺三八零零幺三八零零零",
        "欠了两万三千五百块钱",
        "三月五号下午三点半停水",
        "只有十三点五度",
        "五号楼六零二",
    ],
)
def test_what_is_shown_and_what_was_heard_count_as_the_same(said: str) -> None:
    shown = display(spoken(*said)).text
    assert shown != said
    assert cer(said, shown) == cer(shown, said) == 0


def test_latin_words_keep_their_space() -> None:
    assert join_words(["我", "的", "wi", "fi", "坏", "了"]) == "我的wi fi坏了"
