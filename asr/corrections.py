"""What people corrected, as candidates for the site's words: where the recognizer heard something else. Pure.

A recognizer spells a word that it does not know as single characters, some of them wrong: 张 山 银 镇. So a candidate
is the corrected stretch with the single characters beside it: 张山营镇.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import takewhile

from asr.figures import SPOKEN_DIGITS
from asr.recognizer import Word
from asr.text import display

MIN_CHARACTERS, MAX_CHARACTERS = 2, 8
MARKS = frozenset("，。？！、；：")  # nobody says them
REACH = 3  # single characters taken in on each side
# Words of grammar: they end a name and are none themselves.
_GRAMMAR = frozenset(
    "的了在是我你他她它您不没有就都也还很这那个们着过到去来把被给让和跟与及对从向往上下里姓叫说想要会能可请吗呢吧啊呀嘛哦嗯呃"
)
_NUMERALS = frozenset([*SPOKEN_DIGITS, *"0123456789十百千万亿"])


@dataclass(frozen=True)
class Correction:
    """Where the recognizer gave `heard` (empty: nothing), a person wrote `meant`."""

    heard: str
    meant: str


@dataclass(frozen=True)
class Candidate:
    """A word that was corrected `count` times; `heard`: what the recognizer made of it, the most frequent first."""

    word: str
    count: int
    heard: tuple[str, ...]


def corrections(words: Sequence[Word], confirmed: str) -> list[Correction]:
    """The words that `confirmed` has where the recognizer's `words` differ; numbers are left out.

    >>> words = [Word(text, 0, 0, 1.0) for text in ("住", "在", "张", "山", "银", "镇")]
    >>> corrections(words, "住在张山营镇。")
    [Correction(heard='张山银镇', meant='张山营镇')]
    """
    if not words:
        return []
    shown = display(words)
    spoken = [
        (character, at) for character, at in zip(shown.text, shown.word_of, strict=True) if character not in MARKS
    ]
    heard = "".join(character for character, _ in spoken)
    written = confirmed
    confirmed = "".join(character for character in confirmed if character not in MARKS)
    loose = [len(words[at].text) == 1 and character not in _GRAMMAR and _is_word(character) for character, at in spoken]
    found = []
    for begin, end, meant_begin, meant_end in _differences(heard, confirmed, loose):
        if not _is_word(confirmed[meant_begin:meant_end]) or not _is_word(heard[begin:end] or "无"):
            continue
        before = _run(loose[begin - 1 :: -1] if begin else [])
        after = _run(loose[end:])
        # what stands beside it was heard right, but another difference may be near
        before = min(before, _common(heard[:begin][::-1], confirmed[:meant_begin][::-1]))
        after = min(after, _common(heard[end:], confirmed[meant_end:]))
        word = confirmed[meant_begin - before : meant_end + after]
        if MIN_CHARACTERS <= len(word) <= MAX_CHARACTERS and word in written:
            found.append(Correction(heard[begin - before : end + after], word))
    return found


def candidates(corrected: Iterable[Correction], *, at_least: int = 1) -> list[Candidate]:
    """Words that were corrected at least so often, the most frequent first."""
    counts: Counter[str] = Counter()
    heard: dict[str, Counter[str]] = {}
    for each in corrected:
        counts[each.meant] += 1
        heard.setdefault(each.meant, Counter())[each.heard] += 1
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [
        Candidate(word, count, tuple(text for text, _ in heard[word].most_common() if text))
        for word, count in ordered
        if count >= at_least
    ]


def _differences(heard: str, meant: str, loose: Sequence[bool]) -> list[tuple[int, int, int, int]]:
    """Where the texts differ, as spans of both; what only single characters stand between is one difference."""
    spans: list[tuple[int, int, int, int]] = []
    for kind, *span in SequenceMatcher(None, heard, meant, autojunk=False).get_opcodes():
        begin, end, meant_begin, meant_end = span
        if kind == "equal":
            continue
        if spans and all(loose[spans[-1][1] : begin]) and begin - spans[-1][1] <= REACH:
            begin, _, meant_begin, _ = spans.pop()
        spans.append((begin, end, meant_begin, meant_end))
    return spans


def _is_word(text: str) -> bool:
    """Letters, and no numerals."""
    return bool(text) and all(character.isalpha() and character not in _NUMERALS for character in text)


def _run(loose: Sequence[bool]) -> int:
    return sum(1 for _ in takewhile(bool, loose[:REACH]))


def _common(one: str, other: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
