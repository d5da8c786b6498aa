"""What a person may do to a transcript: pure functions from sentences to sentences; nothing is changed in place.

Sentences stand in the order of time and are named by their place in it (`at`), which the version they belong to makes
certain.
"""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from asr.alignment import realign, spread, tokens
from asr.recognizer import Final, Word
from asr.text import aligned, join_words
from hotline.errors import InvalidInputError

SPEAKERS = ("caller", "seat", "hotline")
"""Who may be chosen as a sentence's speaker, beside those that the transcript has."""


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """A segment of a transcript, with who changed its text and who confirmed it last. `words` may be empty where an old
    row has none; times are milliseconds on the recording's clock."""

    speaker: str
    start_ms: int
    end_ms: int
    text: str
    words: tuple[Word, ...]
    edited_by: str = ""
    edited_at: datetime | None = None
    confirmed_by: str = ""
    confirmed_at: datetime | None = None

    @property
    def confirmed(self) -> bool:
        return self.confirmed_at is not None

    @property
    def confidence(self) -> float:
        return Final(self.words).confidence if self.words else 0.0


@dataclass(frozen=True, kw_only=True)
class Change:
    """Who works when, and what bounds him."""

    editor: str
    now: datetime
    duration_ms: int
    max_characters: int = 1000
    """The longest text of a sentence."""


@dataclass(frozen=True)
class SetText:
    """The sentence reads otherwise."""

    at: int
    text: str


@dataclass(frozen=True)
class Split:
    """The sentence ends before character `offset` of its text; the rest is one of its own."""

    at: int
    offset: int


@dataclass(frozen=True)
class Merge:
    """The sentence and the one after it are one."""

    at: int


@dataclass(frozen=True)
class SetSpeaker:
    """Someone else said it."""

    at: int
    speaker: str


@dataclass(frozen=True)
class Delete:
    """Nobody said it: noise that was taken for words."""

    at: int


@dataclass(frozen=True)
class Insert:
    """What was said and not heard."""

    speaker: str
    text: str
    start_ms: int
    end_ms: int


Operation = SetText | Split | Merge | SetSpeaker | Delete | Insert
Kind = Literal["text", "split", "merge", "speaker", "delete", "insert"]
OPERATIONS: Mapping[str, type[Operation]] = {
    "text": SetText,
    "split": Split,
    "merge": Merge,
    "speaker": SetSpeaker,
    "delete": Delete,
    "insert": Insert,
}


def parse_operation(data: Any) -> Operation:
    """An operation of a request: `{"do": "text", "at": 3, "text": "..."}`; raises `InvalidInputError`."""
    wrong = InvalidInputError("无法识别的修改", hint="请刷新页面后重试")
    if not isinstance(data, dict):
        raise wrong
    values = dict(data)
    kind = OPERATIONS.get(str(values.pop("do", "")))
    if kind is None or values.keys() != kind.__annotations__.keys():
        raise wrong
    if any(type(values[name]) is not wanted for name, wanted in kind.__annotations__.items()):
        raise wrong
    return kind(**values)


def describe(operation: Operation) -> dict[str, Any]:
    """What a version's row keeps of an operation: not the text, which the version has."""
    name = next(name for name, kind in OPERATIONS.items() if isinstance(operation, kind))
    kept = {"at", "offset", "speaker", "start_ms"}
    return {"do": name} | {key: value for key, value in vars(operation).items() if key in kept}


def apply(sentences: Sequence[Sentence], operation: Operation, change: Change) -> tuple[Sentence, ...]:
    """The sentences after the operation; raises `InvalidInputError` where it can't be done."""
    at = getattr(operation, "at", 0)
    if not isinstance(operation, Insert) and not 0 <= at < len(sentences):
        raise InvalidInputError(f"没有第 {at + 1} 句", hint="请刷新页面后重试")
    result = _APPLY[type(operation)](sentences, operation, change)
    return tuple(sorted(result, key=lambda sentence: sentence.start_ms))


