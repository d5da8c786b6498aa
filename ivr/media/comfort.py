"""Comfort noise (RFC 3389, payload type 13): what a line sounds like while its far end sends nothing.

A far end that falls silent says once how loud its noise is and how it is coloured; the pause is filled with such noise,
not with dead silence. Levels are -dBov, 0 to 127: 0 dBov is a square wave as large as samples can be.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hotline.errors import ProtocolError
from ivr.media.ring import Slots
from ivr.media.types import FRAME_SAMPLES, Samples

SILENT = 127
FULL_SCALE = 32768.0
MAX_ORDER = 12
"""Coefficients beyond these are taken for zero, as section 3.3 allows a receiver."""
MAX_PAYLOAD = 64
"""A level and more coefficients than any codec's model of the voice has."""

_BLOCK = 2 * FRAME_SAMPLES
_BINS = FRAME_SAMPLES + 1
_WINDOW = np.sin(np.pi * (np.arange(_BLOCK) + 0.5) / _BLOCK).astype(np.float32)
"""Two such windows half a block apart add up to constant power."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class ComfortNoise:
    """One payload: the level, 0-127 (-dBov), and reflection coefficients between -1 and 1, quantised (0-254)."""

    level: int
    coefficients: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.level <= SILENT or not all(0 <= value <= 254 for value in self.coefficients):
            raise ValueError(f"not comfort noise: {self!r}")

    @property
    def reflections(self) -> tuple[float, ...]:
        """The coefficients (section 3.2)."""
        return tuple(258 * (value - 127) / 32768 for value in self.coefficients)

    def serialize(self) -> bytes:
        """The payload as sent."""
        return bytes([self.level, *self.coefficients])

    @classmethod
    def parse(cls, payload: bytes) -> "ComfortNoise":
        """Reads one payload; raises `ProtocolError`."""
        if not 1 <= len(payload) <= MAX_PAYLOAD or payload[0] & 0x80 or 255 in payload[1:]:
            raise ProtocolError(f"comfort noise of {len(payload)} octets: {payload[:16].hex()}")
        return cls(level=payload[0], coefficients=tuple(payload[1:]))


class ComfortNoiseGenerator:
    """Tables over `slots` calls. Arrays of slots must name each slot once.

    A pause is announced by `set` while audio from before it still waits in the jitter buffer: it begins with the first
    frame after that which never came, and ends with the next one that came.
    """

    def __init__(self, *, slots: int, random: np.random.Generator) -> None:
        self._random = random
        self._gain = np.zeros((slots, _BINS), np.float32)
        self._tail = np.zeros((slots, FRAME_SAMPLES), np.float32)
        self._announced = np.zeros(slots, bool)
        self._pausing = np.zeros(slots, bool)

    def open(self, slot: int) -> None:
        """Forgets the slot's last call: its noise is silence."""
        self._gain[slot] = 0
        self._tail[slot] = 0
        self._announced[slot] = self._pausing[slot] = False

    def set(self, slot: int, noise: ComfortNoise) -> None:
        """The noise of that call's pause, now or to come; blended into what it was."""
        self._gain[slot] = _spectrum(noise)
        self._announced[slot] = True

    def fill(self, slots: Slots, frames: Samples, *, missing: NDArray[np.bool_]) -> tuple[Samples, NDArray[np.bool_]]:
        """Takes the frame of each call, (calls, 160), and which of them never came; returns them with pauses filled,
        and which are missing still: lost and not a pause. `frames` is returned itself where there is no pause."""
        paused = self._announced[slots] & missing
        ends = self._pausing[slots] & ~missing
        self._pausing[slots] = paused
        if not paused.any() and not ends.any():
            return frames, missing
        frames = frames.copy()
        if paused.any():
            frames[paused] = self.frames(slots[paused])
        self._announced[slots[ends]] = False
        frames[ends] = _round(frames[ends].astype(np.float32) + self._tail[slots[ends]])
        self._tail[slots[ends]] = 0
        return frames, missing & ~paused

    def frames(self, slots: Slots) -> Samples:
        """The next frame of noise of each call, (calls, 160); the first one rises from silence."""
        white = self._random.standard_normal((len(slots), _BLOCK), np.float32)
        block = np.fft.irfft(np.fft.rfft(white, axis=1) * self._gain[slots], n=_BLOCK, axis=1) * _WINDOW
        frames = self._tail[slots] + block[:, :FRAME_SAMPLES]
        self._tail[slots] = block[:, FRAME_SAMPLES:]
        return _round(frames)


def levels(frames: Samples) -> NDArray[np.uint8]:
    """How loud each row of (calls, length) is, in -dBov: what our own comfort noise says."""
    samples = frames.astype(np.float32)
    power = np.einsum("ij,ij->i", samples, samples) / np.float32(frames.shape[1] * FULL_SCALE**2)
    decibels = -10 * np.log10(np.maximum(power, 1e-13))
    quantised: NDArray[np.uint8] = np.clip(np.rint(decibels), 0, SILENT).astype(np.uint8)
    return quantised


def _spectrum(noise: ComfortNoise) -> Floats:
    """Gains that make white noise of variance 1 this noise: flat, or the all-pole filter of the coefficients."""
    if noise.level == SILENT:
        return np.zeros(_BINS, np.float32)
    predictor = np.ones(1)
    for reflection in noise.reflections[:MAX_ORDER]:
        predictor = np.append(predictor, 0) + reflection * np.append(predictor, 0)[::-1]
    shape = 1 / np.maximum(np.abs(np.fft.rfft(predictor, n=_BLOCK)), 1e-6)
    both_sides = np.full(_BINS, 2.0)
    both_sides[[0, -1]] = 1
    power = (both_sides * shape**2).sum() / _BLOCK
    gains: Floats = (shape * FULL_SCALE * 10 ** (-noise.level / 20) / np.sqrt(power)).astype(np.float32)
    return gains


def _round(signal: NDArray[np.floating[Any]]) -> Samples:
    samples: Samples = np.rint(np.clip(signal, -32768, 32767)).astype(np.int16)
    return samples
