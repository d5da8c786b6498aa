"""What a person may do to a transcript."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from asr.editing import (
    Change,
    Delete,
    Insert,
    Merge,
    Operation,
    Sentence,
    SetSpeaker,
    SetText,
    Split,
    apply,
    clean_text,
    describe,
    parse_operation,
)
from asr.recognizer import Word
from asr.text import aligned, display
from hotline.errors import InvalidInputError

NOW = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
CHANGE = Change(editor="lisi", now=NOW, duration_ms=60_000)


def sentence(speaker: str, words: str, start_ms: int) -> Sentence:
    said, at = [], start_ms
    for text in words.split():
        said.append(Word(text, at, at + 200 * len(text), 0.4))
        at += 200 * len(text)
    return Sentence(speaker=speaker, start_ms=start_ms, end_ms=at, text=display(said).text, words=tuple(said))


def conversation() -> tuple[Sentence, ...]:
    return (
        sentence("hotline", "您好 请 讲", 0),
        sentence("caller", "我 姓 张 住 在 张山 银 镇", 2000),
        sentence("caller", "电话 幺 三 八 零 零 幺 三 八 零 零 零", 5000),
        sentence("seat", "好 的", 9000),
    )


def texts(sentences: Sequence[Sentence]) -> list[str]:
    return [each.text for each in sentences]


def do(operation: Operation, sentences: tuple[Sentence, ...] | None = None) -> tuple[Sentence, ...]:
    return apply(conversation() if sentences is None else sentences, operation, CHANGE)


def test_a_corrected_sentence_is_confirmed_by_who_wrote_it_and_the_others_are_untouched() -> None:
    after = do(SetText(1, "我姓张住在张山营镇。"))
    assert texts(after)[1] == "我姓张住在张山营镇。"
    assert (after[1].edited_by, after[1].confirmed_by, after[1].confirmed_at) == ("lisi", "lisi", NOW)
    assert (after[0], after[2], after[3]) == (conversation()[0], conversation()[2], conversation()[3])


def test_a_text_that_is_the_same_changes_nothing() -> None:
    before = conversation()
    assert do(SetText(1, f"  {before[1].text}\n")) == before


def test_a_sentence_is_split_where_its_words_part() -> None:
    before = conversation()[1]
    _, left, right, *_ = do(Split(1, before.text.index("住")))
    assert (left.text, right.text) == ("我姓张", "住在张山银镇。")
    assert (*left.words, *right.words) == before.words
    assert (left.start_ms, left.end_ms, right.start_ms, right.end_ms) == (2000, 2600, 2600, before.end_ms)
    assert left.edited_by == right.edited_by == "lisi"


def test_a_split_inside_a_word_cuts_its_time_where_its_characters_are() -> None:
    before = conversation()[1]
    _, left, right, *_ = do(Split(1, before.text.index("山")))
    assert (left.words[-1], right.words[0]) == (Word("张", 3000, 3200, 0.4), Word("山", 3200, 3400, 0.4))


def test_a_split_inside_a_number_parts_the_digits_as_they_were_spoken() -> None:
    before = conversation()[2]
    _, _, left, right, _ = do(Split(2, before.text.index("0")))
    assert (left.text, right.text) == ("电话138", "00138000。")
    assert (*left.words, *right.words) == before.words


def test_a_merge_brings_back_what_a_split_parted() -> None:
    before = conversation()
    parted = do(Split(1, before[1].text.index("住")))
    merged = do(Merge(1), parted)
    assert texts(merged) == texts(before)
    assert merged[1].words == before[1].words


def test_sentences_of_two_people_are_not_merged() -> None:
    with pytest.raises(InvalidInputError, match="说话人不同"):
        do(Merge(2))
    with pytest.raises(InvalidInputError, match="最后一句"):
        do(Merge(3))


def test_a_merge_is_confirmed_only_where_both_were() -> None:
    one = do(SetText(1, "我姓张。"))
    assert not do(Merge(1), one)[1].confirmed
    assert do(Merge(1), do(SetText(2, "电话没有。"), one))[1].confirmed


def test_someone_else_said_it() -> None:
    after = do(SetSpeaker(1, "seat"))
    assert (after[1].speaker, after[1].edited_by, after[1].words) == ("seat", "lisi", conversation()[1].words)
    with pytest.raises(InvalidInputError, match="说话人"):
        do(SetSpeaker(1, "<b>"))


def test_noise_goes_and_what_was_not_heard_comes_in_its_place_in_time() -> None:
    after = do(Insert("seat", "请问怎么称呼？", 1000, 1900), do(Delete(3)))
    assert texts(after)[1] == "请问怎么称呼？"
    assert (after[1].words[0], after[1].words[-1]) == (Word("请", 1000, 1150, 1.0), Word("呼", 1750, 1900, 1.0))
    with pytest.raises(InvalidInputError, match="至少"):
        do(Delete(0), conversation()[:1])


@pytest.mark.parametrize("span", [(-1, 5), (10, 5), (0, 60_001)])
def test_a_sentence_outside_the_recording_is_refused(span: tuple[int, int]) -> None:
    with pytest.raises(InvalidInputError, match="时间"):
        do(Insert("seat", "喂", *span))


@pytest.mark.parametrize("at", [-1, 4, 10**9])
def test_a_sentence_that_is_not_there_is_refused(at: int) -> None:
    with pytest.raises(InvalidInputError, match="没有第"):
        do(SetText(at, "喂"))


@pytest.mark.parametrize("offset", [-5, 0, 1000])
def test_a_split_at_an_end_is_refused(offset: int) -> None:
    with pytest.raises(InvalidInputError, match="两边"):
        do(Split(1, offset))


@pytest.mark.parametrize("text", ["", "  \n", "……", "\u200b\x00", "*"])
def test_a_sentence_without_words_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="要有文字"):
        do(SetText(1, text))


def test_a_text_is_kept_as_one_composed_line_without_anything_invisible() -> None:
    assert clean_text(" 路灯\n\t坏了 \u202e\x00e\u0301 ", longest=20) == "路灯 坏了 \u00e9"
    with pytest.raises(InvalidInputError, match="最多 20 个字，现有 21 个"):
        clean_text("路" * 21, longest=20)


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "text",
        {},
        {"do": "text"},
        {"do": "drop", "at": 1},
        {"do": "merge", "at": "1"},
        {"do": "merge", "at": True},
        {"do": "merge", "at": 1, "more": 1},
        {"do": "text", "at": 1, "text": None},
        {"do": ["text"], "at": 1, "text": "x"},
    ],
)
def test_a_request_that_is_no_operation_is_refused(data: Any) -> None:
    with pytest.raises(InvalidInputError, match="无法识别"):
        parse_operation(data)


def test_an_operation_is_read_and_described_without_its_text() -> None:
    operation = parse_operation({"do": "text", "at": 3, "text": "张山营"})
    assert operation == SetText(3, "张山营")
    assert describe(operation) == {"do": "text", "at": 3}
    assert describe(Insert("seat", "喂", 5, 9)) == {"do": "insert", "speaker": "seat", "start_ms": 5}


TEXT = st.text("路灯坏了张山营幺三八013 ，。？A", max_size=14)
SPEAKER = st.sampled_from(["caller", "seat", "hotline"])


class Desk(RuleBasedStateMachine):
    """A person who does anything, in any order, and never loses a version."""

    def __init__(self) -> None:
        super().__init__()
        self.versions: list[tuple[Sentence, ...]] = []
        self.kept: list[list[Any]] = []

    @property
    def now(self) -> tuple[Sentence, ...]:
        return self.versions[-1]

    @initialize()
    def open(self) -> None:
        self._save(conversation())

    def _save(self, version: tuple[Sentence, ...]) -> None:
        self.versions.append(version)
        self.kept.append([(each.text, each.words, each.speaker) for each in version])

    def _do(self, operation: Operation) -> None:
        with suppress(InvalidInputError):
            self._save(apply(self.now, operation, CHANGE))

    @rule(at=st.integers(0, 6), text=TEXT)
    def write(self, at: int, text: str) -> None:
        self._do(SetText(at, text))

    @rule(at=st.integers(0, 6), cut=st.integers(0, 14), put=TEXT)
    def correct(self, at: int, cut: int, put: str) -> None:
        if at < len(self.now):
            old = self.now[at].text
            self._do(SetText(at, old[:cut] + put + old[cut + 1 :]))

    @rule(at=st.integers(0, 6), offset=st.integers(0, 20))
    def split(self, at: int, offset: int) -> None:
        before = self.now
        self._do(Split(at, offset))
        if self.now is not before:
            spoken = [[word.text for each in version for word in each.words] for version in (before, self.now)]
            assert sum(map(len, spoken[1])) - sum(map(len, spoken[0])) in (0, 1)

    @rule(at=st.integers(0, 6))
    def merge(self, at: int) -> None:
        before = self.now
        self._do(Merge(at))
        if self.now is not before:
            words = [
                sorted((w.start_ms, w.end_ms, w.text) for s in version for w in s.words)
                for version in (before, self.now)
            ]
            assert words[0] == words[1]

    @rule(at=st.integers(0, 6), speaker=SPEAKER)
    def speaker(self, at: int, speaker: str) -> None:
        self._do(SetSpeaker(at, speaker))

    @rule(at=st.integers(0, 6))
    def delete(self, at: int) -> None:
        self._do(Delete(at))

    @rule(speaker=SPEAKER, text=TEXT, start=st.integers(0, 60_000), length=st.integers(0, 3000))
    def insert(self, speaker: str, text: str, start: int, length: int) -> None:
        self._do(Insert(speaker, text, start, start + length))

    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        self._save(data.draw(st.sampled_from(self.versions)))

    @invariant()
    def words_are_ordered_and_inside_their_sentence(self) -> None:
        for each in self.now if self.versions else ():
            assert each.words
            assert all(one.start_ms <= two.start_ms for one, two in pairwise(each.words))
            assert each.start_ms <= each.words[0].start_ms
            assert each.end_ms >= max(word.end_ms for word in each.words)
            assert 0 <= each.start_ms <= each.end_ms <= 60_000

    @invariant()
    def every_character_of_a_text_has_its_word(self) -> None:
        for each in self.now if self.versions else ():
            assert aligned(each.text, each.words).text == each.text
            assert each.text == each.text.strip()

    @invariant()
    def sentences_are_in_the_order_of_time(self) -> None:
        if self.versions:
            assert all(one.start_ms <= two.start_ms for one, two in pairwise(self.now))
            assert self.now

    @invariant()
    def no_version_has_changed(self) -> None:
        for version, kept in zip(self.versions, self.kept, strict=True):
            assert [(each.text, each.words, each.speaker) for each in version] == kept


Desk.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestDesk = Desk.TestCase
