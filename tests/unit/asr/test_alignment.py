"""Word times after a person changed the text."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.alignment import realign, spread, tokens
from asr.recognizer import Word
from asr.text import display


def spoken(text: str, *, gap_ms: int = 100) -> list[Word]:
    """The words of `text`, 200 ms a character, a gap between two."""
    words, at = [], 1000
    for word in text.split():
        words.append(Word(word, at, at + 200 * len(word), 0.4))
        at += 200 * len(word) + gap_ms
    return words


def changed(words: str, text: str, **bounds: int) -> list[tuple[str, int, int]]:
    said = spoken(words)
    return [(word.text, word.start_ms, word.end_ms) for word in realign(display(said).text, said, text, **bounds)]


def test_a_number_and_a_latin_word_are_one_token_each() -> None:
    assert [token.text for token in tokens("3号楼13.5度，wifi 6")] == [
        "3",
        "号",
        "楼",
        "13.5",
        "度",
        "，",
        "wifi",
        " ",
        "6",
    ]


def test_words_that_stay_keep_their_times_and_a_new_one_takes_the_time_of_what_it_replaces() -> None:
    assert changed("住 在 张山银 镇", "住在张山营镇。") == [
        ("住", 1000, 1200),
        ("在", 1300, 1500),
        ("张", 1600, 1800),
        ("山", 1800, 2000),
        ("营", 2000, 2200),
        ("镇", 2300, 2500),
    ]


def test_punctuation_alone_changes_no_word() -> None:
    said = spoken("我 姓 张 住 在 延庆")
    assert realign(display(said).text, said, "我姓张，住在延庆！") == tuple(said)


def test_digits_spoken_one_by_one_stay_while_something_else_changes() -> None:
    said = spoken("我 电化 是 幺 三 八 零 零 幺 三 八 零 零 零", gap_ms=0)
    assert display(said).text == "我电化是13800138000。"
    new = realign(display(said).text, said, "我电话是13800138000。")
    assert [word.text for word in new] == ["我", "电", "话", "是", *"幺三八零零幺三八零零零"]
    assert list(new[3:]) == said[2:]


def test_a_changed_number_is_one_word_over_the_time_of_all_its_digits() -> None:
    said = spoken("电话 是 幺 三 八 零 零", gap_ms=0)
    new = realign(display(said).text, said, "电话是13900。")
    assert [(word.text, word.start_ms, word.end_ms) for word in new[2:]] == [
        ("13900", said[2].start_ms, said[-1].end_ms)
    ]


def test_a_word_put_in_gets_the_gap_it_stands_in() -> None:
    assert changed("我 张", "我姓张。")[1] == ("姓", 1200, 1300)


def test_a_character_put_into_a_word_breaks_it_up() -> None:
    assert changed("张营镇", "张山营镇。") == [
        ("张", 1000, 1150),
        ("山", 1150, 1300),
        ("营", 1300, 1450),
        ("镇", 1450, 1600),
    ]


def test_words_at_the_ends_reach_into_the_silence_but_not_into_other_speech() -> None:
    assert changed("坏 了", "路灯坏了很久。", earliest_ms=900, latest_ms=10_000) == [
        ("路", 900, 950),
        ("灯", 950, 1000),
        ("坏", 1000, 1200),
        ("了", 1300, 1500),
        ("很", 1500, 1720),
        ("久", 1720, 1940),
    ]


def test_what_was_cut_out_is_gone_and_the_rest_unmoved() -> None:
    assert changed("嗯 路灯 坏 了", "路灯坏了。") == [("路灯", 1300, 1700), ("坏", 1800, 2000), ("了", 2100, 2300)]


def test_a_text_without_words_is_spread_from_its_beginning() -> None:
    new = realign("", (), "路灯坏了。", earliest_ms=500, latest_ms=900)
    assert [(word.text, word.start_ms, word.end_ms) for word in new] == [
        ("路", 500, 600), ("灯", 600, 700), ("坏", 700, 800), ("了", 800, 900)
    ]  # fmt: skip


def test_a_text_in_which_nothing_is_spoken_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing is spoken"):
        realign("好。", spoken("好"), "……")


def test_spread_fills_the_time_by_length() -> None:
    assert [(word.start_ms, word.end_ms) for word in spread(["138", "号"], 0, 400)] == [(0, 300), (300, 400)]


WORDS = st.lists(st.text("路灯坏了幺三八零一二A5", min_size=1, max_size=4), min_size=1, max_size=12)


@given(
    WORDS,
    st.lists(st.integers(0, 900), min_size=12, max_size=12),
    st.text("路灯坏了138零，。 A5三", max_size=30),
    st.booleans(),
)
def test_whatever_a_person_writes_words_stay_ordered_and_kept_ones_exact(
    texts: list[str], gaps: list[int], after: str, at_end: bool
) -> None:
    said, at = [], 500
    for text, gap in zip(texts, gaps, strict=False):
        at += gap
        said.append(Word(text, at, at + 150 * len(text), 0.4))
        at = said[-1].end_ms
    before = display(said).text
    after = before + after if at_end else after
    if not any(token.spoken for token in tokens(after)):
        return
    new = realign(before, said, after, earliest_ms=100, latest_ms=at + 5000)
    assert all(one.start_ms <= two.start_ms and one.end_ms <= two.end_ms for one, two in pairwise(new))
    assert new[0].start_ms >= 100
    assert new[-1].end_ms <= at + 5000
    machine = [word for word in new if word.confidence < 1]
    rest = iter(said)
    assert all(word in rest for word in machine), "a kept word is another, or in another place"
    if at_end:
        assert machine[: len(said) - 1] == said[: len(said) - 1]
