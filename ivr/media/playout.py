"""When what others hear of a leg is played: an adaptive delay between the jitter buffer and the mix.

A packet's lateness is the head at its arrival minus its position; frames are read one offset behind the head, so a
packet is heard if its lateness is at most the offset. The least and the greatest lateness of the last seconds say what
the network does, and the offset follows by whole frames, within `least` to `most` delay after the fastest packet:

| what came | what the offset does |
|---|---|
| a packet later than the offset | grows at once: the frames that were missed are heard after all |
| for seconds nothing that late | shrinks by a frame, cross-faded: a quiet one, after `PATIENCE_TICKS` any |
| a stream placed anew | starts again at no offset |

A sender's clock that runs fast or slow moves every lateness, so the offset follows drift too. Nothing is stretched.
Frames that never came are concealed, as are those that would be heard twice; a pause that the far end announced is
comfort noise. The ring itself, from which the recording is made, is only read: there both are silence.
"""

import numpy as np
from numpy.typing import NDArray

from ivr.media.arrivals import Arrivals
from ivr.media.comfort import ComfortNoise, ComfortNoiseGenerator
from ivr.media.concealment import Concealer
from ivr.media.ring import Rings, Slots
from ivr.media.types import FRAME_SAMPLES, Samples

WINDOW_TICKS = 100
"""Lateness is remembered for one to two such windows."""
SHRINK_TICKS = 5
PATIENCE_TICKS = 250
QUIET = 300
"""Peak of a frame that may be left out unheard: -41 dB of full scale."""
_NEVER = 1 << 40
_FADE = ((np.arange(FRAME_SAMPLES) + 1) / FRAME_SAMPLES).astype(np.float32)


class Playout:
    """Tables over `slots` legs; `least` and `most` are samples of delay, `limit` the largest offset. Only legs that are
    heard cost anything."""

    def __init__(self, *, slots: int, rings: Rings, least: int, most: int, limit: int) -> None:
        self._rings = rings
        self._least, self._most, self._limit = least, most, limit
        self._concealer = Concealer(slots=slots)
        self._noise = ComfortNoiseGenerator(slots=slots, random=np.random.default_rng())
        self._sources: Slots = np.zeros(0, np.intp)
        self._arrivals = Arrivals(slots=slots)  # of those who are heard
        self._offset = np.zeros(slots, np.int64)
        self._earliest = np.full((slots, 2), _NEVER)  # lateness, in the present window and the one before
        self._latest = np.full((slots, 2), -_NEVER)
        self._window = 0
        self._tick = 0
        self._moved = np.zeros(slots, np.int64)  # the tick of the last change of the offset

    def position(self, slot: int, *, head: int) -> int:
        """What is heard of the leg now."""
        return head - int(self._offset[slot])

    def close(self, slot: int) -> None:
        """The slot's leg is gone."""
        self._arrivals.drop(slot)
        self._noise.open(slot)
        self._offset[slot] = 0

    def pause(self, slot: int, noise: ComfortNoise) -> None:
        """The far end says what its silence sounds like, now or soon."""
        self._noise.set(slot, noise)

    def restart(self, slots: Slots) -> None:
        """Streams are placed anew: what is known of their lateness is void."""
        self._offset[slots] = 0
        self._earliest[slots], self._latest[slots] = _NEVER, -_NEVER
        self._arrivals.forget(slots)
        self._moved[slots] = self._tick

    def arrive(self, slots: Slots, *, position: NDArray[np.int64], length: int, head: int) -> None:
        """One packet a leg was put into the ring."""
        heard = self._arrivals.watched(slots)
        if not heard.any():
            return
        slots, position = slots[heard], position[heard]
        lateness = head - position
        self._earliest[slots, self._window] = np.minimum(self._earliest[slots, self._window], lateness)
        self._latest[slots, self._window] = np.maximum(self._latest[slots, self._window], lateness)
        self._arrivals.put(slots, position=position, length=length)

    def read(self, sources: Slots, *, head: int) -> Samples:
        """The frame of each of `sources` for the mix: (sources, 160)."""
        if sources is not self._sources:
            self._follow(sources)
        if not len(sources):
            return np.zeros((0, FRAME_SAMPLES), np.int16)
        self._tick += 1
        if self._tick % WINDOW_TICKS == 0:
            self._window ^= 1
            self._earliest[:, self._window], self._latest[:, self._window] = _NEVER, -_NEVER
        shrinks = self._adapt(sources, head=head)
        position = head - self._offset[sources]
        frames = self._rings.frames_at(sources, positions=position)
        if shrinks.any():
            skipped = self._rings.frames_at(sources[shrinks], positions=position[shrinks] - FRAME_SAMPLES)
            faded = skipped * (1 - _FADE) + frames[shrinks] * _FADE
            frames[shrinks] = np.rint(faded).astype(np.int16)
        missing = ~self._arrivals.take(sources, position=position)  # what was heard is not heard a second time
        frames, missing = self._noise.fill(sources, frames, missing=missing)
        return self._concealer.update(sources, frames, missing=missing)

    def _follow(self, sources: Slots) -> None:
        """Others are heard now than a tick ago."""
        new = sources[~self._arrivals.watched(sources)]
        self._arrivals.drop(self._sources)
        self._arrivals.watch(sources)
        self.restart(new)
        for slot in new.tolist():
            self._concealer.open(slot)
        self._sources = sources

    def _adapt(self, slots: Slots, *, head: int) -> NDArray[np.bool_]:
        """Moves offsets; returns whose frame is left out for it."""
        earliest = self._earliest[slots].min(axis=1)
        latest = self._latest[slots].max(axis=1)
        known = latest > -_NEVER
        offset = self._offset[slots]
        wanted = np.clip(latest, earliest + self._least, np.minimum(earliest + self._most, self._limit))
        wanted = np.where(known, -(-wanted // FRAME_SAMPLES) * FRAME_SAMPLES, offset)
        grows = wanted > offset
        slack = known & (wanted < offset) & (self._tick - self._moved[slots] >= SHRINK_TICKS)
        slack &= self._earliest[slots, self._window ^ 1] < _NEVER  # a whole window was seen
        if slack.any():
            skipped = self._rings.frames_at(slots, positions=head - offset)
            quiet = np.abs(skipped.astype(np.int32)).max(axis=1) <= QUIET
            slack &= quiet | (self._tick - self._moved[slots] >= PATIENCE_TICKS)
        self._offset[slots] = np.where(grows, wanted, offset - slack * FRAME_SAMPLES)
        self._moved[slots[grows | slack]] = self._tick
        shrinks: NDArray[np.bool_] = slack
        return shrinks
