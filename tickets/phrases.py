"""Finds phrases in recognised speech: by their characters, or by their sound where the recognizer wrote homophones.

`sound` maps a text to one code character for each character, so that finds by sound have spans in the text itself.
"""

import re
import threading
from dataclasses import dataclass
from functools import lru_cache

from pypinyin import lazy_pinyin

SOUND_LENGTH = 4  # shorter phrases have too many homophones
SOUND_FACTOR = 0.75  # what a find by sound weighs of one by characters
WILDCARD = "*"
_FIRST_CODE = 0xE000  # Unicode's private use area
# Pairs that recognizers, telephones and northern and southern speakers mix up.
_FOLDS = (("zh", "z"), ("ch", "c"), ("sh", "s"), ("ang", "an"), ("eng", "en"), ("ing", "in"))
_codes: dict[str, str] = {}
_codes_lock = threading.Lock()


@dataclass(frozen=True)
class Phrase:
    """What to look for. `*` in `text` stands for up to `gap` characters of one utterance."""

    text: str
    weight: float
    gap: int

    @property
    def literal(self) -> str:
        """The characters without the wildcard."""
        return self.text.replace(WILDCARD, "")


@dataclass(frozen=True)
class Hit:
    """A phrase found at `start:end`; `weight` is reduced where only the sound matched."""

    phrase: str
    weight: float
    start: int
    end: int
    by_sound: bool


class PhraseSet:
    """Phrases that are looked for together; of overlapping hits the heaviest counts, then the longest phrase."""

    def __init__(self, phrases: tuple[Phrase, ...]) -> None:
        self._patterns = [(phrase, _pattern(phrase.text, phrase.gap)) for phrase in phrases]
        self._sounds = [
            (phrase, _pattern(sound(phrase.text), phrase.gap))
            for phrase in phrases
            if len(phrase.literal) >= SOUND_LENGTH
        ]

    @property
    def size(self) -> int:
        """How many phrases there are."""
        return len(self._patterns)

    def find(self, text: str, text_sound: str) -> tuple[Hit, ...]:
        """Hits in `text`, whose `sound` is `text_sound`; each phrase at most once; in the order of the text."""
        hits = [
            Hit(phrase.text, phrase.weight * factor, match.start(), match.end(), factor < 1)
            for patterns, where, factor in ((self._patterns, text, 1.0), (self._sounds, text_sound, SOUND_FACTOR))
            for phrase, pattern in patterns
            for match in pattern.finditer(where)
        ]
        kept: list[Hit] = []
        for hit in sorted(hits, key=lambda hit: (-hit.weight, -len(hit.phrase), hit.end - hit.start, hit.start)):
            if all(hit.phrase != other.phrase and not _overlap(hit, other) for other in kept):
                kept.append(hit)
        return tuple(sorted(kept, key=lambda hit: hit.start))


def sound(text: str) -> str:
    """One code a character: equal codes sound alike, tones and the folded pairs aside; what is no Han stays."""
    return "".join(_sound_of(character) for character in text)


@lru_cache(maxsize=30_000)
def _sound_of(character: str) -> str:
    if not "\u4e00" <= character <= "\u9fff":
        return character
    syllable: str = lazy_pinyin(character)[0]
    for rich, plain in _FOLDS:
        if syllable.startswith(rich) or (rich.endswith("ng") and syllable.endswith(rich)):
            syllable = syllable.replace(rich, plain)
    with _codes_lock:
        return _codes.setdefault(syllable, chr(_FIRST_CODE + len(_codes)))


def _pattern(parts: str, gap: int) -> re.Pattern[str]:
    return re.compile(f".{{0,{gap}}}".join(re.escape(part) for part in parts.split(WILDCARD)))


def _overlap(one: Hit, other: Hit) -> bool:
    return one.start < other.end and other.start < one.end
