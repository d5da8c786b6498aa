"""Names of the site where the recognizer wrote what only sounds like them: 贵水北街 is 妫水北街. Pure.

Conservative: a name of three characters and more, each of which sounds right or is one that people and telephones mix
up (zh/z, n/l, f/h, an/ang ...), the tones aside. The words themselves are never changed; a correction tells what was
heard and what is meant.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from asr.sounds import SoundIndex, dialect_sound, is_han, reading, readings, spellings_by_sound

MIN_SIZE = 3  # shorter names sound like too much else
SAME, TONE, MIXED = 1, 2, 100  # the cost of another character: sounds the same, but for its tone, is mixed up
LONG_STEM = 3
# What names of a kind end in: it tells none of them from another.
_KIND = re.compile(
    r"(?:村|社区|小区|镇|乡|街道|地区|街|大街|路|大道|胡同|巷|公园|花园|家园|广场|公司|学校|小学|中学|医院)$"
)


@dataclass(frozen=True)
class Misheard:
    """`text[start:end]`, which is `heard`, stands for `meant`, of the same length."""

    start: int
    end: int
    heard: str
    meant: str


class Corrector:
    """The names to look for. Immutable, safe to share between threads."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = {name: readings(name) for name in names if len(name) >= MIN_SIZE and all(map(is_han, name))}
        self._index = SoundIndex(
            (codes, name) for name, spoken in self._names.items() for codes in spellings_by_sound(name, spoken)
        )

    def __len__(self) -> int:
        return len(self._names)

    def find(self, text: str, word_ends: Collection[int] | None = None) -> tuple[Misheard, ...]:
        """What is meant otherwise in `text`, in order, none overlapping.

        `word_ends`: where the recognizer's words end (and begin, but for 0); without it everywhere. Names that `text`
        has as they are stay, whatever else they sound like; of names that sound the same none is taken.
        """
        if not self._names:
            return ()
        hits = [
            (hit.end - hit.start, self._cost(text[hit.start : hit.end], hit.item), hit.start, hit.item)
            for hit in self._index.find(dialect_sound(text))
        ]
        taken = bytearray(len(text))
        found: dict[int, Misheard] = {}
        for size, cost, start, name in sorted(hits, key=lambda hit: (hit[1] > 0, -hit[0], hit[1], hit[2])):
            heard = text[start : start + size]
            if any(taken[start : start + size]):
                continue
            if not cost:
                taken[start : start + size] = b"\1" * size
            elif self._likely(heard, name) and _whole(start, start + size, len(text), word_ends):
                taken[start : start + size] = b"\1" * size
                rivals = {other for length, price, at, other in hits if (length, price, at) == (size, cost, start)}
                if len(rivals) == 1:
                    found[start] = Misheard(start, start + size, heard, name)
        return tuple(found[start] for start in sorted(found))

    def _cost(self, heard: str, name: str) -> int:
        return sum(self._differences(heard, name))

    def _differences(self, heard: str, name: str) -> list[int]:
        return list(map(_difference, heard, name, self._names[name]))

    def _likely(self, heard: str, name: str) -> bool:
        """How much may be heard otherwise: where two characters tell a name from others hardly anything."""
        differences = self._differences(heard, name)
        stem = len(_KIND.sub("", name))
        mixed, right = differences.count(MIXED), differences[:stem].count(0)
        if stem < LONG_STEM:
            return not mixed and (right > 0 or differences.count(TONE) <= 1)
        return not mixed or (right > 0 and mixed < (stem + 1) / 2)


def _difference(heard: str, meant: str, spoken: tuple[str, int]) -> int:
    if heard == meant:
        return 0
    syllable, tone = reading(heard)
    if syllable != spoken[0] and (syllable, tone) != reading(meant):
        return MIXED
    return SAME if tone == spoken[1] else TONE


def _whole(start: int, end: int, length: int, word_ends: Collection[int] | None) -> bool:
    """Whether it begins and ends where words do: a part of another word is no name."""
    return word_ends is None or ((start == 0 or start in word_ends) and (end == length or end in word_ends))
