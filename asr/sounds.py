"""How characters sound: one code character each, equal where they sound alike, so that finds have spans.

Tones never count. Pairs that recognizers, telephones and speakers mix up are folded into one, as far as asked.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import islice, product
from typing import Generic, TypeVar

from pypinyin import Style, lazy_pinyin

T = TypeVar("T")
_FIRST_CODE = 0xE000  # Unicode's private use area
_ANY = "\uf8ff"  # its last, for a syllable that may be any
_READINGS = 4  # spellings of a name by sound that are looked for
_INITIALS = (("zh", "z"), ("ch", "c"), ("sh", "s"))
_ENDINGS = (("ang", "an"), ("eng", "en"), ("ing", "in"))
_DIALECT = (("n", "l"), ("hua", "fa"), ("hui", "fei"), ("hun", "fen"), ("huo", "fo"), ("hu", "fu"))
_codes: dict[str, str] = {}
_codes_lock = threading.Lock()


def sound(text: str) -> str:
    """What is mixed up everywhere is folded: zh/z, ch/c, sh/s, an/ang, en/eng, in/ing. What is no Han stays."""
    return "".join(map(_common, text))


def dialect_sound(text: str) -> str:
    """As `sound`; also n/l and f/h."""
    return "".join(map(_dialect, text))


@lru_cache(maxsize=30_000)
def reading(character: str) -> tuple[str, int]:
    """Syllable and tone (0 where there is none) of a character that stands alone."""
    return _parted(lazy_pinyin(character, style=Style.TONE3)[0]) if is_han(character) else (character, 0)


def readings(name: str) -> tuple[tuple[str, int], ...]:
    """Syllable and tone of each character as a part of `name`: 重庆路 begins with chong."""
    if not all(map(is_han, name)):
        return tuple(map(reading, name))
    spoken = tuple(map(_parted, lazy_pinyin(name, style=Style.TONE3)))
    return spoken if len(spoken) == len(name) else tuple(map(reading, name))


def is_han(character: str) -> bool:
    return "\u4e00" <= character <= "\u9fff"


def folded(syllable: str) -> str:
    """A syllable without all that is mixed up."""
    plain = _common_syllable(syllable)
    for rich, poor in _DIALECT:
        if plain.startswith(rich):
            return poor + plain[len(rich) :]
    return plain


def spellings_by_sound(name: str, spoken: Sequence[tuple[str, int]]) -> tuple[str, ...]:
    """The codes under which `dialect_sound` of a text shows `name`, whose `readings` are given: as a whole and
    character by character."""
    choices = [
        dict.fromkeys((_code(folded(whole)) if is_han(character) else character, _dialect(character)))
        for character, (whole, _) in zip(name, spoken, strict=True)
    ]
    return tuple("".join(codes) for codes in islice(product(*choices), _READINGS))


@dataclass(frozen=True)
class SoundHit(Generic[T]):
    """An item found at `start:end`; `wrong` syllables of it sound otherwise."""

    start: int
    end: int
    item: T
    wrong: int


class SoundIndex(Generic[T]):
    """Names by their codes. One wrong syllable is forgiven to those of `error_size` and more, where that is given."""

    def __init__(self, entries: Iterable[tuple[str, T]], *, error_size: int | None = None) -> None:
        self._names: dict[str, list[T]] = {}
        self._holed: dict[str, list[T]] = {}
        for codes, item in entries:
            self._names.setdefault(codes, []).append(item)
            if error_size is not None and len(codes) >= error_size:
                for holed in _holes(codes):
                    self._holed.setdefault(holed, []).append(item)
        self._sizes = sorted({*map(len, self._names)})
        self._holed_sizes = {*map(len, self._holed)}

    def find(self, heard: str) -> Iterator[SoundHit[T]]:
        """All of them in `heard`, which is in the same codes."""
        for size in self._sizes:
            for start in range(len(heard) - size + 1):
                window = heard[start : start + size]
                right = self._names.get(window, ())
                for item in right:
                    yield SoundHit(start, start + size, item, 0)
                if size in self._holed_sizes:
                    for holed in _holes(window):
                        for item in self._holed.get(holed, ()):
                            if item not in right:
                                yield SoundHit(start, start + size, item, 1)


def _holes(codes: str) -> Iterator[str]:
    """With any syllable, but not with a break or a mark, at each place."""
    return (codes[:at] + _ANY + codes[at + 1 :] for at, code in enumerate(codes) if chr(_FIRST_CODE) <= code < _ANY)


def _parted(spoken: str) -> tuple[str, int]:
    return (spoken[:-1], int(spoken[-1])) if spoken[-1:].isdigit() else (spoken, 0)


def _common_syllable(syllable: str) -> str:
    for rich, plain in _INITIALS:
        if syllable.startswith(rich):
            syllable = plain + syllable[len(rich) :]
    for rich, plain in _ENDINGS:
        if syllable.endswith(rich):
            syllable = syllable[: -len(rich)] + plain
    return syllable


def _coder(fold: Callable[[str], str]) -> Callable[[str], str]:
    @lru_cache(maxsize=30_000)
    def code(character: str) -> str:
        return _code(fold(reading(character)[0])) if is_han(character) else character

    return code


@cache
def _code(syllable: str) -> str:
    with _codes_lock:
        return _codes.setdefault(syllable, chr(_FIRST_CODE + len(_codes)))


_common = _coder(_common_syllable)
_dialect = _coder(folded)
