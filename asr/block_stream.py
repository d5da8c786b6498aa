"""What the streams of recognizers have in common: audio comes in any lengths and is heard in equal blocks."""

from abc import ABC, abstractmethod

from asr.blocks import BLOCK_MS, Blocks
from asr.recognizer import RecognitionEvent


class BlockStream(ABC):
    """A `RecognitionStream` whose engine gets blocks of `block_ms`; the last one may be shorter."""

    def __init__(self, sample_rate: int, *, block_ms: int = BLOCK_MS) -> None:
        self._blocks = Blocks(sample_rate, block_ms=block_ms)
        self._finished = False

    def accept(self, pcm: bytes) -> list[RecognitionEvent]:
        """Takes s16le mono audio of any length; returns what it yields."""
        return [event for block in self._blocks.push(pcm) for event in self._hear(block)]

    def finish(self) -> list[RecognitionEvent]:
        """Ends the stream; returns the last events, once."""
        if self._finished:
            return []
        self._finished = True
        rest = self._blocks.rest()
        return (self._hear(rest) if rest else []) + self._end()

    @abstractmethod
    def _hear(self, block: bytes) -> list[RecognitionEvent]: ...

    @abstractmethod
    def _end(self) -> list[RecognitionEvent]: ...
