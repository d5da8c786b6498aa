"""Keypad digits as tones in the audio (ITU-T Q.23), for all calls at once, within the limits of ITU-T Q.24.

Each 20 ms frame of every call is correlated with the eight tones by one matrix product (the DFT at those frequencies,
which Goertzel's recurrence computes one by one). The few frames that may be a key are judged with those around them:

| test | limit (what Q.24 demands) | against |
|---|---|---|
| level | each tone above -33 dBm0 (-25) | crosstalk, noise |
| frequency | within 2.2 %, by the advance of the phase (take 1.5 % and 2 Hz, refuse 3.5 %) | speech |
| twist | high tone at most 6 dB above, 9 dB below the low one (4 and 8) | speech |
| total energy | at least 0.87 of the frame's in the two tones to begin a press, 0.7 to go on | speech, music |
| second harmonic | 6 dB (low tone's) and 10 dB (high tone's) below its tone | voiced speech |
| duration | at least 32 ms (take 40, refuse 23) | speech, clicks |
| pause | two frames without the tones, then the same key is pressed anew (split at 40 ms, not at 10) | dropouts |
"""

import numpy as np
from numpy.typing import NDArray

from ivr.media.ring import Slots
from ivr.media.tones import HIGH_GROUP, KEYPAD, LOW_GROUP, amplitude
from ivr.media.types import FRAME_SAMPLES, SAMPLE_RATE, Samples

LEVEL_DBM0 = -33.0
FREQUENCY_TOLERANCE = 0.022
TWIST = 10**0.6
REVERSE_TWIST = 10**0.9
TONE_SHARE = 0.87
TONE_SHARE_KEPT = 0.7
LOW_HARMONIC = 10**-0.6
HIGH_HARMONIC = 10**-1.0
DURATION_SAMPLES = SAMPLE_RATE * 32 // 1000
PAUSE_FRAMES = 2
HELD_FRAMES = 5
"""So many lost frames in a row tell nothing about a key; after more it is taken to be let go."""
LATENCY_MS = 60
"""A digit is told with the frame that ends at most so long after its tone began, for a clean tone."""

NO_DIGIT = -1
_LIKELY_SHARE = 0.35
"""Of a frame's energy at the eight frequencies: tones 1.5 % off, which the matrix sees 4 dB too weak, must pass."""
_HARMONIC_APART_HZ = 150
"""The low tone's second harmonic can be told from the high tone only so far from it."""
_BLOCK = 3
_MIDDLE = slice(FRAME_SAMPLES, 2 * FRAME_SAMPLES)
_HALF = FRAME_SAMPLES // 2
_TONE_POWER = amplitude(LEVEL_DBM0) ** 2 / 2

_GROUPS = np.array(LOW_GROUP + HIGH_GROUP, np.float64)
_RADIANS = 2 * np.pi * _GROUPS / SAMPLE_RATE
_SAMPLE = np.arange(FRAME_SAMPLES)
_PHASES = _SAMPLE[:, None] * _RADIANS
_MATRIX = np.concatenate([np.cos(_PHASES), np.sin(_PHASES)], axis=1).astype(np.float32)

Floats = NDArray[np.float64]
Digits = NDArray[np.int8]


class InbandDetector:
    """Tables over `slots` calls. Arrays of slots must name each slot once."""

    def __init__(self, *, slots: int) -> None:
        self._history = np.zeros((slots, _BLOCK - 1, FRAME_SAMPLES), np.int16)
        self._frame = np.zeros(slots, np.int64)
        self._likely = np.full(slots, NO_DIGIT, np.int8)  # the key that the last frame may be
        self._pressed = np.full(slots, NO_DIGIT, np.int8)
        self._pause = np.zeros(slots, np.int64)
        self._lost = np.zeros(slots, np.int64)  # frames in a row that never came, up to the last one

    def open(self, slot: int) -> None:
        """Forgets the slot's last call."""
        self._history[slot] = 0
        self._likely[slot] = self._pressed[slot] = NO_DIGIT
        self._pause[slot] = self._lost[slot] = 0

    def update(self, slots: Slots, frames: Samples, *, missing: NDArray[np.bool_] | None = None) -> Digits:
        """Takes one frame a call, (calls, 160); returns each call's new digit as an index of `tones.KEYPAD`, or -1.

        `missing`: whose frame never came and is silent for that; a loss while a key is held does not make it two.
        """
        key = self._judge(slots, frames)
        self._history[slots, self._frame[slots] % (_BLOCK - 1)] = frames
        self._frame[slots] += 1
        self._likely[slots] = _likely_keys(frames)
        digits = self._press(slots, key)
        self._lost[slots] = 0 if missing is None else np.where(missing, self._lost[slots] + 1, 0)
        return digits

    def _judge(self, slots: Slots, frames: Samples) -> Digits:
        """The key whose tones the last frame holds, now that the one after it is known."""
        key = self._likely[slots]
        likely = np.flatnonzero(key != NO_DIGIT)
        if len(likely):
            own = slots[likely]
            order = (self._frame[own, None] + np.arange(_BLOCK - 1)) % (_BLOCK - 1)
            past = self._history[own[:, None], order].reshape(len(own), -1)
            block = np.concatenate([past, frames[likely]], axis=1).astype(np.float64)
            pressed = self._pressed[own] == key[likely]
            key[likely[~_holds_tones(block, key[likely], pressed=pressed)]] = NO_DIGIT
        return key

    def _press(self, slots: Slots, key: Digits) -> Digits:
        """Makes frames that hold a key presses of it."""
        pressed = self._pressed[slots]
        new = (key != NO_DIGIT) & (key != pressed)
        lost = self._lost[slots]
        telling = (lost == 0) | (lost > HELD_FRAMES)
        pause = np.where(key == NO_DIGIT, self._pause[slots] + telling, 0)
        released = pause >= PAUSE_FRAMES
        self._pause[slots] = pause
        self._pressed[slots] = np.where(released, NO_DIGIT, np.where(new, key, pressed))
        return np.where(new, key, np.int8(NO_DIGIT))


