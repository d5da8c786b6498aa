"""What a bad network does to packets on their way: they are lost, held back so that they overtake each other, doubled.

A packet is a pair (slot, frame), a column of an array (2, n) of int64.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray

Pairs = NDArray[np.int64]


class Network:
    """One way of it. `loss` and `duplicates` are shares; each packet is held back for 0 to `most_steps` steps."""

    def __init__(self, *, loss: float, duplicates: float, most_steps: int, slots: int) -> None:
        self.lost = self.doubled = self.overtaken = 0
        self._loss, self._duplicates = loss, duplicates
        self._random = np.random.default_rng(1)
        self._under_way: deque[list[Pairs]] = deque([] for _ in range(most_steps + 1))
        self._newest = np.full(slots, -1, np.int64)  # frame of each slot that has come out last

    def step(self, pairs: Pairs) -> Pairs:
        """Takes the packets sent in this step and gives those that come out, in order of arrival."""
        if self._loss:
            kept = pairs[:, self._random.random(pairs.shape[1]) >= self._loss]
            self.lost += pairs.shape[1] - kept.shape[1]
            pairs = kept
        if self._duplicates:
            twice = pairs[:, self._random.random(pairs.shape[1]) < self._duplicates]
            self.doubled += twice.shape[1]
            pairs = np.concatenate([pairs, twice], axis=1)
        if len(self._under_way) == 1:
            return pairs
        delays = self._random.integers(0, len(self._under_way), pairs.shape[1])
        for delay in np.unique(delays).tolist():
            self._under_way[delay].append(pairs[:, delays == delay])
        due = self._under_way.popleft()
        self._under_way.append([])
        out = np.concatenate(due, axis=1) if due else pairs[:, :0]
        self._count_overtaken(out)
        return out

    def begin(self, slot: int) -> None:
        """Another call has the slot."""
        self._newest[slot] = -1

    def _count_overtaken(self, out: Pairs) -> None:
        slots, frames = out
        self.overtaken += int((frames < self._newest[slots]).sum())
        np.maximum.at(self._newest, slots, frames)
