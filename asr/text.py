"""Words to the text people read, and back: pauses become punctuation, spoken digits become figures. Pure.

The words stay as the engine gave them; `DisplayText` knows for every character which word it came from, so that a
click seeks. Whole numbers (两万三千), dates and amounts stay as spoken.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from asr.recognizer import Word

COMMA_GAP_MS = 300
STOP_GAP_MS = 700
# Also as people spell numbers out on the telephone: 洞 (0), 幺 (1), 两 (2), 拐 (7), 勾 (9).
SPOKEN_DIGITS = dict(zip("零〇○洞幺一二两三四五六七拐八九勾", "00001122345677899", strict=True))
UNITS = frozenset("十百千万亿")
MIN_DIGIT_RUN = 3  # 三零二 is a room; 一二 may be anything
QUESTION_ENDINGS = ("吗", "呢")


@dataclass(frozen=True)
class DisplayText:
    """`word_of[i]` is the index of the word that character i of `text` came from."""

    text: str
    word_of: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.text) != len(self.word_of):
            raise ValueError("a character without its word")


def join_words(words: Sequence[str]) -> str:
    """Chinese words stand together; a space stays between two Latin ones."""
    text = ""
    for word in words:
        text += " " + word if text and _latin(text[-1]) and _latin(word[:1]) else word
    return text


def display(words: Sequence[Word]) -> DisplayText:
    """The readable text of one utterance: figures for digit runs, ， and 。 by the length of pauses."""
    shown: list[tuple[str, int]] = []
    for index, word in enumerate(words):
        if index:
            gap_ms = word.start_ms - words[index - 1].end_ms
            if gap_ms >= COMMA_GAP_MS:
                shown.append((_stop(words[index - 1].text) if gap_ms >= STOP_GAP_MS else "，", index - 1))
            elif _latin(words[index - 1].text[-1]) and _latin(word.text[0]):
                shown.append((" ", index - 1))
        shown += [(character, index) for character in word.text]
    shown = _figures(shown)
    if words:
        shown.append((_stop(words[-1].text), len(words) - 1))
    return DisplayText("".join(character for character, _ in shown), tuple(index for _, index in shown))


def _latin(character: str) -> bool:
    return character.isascii() and character.isalnum()


def _stop(word: str) -> str:
    return "？" if word.endswith(QUESTION_ENDINGS) else "。"


def _figures(shown: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Runs of spoken digits as figures. A comma inside a run goes: people pause while they tell a number."""
    out: list[tuple[str, int]] = []
    at = 0
    while at < len(shown):
        end = at
        while end < len(shown) and (shown[end][0] in SPOKEN_DIGITS or (shown[end][0] == "，" and end > at)):
            end += 1
        while end > at and shown[end - 1][0] == "，":
            end -= 1
        digits = [(SPOKEN_DIGITS[character], index) for character, index in shown[at:end] if character != "，"]
        counts_units = (end < len(shown) and shown[end][0] in UNITS) or (at > 0 and shown[at - 1][0] in UNITS)
        if len(digits) >= MIN_DIGIT_RUN and not counts_units:
            out += digits
        else:
            end = max(end, at + 1)
            out += shown[at:end]
        at = end
    return out
