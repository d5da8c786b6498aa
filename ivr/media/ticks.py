"""The 20 ms clock: absolute deadlines, no burst after a stall, and how well it was kept."""

from dataclasses import dataclass

import numpy as np

from ivr.media.types import FRAME_MS

TICK_S = FRAME_MS / 1000
CATCH_UP_S = 2 * TICK_S
"""Ticks up to so late are made up for, which the far end's jitter buffer hides; later ones are skipped."""
REMEMBERED_TICKS = 3000


@dataclass(frozen=True)
class TickStats:
    """`late` ticks began a whole tick after their deadline or later, `skipped` ones never; lateness in milliseconds."""

    ticks: int
    late: int
    skipped: int
    lateness_p50_ms: float
    lateness_p99_ms: float
    lateness_max_ms: float


class TickClock:
    """Numbers the ticks by monotonic time, so that index x 20 ms stays wall time however late a tick begins."""

    def __init__(self) -> None:
        self.index = 0
        self._epoch: float | None = None
        self._ticks = self._late = self._skipped = 0
        self._lateness = np.zeros(REMEMBERED_TICKS)

    def deadline(self) -> float | None:
        """When the next tick is due, in monotonic seconds; None before the first."""
        return None if self._epoch is None else self._epoch + (self.index + 1) * TICK_S

    def advance(self, now: float) -> int:
        """Begins the next tick; returns how many were skipped before it."""
        deadline = self.deadline()
        if deadline is None:
            self._epoch = deadline = now
        else:
            self.index += 1
        lateness = now - deadline
        skipped = int(lateness / TICK_S) if lateness > CATCH_UP_S else 0
        self.index += skipped
        self._lateness[self._ticks % REMEMBERED_TICKS] = max(0.0, lateness)
        self._ticks += 1
        self._late += lateness >= TICK_S
        self._skipped += skipped
        return skipped

    def stats(self) -> TickStats:
        """Counts since the start; lateness over the last minute."""
        lateness = np.sort(self._lateness[: max(1, self._ticks)]) * 1000
        p50, p99, worst = (lateness[int(part * (len(lateness) - 1))] for part in (0.5, 0.99, 1))
        return TickStats(
            ticks=self._ticks,
            late=self._late,
            skipped=self._skipped,
            lateness_p50_ms=float(p50),
            lateness_p99_ms=float(p99),
            lateness_max_ms=float(worst),
        )
