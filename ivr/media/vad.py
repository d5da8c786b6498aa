"""Speech detection by energy over a noise floor, for all calls at once.

The floor is the least frame energy of the last three seconds (minimum statistics, Martin 2001): speech has gaps, so it
cannot lift its own floor, while a steady tone or noise becomes the floor and stops counting as speech. Speech starts
after `ONSET_FRAMES` frames well above the floor and ends after a hangover without any frame above it.
"""

import numpy as np
from numpy.typing import NDArray

from ivr.media.ring import Slots
from ivr.media.types import FRAME_MS, Samples

ONSET_FRAMES = 3
ONSET_DB = 9.0
KEEP_DB = 6.0
"""A lower bar to go on than to start: endings of words are soft."""

FLOOR_MIN_DB = -63.0
"""Near the quantisation noise of G.711; also keeps digital silence from making every crackle speech."""
FLOOR_START_DB = -50.0
SPANS = 10
SPAN_FRAMES = 15
FULL_SCALE = 32768.0


class SpeechDetector:
    """Tables over `slots` calls; levels in dB relative to full scale."""

    def __init__(self, *, slots: int, hangover_ms: int = 300) -> None:
        self.hangover_frames = max(1, hangover_ms // FRAME_MS)
        self._minima = np.full((slots, SPANS), FLOOR_START_DB, np.float32)
        self._frame = np.zeros(slots, np.int64)
        self._speaking = np.zeros(slots, bool)
        self._run = np.zeros(slots, np.int64)  # frames above the floor before speech, below it within

    def open(self, slot: int) -> None:
        """Forgets the slot's last call."""
        self._minima[slot] = FLOOR_START_DB
        self._frame[slot] = self._run[slot] = 0
        self._speaking[slot] = False

    def speaking(self, slot: int) -> bool:
        """Whether speech started and did not end yet."""
        return bool(self._speaking[slot])

    def update(self, slots: Slots, frames: Samples) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Takes one 20 ms frame a call, (calls, 160); returns who started and who ended speaking with it.

        Speech began `ONSET_FRAMES` frames before the end of a starting frame; it ended `hangover_frames` before the
        end of an ending frame.
        """
        level = level_db(frames)
        heard = level > FLOOR_MIN_DB
        floor = self._floor(slots, np.maximum(level, FLOOR_MIN_DB), counts=np.any(frames != 0, axis=1))
        speaking = self._speaking[slots]
        loud = heard & (level > floor + np.where(speaking, KEEP_DB, ONSET_DB))
        run = np.where(loud != speaking, self._run[slots] + 1, 0)
        started = ~speaking & (run >= ONSET_FRAMES)
        ended = speaking & (run >= self.hangover_frames)
        turned = started | ended
        self._speaking[slots] = speaking ^ turned
        self._run[slots] = np.where(turned, 0, run)
        return started, ended

    def _floor(self, slots: Slots, level: NDArray[np.float32], *, counts: NDArray[np.bool_]) -> NDArray[np.float32]:
        """The floor, this frame included. Lost packets (nothing but zeros) tell nothing about the line's noise."""
        frame = self._frame[slots]
        span = frame // SPAN_FRAMES % SPANS
        begins = (frame % SPAN_FRAMES == 0) & counts
        least = np.where(begins, level, np.minimum(self._minima[slots, span], level))
        self._minima[slots[counts], span[counts]] = least[counts]
        self._frame[slots] = frame + counts
        floor: NDArray[np.float32] = self._minima[slots].min(axis=1)
        return floor


def level_db(frames: Samples) -> NDArray[np.float32]:
    """RMS of each frame without its direct current, in dB relative to full scale."""
    samples = frames.astype(np.float32) / np.float32(FULL_SCALE)
    mean = samples.mean(axis=1)
    power = np.einsum("ij,ij->i", samples, samples) / np.float32(samples.shape[1]) - mean * mean
    level: NDArray[np.float32] = 10 * np.log10(np.maximum(power, np.float32(1e-10)))
    return level
