"""The words of the language model and how the voice says them.

A word's pronunciations are those that the voice's own front end (pypinyin over the whole phrase) gives it in the text,
with their share; words that the text lacks are read alone. What cannot be read is no word.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from pypinyin import Style
from pypinyin.contrib.neutral_tone import NeutralToneWith5Mixin
from pypinyin.converter import DefaultConverter
from pypinyin.core import Pinyin

from .phones import phones_of_syllable
from .spoken import DIGIT_CHARACTERS

HAN = re.compile(r"[\u4e00-\u9fa5]+")
DIGIT_RUN = re.compile(f"([{''.join(sorted(DIGIT_CHARACTERS))}]{{3,}})")
RARE_SHARE = 0.04
"""A pronunciation heard less often than this is a slip of the front end."""

Pronunciation = tuple[str, ...]


class _Converter(NeutralToneWith5Mixin, DefaultConverter):
    pass


_pinyin = Pinyin(_Converter()).pinyin


def read_aloud(text: str) -> list[str]:
    """Pinyin with tones, one syllable a character; the text is Chinese characters only."""
    return [syllables[0] for syllables in _pinyin(text, style=Style.TONE3, errors="ignore")]


def phones_of(syllables: Iterable[str]) -> Pronunciation:
    return tuple(phone for syllable in syllables for phone in phones_of_syllable(syllable))


class Segmenter:
    """Text into words of a vocabulary: digits one by one, an unknown word in its longest known parts."""

    def __init__(self, extra_words: Iterable[str] = ()) -> None:
        import jieba  # the pure rest of this module runs without it

        self._jieba = jieba.Tokenizer()
        jieba.setLogLevel("ERROR")
        for word in extra_words:
            self._jieba.add_word(word, freq=20_000)

    def words(self, text: str) -> list[str]:
        words: list[str] = []
        for run in HAN.findall(text):
            for part in DIGIT_RUN.split(run):
                if DIGIT_RUN.fullmatch(part):
                    words += part
                elif part:
                    words += self._jieba.cut(part, HMM=False)
        return words


def split_unknown(word: str, known: set[str] | dict[str, object]) -> list[str]:
    """The word itself where known, else the fewest-looking cut: the longest known beginning, again and again."""
    parts: list[str] = []
    while word:
        length = next((size for size in range(len(word), 1, -1) if word[:size] in known), 1)
        parts.append(word[:length])
        word = word[length:]
    return parts


@dataclass(frozen=True)
class Lexicon:
    """Pronunciations of each word with their share (sums to 1)."""

    words: dict[str, dict[Pronunciation, float]]

    @classmethod
    def build(cls, sentences: Iterable[list[list[str]]], vocabulary: Iterable[str]) -> "Lexicon":
        """`sentences`: phrases of words, as the voice reads them, phrase by phrase."""
        heard: dict[str, Counter[Pronunciation]] = defaultdict(Counter)
        for sentence in sentences:
            for phrase in sentence:
                for word, said in _aligned(phrase):
                    heard[word][said] += 1
        words: dict[str, dict[Pronunciation, float]] = {}
        for word in vocabulary:
            counts = heard.get(word) or _alone(word)
            total = sum(counts.values())
            kept = {said: count for said, count in counts.items() if count / total >= RARE_SHARE}
            if kept:
                words[word] = {said: count / sum(kept.values()) for said, count in kept.items()}
        return cls(words)


def _aligned(phrase: list[str]) -> Iterator[tuple[str, Pronunciation]]:
    syllables = read_aloud("".join(phrase))
    if len(syllables) != sum(map(len, phrase)):
        return
    at = 0
    for word in phrase:
        with suppress(ValueError):
            yield word, phones_of(syllables[at : at + len(word)])
        at += len(word)


def _alone(word: str) -> Counter[Pronunciation]:
    try:
        syllables = read_aloud(word)
        return Counter([phones_of(syllables)] if len(syllables) == len(word) else [])
    except ValueError:
        return Counter()
