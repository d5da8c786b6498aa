"""Does a recording hold what a caller sent, sample by sample?"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

QUIET = 8  # the least A-law magnitude: what a phone sends when nobody speaks
ANCHOR = 400  # samples
MAX_CANDIDATES = 2000


@dataclass(frozen=True)
class Match:
    """`offset`: sample of the recording at which the sent audio begins; `ratio`: share of its samples found as sent."""

    offset: int
    exact: bool
    ratio: float


def caller_channel_matches(recorded: NDArray[np.int16], sent: NDArray[np.int16]) -> Match:
    """Finds `sent` (int16, 8 kHz, silence around it left out) in `recorded` and compares sample by sample.

    Exact means that every sample from the first sound to the last is there, unchanged and in one piece.
    Silence alone matches nothing: offset -1, ratio 0.
    """
    sounding = np.flatnonzero(np.abs(sent.astype(np.int32)) > QUIET)
    if not len(sounding) or not len(recorded):
        return Match(offset=-1, exact=False, ratio=0.0)
    first = int(sounding[0])
    wanted = np.ascontiguousarray(sent[first : sounding[-1] + 1])
    best, share = -1, -1.0
    for offset in _candidates(recorded, wanted):
        equal = _equal(recorded, wanted, offset)
        if equal > share:
            best, share = offset, equal
        if share == 1.0:
            break
    return Match(offset=best - first, exact=share == 1.0, ratio=share)


def _equal(recorded: NDArray[np.int16], wanted: NDArray[np.int16], offset: int) -> float:
    """Share of the wanted samples that are right at `offset`."""
    begin, end = max(0, -offset), min(len(wanted), len(recorded) - offset)
    if end <= begin:
        return 0.0
    return float(np.count_nonzero(recorded[offset + begin : offset + end] == wanted[begin:end]) / len(wanted))


def _candidates(recorded: NDArray[np.int16], wanted: NDArray[np.int16]) -> Iterator[int]:
    """Offsets worth comparing: where the loudest piece occurs unchanged, then where the whole correlates best."""
    energy = np.cumsum(np.concatenate([[0.0], wanted.astype(float) ** 2]))
    width = min(ANCHOR, len(wanted))
    start = int(np.argmax(energy[width:] - energy[:-width]))
    anchor, haystack = wanted[start : start + width].tobytes(), np.ascontiguousarray(recorded).tobytes()
    at = haystack.find(anchor)
    for _ in range(MAX_CANDIDATES):
        if at < 0:
            break
        if at % 2 == 0:
            yield at // 2 - start
        at = haystack.find(anchor, at + 1)
    size = 1 << (len(recorded) + len(wanted)).bit_length()
    spectrum = np.fft.rfft(recorded, size) * np.conj(np.fft.rfft(wanted, size))
    peak = int(np.argmax(np.fft.irfft(spectrum, size)))
    yield peak if peak < len(recorded) else peak - size
