"""Finds phrases in recognised speech: by their characters, or by their sound where the recognizer wrote homophones."""

import re
from dataclasses import dataclass

from asr.sounds import sound

SOUND_LENGTH = 4  # shorter phrases have too many homophones
SOUND_FACTOR = 0.75  # what a find by sound weighs of one by characters
WILDCARD = "*"


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
        self.phrases = phrases
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


def _pattern(parts: str, gap: int) -> re.Pattern[str]:
    return re.compile(f".{{0,{gap}}}".join(re.escape(part) for part in parts.split(WILDCARD)))


def _overlap(one: Hit, other: Hit) -> bool:
    return one.start < other.end and other.start < one.end
