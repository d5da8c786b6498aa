"""The caller's words as one text in which every character knows when it was said. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from asr.recognizer import Word

BREAK = "\n"


@dataclass(frozen=True)
class SpokenSegment:
    """An utterance of the caller: `position` in the transcript, `display` as people read it, and its words."""

    position: int
    display: str
    words: tuple[Word, ...]


@dataclass(frozen=True)
class Span:
    """A stretch of the transcript: characters `char_start:char_end` of segment `segment`'s joined words, and its audio.

    A stretch over several segments is placed by its first; its times reach to its end.
    """

    segment: int
    char_start: int
    char_end: int
    start_ms: int
    end_ms: int
    quote: str


class Speech:
    """`text`: the joined words of all segments, `BREAK` between two segments. `display`: what people read."""

    def __init__(self, segments: Sequence[SpokenSegment]) -> None:
        self.segments = tuple(segment for segment in segments if segment.words)
        self._places: list[tuple[SpokenSegment, int, Word] | None] = []  # of each character: segment, offset, word
        for segment in self.segments:
            if self._places:
                self._places.append(None)
            characters = [(word, character) for word in segment.words for character in word.text]
            self._places += [(segment, offset, word) for offset, (word, _) in enumerate(characters)]
        self.text = BREAK.join("".join(word.text for word in segment.words) for segment in self.segments)
        self.display = "".join(segment.display for segment in self.segments)

    def span(self, start: int, end: int) -> Span:
        """Where `text[start:end]` was said; the stretch must hold a character of a word."""
        places = [place for place in self._places[start:end] if place is not None]
        segment, offset, first = places[0]
        inside = [place for place in places if place[0] is segment]
        return Span(
            segment=segment.position,
            char_start=offset,
            char_end=inside[-1][1] + 1,
            start_ms=first.start_ms,
            end_ms=places[-1][2].end_ms,
            quote=self.text[start:end].replace(BREAK, ""),
        )

    def first_after(self, ms: int) -> int | None:
        """Where in `text` the first word stands that began after `ms`."""
        return next((at for at, place in enumerate(self._places) if place and place[2].start_ms >= ms), None)

    def word_ends_at(self, end: int) -> bool:
        """Whether the recognizer ended a word before `text[end]`."""
        if end >= len(self._places):
            return True
        here, before = self._places[end], self._places[end - 1]
        return here is None or before is None or here[2] is not before[2]

    def pause_at(self, end: int) -> float:
        """Milliseconds of silence before the word at `text[end]`; 0 inside a word, endless after the utterance."""
        if not self.word_ends_at(end):
            return 0
        here = self._places[end] if end < len(self._places) else None
        before = self._places[end - 1]
        return here[2].start_ms - before[2].end_ms if here and before else math.inf
