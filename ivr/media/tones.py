"""Tones of the telephone network: keypad digits (ITU-T Q.23) and call progress as heard in China (GB 3378, YDN 065).

Levels are dBm0; a sine that just fills G.711 A-law has 3.14 dBm0 (ITU-T G.711 section 5).
"""

import numpy as np
from numpy.typing import NDArray

from hotline.errors import InvalidInputError
from ivr.media.types import SAMPLE_RATE, Samples

LOW_GROUP = (697, 770, 852, 941)
HIGH_GROUP = (1209, 1336, 1477, 1633)
KEYPAD = "123A456B789C*0#D"
"""Row by row: key `4 * low + high` of the two groups."""

FULL_SCALE_DBM0 = 3.14
CALL_PROGRESS_HZ = 450
CALL_PROGRESS_DBM0 = -10.0
EDGE_MS = 4
"""How long a tone rises and falls, so that it does not click into other bands."""

Floats = NDArray[np.float64]


def amplitude(level_dbm0: float) -> float:
    """The peak of a sine of that level, in 16-bit steps."""
    return float(32767 * 10 ** ((level_dbm0 - FULL_SCALE_DBM0) / 20))


def dtmf(
    digits: str, *, tone_ms: int = 100, pause_ms: int = 100, low_dbm0: float = -9.0, high_dbm0: float = -7.0
) -> Samples:
    """The digits as tones, each followed by a pause; 8 kHz. Q.24 wants receivers to know 40 ms of either.

    Raises `InvalidInputError` where a digit is no key.
    """
    pause = np.zeros(_samples(pause_ms))
    parts = [np.zeros(0)]
    for digit in digits:
        key = KEYPAD.find(digit.upper())
        if key < 0:
            raise InvalidInputError(f"{digit!r} is no key of a telephone")
        low = _sine(LOW_GROUP[key // 4], level_dbm0=low_dbm0, duration_ms=tone_ms)
        high = _sine(HIGH_GROUP[key % 4], level_dbm0=high_dbm0, duration_ms=tone_ms)
        parts += [(low + high) * _envelope(len(low)), pause]
    return _round(np.concatenate(parts))


def ringback() -> Samples:
    """One period of the ringing tone, 1 s on and 4 s off, to be looped."""
    return _call_progress(on_ms=1000, off_ms=4000)


def busy() -> Samples:
    """One period of the busy tone, 350 ms on and 350 ms off, to be looped."""
    return _call_progress(on_ms=350, off_ms=350)


def congestion() -> Samples:
    """One period of the congestion tone, 700 ms on and 700 ms off, to be looped."""
    return _call_progress(on_ms=700, off_ms=700)


def _call_progress(*, on_ms: int, off_ms: int) -> Samples:
    tone = _sine(CALL_PROGRESS_HZ, level_dbm0=CALL_PROGRESS_DBM0, duration_ms=on_ms)
    return _round(np.concatenate([tone * _envelope(len(tone)), np.zeros(_samples(off_ms))]))


def _sine(frequency_hz: float, *, level_dbm0: float, duration_ms: int) -> Floats:
    time_s = np.arange(_samples(duration_ms)) / SAMPLE_RATE
    wave: Floats = amplitude(level_dbm0) * np.sin(2 * np.pi * frequency_hz * time_s)
    return wave


def _envelope(count: int) -> Floats:
    """Raised-cosine edges around ones."""
    edge = np.minimum(np.arange(count), np.arange(count)[::-1]) + 0.5
    envelope: Floats = 0.5 - 0.5 * np.cos(np.pi * np.minimum(1, edge / _samples(EDGE_MS)))
    return envelope


def _samples(duration_ms: int) -> int:
    return SAMPLE_RATE * duration_ms // 1000


def _round(wave: Floats) -> Samples:
    samples: Samples = np.rint(np.clip(wave, -32768, 32767)).astype(np.int16)
    return samples
