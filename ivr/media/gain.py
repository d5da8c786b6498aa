"""A gain over the timeline, for what is recorded later than it is heard: steps, each reached within one frame."""

import numpy as np

from ivr.media.types import FRAME_SAMPLES, Samples


class GainCurve:
    """Piecewise linear between knots (position, gain), constant before the first and after the last."""

    def __init__(self, gain: float) -> None:
        self._positions = [0]
        self._gains = [gain]

    @property
    def unity(self) -> bool:
        """Whether it changes nothing anywhere."""
        return self._gains == [1.0]

    def step(self, position: int, gain: float) -> None:
        """From `position` on the gain goes to `gain`; a change that was still under way there stops short."""
        if self._gains[-1] == gain and self._positions[-1] <= position:
            return
        before = float(np.interp(position, self._positions, self._gains))
        while self._positions and self._positions[-1] >= position:
            self._positions.pop()
            self._gains.pop()
        self._positions += [position, position + FRAME_SAMPLES]
        self._gains += [before, gain]

    def forget(self, before: int) -> None:
        """Nothing before that position will be asked for again."""
        while len(self._positions) > 1 and self._positions[1] <= before:
            del self._positions[0], self._gains[0]

    def apply(self, samples: Samples, position: int, *, width: int = 1) -> Samples:
        """`samples` (mono, the first at `position`, `width` at each) at this gain."""
        first, last = self._positions[0], self._positions[-1]
        if position >= last or position + len(samples) // width <= first:
            gain = self._gains[-1] if position >= last else self._gains[0]
            return samples if gain == 1.0 else _scale(samples, np.float64(gain))
        places = position + np.arange(len(samples)) / width
        return _scale(samples, np.interp(places, self._positions, self._gains))


def _scale(samples: Samples, gain: np.float64 | np.ndarray[tuple[int], np.dtype[np.float64]]) -> Samples:
    scaled: Samples = np.rint(samples * gain).astype(np.int16)
    return scaled
