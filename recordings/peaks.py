"""Peaks of a recording for a drawn waveform: the lowest and highest sample of each short stretch, per channel."""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

PEAKS_PER_SECOND = 100
MAX_PEAKS = 12_000  # two minutes at full detail; longer recordings get longer stretches


def peaks_of(samples: NDArray[np.int16], *, sample_rate: int, limit: int = MAX_PEAKS) -> dict[str, Any]:
    """Peaks of `samples`, shape (n, channels): `{"rate": peaks a second, "channels": [[min, max, min, max, ...], ]}`.

    Values are the samples' upper 8 bits, -128 to 127. At most `limit` pairs a channel.
    """
    count, channels = samples.shape
    stretch = max(round(sample_rate / PEAKS_PER_SECOND), -(-count // limit), 1)
    starts = np.arange(0, count, stretch)
    lines: list[list[int]] = [[] for _ in range(channels)]
    if count:
        low = np.minimum.reduceat(samples, starts, axis=0) >> 8
        high = np.maximum.reduceat(samples, starts, axis=0) >> 8
        lines = np.stack([low, high], axis=1).reshape(-1, channels).T.tolist()
    return {"rate": sample_rate / stretch, "channels": lines}


def serialize_peaks(peaks: dict[str, Any]) -> bytes:
    """Compact JSON."""
    return json.dumps(peaks, separators=(",", ":")).encode()
