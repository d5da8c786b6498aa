"""What changed between two versions of a transcript, for people to read. Pure; masked as what it is given is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from asr.alignment import tokens
from console.views import Utterance


@dataclass(frozen=True)
class Piece:
    """A stretch of text; `kind`: same, added or removed."""

    kind: str
    text: str


@dataclass(frozen=True, kw_only=True)
class DiffLine:
    """A sentence that changed. `speaker_before` is another one where someone else said it; empty where it is new."""

    start_ms: int
    speaker: str
    speaker_before: str
    pieces: tuple[Piece, ...]


def diff(before: Sequence[Utterance], after: Sequence[Utterance]) -> tuple[DiffLine, ...]:
    """The sentences that differ, in the order of time."""
    old, new = ([(item.speaker, item.text, item.start_ms) for item in items] for items in (before, after))
    lines: list[DiffLine] = []
    for kind, begin, end, new_begin, new_end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind != "equal":
            lines += _changed(before[begin:end], after[new_begin:new_end])
    return tuple(lines)


def _changed(before: Sequence[Utterance], after: Sequence[Utterance]) -> Iterator[DiffLine]:
    """Sentence by sentence where there are as many; else, as after a split or a merge, the whole stretch."""
    if len(before) == len(after):
        for old, new in zip(before, after, strict=True):
            yield _line([old], [new])
    else:
        yield _line(before, after)


def _line(before: Sequence[Utterance], after: Sequence[Utterance]) -> DiffLine:
    shown = (after or before)[0]
    return DiffLine(
        start_ms=shown.start_ms,
        speaker=shown.speaker,
        speaker_before=before[0].speaker if before else "",
        pieces=tuple(pieces("⏎".join(item.text for item in before), "⏎".join(item.text for item in after))),
    )


def pieces(before: str, after: str) -> Iterator[Piece]:
    """The characters of both, those that went before those that came; ⏎ is where a sentence ends.

    >>> [(piece.kind, piece.text) for piece in pieces("住张山银镇", "住张山营镇")]
    [('same', '住张山'), ('removed', '银'), ('added', '营'), ('same', '镇')]
    """
    old, new = ([token.text for token in tokens(text)] for text in (before, after))
    for kind, begin, end, new_begin, new_end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            yield Piece("same", "".join(old[begin:end]))
        else:
            if end > begin:
                yield Piece("removed", "".join(old[begin:end]))
            if new_end > new_begin:
                yield Piece("added", "".join(new[new_begin:new_end]))
