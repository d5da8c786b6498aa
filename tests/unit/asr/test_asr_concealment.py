"""Who does not see numbers changes nothing that would show them."""

from datetime import UTC, datetime

import pytest

from asr.concealment import masked_texts, reveals
from asr.editing import Change, Delete, Insert, Merge, Operation, Sentence, SetSpeaker, SetText, Split, apply
from asr.recognizer import Word

CHANGE = Change(editor="lisi", now=datetime(2026, 1, 5, tzinfo=UTC), duration_ms=60_000)


def said(speaker: str, text: str, start_ms: int) -> Sentence:
    words = tuple(Word(character, start_ms, start_ms, 1.0) for character in text)
    return Sentence(speaker=speaker, start_ms=start_ms, end_ms=start_ms, text=text, words=words)


TOLD = (
    said("caller", "我姓张", 0),
    said("caller", "幺三八零零", 1000),
    said("seat", "马上记", 2000),
    said("caller", "幺三八零零零", 3000),
    said("caller", "路灯坏了", 4000),
)


def test_a_number_told_in_two_breaths_is_hidden_in_both() -> None:
    assert masked_texts(TOLD) == ["我姓张", "幺三八**", "马上记", "**八零零零", "路灯坏了"]


@pytest.mark.parametrize(
    ("operation", "shows"),
    [
        (SetText(0, "我姓章"), False),
        (SetText(4, "路灯不亮"), False),
        (SetText(1, "幺三八一"), True),
        (SetText(3, "没有"), True),
        (SetText(2, "好"), False),
        (Split(1, 3), False),
        (Split(4, 2), False),
        (Merge(0), False),
        (Merge(3), False),
        (SetSpeaker(0, "seat"), False),
        (SetSpeaker(1, "seat"), True),
        (SetSpeaker(3, "seat"), True),
        (SetSpeaker(2, "caller"), True),
        (Delete(4), False),
        (Delete(1), True),
        (Insert("seat", "请说", 2500, 2600), False),
        (Insert("caller", "马上记", 2500, 2600), True),
        (Insert("caller", "喂", 500, 600), False),
    ],
)
def test_what_would_show_a_hidden_digit_is_found(operation: Operation, shows: bool) -> None:
    assert reveals(TOLD, operation, apply(TOLD, operation, CHANGE)) is shows
