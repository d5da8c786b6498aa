"""The recent past and near future of every call's audio, one ring a call, addressed by timeline position in samples."""

import numpy as np
from numpy.typing import NDArray

from ivr.media.types import FRAME_SAMPLES, Samples

RING = 128 * FRAME_SAMPLES
"""2.56 s: whole frames, so that a frame of the timeline never wraps."""

_RING_FRAMES = RING // FRAME_SAMPLES

Slots = NDArray[np.intp]


class Rings:
    """Silence wherever nothing was put. Holds positions from a call's frontier, the next to be taken, to RING later.

    `width`: samples at each position (`wideband`). Memory is used only by slots that ever held anything.
    """

    def __init__(self, *, slots: int, width: int = 1) -> None:
        self._width, self._size = width, RING * width
        self._samples = np.zeros((slots, self._size), np.int16)
        self._frames = self._samples.reshape(slots, -1, FRAME_SAMPLES * width)

    def clear(self, slot: int) -> None:
        """Makes one call's ring silent."""
        self._samples[slot] = 0

    def put(self, slots: Slots, samples: Samples, *, positions: NDArray[np.int64]) -> None:
        """Writes (calls, length) samples, each row at its position."""
        whole = samples.shape[1] == FRAME_SAMPLES * self._width
        if whole and not (positions % FRAME_SAMPLES).any():  # far the fastest way to copy
            self._frames[slots, positions // FRAME_SAMPLES % _RING_FRAMES] = samples
            return
        columns = (positions[:, None] * self._width + np.arange(samples.shape[1])) % self._size
        self._samples[slots[:, None], columns] = samples

    def add(self, slot: int, samples: Samples, *, position: int) -> None:
        """Adds mono samples to what is there; the sum saturates."""
        start = position * self._width % self._size
        row, room = self._samples[slot], self._size - start
        for there, new in (
            (row[start : start + len(samples)], samples[:room]),
            (row[: len(samples) - room], samples[room:]),
        ):
            if len(new):
                there[:] = np.clip(there.astype(np.int32) + new, -32768, 32767)

    def put_frames(self, slots: Slots, samples: Samples, *, position: int) -> None:
        """Writes (calls, 160) samples at one position for all, a multiple of 160."""
        column = position % RING
        self._samples[slots, column : column + FRAME_SAMPLES] = samples

    def frames(self, slots: Slots, *, position: int) -> Samples:
        """The frames at `position`, a multiple of 160: (calls, 160)."""
        column = position % RING
        return self._samples[slots, column : column + FRAME_SAMPLES]

    def frames_at(self, slots: Slots, *, positions: NDArray[np.int64]) -> Samples:
        """A copy of the frame of each slot at its position, a multiple of 160: (calls, 160)."""
        frames: Samples = self._frames[slots, positions // FRAME_SAMPLES % _RING_FRAMES]
        return frames

    def take_frames(self, slots: Slots, *, positions: NDArray[np.int64], count: int) -> Samples:
        """Removes and returns `count` frames of each from its position, a multiple of 160: (calls, count * 160)."""
        columns = (positions[:, None] // FRAME_SAMPLES + np.arange(count)) % _RING_FRAMES
        frames = self._frames[slots[:, None], columns]
        self._frames[slots[:, None], columns] = 0
        samples: Samples = frames.reshape(len(slots), -1)
        return samples

    def take(self, slot: int, *, position: int, count: int) -> Samples:
        """Removes and returns what lies at `count` positions, at most RING."""
        start, length = position * self._width % self._size, count * self._width
        parts = [
            self._samples[slot, start : start + length],
            self._samples[slot, : max(0, start + length - self._size)],
        ]
        samples: Samples = np.concatenate(parts)
        for part in parts:
            part[:] = 0
        return samples