def clean_text(text: str, *, longest: int) -> str:
    """A person's text as it is kept: one line, composed characters, nothing invisible; raises `InvalidInputError`."""
    line = " ".join(unicodedata.normalize("NFC", text).split())
    line = "".join(character for character in line if unicodedata.category(character)[0] != "C")
    if len(line) > longest:
        raise InvalidInputError(f"一句最多 {longest} 个字，现有 {len(line)} 个", hint="请拆成几句")
    if not any(token.spoken for token in tokens(line)):
        raise InvalidInputError("句子里要有文字", hint="要去掉这句话，请用“删除”")
    return line


def _set_text(sentences: Sequence[Sentence], operation: SetText, change: Change) -> list[Sentence]:
    sentence = sentences[operation.at]
    text = clean_text(operation.text, longest=change.max_characters)
    if text == sentence.text:
        return list(sentences)
    earliest, latest = _room(sentences, operation.at, change.duration_ms)
    words = realign(sentence.text, sentence.words, text, earliest_ms=earliest, latest_ms=latest)
    return _replaced(sentences, operation.at, _written(_bounded(replace(sentence, text=text, words=words)), change))


def _split(sentences: Sequence[Sentence], operation: Split, change: Change) -> list[Sentence]:
    sentence = sentences[operation.at]
    texts = [sentence.text[: operation.offset].strip(), sentence.text[operation.offset :].strip()]
    if operation.offset <= 0 or not all(any(token.spoken for token in tokens(text)) for text in texts):
        raise InvalidInputError("拆分处两边都要有文字", hint="请把光标放在句子中间")
    left, right = _split_words(sentence, operation.offset)
    halves = [
        _bounded(replace(sentence, text=text, words=words, start_ms=words[0].start_ms, end_ms=words[-1].end_ms))
        for text, words in zip(texts, (left, right), strict=True)
    ]
    halves[0] = replace(halves[0], start_ms=min(sentence.start_ms, halves[0].start_ms))
    halves[1] = replace(halves[1], end_ms=max(sentence.end_ms, halves[1].end_ms))
    return _replaced(sentences, operation.at, *(_touched(half, change) for half in halves))


def _split_words(sentence: Sentence, offset: int) -> tuple[tuple[Word, ...], tuple[Word, ...]]:
    """The words on both sides; one that reaches over the border is cut where its characters are."""
    text, words = sentence.text, sentence.words
    if not words:
        words = spread([token.text for token in tokens(text) if token.spoken], sentence.start_ms, sentence.end_ms)
    shown = aligned(text, words)
    sides: dict[int, tuple[str, str]] = {}
    for at, index in enumerate(shown.word_of):
        if text[at].isalnum():
            left, right = sides.get(index, ("", ""))
            sides[index] = (left + text[at], right) if at < offset else (left, right + text[at])
    border = min(index for index, (_, right) in sides.items() if right)
    before: list[Word] = []
    after: list[Word] = []
    for index, word in enumerate(words):
        left, right = sides.get(index, ("", ""))
        if left and right:
            middle = word.start_ms + (word.end_ms - word.start_ms) * len(left) // len(left + right)
            before.append(Word(left, word.start_ms, middle, word.confidence))
            after.append(Word(right, middle, word.end_ms, word.confidence))
        elif left or (not right and index < border):
            before.append(word)
        else:
            after.append(word)
    return tuple(before), tuple(after)


