"""The recognizer port: audio of one speaker in, events out.

An engine declares `Capabilities`; callers adapt to those and never ask which engine it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol


@dataclass(frozen=True)
class Word:
    """A recognised word; times in milliseconds from the start of the stream, confidence 0-1."""

    text: str
    start_ms: int
    end_ms: int
    confidence: float

    def __post_init__(self) -> None:
        if not self.text or self.start_ms < 0 or self.end_ms < self.start_ms or not 0 <= self.confidence <= 1:
            raise ValueError(f"not a word: {self!r}")


@dataclass(frozen=True)
class Partial:
    """What the speaker seems to be saying; may still change."""

    text: str


@dataclass(frozen=True)
class Final:
    """A finished utterance; at least one word."""

    words: tuple[Word, ...]

    def __post_init__(self) -> None:
        if not self.words:
            raise ValueError("a final without words")

    @property
    def text(self) -> str:
        return "".join(word.text for word in self.words)

    @property
    def start_ms(self) -> int:
        return self.words[0].start_ms

    @property
    def end_ms(self) -> int:
        return self.words[-1].end_ms

    @property
    def confidence(self) -> float:
        """Mean of the words', weighted by their characters."""
        return sum(word.confidence * len(word.text) for word in self.words) / sum(len(word.text) for word in self.words)


RecognitionEvent = Partial | Final


def shift(final: Final, offset_ms: int) -> Final:
    """`final` with its times `offset_ms` later."""
    return Final(
        tuple(replace(word, start_ms=word.start_ms + offset_ms, end_ms=word.end_ms + offset_ms) for word in final.words)
    )


@dataclass(frozen=True)
class Capabilities:
    """What an engine can do with its model.

    `streaming`: partials while someone speaks; without it finals only. `confidence`: of words; without it all are 1.
    `open_stream` takes phrases where `hotwords` (it prefers them) or `grammar` (it hears nothing else).
    """

    streaming: bool
    word_times: bool
    confidence: bool
    hotwords: bool
    sample_rate: int
    grammar: bool = False


@dataclass(frozen=True)
class ModelInfo:
    """Which model answers; `demo` models do not understand real people and every face says so."""

    name: str
    engine: str
    demo: bool


class RecognitionStream(Protocol):
    """One utterance stream. Not thread-safe."""

    def accept(self, pcm: bytes) -> list[RecognitionEvent]:
        """Takes s16le mono audio at the engine's rate, any length; returns what it yields."""
        ...

    def finish(self) -> list[RecognitionEvent]:
        """Ends the stream; returns the last events."""
        ...


class Recognizer(Protocol):
    """A loaded model. Safe to share between threads."""

    @property
    def capabilities(self) -> Capabilities: ...

    @property
    def model(self) -> ModelInfo: ...

    def open_stream(self, phrases: Sequence[str] = ()) -> RecognitionStream:
        """Begins one speaker's stream; raises `InvalidInputError` for phrases that this model cannot take."""
        ...
