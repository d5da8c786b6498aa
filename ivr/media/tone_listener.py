"""Digits as tones in the audio of those legs that may tell them so.

Looking for tones costs a twentieth of all else that is done for a leg, and most far ends agree to RFC 4733 and mean it:

| `Inband` | tones are looked for |
|---|---|
| `OFF` | never |
| `AUTO` | where RFC 4733 was not agreed |
| `ALWAYS` | also where it was, until the far end uses it, for gateways that agree to what they do not do |

In any case only until the leg tells a digit by SIP INFO or RFC 4733 (`digit_merger`).
"""

from collections.abc import Iterator
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from ivr.media.arrivals import Arrivals
from ivr.media.digit_merger import DigitSource
from ivr.media.inband import NO_DIGIT, InbandDetector, digit_of
from ivr.media.leg import EngineLeg
from ivr.media.ring import Slots
from ivr.media.types import FRAME_SAMPLES, Samples


class Inband(Enum):
    """Where digits are looked for in the audio."""

    OFF = "off"
    AUTO = "auto"
    ALWAYS = "always"


class ToneListener:
    """Tables over `slots` legs; those that are not listened to cost nothing. `slots`: those that are."""

    def __init__(self, *, slots: int, inband: Inband, arrivals: Arrivals) -> None:
        self.slots: Slots = np.zeros(0, np.intp)
        self._inband = inband
        self._arrivals = arrivals
        self._detector = InbandDetector(slots=slots)
        self._legs: dict[int, EngineLeg] = {}

    def apply(self, leg: EngineLeg) -> None:
        """Begins or ceases to listen to an open leg, as its remote media and what it has told say."""
        if not self._may_tell(leg):
            self.close(leg)
        elif leg.slot not in self._legs:
            self._legs[leg.slot] = leg
            self._detector.open(leg.slot)
            self._arrange()
            self._arrivals.forget(np.array([leg.slot]))
            self._arrivals.watch(np.array([leg.slot]))

    def close(self, leg: EngineLeg) -> None:
        """Listens no more; idempotent."""
        if self._legs.pop(leg.slot, None) is not None:
            self._arrange()
            self._arrivals.drop(leg.slot)

    def listen(self, frames: Samples, *, position: int) -> Iterator[tuple[EngineLeg, str, int]]:
        """Takes the frame at `position` of each of `slots`, (slots, 160); yields digits with when they were pressed."""
        came = self._arrivals.take(self.slots, position=np.full(len(self.slots), position))
        told: NDArray[np.int8] = self._detector.update(self.slots, frames, missing=~came)
        pressed = position - FRAME_SAMPLES  # the first frame that the tones fill is known by the one after it
        for row in np.flatnonzero(told != NO_DIGIT).tolist():
            yield self._legs[int(self.slots[row])], digit_of(int(told[row])), pressed

    def _may_tell(self, leg: EngineLeg) -> bool:
        if leg.remote is None or self._inband is Inband.OFF or not leg.merger.wants(DigitSource.INBAND):
            return False
        return self._inband is Inband.ALWAYS or leg.remote.telephone_event is None

    def _arrange(self) -> None:
        self.slots = np.array(sorted(self._legs), np.intp)
