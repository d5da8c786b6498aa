"""Misheard names of the site: what is corrected, and what is left alone."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.misheard import Corrector
from asr.recognizer import Word
from asr.text import display

NAMES = (
    "妫水北街",
    "妫水南街",
    "中关村延庆园",
    "井庄镇",
    "康庄镇",
    "张山营镇",
    "旧县镇",
    "延庆火车站",
    "刘斌堡乡",
    "香营乡",
)
CORRECTOR = Corrector(NAMES)


def corrected(text: str) -> str:
    shown = list(text)
    for found in CORRECTOR.find(text):
        assert text[found.start : found.end] == found.heard
        shown[found.start : found.end] = found.meant
    return "".join(shown)


@pytest.mark.parametrize(
    ("heard", "meant"),
    [
        ("贵水北街有一段路灯不亮", "妫水北街有一段路灯不亮"),
        ("在中关村延庆元", "在中关村延庆园"),
        ("景庄镇的三司村", "井庄镇的三司村"),
        ("归水男街和刘冰堡乡", "妫水南街和刘斌堡乡"),
        ("燕庆火车站", "延庆火车站"),
    ],
)
def test_a_misheard_name_is_written_as_it_is_meant(heard: str, meant: str) -> None:
    assert corrected(heard) == meant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "妫水南街",
        "住在赵山营镇",
        "这件事就嫌麻烦",
        "好像影响了休息",
        "妫水东街",
        "庆水北街",
        "康装修",
        "我们",
        "旧县",
    ],
)
def test_what_may_be_meant_as_it_is_stays(text: str) -> None:
    assert corrected(text) == text


def test_of_names_that_sound_alike_none_is_guessed() -> None:
    assert Corrector(("东沟村", "冬沟村")).find("咚沟村") == ()
    assert Corrector(("东沟村", "冬沟村")).find("冬沟村") == ()


def test_a_part_of_words_is_no_name() -> None:
    corrector = Corrector(("公事村",))
    assert corrector.find("办公室村里", {3, 4, 5}) == ()
    assert [found.meant for found in corrector.find("公室村里", {3, 4})] == ["公事村"]


def test_names_too_short_to_tell_or_not_chinese_are_not_looked_for() -> None:
    assert len(Corrector(("妫水", "5G基站", "张山营镇"))) == 1


def test_the_display_is_corrected_and_the_words_are_not() -> None:
    words = [Word(text, 100 * at, 100 * at + 90, 0.5) for at, text in enumerate(("桂", "水", "北街", "三", "百", "米"))]
    shown = display(words, CORRECTOR)
    assert shown.text == "妫水北街300米。"
    assert [words[index].text for index in shown.word_of][:4] == ["桂", "水", "北街", "北街"]
    assert words[0].text == "桂"
    (correction,) = shown.misheard
    assert (correction.heard, correction.meant) == ("桂水北街", "妫水北街")


@given(st.text("贵妫水北街延庆园元中关村井景庄镇路灯的，三0ab", max_size=30))
def test_corrections_are_found_once_and_a_corrected_text_stays(text: str) -> None:
    found = CORRECTOR.find(text)
    assert all(one.end <= other.start for one, other in pairwise(found))
    for each in found:
        assert len(each.heard) == len(each.meant) == each.end - each.start
        assert each.meant in NAMES
    once = corrected(text)
    assert corrected(once) == once


@given(
    st.lists(
        st.tuples(st.text("贵妫水北街延庆园元三0", min_size=1, max_size=4), st.integers(0, 900)),
        min_size=1,
        max_size=10,
    )
)
def test_every_character_of_a_corrected_display_has_its_word(parts: list[tuple[str, int]]) -> None:
    words, at = [], 0
    for text, pause in parts:
        words.append(Word(text, at + pause, at + pause + 100, 1.0))
        at += pause + 100
    shown = display(words, CORRECTOR)
    assert len(shown.text) == len(shown.word_of)
    assert list(shown.word_of) == sorted(shown.word_of)
