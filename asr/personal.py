"""Personal numbers in what was said: telephone, identity and bank card numbers, codes; where, and when. Pure.

Safe rather than exact, because a recognizer may mishear: six digits or more in a row are personal whatever they are,
also where pauses, 嗯 and 对 come between them, and nine or more also where one word in between is no digit at all.
Years, amounts (一百二十) and house numbers are shorter. Check digits tell what a number is, not whether it is hidden.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Any, Protocol

from asr.figures import SPOKEN_DIGITS
from asr.recognizer import Word
from asr.text import aligned
from recordings.redaction import AudioSpan

ANNOUNCER = "hotline"  # the speaker of announcements (asr.service.HOTLINE)
MIN_RUN = 6
MISHEARD_RUN = 9
MAX_PAUSE_MS = 5_000  # parts of a number that are further apart are hidden each, and what lies between is heard
MAX_OPEN = 60  # characters: a number with its pauses
CHECK_SIGN = "Xx叉"  # the last sign of some identity numbers

DIGIT = "0-9０-９" + "".join(SPOKEN_DIGITS)
_TICKET = re.compile(r"[A-Z]{2}[0-9]{14}(?![0-9])")  # a ticket's number is nobody's secret
_LINK = r"(?:[ \-－—，。、,.？]|那个|就是|然后|[嗯啊呃额哦噢对好是吧的]){0,4}+"
_UNITS = (
    "年月日号点分秒时刻元块毛角钱度米公里楼层栋幢单元室门路线户家岁个人口名位次天周斤两吨克升倍成多半几十百千万亿第到至"
)
_MISHEARD = rf"{_LINK}(?![{DIGIT}{_UNITS}])[\u4e00-\u9fff]{_LINK}"
_RUN = re.compile(rf"[{DIGIT}](?:{_LINK}[{DIGIT}{CHECK_SIGN}]){{{MIN_RUN - 1},}}")
_BROKEN = re.compile(rf"(?<![{DIGIT}])[{DIGIT}]{{2,}}+(?:(?:{_LINK}|{_MISHEARD})[{DIGIT}]{{2,}}+)+")
_OPEN = re.compile(rf"[{DIGIT}](?:{_LINK}[{DIGIT}{CHECK_SIGN}])*{_LINK}[！\n]?$")
_MOBILE = re.compile(r"(?:86)?1[3-9][0-9]{9}")
_IDENTITY = re.compile(r"[1-9][0-9]{16}[0-9X]")
_CARD = re.compile(r"[2-9][0-9]{14,18}")
_WEIGHTS = tuple(pow(2, 17 - place, 11) for place in range(17))


class Kind(StrEnum):
    """What a number is, as far as its digits tell."""

    MOBILE = "mobile"
    IDENTITY = "identity"
    BANK_CARD = "bank_card"
    NUMBER = "number"


@dataclass(frozen=True)
class PersonalNumber:
    """`text[start:end]`, from its first digit to its last."""

    start: int
    end: int
    kind: Kind


class Spoken(Protocol):
    """A segment of a transcript; `words` are [text, start_ms, end_ms, confidence]."""

    @property
    def speaker(self) -> str: ...
    @property
    def start_ms(self) -> int: ...
    @property
    def end_ms(self) -> int: ...
    @property
    def text(self) -> str: ...
    @property
    def words(self) -> Sequence[Any]: ...


def find_numbers(text: str) -> list[PersonalNumber]:
    """The personal numbers in `text`, in order."""
    plain = _TICKET.sub(lambda match: "\n" * len(match.group()), text)
    places = [match.span() for match in _RUN.finditer(plain)]
    places += [match.span() for match in _BROKEN.finditer(plain) if len(digits_of(match.group())) >= MISHEARD_RUN]
    found: list[tuple[int, int]] = []
    for start, end in sorted(places):
        if found and start < found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return [PersonalNumber(start, end, kind_of(digits_of(text[start:end]))) for start, end in found]


def open_number(text: str) -> PersonalNumber | None:
    """The digits, however few, that `text` ends with: what is said next may go on with them."""
    match = _OPEN.search(_TICKET.sub(lambda ticket: "\n" * len(ticket.group()), text[-MAX_OPEN:]))
    if match is None:
        return None
    before = max(0, len(text) - MAX_OPEN)
    return PersonalNumber(before + match.start(), before + match.end(), kind_of(digits_of(match.group())))


def is_digit(character: str) -> bool:
    """Whether this is a digit of a number: Arabic, spoken, or the X that may end an identity number."""
    return character in SPOKEN_DIGITS or character in CHECK_SIGN or bool(re.match(f"[{DIGIT}]", character))


def digits_of(text: str) -> str:
    """The digits of `text` in ASCII; X for the check sign."""
    return "".join(
        "X" if character in CHECK_SIGN else SPOKEN_DIGITS.get(character) or str(unicodedata.digit(character))
        for character in text
        if is_digit(character)
    )


def kind_of(digits: str) -> Kind:
    """By form and check digit: identity numbers as GB 11643 (ISO 7064, MOD 11-2), bank cards as ISO/IEC 7812 (Luhn)."""
    if _MOBILE.fullmatch(digits):
        return Kind.MOBILE
    if _IDENTITY.fullmatch(digits) and identity_check(digits[:17]) == digits[17]:
        return Kind.IDENTITY
    if _CARD.fullmatch(digits) and luhn_sum(digits) % 10 == 0:
        return Kind.BANK_CARD
    return Kind.NUMBER


def identity_check(digits: str) -> str:
    """The sign that follows 17 digits of an identity number."""
    return "10X98765432"[sum(int(digit) * weight for digit, weight in zip(digits, _WEIGHTS, strict=True)) % 11]


def luhn_sum(digits: str) -> int:
    """Divisible by ten where the last digit checks the others."""
    odd, even = digits[-1::-2], digits[-2::-2]
    return sum(map(int, odd)) + sum(sum(divmod(2 * int(digit), 10)) for digit in even)


def spoken_spans(segments: Iterable[Spoken]) -> list[AudioSpan]:
    """When the personal numbers of a transcript are said, by any speaker, without margins.

    Looks at the text people read as well as at the words as they were heard: an edit may have taken the digits out of
    one of them. An announcement's words have no times of their own, so it is hidden whole.
    """
    ordered = sorted(segments, key=lambda segment: (segment.speaker, segment.start_ms))
    found: list[AudioSpan] = []
    for speaker, group in groupby(ordered, key=lambda segment: segment.speaker):
        own = list(group)
        for timed in (_read, _heard):
            characters = [item for segment in own for item in timed(segment, whole=speaker == ANNOUNCER)]
            found += _spans(characters)
    return found


@dataclass(frozen=True)
class _Character:
    text: str
    start_ms: int
    end_ms: int


def _spans(characters: Sequence[_Character]) -> Iterator[AudioSpan]:
    for number in find_numbers("".join(character.text for character in characters)):
        part = characters[number.start : number.end]
        start, end = part[0].start_ms, part[0].end_ms
        for character in part:
            if character.start_ms - end > MAX_PAUSE_MS:
                yield AudioSpan(start, end)
                start = character.start_ms
            end = max(end, character.end_ms)
        yield AudioSpan(start, end)


def _read(segment: Spoken, *, whole: bool) -> Iterator[_Character]:
    """The text people read; without words, all of it for as long as the segment lasts."""
    words = _words(segment)
    if words and not whole:
        shown = aligned(segment.text, words)
        for character, index in zip(shown.text, shown.word_of, strict=True):
            yield _Character(character, words[index].start_ms, words[index].end_ms)
    else:
        for character in segment.text:
            yield _Character(character, segment.start_ms, segment.end_ms)


def _heard(segment: Spoken, *, whole: bool) -> Iterator[_Character]:
    for word in _words(segment):
        start, end = (segment.start_ms, segment.end_ms) if whole else (word.start_ms, word.end_ms)
        for character in word.text:
            yield _Character(character, start, end)


def _words(segment: Spoken) -> list[Word]:
    try:
        return [Word(*row) for row in segment.words]
    except (TypeError, ValueError):
        return []
