"""Substitutes for frames that never came, for all calls at once (ITU-T G.711 Appendix I, 9/1999, without its delay).

A lost frame is the last pitch period of what was heard, over and over, faded to silence by `FADE_END`: up to three
frames nobody should hear a hole, and after that nobody should hear a machine. Appendix I delays all audio by 3.75 ms so
that it can blend where the loss begins; here the step at that place is instead spread over a quarter of a period.
"""

import numpy as np
from numpy.typing import NDArray

from ivr.media.ring import Slots
from ivr.media.types import FRAME_SAMPLES, SAMPLE_RATE, Samples

SHORTEST = SAMPLE_RATE * 5 // 1000
LONGEST = SAMPLE_RATE * 15 // 1000
"""Pitch periods looked for; a higher voice is found as a multiple of its period."""
WINDOW = SAMPLE_RATE * 20 // 1000
"""What is compared with itself one period earlier."""
FADE_START = SAMPLE_RATE * 10 // 1000
FADE_END = SAMPLE_RATE * 60 // 1000
RETURN_SHORT = SAMPLE_RATE * 4 // 1000
RETURN_LONG = SAMPLE_RATE * 8 // 1000
"""How long substitute and real audio are blended after one lost frame, and after more."""

_HISTORY_FRAMES = 2  # holds WINDOW + LONGEST, and LONGEST with its quarter before
_TAIL = WINDOW + LONGEST
_COLUMNS = np.arange(FRAME_SAMPLES)

Floats = NDArray[np.float32]


class Concealer:
    """Tables over `slots` calls. Arrays of slots must name each slot once."""

    def __init__(self, *, slots: int) -> None:
        self._history = np.zeros((slots, _HISTORY_FRAMES, FRAME_SAMPLES), np.int16)
        self._frame = np.zeros(slots, np.int64)
        self._lost = np.zeros(slots, np.int64)  # samples substituted since the last frame that came
        self._period = np.full(slots, LONGEST)
        self._cycle = np.zeros((slots, LONGEST), np.float32)
        self._step = np.zeros(slots, np.float32)

    def open(self, slot: int) -> None:
        """Forgets the slot's last call: a loss before its first frame is silence."""
        self._history[slot] = 0
        self._lost[slot] = 0

    def update(self, slots: Slots, frames: Samples, *, missing: NDArray[np.bool_]) -> Samples:
        """Takes the frame of each call, (calls, 160), and which of them never came; returns what is to be heard.

        `frames` is returned itself where nothing needs mending, else a copy; rows of missing frames are not read.
        """
        lost = self._lost[slots]
        if missing.any() or lost.any():
            begins = missing & (lost == 0)
            if begins.any():
                self._analyse(slots[begins])
            frames = frames.copy()
            frames[missing] = _round(self._substitute(slots[missing], lost[missing]))
            returns = ~missing & (lost > 0)
            frames[returns] = self._blend(slots[returns], lost[returns], frames[returns])
            self._lost[slots] = np.where(missing, lost + FRAME_SAMPLES, 0)
        self._history[slots, self._frame[slots] % _HISTORY_FRAMES] = frames
        self._frame[slots] += 1
        return frames

    def _analyse(self, slots: Slots) -> None:
        """Finds the last pitch period of each call and makes it a cycle that joins its own beginning."""
        order = (self._frame[slots, None] + np.arange(_HISTORY_FRAMES)) % _HISTORY_FRAMES
        history = self._history[slots[:, None], order].reshape(len(slots), -1).astype(np.float32)
        period = _pitch_periods(history[:, -_TAIL:])
        place = np.arange(LONGEST)
        cycle = _from_end(history, period[:, None] - place)
        # Its last quarter is blended into what came before it, as Appendix I does.
        quarter = period[:, None] // 4
        weight = np.clip((place - (period[:, None] - quarter) + 1) / (quarter + 1), 0, 1).astype(np.float32)
        earlier = _from_end(history, np.minimum(2 * period[:, None] - place, history.shape[1]))
        self._cycle[slots] = cycle * (1 - weight) + earlier * weight
        self._step[slots] = history[:, -1] - _from_end(history, period[:, None] + 1)[:, 0]
        self._period[slots] = period

    def _substitute(self, slots: Slots, lost: NDArray[np.int64]) -> Floats:
        """The next frame of each call that misses `lost` samples already."""
        place = lost[:, None] + _COLUMNS
        period = self._period[slots, None]
        wave = self._cycle[slots[:, None], place % period]
        wave += self._step[slots, None] * np.maximum(0, 1 - (place + 1) * 4 / period)
        substitute: Floats = wave * np.clip((FADE_END - place) / (FADE_END - FADE_START), 0, 1)
        return substitute

    def _blend(self, slots: Slots, lost: NDArray[np.int64], frames: Samples) -> Samples:
        """Frames that came after a loss, the substitute fading out at their beginning."""
        length = np.where(lost > FRAME_SAMPLES, RETURN_LONG, RETURN_SHORT)[:, None]
        weight = np.minimum(1, (_COLUMNS + 1) / (length + 1))
        return _round(frames * weight + self._substitute(slots, lost) * (1 - weight))


def _pitch_periods(tail: Floats) -> NDArray[np.int64]:
    """The lag of the best normalised cross-correlation of each row's last `WINDOW` samples with those before."""
    lagged = np.lib.stride_tricks.sliding_window_view(tail, WINDOW, axis=1)[:, : LONGEST - SHORTEST + 1]
    correlation = np.einsum("ijk,ik->ij", lagged, tail[:, -WINDOW:])
    power = np.cumsum(tail * tail, axis=1, dtype=np.float64)
    power = np.concatenate([np.zeros((len(tail), 1)), power], axis=1)
    energy = (power[:, WINDOW:] - power[:, :-WINDOW])[:, : LONGEST - SHORTEST + 1]
    likeness = correlation / np.sqrt(np.maximum(energy, 1))
    periods: NDArray[np.int64] = LONGEST - np.argmax(likeness, axis=1)
    return periods


def _from_end(history: Floats, distance: NDArray[np.int64]) -> Floats:
    """The samples `distance` before the end (1: the last one); what lies after the end is the last one."""
    columns = history.shape[1] - np.maximum(distance, 1)
    samples: Floats = np.take_along_axis(history, columns, axis=1)
    return samples


def _round(samples: Floats) -> Samples:
    rounded: Samples = np.rint(np.clip(samples, -32768, 32767)).astype(np.int16)
    return rounded
