"""The jitter buffer of all calls: one ring a call, filled by RTP timestamp on the engine's timeline.

Positions are samples since the engine started, the same for all calls: frame `tick * 160` is heard at that tick. A
stream's first packet is placed one playout delay after the head (the position being played) and all others by their
timestamps relative to it, so order, duplicates and loss need no care: what never came stays silence of its length.

| packet | what happens |
|---|---|
| new SSRC | the stream is placed anew |
| behind the head | late: not heard any more, still recorded |
| behind the frontier (taken already), or too far ahead | dropped |
| nothing but such for `RESYNC` long, or but late ones for `DRIFT` | the clock jumped or drifted: placed anew |
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ivr.media.arrivals import Arrivals
from ivr.media.playout import Playout
from ivr.media.ring import RING, Rings, Slots
from ivr.media.types import FRAME_SAMPLES, SAMPLE_RATE, Samples
from ivr.media.wideband import WIDTH

LAG = SAMPLE_RATE // 5
"""What is taken stays so far behind the head: a packet too late to be heard is recorded all the same."""
PATIENCE = SAMPLE_RATE
"""While a stream is interrupted its gap is left open for so long: a network that stalls sends everything later."""
MAX_AHEAD = SAMPLE_RATE // 2
RESYNC = SAMPLE_RATE // 10
DRIFT = SAMPLE_RATE
"""Longer than it takes to catch up after a stall, in which packets are late too."""
MAX_DROPOUT = 3000
"""A larger step of sequence numbers is a restart, not loss (RFC 3550 appendix A.1)."""


@dataclass(frozen=True)
class StreamCounters:
    """Packets of a call. `dropped` ones were valid but fit nowhere; `lost` never came."""

    received: int = 0
    late: int = 0
    dropped: int = 0
    lost: int = 0

    def __add__(self, other: "StreamCounters") -> "StreamCounters":
        return StreamCounters(
            received=self.received + other.received,
            late=self.late + other.late,
            dropped=self.dropped + other.dropped,
            lost=self.lost + other.lost,
        )


class JitterBuffer:
    """Tables over `slots` calls. Arrays of slots must name each slot once."""

    def __init__(self, *, slots: int, delay: int, least: int | None = None, most: int | None = None) -> None:
        """`delay` is where a stream is placed; what other parties hear of it adapts between `least` and `most`."""
        self.delay = delay
        self._rings = Rings(slots=slots)
        self._second = Rings(slots=slots, width=WIDTH)
        self._wideband: set[int] = set()  # slots that have a second plane
        self.playout = Playout(
            slots=slots,
            rings=self._rings,
            least=delay if least is None else least,
            most=delay if most is None else most,
            limit=LAG,
        )
        self.arrivals = Arrivals(slots=slots)
        self._frontier = np.zeros(slots, np.int64)
        self._end = np.zeros(slots, np.int64)  # after the last sample placed
        self._placed = np.zeros(slots, bool)
        self._base_position = np.zeros(slots, np.int64)
        self._base_timestamp = np.zeros(slots, np.uint32)
        self._off_since = np.zeros(slots, np.int64)  # head when packets ceased to be on time, -1 while they are
        self._heard = np.zeros(slots, bool)
        self._ssrc = np.zeros(slots, np.uint32)
        self._sequence = np.zeros(slots, np.uint16)
        self._received, self._late, self._dropped, self._lost = np.zeros((4, slots), np.int64)

    def open(self, slot: int, *, position: int) -> None:
        """Begins a call whose timeline starts at `position`."""
        self._rings.clear(slot)
        if slot in self._wideband:
            self._second.clear(slot)
            self._wideband.remove(slot)
        self._frontier[slot] = self._end[slot] = position
        self._placed[slot] = self._heard[slot] = False
        self._off_since[slot] = -1
        self.playout.close(slot)
        for counts in (self._received, self._late, self._dropped, self._lost):
            counts[slot] = 0

    def resume(self, slot: int) -> None:
        """The stream was interrupted on purpose: its clock may have stood still, so the next packet is placed anew."""
        self._placed[slot] = False

    def observe(self, slots: Slots, *, sequence: NDArray[np.uint16], ssrc: NDArray[np.uint32]) -> None:
        """Counts valid packets, also those without audio, and notices new streams."""
        self._received[slots] += 1
        same = self._heard[slots] & (self._ssrc[slots] == ssrc)
        if not same.all():
            new = slots[~same]
            self._heard[new], self._placed[new] = True, False
            self._ssrc[new], self._sequence[new] = ssrc[~same], sequence[~same] - np.uint16(1)
        step = (sequence - self._sequence[slots]).view(np.int16).astype(np.int64)
        restart = np.abs(step) > MAX_DROPOUT
        ahead = (step > 0) | restart
        self._sequence[slots[ahead]] = sequence[ahead]
        # A packet that comes after a later one had been taken for lost.
        missing = np.where(step > 0, step - 1, np.where(step < 0, -1, 0))
        self._lost[slots] = np.maximum(self._lost[slots] + np.where(restart, 0, missing), 0)

    def place(
        self,
        slots: Slots,
        *,
        timestamp: NDArray[np.uint32],
        samples: Samples,
        head: int,
        second: Samples | None = None,
    ) -> None:
        """Puts one packet a call, samples (packets, length), where its timestamp says. `observe` it first.

        `second`: their second plane, (packets, 2 length), where the packets have one.
        """
        length = samples.shape[1]
        if not self._placed[slots].all():
            new = ~self._placed[slots]
            self._anchor(slots[new], timestamp=timestamp[new], head=head)
        position, fits = self._positions(slots, timestamp=timestamp, length=length, head=head)
        off = ~fits | (position < head)
        if off.any():
            self._off_since[slots[off & (self._off_since[slots] < 0)]] = head
            jumped = off & (head - self._off_since[slots] >= np.where(fits, DRIFT, RESYNC))
            if jumped.any():
                self._anchor(slots[jumped], timestamp=timestamp[jumped], head=head)
                position, fits = self._positions(slots, timestamp=timestamp, length=length, head=head)
            self._dropped[slots[~fits]] += 1
            slots, position, samples = slots[fits], position[fits], samples[fits]
            second = None if second is None else second[fits]
        late = position < head
        self._late[slots] += late
        self._off_since[slots[~late]] = -1
        self._end[slots] = np.maximum(self._end[slots], position + length)
        self._rings.put(slots, samples, positions=position)
        if second is not None:
            self._second.put(slots, second, positions=position)
            self._wideband.update(slots.tolist())
        self.arrivals.put(slots, position=position, length=length)
        self.playout.arrive(slots, position=position, length=length, head=head)

    def position(self, slot: int, *, timestamp: int, head: int) -> int | None:
        """Where `timestamp` of the present stream lies on the timeline, None where it cannot be told."""
        if not self._placed[slot]:
            return None
        position, fits = self._positions(
            np.array([slot]), timestamp=np.array([timestamp], np.uint32), length=0, head=head
        )
        return int(position[0]) if fits[0] else None

    def frames(self, slots: Slots, *, head: int) -> Samples:
        """What is at the head now: (calls, 160)."""
        return self._rings.frames(slots, position=head)

    def second_frame(self, slot: int, *, head: int) -> Samples | None:
        """The second plane, (320,), of the frame that others hear of the leg now; None where it has none."""
        if slot not in self._wideband:
            return None
        position = self.playout.position(slot, head=head)
        frame: Samples = self._second.frames_at(np.array([slot]), positions=np.array([position]))[0]
        return frame

    def take_second(self, slot: int, *, count: int) -> Samples | None:
        """Removes and returns the second plane of what `take` gives next; None where there is none."""
        if slot not in self._wideband:
            return None
        return self._second.take(slot, position=self.frontier(slot), count=count)

    def take(self, slot: int, *, count: int) -> Samples:
        """Removes and returns the next `count` samples, at most RING: the frontier moves."""
        samples = self._rings.take(slot, position=self.frontier(slot), count=count)
        self._frontier[slot] += count
        return samples

    def take_frames(self, slots: Slots, *, count: int) -> Samples:
        """The same of many calls whose frontiers are multiples of 160: `count` frames of each, (calls, count * 160)."""
        samples = self._rings.take_frames(slots, positions=self._frontier[slots], count=count)
        self._frontier[slots] += count * FRAME_SAMPLES
        return samples

    def settled(self, slot: int, *, head: int) -> int:
        """The position up to which nothing more is waited for."""
        return min(head - LAG, max(self.end(slot), head - PATIENCE))

    def ready(self, slots: Slots, *, head: int, count: int) -> NDArray[np.bool_]:
        """Whether exactly `count` whole frames of each are settled."""
        frontier = self._frontier[slots]
        settled = np.minimum(head - LAG, np.maximum(self._end[slots], head - PATIENCE))
        ready: NDArray[np.bool_] = (settled - frontier == count * FRAME_SAMPLES) & (frontier % FRAME_SAMPLES == 0)
        return ready

    def frontier(self, slot: int) -> int:
        """The position before which everything was taken."""
        return int(self._frontier[slot])

    def frontiers(self, slots: Slots) -> NDArray[np.int64]:
        """The same of many."""
        frontiers: NDArray[np.int64] = self._frontier[slots]
        return frontiers

    def end(self, slot: int) -> int:
        """The position after the last sample that came."""
        return int(self._end[slot])

    def counters(self, slot: int) -> StreamCounters:
        """The call's packets so far."""
        return StreamCounters(
            received=int(self._received[slot]),
            late=int(self._late[slot]),
            dropped=int(self._dropped[slot]),
            lost=int(self._lost[slot]),
        )

    def _anchor(self, slots: Slots, *, timestamp: NDArray[np.uint32], head: int) -> None:
        self._base_timestamp[slots] = timestamp
        self._base_position[slots] = head + self.delay
        self._placed[slots] = True
        self._off_since[slots] = -1
        self.playout.restart(slots)

    def _positions(
        self, slots: Slots, *, timestamp: NDArray[np.uint32], length: int, head: int
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Positions, and whether each lies where the ring has room. Timestamps wrap at 32 bits."""
        offset = (timestamp - self._base_timestamp[slots]).view(np.int32)
        position = self._base_position[slots] + offset
        frontier = self._frontier[slots]
        fits = (position >= frontier) & (position <= head + self.delay + MAX_AHEAD)
        return position, fits & (position + length <= frontier + RING)
