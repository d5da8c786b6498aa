"""The other side's voice that comes back in a speaker's channel, kept from the recognizer. Pure.

A telephone line or a loudspeaker returns what is played to a speaker, weaker and later. Where that explains most of
what comes from him he is silent, and the recognizer is told silence; where he speaks himself, also over it, everything
stays. The recording is not touched.

How much is explained: the delay is where both sides correlate best, up to `MAX_DELAY_MS`, and around it the filter of
`TAPS` samples is taken that fits best (Wiener and Hopf), which covers a line's echo and small rooms.
"""

import threading

import numpy as np
from numpy.typing import NDArray

from asr.blocks import BYTES_PER_SAMPLE, bytes_of
from ivr.media.types import SAMPLE_RATE

WINDOW_MS = 300
MAX_DELAY_MS = 400
TAPS, TAPS_BEFORE = 48, 16
EXPLAINED = 0.8
QUIET = 32.0
"""Root mean square (of 32768) below which nobody plays anything that could come back."""
LOADING = 1e-3
KEPT_MS = 20_000

Signal = NDArray[np.float64]


def explained_share(near: Signal, far: Signal) -> float:
    """The share of `near`'s energy, 0-1, that is an echo of `far`; `far` begins earlier and both end together."""
    energy = float(near @ near)
    if not energy:
        return 0.0
    lags = len(far) - len(near)  # a lag of 0 is the end of `cross`
    size = 1 << (len(far) + len(near)).bit_length()
    spectrum = np.fft.rfft(far, size)
    cross = np.fft.irfft(spectrum * np.conj(np.fft.rfft(near, size)), size)[: lags + 1]
    cumulated = np.concatenate([[0.0], np.cumsum(far * far)])
    power = cumulated[len(near) :] - cumulated[: lags + 1]
    best = int(np.argmax(cross * cross / (power + 1.0)))
    first = max(0, min(best - TAPS_BEFORE, lags + 1 - TAPS))
    taps = min(TAPS, lags + 1)
    wanted = cross[first : first + taps]
    piece = far[first : first + taps + len(near)]
    correlation = np.fft.irfft(np.abs(np.fft.rfft(piece, size)) ** 2, size)[:taps]
    at = np.arange(taps)
    matrix = correlation[np.abs(at[:, None] - at)]
    matrix[at, at] *= 1 + LOADING
    explained = float(wanted @ np.linalg.solve(matrix, wanted))
    return min(1.0, max(0.0, explained / energy))


class EchoGate:
    """Silences echo in 8 kHz s16le mono audio. One thread tells what was played, another asks.

    Positions are bytes since the stream's start, the same on both sides.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._far = bytearray()
        self._begin = 0  # position of the first byte held

    def played(self, pcm: bytes, position: int) -> None:
        """What the speaker was played at `position`; nothing where it is not told."""
        with self._lock:
            gap = position - self._begin - len(self._far)
            if gap < 0:
                return
            self._far += bytes(gap) + pcm
            surplus = len(self._far) - bytes_of(KEPT_MS, SAMPLE_RATE)
            if surplus > 0:
                del self._far[:surplus]
                self._begin += surplus

    def pass_on(self, before: bytes, block: bytes, position: int) -> bytes:
        """`block`, which began at `position` after `before`, or silence of its length where it is an echo."""
        near = np.frombuffer((before + block)[-bytes_of(WINDOW_MS, SAMPLE_RATE) :], "<i2").astype(np.float64)
        end = position + len(block)
        far = self._heard(end - len(near) * BYTES_PER_SAMPLE - bytes_of(MAX_DELAY_MS, SAMPLE_RATE), end)
        if far is None or np.sqrt(np.mean(far * far)) < QUIET:
            return block
        return bytes(len(block)) if explained_share(near, far) >= EXPLAINED else block

    def _heard(self, begin: int, end: int) -> Signal | None:
        """What was played from `begin` to `end`, silence where nothing was told; None without any."""
        with self._lock:
            held_end = self._begin + len(self._far)
            if held_end <= begin:
                return None
            piece = bytes(self._far[max(0, begin - self._begin) : max(0, end - self._begin)])
        front = max(0, self._begin - begin)
        return np.frombuffer(bytes(front) + piece + bytes(end - begin - front - len(piece)), "<i2").astype(np.float64)
