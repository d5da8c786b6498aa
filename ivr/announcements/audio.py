"""The sound of a prompt: one loudness, no silence around it, soft edges.

The level is the RMS of 10 ms blocks, those far below the loudest left out: gated as in ITU-R BS.1770, but without its
frequency weighting, which is made for full-band music and means little at 8 kHz.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ivr.media.types import SAMPLE_RATE, Samples

LEVEL_DBFS = -18.0
PEAK = 10 ** (-1 / 20)
BLOCK = SAMPLE_RATE // 100
SILENCE_BELOW_PEAK_DB = 40.0
SPEECH_BELOW_PEAK_DB = 25.0
MARGIN = round(0.06 * SAMPLE_RATE)
FADE = round(0.008 * SAMPLE_RATE)
QUIETEST_DBFS = -60.0

Audio = NDArray[np.float64]


@dataclass(frozen=True)
class Loudness:
    """Level of the spoken part and peak in dBFS, silence before and after it in milliseconds."""

    level_dbfs: float
    peak_dbfs: float
    before_ms: int
    after_ms: int


def measure(audio: Audio) -> Loudness | None:
    """How loud 8 kHz audio (full scale 1.0) is and how much silence surrounds it; None: there is only silence."""
    levels = _block_levels(audio)
    if not len(levels) or levels.max() < QUIETEST_DBFS:
        return None
    sounding = np.flatnonzero(levels > levels.max() - SILENCE_BELOW_PEAK_DB)
    loud = levels[levels > levels.max() - SPEECH_BELOW_PEAK_DB]
    return Loudness(
        level_dbfs=float(10 * np.log10((10 ** (loud / 10)).mean())),
        peak_dbfs=float(20 * np.log10(np.abs(audio).max())),
        before_ms=int(sounding[0]) * 10,
        after_ms=int(len(levels) - sounding[-1] - 1) * 10,
    )


def finish(audio: Audio) -> Audio:
    """Trims to 60 ms of silence at both ends, sets the level of the spoken part, fades the edges.

    `audio`: 8 kHz, full scale 1.0. Raises ValueError where there is only silence.
    """
    levels = _block_levels(audio)
    if not len(levels) or levels.max() < QUIETEST_DBFS:
        raise ValueError("there is only silence")
    sounding = np.flatnonzero(levels > levels.max() - SILENCE_BELOW_PEAK_DB)
    first, last = sounding[0] * BLOCK, (sounding[-1] + 1) * BLOCK
    trimmed = np.pad(audio, MARGIN)[first : last + 2 * MARGIN]
    loudness = measure(trimmed)
    assert loudness is not None  # it holds the loudest block
    gain = 10 ** ((LEVEL_DBFS - loudness.level_dbfs) / 20)
    finished = np.asarray(trimmed * min(gain, PEAK / np.abs(trimmed).max()), np.float64)
    ramp = np.linspace(0, 1, FADE)
    finished[:FADE] *= ramp
    finished[-FADE:] *= ramp[::-1]
    return finished


def to_samples(audio: Audio) -> Samples:
    """Full scale 1.0 as 16-bit samples."""
    return np.round(np.clip(audio, -1, 1) * 32767).astype(np.int16)


def _block_levels(audio: Audio) -> Audio:
    """RMS in dBFS of each whole block of 10 ms."""
    blocks = audio[: len(audio) // BLOCK * BLOCK].reshape(-1, BLOCK)
    return np.asarray(20 * np.log10(np.sqrt((blocks**2).mean(axis=1)) + 1e-9))
