"""Wideband legs (G.722, 16 kHz): a second plane of audio beside the engine's 8 kHz.

Jitter buffer, mix, speech, digits and concealment work on 8 kHz, the first plane, and know no other. A leg that speaks
G.722 has besides what its 16 kHz has more than that: the difference to the first plane upsampled (a Laplacian pyramid,
Burt and Adelson 1983). Both together are its 16 kHz again, bit for bit; gains and sums apply to each plane alone. A
party that speaks G.711 hears the first planes, has no second one, and costs what it cost before.

A second plane has two samples at each position of the timeline. What is lost has none, so what conceals it is 8 kHz.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivr.media.g722 import DELAY as CODEC_DELAY
from ivr.media.g722 import G722Decoder, G722Encoder
from ivr.media.resample import DELAY, Upsampler
from ivr.media.types import FRAME_SAMPLES, SAMPLE_RATE, Samples

WIDTH = 2
"""Samples of a second plane at each position."""
LAG = DELAY - CODEC_DELAY // 2
"""How much earlier, in samples at 16 kHz, the decoder gives the whole band than the upsampler the lower one."""

Floats = NDArray[np.floating[Any]]
Signal = NDArray[np.floating[Any] | np.integer[Any]]


class WidebandDecoder:
    """One stream's packets as both planes, in the order in which they arrive."""

    def __init__(self) -> None:
        self._lower, self._whole = G722Decoder(rate=SAMPLE_RATE), G722Decoder()
        self._upsampler = Upsampler()
        self._late = np.zeros(LAG, np.int16)

    def decode(self, payload: bytes) -> tuple[Samples, Samples]:
        """Any octets: (n,) samples at 8 kHz and the second plane, (2 n,)."""
        lower = self._lower.decode(payload)
        whole = np.concatenate([self._late, self._whole.decode(payload)])
        self._late = whole[len(whole) - LAG :]
        return lower, _limit(whole[: len(whole) - LAG] - np.rint(self._upsampler.update(lower)))


class WidebandEncoder:
    """One stream's sending side. `played`: the frame that it is played besides what it hears."""

    def __init__(self) -> None:
        self.played: Samples = np.zeros(FRAME_SAMPLES, np.int16)
        self._encoder = G722Encoder()
        self._upsampler = Upsampler()

    def encode(self, samples: Signal, second: Floats | None) -> bytes:
        """A frame at 8 kHz, (160,), and its second plane, (320,) or none, as octets."""
        upsampled = self._upsampler.update(samples)
        return self._encoder.encode(_limit(upsampled if second is None else upsampled + second))


class Widener:
    """One stream of both planes as 16 kHz, for what is recorded and recognized."""

    def __init__(self) -> None:
        self._upsampler = Upsampler()

    def update(self, samples: Samples, second: Samples | None) -> Samples:
        """(n,) samples at 8 kHz and their second plane, (2 n,) or none, as (2 n,) at 16 kHz."""
        upsampled = np.rint(self._upsampler.update(samples))
        return _limit(upsampled if second is None else upsampled + second)


def _limit(signal: Signal) -> Samples:
    samples: Samples = np.rint(np.clip(signal, -32768, 32767)).astype(np.int16)
    return samples
