"""What people corrected: the words that a site may want its recognizer to know."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.corrections import MAX_CHARACTERS, Candidate, Correction, candidates, corrections
from asr.recognizer import Word


def heard(text: str) -> list[Word]:
    """The words of `text`, blanks between them, without pauses."""
    return [Word(word, 100 * at, 100 * at + 100, 0.6) for at, word in enumerate(text.split())]


@pytest.mark.parametrize(
    ("words", "confirmed", "expected"),
    [
        ("住 在 张 山 银 镇", "住在张山营镇。", [Correction("张山银镇", "张山营镇")]),
        ("我 住 在 下 都 家园", "我住在夏都家园。", []),  # one character is too short for a word
        ("我 住 在 下 嘟 家 园", "我住在夏都家园。", [Correction("下嘟家园", "夏都家园")]),
        ("没 电 设备 坏 了", "煤改电设备坏了。", [Correction("没电", "煤改电")]),
        ("归 水 北 街 不 亮", "妫水北街不亮。", [Correction("归水北街", "妫水北街")]),
        ("我 的 电话 是 幺 三 八", "我的电话是幺三九。", []),
        ("共 二 十 户", "共30户。", []),
        ("路灯 不 亮", "路灯不亮", []),
        ("路灯 不 亮", "路灯，不亮！", []),
        ("嗯 路灯 不 亮", "路灯不亮。", []),
        ("", "路灯不亮", []),
    ],
)
def test_a_candidate_is_the_whole_word_that_was_misheard(
    words: str, confirmed: str, expected: list[Correction]
) -> None:
    assert corrections(heard(words), confirmed) == expected


def test_a_word_unknown_to_the_recognizer_that_was_left_out_is_a_candidate() -> None:
    assert corrections(heard("我 在 办事"), "我在延庆办事。") == [Correction("", "延庆")]


def test_two_wrong_characters_of_one_word_are_one_correction() -> None:
    assert corrections(heard("住 在 章 山 银 镇"), "住在张山营镇。") == [Correction("章山银镇", "张山营镇")]


def test_candidates_are_counted_over_many_calls_with_what_was_heard() -> None:
    many = [Correction("张山银镇", "张山营镇")] * 2 + [
        Correction("章山营镇", "张山营镇"),
        Correction("归水", "妫水"),
        Correction("", "妫水"),
    ]
    assert candidates(many) == [
        Candidate("张山营镇", 3, ("张山银镇", "章山营镇")),
        Candidate("妫水", 2, ("归水",)),
    ]
    assert [each.word for each in candidates(many, at_least=3)] == ["张山营镇"]


@given(
    st.lists(st.text("张山营镇妫水北街的一A", min_size=1, max_size=3), max_size=12), st.text("张山营镇妫水北街的1，A")
)
def test_every_candidate_stands_in_the_confirmed_text_and_is_short(words: list[str], confirmed: str) -> None:
    for each in corrections(heard(" ".join(words)), confirmed):
        assert each.meant in confirmed
        assert each.meant != each.heard
        assert 2 <= len(each.meant) <= MAX_CHARACTERS
