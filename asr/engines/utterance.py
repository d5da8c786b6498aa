"""An engine that hears whole utterances as a `Recognizer`: the audio of a stream is kept and decoded at its end.

Which ends come soon is `asr.endpointing`'s work: behind it each utterance is a stream of its own.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from asr.blocks import BYTES_PER_SAMPLE, bytes_of
from asr.recognizer import Capabilities, Final, ModelInfo, RecognitionEvent, RecognitionStream, Word, shift
from hotline.errors import InvalidInputError
from ivr.media.types import FRAME_MS

LONGEST_MS = 20_000
"""Of what is decoded at once: the memory of such an engine grows with the square of it."""
SEARCH_MS = 4_000
"""Speech that is too long is cut at the quietest place of its last part."""


class UtteranceModel(Protocol):
    """Decodes an utterance. Safe to share between threads; never `capabilities.streaming`."""

    @property
    def capabilities(self) -> Capabilities: ...

    @property
    def model(self) -> ModelInfo: ...

    def decode(self, samples: NDArray[np.int16]) -> tuple[Word, ...]:
        """The words in mono audio at the model's rate, times from its start."""
        ...


class UtteranceRecognizer:
    """Makes finals; there are no partials."""

    def __init__(self, engine: UtteranceModel) -> None:
        self._engine = engine
        self.model = engine.model
        self.capabilities = engine.capabilities

    def open_stream(self, phrases: Sequence[str] = ()) -> RecognitionStream:
        """Raises `InvalidInputError` for phrases."""
        if phrases:
            raise InvalidInputError(f"the model {self.model.name} takes no phrases")
        return UtteranceStream(self._engine)


class UtteranceStream:
    """The audio of one speaker that is not decoded yet."""

    def __init__(self, engine: UtteranceModel) -> None:
        self._engine = engine
        self._frame_bytes = bytes_of(FRAME_MS, engine.capabilities.sample_rate)
        self._longest = LONGEST_MS // FRAME_MS * self._frame_bytes
        self._held = bytearray()
        self._begin_ms = 0
        self._finished = False

    def accept(self, pcm: bytes) -> list[RecognitionEvent]:
        self._held += pcm
        events: list[RecognitionEvent] = []
        while len(self._held) >= self._longest:
            events += self._decode(self._quietest())
        return events

    def finish(self) -> list[RecognitionEvent]:
        if self._finished:
            return []
        self._finished = True
        return self._decode(len(self._held) // BYTES_PER_SAMPLE * BYTES_PER_SAMPLE)

    def _decode(self, length: int) -> list[RecognitionEvent]:
        samples = np.frombuffer(bytes(self._held[:length]), "<i2")
        words = self._engine.decode(samples) if len(samples) else ()
        begin_ms = self._begin_ms
        self._begin_ms += len(samples) * FRAME_MS * BYTES_PER_SAMPLE // self._frame_bytes
        del self._held[:length]
        return [shift(Final(words), begin_ms)] if words else []

    def _quietest(self) -> int:
        """Where to cut, in bytes."""
        search = SEARCH_MS // FRAME_MS * self._frame_bytes
        samples = np.frombuffer(bytes(self._held[self._longest - search : self._longest]), "<i2")
        loudness = np.abs(samples.astype(np.int32)).reshape(SEARCH_MS // FRAME_MS, -1).sum(axis=1)
        return self._longest - search + int(np.argmin(loudness)) * self._frame_bytes
