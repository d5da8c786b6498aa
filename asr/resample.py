"""A recognizer for audio of another rate than its model's."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from asr.blocks import BYTES_PER_SAMPLE
from asr.recognizer import RecognitionEvent, RecognitionStream, Recognizer


def open_stream_at(recognizer: Recognizer, sample_rate: int, phrases: Sequence[str] = ()) -> RecognitionStream:
    """A stream of `recognizer` that takes s16le mono audio at `sample_rate` Hz; raises as its `open_stream`."""
    stream = recognizer.open_stream(phrases)
    if sample_rate == recognizer.capabilities.sample_rate:
        return stream
    return ResampledStream(stream, sample_rate, recognizer.capabilities.sample_rate)


class ResampledStream:
    """Brings audio to the model's rate with soxr, whose delay is compensated: word times stay true.

    In floats, because soxr dithers whole numbers: the same audio would never be the same twice.
    """

    def __init__(self, stream: RecognitionStream, source_rate: int, model_rate: int) -> None:
        self._stream = stream
        self._resampler: Any = soxr.ResampleStream(source_rate, model_rate, 1, dtype="float32")
        self._torn = b""
        self._finished = False

    def accept(self, pcm: bytes) -> list[RecognitionEvent]:
        pcm = self._torn + pcm
        whole = len(pcm) // BYTES_PER_SAMPLE * BYTES_PER_SAMPLE
        self._torn = pcm[whole:]
        return self._stream.accept(self._resample(np.frombuffer(pcm[:whole], "<i2")))

    def finish(self) -> list[RecognitionEvent]:
        if self._finished:
            return []
        self._finished = True
        return self._stream.accept(self._resample(np.zeros(0, np.int16), last=True)) + self._stream.finish()

    def _resample(self, samples: NDArray[np.int16], *, last: bool = False) -> bytes:
        floats = self._resampler.resample_chunk(samples.astype(np.float32), last=last)
        samples_at_rate: NDArray[np.int16] = np.rint(floats).clip(-32768, 32767).astype("<i2")
        return samples_at_rate.tobytes()
