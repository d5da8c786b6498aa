"""Personal numbers hidden before they leave the server: pure functions on text. What is personal: `asr.personal`."""

import re
from collections.abc import Iterator, Sequence

from asr.personal import DIGIT, MIN_RUN, Kind, find_numbers, is_digit, open_number

HIDDEN = "*"
_MOBILE_DIGITS = 11
_HEAD = 3


def mask_numbers(text: str) -> str:
    """`text` of the same length, the middle of every personal number hidden."""
    masked, at = "", 0
    for number in find_numbers(text):
        run = text[number.start : number.end]
        digits = [position for position, character in enumerate(run) if is_digit(character)]
        masked, at = masked + text[at : number.start] + _hide(run, digits), number.end
    return masked + text[at:]


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


def mask_growing(before: str, text: str, *, final: bool) -> str:
    """`text` as it is shown while it is being said, after `before`: of digits that may go on, three are shown.

    What follows them would stand at the end for a moment each, one after another, and so be told in the end.
    """
    masked = mask_words([before, text])[1]
    number = open_number(before + text)
    if number is None or (final and number.kind is not Kind.NUMBER):
        return masked
    whole = before + text
    digits = [at for at in range(number.start, number.end) if is_digit(whole[at])]
    if len(digits) < (MIN_RUN - 1 if final else 0):
        return masked
    hidden = {at - len(before) for at in digits[_HEAD:]}
    return "".join(HIDDEN if at in hidden else character for at, character in enumerate(masked))


def digits_in(text: str) -> int:
    """How many digits, Arabic or spoken, `text` has."""
    return len(re.findall(f"[{DIGIT}]", text))


def mask_phone(number: str) -> str:
    """A telephone number for a list: 138****8000, 010****4567; a short or empty one is hidden whole."""
    digits = [position for position, character in enumerate(number) if character.isdigit()]
    if len(digits) < MIN_RUN:
        return HIDDEN * len(number)
    return _hide(number, digits)


def mask_code(code: str) -> str:
    """An identity number, or a code that has letters, whatever its signs: 911****2X1."""
    return HIDDEN * len(code) if len(code) <= MIN_RUN else _hide(code, list(range(len(code))))


def _hide(text: str, digits: list[int]) -> str:
    """Three digits in front and two (from a mobile's length on, four) behind stay; of six, a lookup code's, none."""
    head = _HEAD if len(digits) > MIN_RUN else 0
    tail = (4 if len(digits) >= _MOBILE_DIGITS else 2) if head else 0
    hidden = set(digits[head : len(digits) - tail])
    return "".join(HIDDEN if position in hidden else character for position, character in enumerate(text))
