"""Between 8 and 16 kHz, for all legs at once: a half-band filter of 59 taps in two phases.

Flat within 0.05 dB to 3.4 kHz, more than 65 dB down from 4.6 kHz on; what lies between aliases no further down than
3.4 kHz. Either way delays by 29 samples at 16 kHz, 1.8 ms. Every other tap but the middle one is zero, so one phase of
the signal is filtered and the other one merely delayed.
"""

import numpy as np
from numpy.typing import NDArray

from ivr.media.ring import Slots
from ivr.media.types import FRAME_SAMPLES, Samples

TAPS = 59
DELAY = TAPS // 2
"""Samples at 16 kHz."""
_BETA = 6.8
_PAST = DELAY  # samples at 8 kHz that a filtered phase remembers
_UP_DELAY = 14
_DOWN_DELAY = 15

Floats = NDArray[np.float32]


def _filter() -> NDArray[np.float64]:
    place = np.arange(TAPS) - DELAY
    taps: NDArray[np.float64] = 0.5 * np.sinc(place / 2) * np.kaiser(TAPS, _BETA)
    phase = taps[::2]
    phase *= 0.5 / phase.sum()
    return phase


def _matrix() -> Floats:
    """The filtered phase of a frame with its past, (.., 29 + 160) @ this = (.., 160)."""
    phase = _filter()
    matrix = np.zeros((_PAST + FRAME_SAMPLES, FRAME_SAMPLES), np.float32)
    for column in range(FRAME_SAMPLES):
        matrix[column : column + len(phase), column] = phase[::-1]
    return matrix


_MATRIX = _matrix()


class Upsampler:
    """Tables over `slots` legs: 8 to 16 kHz."""

    def __init__(self, *, slots: int) -> None:
        self._past = np.zeros((slots, _PAST), np.float32)

    def open(self, slot: int) -> None:
        """Forgets the slot's last call."""
        self._past[slot] = 0

    def update(self, slots: Slots, frames: Samples) -> Samples:
        """One frame a leg, (legs, 160), as (legs, 320)."""
        signal = np.concatenate([self._past[slots], frames], axis=1, dtype=np.float32)
        self._past[slots] = signal[:, -_PAST:]
        output = np.empty((len(frames), FRAME_SAMPLES, 2), np.float32)
        output[:, :, 0] = 2 * (signal @ _MATRIX)
        output[:, :, 1] = signal[:, _PAST - _UP_DELAY : -_UP_DELAY]
        return _round(output.reshape(len(frames), -1))


class Downsampler:
    """Tables over `slots` legs: 16 to 8 kHz."""

    def __init__(self, *, slots: int) -> None:
        self._even = np.zeros((slots, _PAST), np.float32)
        self._odd = np.zeros((slots, _DOWN_DELAY), np.float32)

    def open(self, slot: int) -> None:
        """Forgets the slot's last call."""
        self._even[slot] = self._odd[slot] = 0

    def update(self, slots: Slots, frames: Samples) -> Samples:
        """One frame a leg, (legs, 320), as (legs, 160)."""
        even = np.concatenate([self._even[slots], frames[:, ::2]], axis=1, dtype=np.float32)
        odd = np.concatenate([self._odd[slots], frames[:, 1::2]], axis=1, dtype=np.float32)
        self._even[slots], self._odd[slots] = even[:, -_PAST:], odd[:, -_DOWN_DELAY:]
        return _round(even @ _MATRIX + 0.5 * odd[:, :-_DOWN_DELAY])


def _round(signal: Floats) -> Samples:
    samples: Samples = np.rint(np.clip(signal, -32768, 32767)).astype(np.int16)
    return samples
