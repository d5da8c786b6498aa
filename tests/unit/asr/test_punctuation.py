"""Marks by pauses and by words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.punctuation import COMMA, QUESTION, STOP, marks
from asr.recognizer import Word


def punctuated(*parts: str | int) -> str:
    """Words of 100 ms a character, a number being a pause in ms, with their marks."""
    words: list[Word] = []
    at = 0
    for part in parts:
        if isinstance(part, int):
            at += part
        else:
            words.append(Word(part, at, at + 100 * len(part), 1.0))
            at += 100 * len(part)
    return "".join(word.text + mark for word, mark in zip(words, marks(words), strict=True))


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        # a pause alone
        (("家里", "停水", 400, "电梯", "停运"), "家里停水，电梯停运。"),
        (("路灯", "坏了", 900, "我", "很", "担心"), "路灯坏了。我很担心。"),
        # a pause inside a phrase is none
        (("我", "住", "在", 450, "康庄镇"), "我住在康庄镇。"),
        (("这个", "是", "我", 400, "的", "电话"), "这个是我的电话。"),
        # words that open a clause make a short pause count
        (("找过", "物业", 160, "但是", "没人", "管"), "找过物业，但是没人管。"),
        (("交", "了", "材料", 160, "所以", "来", "问"), "交了材料，所以来问。"),
        (("这", "是", 160, "因为", "下雨"), "这是因为下雨。"),
        # greetings
        (("您好", "我", "姓王"), "您好，我姓王。"),
        (("喂", "你好", "我", "反映", "一下"), "喂，你好，我反映一下。"),
        (("你好", "像", "认识", "我"), "你好像认识我。"),
        # a sentence that goes on has no stop
        (("车", "改道", "了", 900, "可是", "站牌", "没", "写"), "车改道了，可是站牌没写。"),
        # questions
        (("什么", "时候", "来水"), "什么时候来水？"),
        (("请问", "怎么", "办理", 900, "我", "在", "康庄"), "请问怎么办理？我在康庄。"),
        (("能", "报名", "吗", 200, "户口", "不在", "本区"), "能报名吗？户口不在本区。"),
        # also where it was broken by a pause
        (("能不能", "上", 600, "门", "办理"), "能不能上，门办理？"),
        (("你们", "管不管", "公交车", "的", "事情"), "你们管不管公交车的事情？"),
        # told, not asked
        (("不知道", "是", "哪个", "单位", "在", "施工"), "不知道是哪个单位在施工。"),
        (("我", "想", "咨询", "一下", "补贴", "什么", "时候", "发"), "我想咨询一下补贴什么时候发。"),
        (("没", "什么", "问题", "谁", "都", "可以"), "没什么问题谁都可以。"),
        (("明天", "还要", "上学", "呢"), "明天还要上学呢。"),
        # numbers are told with pauses
        (("一三八", 900, "零零幺三"), "一三八，零零幺三。"),
        # an utterance that ends in the middle
        (("我", "找过", "他", 800, "但是"), "我找过他，但是，"),
        (("一直", "没给"), "一直没给。"),
        (("对",), "对。"),
        ((), ""),
    ],
)
def test_marks_follow_pauses_and_words(parts: tuple[str | int, ...], text: str) -> None:
    assert punctuated(*parts) == text


WORDS = st.lists(
    st.tuples(st.text("您好我但是因为什么时候吗的了一三ab", min_size=1, max_size=4), st.integers(0, 2000)), max_size=14
)


@given(WORDS)
def test_every_word_has_a_mark_or_none_and_the_last_has_one(parts: list[tuple[str, int]]) -> None:
    words, at = [], 0
    for text, pause in parts:
        words.append(Word(text, at + pause, at + pause + 100, 1.0))
        at += pause + 100
    given_marks = marks(words)
    assert len(given_marks) == len(words)
    assert set(given_marks) <= {"", COMMA, STOP, QUESTION}
    assert not words or given_marks[-1]


@given(WORDS)
def test_a_longer_pause_never_takes_a_mark_away(parts: list[tuple[str, int]]) -> None:
    for pause in (0, 200, 400, 800):
        first, second = [], []
        at = 0
        for text, _ in parts[:2]:
            first.append(Word(text, at, at + 100, 1.0))
            second.append(Word(text, at + at // 100 * 300, at + at // 100 * 300 + 100, 1.0))
            at += 100 + pause
        if len(first) == 2 and marks(first)[0]:
            assert marks(second)[0]
