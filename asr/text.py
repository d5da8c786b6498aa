"""Words to the text people read, and back: marks between them, figures for spoken numbers, names as they are written.
Pure.

The words stay as the engine gave them; `DisplayText` knows for every character which word it came from, so that a
click seeks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import accumulate, pairwise

from asr.figures import figures
from asr.misheard import Corrector, Misheard
from asr.punctuation import marks
from asr.recognizer import Word

NO_CORRECTOR = Corrector()


@dataclass(frozen=True)
class DisplayText:
    """`word_of[i]` is the index of the word that character i of `text` came from; `misheard` lies in the
    joined words."""

    text: str
    word_of: tuple[int, ...]
    misheard: tuple[Misheard, ...] = ()

    def __post_init__(self) -> None:
        if len(self.text) != len(self.word_of):
            raise ValueError("a character without its word")


def join_words(words: Sequence[str]) -> str:
    """Chinese words stand together; a space stays between two Latin ones."""
    text = ""
    for word in words:
        text += " " + word if text and _latin(text[-1]) and _latin(word[:1]) else word
    return text


def display(words: Sequence[Word], corrector: Corrector = NO_CORRECTOR) -> DisplayText:
    """The readable text of one utterance: names as they are written, figures for spoken numbers, marks for pauses."""
    corrections = corrector.find("".join(word.text for word in words), {*accumulate(len(word.text) for word in words)})
    shown: list[tuple[str, int]] = []
    before = ""
    for index, (word, mark) in enumerate(zip(_corrected(words, corrections), marks(words), strict=True)):
        if _latin(before[-1:]) and _latin(word[0]):
            shown.append((" ", index - 1))
        shown += [(character, index) for character in word + mark]
        before = word + mark
    shown = _figures(shown)
    return DisplayText("".join(character for character, _ in shown), tuple(index for _, index in shown), corrections)


def _corrected(words: Sequence[Word], corrections: Sequence[Misheard]) -> list[str]:
    """The words' texts, of the same lengths, with names as they are meant."""
    text = list("".join(word.text for word in words))
    for correction in corrections:
        text[correction.start : correction.end] = correction.meant
    ends = [0, *accumulate(len(word.text) for word in words)]
    return ["".join(text[start:end]) for start, end in pairwise(ends)]


def aligned(text: str, words: Sequence[Word]) -> DisplayText:
    """A stored text with the words it came from, also where other rules or a person wrote it: what both have in common
    is placed exactly, what differs in between. Raises `ValueError` where there are no words."""
    shown = display(words)
    if shown.text == text:
        return shown
    if not words:
        raise ValueError("a text without words")
    spoken = [(character, index) for index, word in enumerate(words) for character in word.text]
    word_of: list[int] = []
    matcher = SequenceMatcher(None, "".join(character for character, _ in spoken), text, autojunk=False)
    for _kind, begin, end, text_begin, text_end in matcher.get_opcodes():
        length = text_end - text_begin
        places = (begin + at * (end - begin) // length if end > begin else max(begin - 1, 0) for at in range(length))
        word_of += [spoken[place][1] for place in places]
    return DisplayText(text, tuple(word_of))


def _latin(character: str) -> bool:
    return character.isascii() and character.isalnum()


def _figures(shown: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Figures for spoken numbers; each of them belongs to the word that stands as far from the number's beginning."""
    out: list[tuple[str, int]] = []
    at = 0
    for found in figures("".join(character for character, _ in shown)):
        out += shown[at : found.start]
        words = [index for character, index in shown[found.start : found.end] if character != "，"]
        width = len(found.figure)
        out += [(figure, words[place * len(words) // width]) for place, figure in enumerate(found.figure)]
        at = found.end
    return out + shown[at:]
