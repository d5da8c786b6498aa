import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.recognizer import Word
from asr.scoring import (
    GAP,
    Alignment,
    CalibrationBin,
    Errors,
    align,
    calibration,
    calibration_error,
    cer,
    compare,
    word_hits,
)

strings = st.text("甲乙丙", max_size=8)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        ("您好，我姓张。", "您好我姓张", 0.0),
        ("我的电话是幺三八零", "我的电话是1380", 0.0),
        ("我的电话是一三八〇", "我的电话是幺三八零", 0.0),
        ("WiFi坏了", "ｗｉｆｉ 坏了", 0.0),
        ("路灯不亮", "路灯很亮", 0.25),
        ("路灯不亮", "路灯亮", 0.25),
        ("路灯", "路灯坏了啊啊", 2.0),
        ("", "", 0.0),
        ("。", "啊", 1.0),
    ],
)
def test_cer(reference: str, hypothesis: str, expected: float) -> None:
    assert cer(reference, hypothesis) == expected


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("欠了23500块，3月5号", "欠了两万三千五百块三月五号"),
        ("电话13800138000", "电话幺三八零零幺三八零零零"),
        ("下午3点半到", "下午三点半到"),
        ("１２度都不到", "十二度都不到"),
    ],
)
def test_spoken_numbers_are_the_figures_that_a_person_wrote(written: str, spoken: str) -> None:
    assert cer(written, spoken) == cer(spoken, written) == 0.0


def test_a_spoken_reference_is_compared_as_it_was_said() -> None:
    assert compare("三千五百块", "三千两百块").errors == Errors(characters=5, substitutions=1)


def test_errors_are_told_apart() -> None:
    aligned = align("今天路灯不亮", "路等不亮了")
    assert aligned == Alignment("今天路灯不亮＊", "＊＊路等不亮了")
    assert aligned.errors == Errors(characters=6, substitutions=1, deletions=2, insertions=1)
    assert aligned.hits == (True, False, True, True, False)
    assert Errors(6, 1, 2, 1) + Errors(4) == Errors(10, 1, 2, 1)


@given(strings, strings, strings)
def test_edits_are_a_metric(a: str, b: str, c: str) -> None:
    def distance(first: str, second: str) -> int:
        return align(first, second).errors.edits

    assert (distance(a, b) == 0) == (a == b)
    assert distance(a, b) == distance(b, a)
    assert distance(a, c) <= distance(a, b) + distance(b, c)
    assert abs(len(a) - len(b)) <= distance(a, b) <= max(len(a), len(b))


@given(strings, strings)
def test_an_alignment_holds_both_texts(reference: str, hypothesis: str) -> None:
    aligned = align(reference, hypothesis)
    assert aligned.reference.replace(GAP, "") == reference
    assert aligned.hypothesis.replace(GAP, "") == hypothesis
    assert aligned.errors.characters == len(reference)
    assert len(aligned.hits) == len(hypothesis)


def test_texts_of_other_lengths_are_not_aligned() -> None:
    with pytest.raises(ValueError, match="not aligned"):
        Alignment("路灯", "路")


def test_a_word_is_right_where_all_of_it_was_said() -> None:
    words = [Word("路灯", 0, 1, 0.9), Word("不凉", 1, 2, 0.4), Word("，", 2, 3, 0.1), Word("了", 3, 4, 0.8)]
    assert word_hits("路灯不亮了", words) == [(0.9, True), (0.4, False), (0.8, True)]


def test_confidence_is_held_against_what_was_right() -> None:
    bins = calibration([(0.95, True), (1.0, True), (0.91, False), (0.91, True), (0.35, False), (0.31, False)])
    assert bins == (CalibrationBin(2, pytest.approx(0.33), 0.0), CalibrationBin(4, pytest.approx(0.9425), 0.75))
    assert calibration_error(bins) == pytest.approx((2 * 0.33 + 4 * 0.1925) / 6)
    assert calibration_error(()) == 0.0
