"""Personal numbers hidden before they leave the server: pure functions on text.

A run is six or more digits, Arabic or spoken (幺三八…), with at most a blank, a hyphen or a mark between two (a pause
while a number is told becomes one): mobile and landline numbers, identity and bank card numbers. Years, amounts
(一百二十) and house numbers are shorter and stay.
"""

import re
from collections.abc import Iterator, Sequence

from asr.figures import SPOKEN_DIGITS

HIDDEN = "*"
MIN_RUN = 6
_DIGIT = "0-9０-９" + "".join(SPOKEN_DIGITS)
_SEPARATORS = " -－—，。、,."
_TICKET = r"[A-Z]{2}[0-9]{14}(?![0-9])"  # a ticket's number is nobody's secret
_RUN = re.compile(rf"{_TICKET}|[{_DIGIT}](?:[{re.escape(_SEPARATORS)}]?[{_DIGIT}Xx]){{{MIN_RUN - 1},}}")
_MOBILE_DIGITS = 11


def mask_numbers(text: str) -> str:
    """`text` of the same length, the middle of every run hidden."""
    return _RUN.sub(lambda match: _mask_run(match.group()), text)


def mask_words(words: list[str]) -> list[str]:
    """`mask_numbers` over words as they were spoken: a run may span many words, which keep their lengths."""
    masked = mask_numbers("".join(words))
    result, position = [], 0
    for word in words:
        result.append(masked[position : position + len(word)])
        position += len(word)
    return result


def mask_spoken(said: Sequence[tuple[str, str]]) -> list[str]:
    """The texts of (speaker, text) in order of time, masked as one text a speaker: people pause while they tell a
    number, and a pause ends a segment."""
    masked: dict[str, Iterator[str]] = {}
    for speaker in {speaker for speaker, _ in said}:
        masked[speaker] = iter(mask_words([text for who, text in said if who == speaker]))
    return [next(masked[speaker]) for speaker, _ in said]


def digits_in(text: str) -> int:
    """How many digits, Arabic or spoken, `text` has."""
    return len(re.findall(f"[{_DIGIT}]", text))


def mask_phone(number: str) -> str:
    """A telephone number for a list: 138****8000, 010****4567; a short or empty one is hidden whole."""
    digits = [position for position, character in enumerate(number) if character.isdigit()]
    if len(digits) < MIN_RUN:
        return HIDDEN * len(number)
    return _hide(number, digits)


def _mask_run(run: str) -> str:
    if run[0].isascii() and run[0].isalpha():
        return run
    return _hide(run, [position for position, character in enumerate(run) if character not in _SEPARATORS])


def _hide(text: str, digits: list[int]) -> str:
    """Three digits in front and two (from a mobile's length on, four) behind stay; of six, a lookup code's, none."""
    head = 3 if len(digits) > MIN_RUN else 0
    tail = (4 if len(digits) >= _MOBILE_DIGITS else 2) if head else 0
    hidden = set(digits[head : len(digits) - tail])
    return "".join(HIDDEN if position in hidden else character for position, character in enumerate(text))
