"""When does a person begin to speak? When the other side has spoken and has been quiet for a while."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LOUD_DBFS = -45.0


def level_dbfs(samples: NDArray[np.int16]) -> float:
    """RMS of int16 audio; -inf is spared by a floor of -120."""
    if not len(samples):
        return -120.0
    power = float(np.mean((samples.astype(np.float64) / 32768) ** 2))
    return 10 * float(np.log10(max(power, 1e-12)))


@dataclass(frozen=True)
class Heard:
    """A stretch of speech of the other side, in seconds on the listener's clock; over when `quiet_s` have passed."""

    start_s: float
    end_s: float


class Listener:
    """Follows the loudness of what comes in. Time is an argument (seconds, any zero)."""

    def __init__(self, *, quiet_s: float) -> None:
        self._quiet_s = quiet_s
        self._start: float | None = None
        self._last_loud = 0.0

    def update(self, level: float, now: float) -> Heard | None:
        """Takes the level (dBFS) since the last update; tells of a stretch of speech once it is over."""
        if level > LOUD_DBFS:
            if self._start is None:
                self._start = now
            self._last_loud = now
            return None
        if self._start is None or now - self._last_loud < self._quiet_s:
            return None
        heard, self._start = Heard(start_s=self._start, end_s=self._last_loud), None
        return heard