def digit_of(index: int) -> str:
    """The key of a digit that `update` told."""
    return KEYPAD[index]


def _likely_keys(frames: Samples) -> Digits:
    """For each frame the key of its strongest two tones, -1 where they hold too little of its energy."""
    keys = np.full(len(frames), NO_DIGIT, np.int8)
    samples = frames.astype(np.float32)
    energy = np.einsum("ij,ij->i", samples, samples)
    loud = np.flatnonzero(energy > 2 * _TONE_POWER * FRAME_SAMPLES)
    if len(loud):
        parts = samples[loud] @ _MATRIX
        parts *= parts
        power = parts[:, :8] + parts[:, 8:]
        low, high = power[:, :4].argmax(axis=1), power[:, 4:].argmax(axis=1)
        row = np.arange(len(loud))
        share = (power[row, low] + power[row, 4 + high]) / (energy[loud] * (FRAME_SAMPLES / 2))
        keys[loud] = np.where(share > _LIKELY_SHARE, 4 * low + high, NO_DIGIT)
    return keys


def _holds_tones(block: Floats, key: Digits, *, pressed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether the middle of each three frames, (calls, 480), is the tones of its key by all the limits.

    A key that is pressed already may go on a little worse and end at any time.
    """
    low, low_near = _frequencies(block[:, _MIDDLE], _RADIANS[key // 4])
    high, high_near = _frequencies(block[:, _MIDDLE], _RADIANS[4 + key % 4])
    low_parts, high_parts = _magnitudes(block, low), _magnitudes(block, high)
    per_frame = block.reshape(len(block), _BLOCK, FRAME_SAMPLES)
    energy = np.einsum("ijk,ijk->ij", per_frame, per_frame)
    # A sine of power p correlates with its own frequency to sqrt(p / 2) a sample.
    low_power, high_power = 2 * (low_parts[:, 1] / FRAME_SAMPLES) ** 2, 2 * (high_parts[:, 1] / FRAME_SAMPLES) ** 2
    level = (low_power > _TONE_POWER) & (high_power > _TONE_POWER)
    twist = (high_power < TWIST * low_power) & (low_power < REVERSE_TWIST * high_power)
    share = np.where(pressed, TONE_SHARE_KEPT, TONE_SHARE)
    total = (low_power + high_power) * FRAME_SAMPLES > share * energy[:, 1]
    # Magnitudes grow with the time the tones last and energy as well, so the square over the energy is that time.
    duration = 2 * (low_parts.sum(axis=1) ** 2 + high_parts.sum(axis=1) ** 2) / np.maximum(energy.sum(axis=1), 1)
    harmonic_apart = np.abs(2 * low - high) * SAMPLE_RATE / (2 * np.pi) > _HARMONIC_APART_HZ
    middle = block[:, _MIDDLE]
    low_harmonic = _magnitudes(middle, 2 * low)[:, 0] ** 2 > LOW_HARMONIC * low_parts[:, 1] ** 2
    high_harmonic = _magnitudes(middle, 2 * high)[:, 0] ** 2 > HIGH_HARMONIC * high_parts[:, 1] ** 2
    voiced = (low_harmonic & harmonic_apart) | high_harmonic
    lasts = pressed | (duration >= DURATION_SAMPLES)
    holds: NDArray[np.bool_] = low_near & high_near & level & twist & total & lasts & ~voiced
    return holds


def _frequencies(frames: Floats, nominal: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """The true frequencies near the nominal ones (radians a sample), and which are near enough.

    From one half of the frame to the other the phase advances by the frequency times half a frame.
    """
    halves = frames.reshape(len(frames), 2, _HALF) * np.hanning(_HALF + 2)[1:-1]
    phases = np.exp(-1j * nominal[:, None] * np.arange(_HALF))
    parts = np.einsum("ijk,ik->ij", halves, phases)
    off = np.angle(parts[:, 1] * parts[:, 0].conj() * np.exp(-1j * nominal * _HALF)) / _HALF
    return nominal + off, np.abs(off) <= FREQUENCY_TOLERANCE * nominal


def _magnitudes(samples: Floats, frequency: Floats) -> Floats:
    """How strongly each frame of each row correlates with the row's frequency: (calls, frames)."""
    frames = samples.reshape(len(samples), -1, FRAME_SAMPLES)
    magnitudes: Floats = np.abs(np.einsum("ijk,ik->ij", frames, np.exp(-1j * frequency[:, None] * _SAMPLE)))
    return magnitudes
