"""Which audio came at all: silence that was sent and a frame that never came look alike in a ring."""

import numpy as np
from numpy.typing import NDArray

from ivr.media.ring import RING, Slots
from ivr.media.types import FRAME_SAMPLES, SAMPLE_RATE

HALF = FRAME_SAMPLES // 2
"""Arrival is kept for every 10 ms, the shortest packet."""
_HALVES = RING // HALF
_FORGOTTEN = SAMPLE_RATE


class Arrivals:
    """Tables over `slots` legs, of which only those that are watched cost anything."""

    def __init__(self, *, slots: int) -> None:
        self._watched = np.zeros(slots, bool)
        self._came = np.zeros((slots, _HALVES), bool)

    def watch(self, slots: Slots) -> None:
        """Keeps what comes of these legs from now on."""
        self._watched[slots] = True

    def drop(self, slots: Slots | int) -> None:
        """Watches these legs no longer."""
        self._watched[slots] = False

    def watched(self, slots: Slots) -> NDArray[np.bool_]:
        """Which of `slots` are watched."""
        watched: NDArray[np.bool_] = self._watched[slots]
        return watched

    def forget(self, slots: Slots) -> None:
        """Nothing came of these legs yet."""
        self._came[slots] = False

    def put(self, slots: Slots, *, position: NDArray[np.int64], length: int) -> None:
        """One packet a leg; kept where the leg is watched."""
        watched = self._watched[slots]
        if not watched.any():
            return
        slots, position = slots[watched], position[watched]
        first = (position + HALF // 2) // HALF
        halves = first[:, None] + np.arange((length + HALF // 2) // HALF)
        self._came[slots[:, None], halves % _HALVES] = True

    def take(self, slots: Slots, *, position: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether the frame of each leg at its position came whole; asked again, it did not."""
        halves = (position // HALF)[:, None] + np.arange(2)
        came: NDArray[np.bool_] = self._came[slots[:, None], halves % _HALVES].all(axis=1)
        self._came[slots[:, None], halves % _HALVES] = False
        passed = (position // HALF)[:, None] - _FORGOTTEN // HALF + np.arange(4)  # what came and was never asked for
        self._came[slots[:, None], passed % _HALVES] = False
        return came