def _merge(sentences: Sequence[Sentence], operation: Merge, change: Change) -> list[Sentence]:
    if operation.at + 1 == len(sentences):
        raise InvalidInputError("最后一句后面没有可以合并的")
    first, second = sentences[operation.at : operation.at + 2]
    if first.speaker != second.speaker:
        raise InvalidInputError("两句话的说话人不同", hint="先把说话人改成一样，再合并")
    text = join_words([first.text, second.text])
    if len(text) > change.max_characters:
        raise InvalidInputError(f"合并后超过 {change.max_characters} 个字")
    merged = replace(
        first,
        text=text,
        end_ms=max(first.end_ms, second.end_ms),
        words=tuple(sorted((*first.words, *second.words), key=lambda word: word.start_ms)),
    )
    merged = _touched(merged, change)
    if not (first.confirmed and second.confirmed):
        merged = replace(merged, confirmed_by="", confirmed_at=None)
    return [*sentences[: operation.at], merged, *sentences[operation.at + 2 :]]


def _set_speaker(sentences: Sequence[Sentence], operation: SetSpeaker, change: Change) -> list[Sentence]:
    known = {*SPEAKERS, *(sentence.speaker for sentence in sentences)}
    if operation.speaker not in known:
        raise InvalidInputError(f"没有这种说话人：{operation.speaker[:16]}")
    sentence = sentences[operation.at]
    if sentence.speaker == operation.speaker:
        return list(sentences)
    return _replaced(sentences, operation.at, _touched(replace(sentence, speaker=operation.speaker), change))


def _delete(sentences: Sequence[Sentence], operation: Delete, _change: Change) -> list[Sentence]:
    if len(sentences) == 1:
        raise InvalidInputError("转写里至少要留一句话")
    return [*sentences[: operation.at], *sentences[operation.at + 1 :]]


def _insert(sentences: Sequence[Sentence], operation: Insert, change: Change) -> list[Sentence]:
    known = {*SPEAKERS, *(sentence.speaker for sentence in sentences)}
    text = clean_text(operation.text, longest=change.max_characters)
    latest = max([change.duration_ms, *(sentence.end_ms for sentence in sentences)])
    if operation.speaker not in known or not 0 <= operation.start_ms <= operation.end_ms <= latest:
        raise InvalidInputError("新句子的时间或说话人无效", hint="时间要在录音之内")
    words = spread([token.text for token in tokens(text) if token.spoken], operation.start_ms, operation.end_ms)
    new = Sentence(
        speaker=operation.speaker, start_ms=operation.start_ms, end_ms=operation.end_ms, text=text, words=words
    )
    return [*sentences, _written(new, change)]


_APPLY: Mapping[type, Callable[[Sequence[Sentence], Any, Change], list[Sentence]]] = {
    SetText: _set_text,
    Split: _split,
    Merge: _merge,
    SetSpeaker: _set_speaker,
    Delete: _delete,
    Insert: _insert,
}


def _replaced(sentences: Sequence[Sentence], at: int, *new: Sentence) -> list[Sentence]:
    return [*sentences[:at], *new, *sentences[at + 1 :]]


def _touched(sentence: Sentence, change: Change) -> Sentence:
    return replace(sentence, edited_by=change.editor, edited_at=change.now)


def _written(sentence: Sentence, change: Change) -> Sentence:
    """Who writes what was said has listened: that confirms it."""
    return replace(_touched(sentence, change), confirmed_by=change.editor, confirmed_at=change.now)


def _bounded(sentence: Sentence) -> Sentence:
    """The sentence reaches as far as its words."""
    return replace(
        sentence,
        start_ms=min(sentence.start_ms, sentence.words[0].start_ms),
        end_ms=max(sentence.end_ms, *(word.end_ms for word in sentence.words)),
    )


def _room(sentences: Sequence[Sentence], at: int, duration_ms: int) -> tuple[int, int]:
    """From the end of the same speaker's sentence before to the start of his next."""
    own = sentences[at]
    before = [each.end_ms for each in sentences[:at] if each.speaker == own.speaker]
    after = [each.start_ms for each in sentences[at + 1 :] if each.speaker == own.speaker]
    earliest = min(max(before, default=0), own.start_ms)
    return earliest, max(min(after, default=duration_ms), own.end_ms)
