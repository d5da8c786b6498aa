"""A call and its legs on the engine thread: who hears whom, and the recording.

The recording is made of what the legs' jitter buffers placed by timestamp, some 200 ms behind the head, when nothing
more is waited for. So it holds late packets too, and neither adaptive playout nor concealment ever touches it. Left is
the caller; right are the prompts he was sent and the other legs, each as loud as the mix's row "recording" says.
"""

from collections import deque
from collections.abc import Mapping

import numpy as np

from ivr.media.bridge import Edge
from ivr.media.gain import GainCurve
from ivr.media.jitterbuffer import JitterBuffer
from ivr.media.leg import EngineLeg
from ivr.media.mixer import CALLER, RECORDING, Mix
from ivr.media.ring import Slots
from ivr.media.sender import Sender
from ivr.media.types import WIDEBAND_RATE, HearingTap, RecordingSink, Samples
from ivr.media.wideband import WIDTH, Widener

BLOCK = 1600
"""Samples written at once, at most: 200 ms."""


class Room:
    """One call. `reserved`: names given out, whether or not the leg has begun; the engine's lock guards it."""

    def __init__(self, sink: RecordingSink) -> None:
        self.reserved = {CALLER, RECORDING}
        self.origin: int | None = None  # timeline position at which the call began
        self.ended = False
        self.legs: dict[str, EngineLeg] = {}
        self.mix: Mix = {}
        self._sink = sink
        self._widener = Widener() if sink.sample_rate == WIDEBAND_RATE else None  # of our side
        self._on = GainCurve(1.0)  # 0 while the recording is paused
        self._left: deque[tuple[int, Samples]] = deque()  # taken from the caller and not yet written, with its length
        self._written = 0

    @property
    def caller(self) -> EngineLeg:
        """The leg with which the call ends."""
        return self.legs[CALLER]

    def join(self, leg: EngineLeg, *, name: str, position: int) -> None:
        """A leg's timeline begins here at `position`."""
        if self.origin is None:
            self.origin = self._written = position
        leg.room, leg.name, leg.recorded = self, name, GainCurve(0.0)
        self.legs[name] = leg
        leg.hearing = leg.tap if isinstance(leg.tap, HearingTap) else None
        outlets = (leg.tap, leg.track, self._sink if name == CALLER else None)
        if leg.widener is None and any(outlet and outlet.sample_rate == WIDEBAND_RATE for outlet in outlets):
            leg.widener = Widener()

    def leave(self, leg: EngineLeg) -> None:
        """The leg is no part of the call any more."""
        self.legs.pop(leg.name, None)
        self.reserved.discard(leg.name)

    def edges(self) -> tuple[Slots, Mapping[Edge, float]]:
        """The slots of the call, and the mix among those that are there."""
        slots = np.array([leg.slot for leg in self.legs.values()], np.intp)
        return slots, {
            (self.legs[hearer].slot, self.legs[source].slot): gain
            for (hearer, source), gain in self.mix.items()
            if hearer in self.legs and source in self.legs
        }

    def set_recorded(self, positions: Mapping[str, int]) -> None:
        """The mix's row "recording" takes effect, for each leg at the position that is heard of it now."""
        for name, leg in self.legs.items():
            if name != CALLER:
                leg.recorded.step(positions[name], self.mix.get((RECORDING, name), 0.0))

    def record(self, *, on: bool, position: int) -> None:
        """Audio from `position` on, or silence."""
        self._on.step(position, 1.0 if on else 0.0)

    def take(self, leg: EngineLeg, until: int, *, jitter: JitterBuffer, sender: Sender) -> None:
        """Moves what the leg said up to `until` to its tap, its track and the recording."""
        slot = leg.slot
        while (count := min(until - jitter.frontier(slot), BLOCK)) > 0:
            position = jitter.frontier(slot)
            second = jitter.take_second(slot, count=count)
            samples = self._on.apply(jitter.take(slot, count=count), position)
            if second is not None:
                second = self._on.apply(second, position, width=WIDTH)
            wide = samples if leg.widener is None else leg.widener.update(samples, second)
            if leg.tap is not None:
                leg.tap.feed((wide if leg.tap.sample_rate == WIDEBAND_RATE else samples).tobytes())
            if leg.track is not None:
                leg.track.write((wide if leg.track.sample_rate == WIDEBAND_RATE else samples)[:, None])
            if leg is self.caller:
                self._left.append((count, wide if self._widener is not None else samples))
            else:
                sender.add(self.caller.slot, leg.recorded.apply(samples, position), position=position)
                if second is not None and self._widener is not None:
                    second = leg.recorded.apply(second, position, width=WIDTH)
                    sender.add_second(self.caller.slot, second, position=position)
                leg.recorded.forget(position)
            self._write(jitter, sender)

    @property
    def plain(self) -> bool:
        """Whether the caller and at most one other are recorded as they are, with nothing behind: then `write` may take
        their audio."""
        if len(self.legs) > 2 or self._left or not self._on.unity:
            return False
        for leg in self.legs.values():
            if leg.track is not None or leg.widener is not None or leg.wideband:
                return False
        other = self.other
        return other is None or other.recorded.unity

    @property
    def other(self) -> EngineLeg | None:
        """Who speaks with the caller; the first where there are several."""
        if len(self.legs) == 1:
            return None
        return next(leg for name, leg in self.legs.items() if name != CALLER)

    def feed(self, leg: EngineLeg, samples: Samples) -> None:
        """What a leg of a plain room said, to its tap."""
        if leg.tap is not None:
            leg.tap.feed(samples.tobytes())

    def write(self, leg: EngineLeg, stereo: Samples, mono: Samples) -> None:
        """What the caller of a plain room said, `mono`, and heard, to his tap and to the recording."""
        if leg.hearing is not None:
            leg.hearing.hear(stereo[:, 1].tobytes())
        self.feed(leg, mono)
        self._sink.write(stereo)
        self._written += len(stereo)

    def close_recording(self) -> None:
        """The recording is whole; idempotent."""
        if not self.ended:
            self.ended = True
            self._sink.close()

    def _write(self, jitter: JitterBuffer, sender: Sender) -> None:
        """Writes as far as every leg was taken."""
        ready = min(jitter.frontier(leg.slot) for leg in self.legs.values())
        while self._left and self._written + self._left[0][0] <= ready:
            count, left = self._left.popleft()
            slot, position = self.caller.slot, self._written
            right = self._on.apply(sender.take(slot, position=position, count=count), position)
            if self._widener is not None:
                second = sender.take_second(slot, position=position, count=count)
                right = self._widener.update(right, self._on.apply(second, position, width=WIDTH))
            stereo = np.empty((len(left), 2), np.int16)
            stereo[:, 0], stereo[:, 1] = left, right
            self._sink.write(stereo)
            self._written += count
            self._on.forget(self._written)
