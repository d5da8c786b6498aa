"""What all legs send: one frame a leg and tick, of what it is played and of what others say.

For the recording it keeps what was played, as the far end decodes it; other parties' voices are added once settled.
"""

import os

import numpy as np
from numpy.typing import NDArray

from ivr.media import g711
from ivr.media.leg import EngineLeg
from ivr.media.ring import Rings, Slots
from ivr.media.rtp import PLAIN_FRAME, PLAIN_FRAME_SIZE, VERSION_2
from ivr.media.types import FRAME_SAMPLES, Samples

Ended = list[tuple[EngineLeg, list[int]]]


class Sender:
    """Tables over `slots` legs. RTP timestamps follow the timeline, so a skipped tick is a gap and not a slip."""

    def __init__(self, *, slots: int) -> None:
        self.errors = 0
        self._legs: dict[int, EngineLeg] = {}
        self._playing: dict[int, EngineLeg] = {}
        self._sent = Rings(slots=slots)
        self._sending = np.zeros(slots, bool)
        self._payload_type = np.zeros(slots, np.uint8)
        self._marker = np.zeros(slots, np.uint8)
        self._timestamp_base = np.zeros(slots, np.uint32)
        self._packets = np.zeros(slots, PLAIN_FRAME)
        self._packets["flags"] = VERSION_2
        octets = memoryview(self._packets.view(np.uint8).data)
        self._views = [octets[start : start + PLAIN_FRAME_SIZE] for start in range(0, len(octets), PLAIN_FRAME_SIZE)]

    def open(self, leg: EngineLeg) -> None:
        """Begins a leg with random numbers (RFC 3550 section 5.1)."""
        slot = leg.slot
        self._legs[slot] = leg
        self._sent.clear(slot)
        self._timestamp_base[slot], self._packets["ssrc"][slot] = np.frombuffer(os.urandom(8), np.uint32)
        self._packets["sequence"][slot] = np.frombuffer(os.urandom(2), np.uint16)[0]
        self._sending[slot] = False
        self.apply(leg)

    def apply(self, leg: EngineLeg) -> None:
        """Takes over the leg's remote media: codec, hold. Playback waits while the far end does not listen."""
        slot, remote = leg.slot, leg.remote
        if remote is None:
            return
        self._marker[slot] = remote.send and not self._sending[slot]
        self._payload_type[slot] = remote.codec.value
        self._sending[slot] = remote.send

    def close(self, leg: EngineLeg) -> None:
        """Sends nothing more; what was sent can still be taken."""
        self._sending[leg.slot] = False
        del self._legs[leg.slot]

    def play(self, leg: EngineLeg, samples: Samples, *, token: int, loop: bool = False) -> None:
        """Queues a piece."""
        leg.playback.add(samples, token=token, loop=loop)
        self._playing[leg.slot] = leg

    def stop_playing(self, leg: EngineLeg) -> list[int]:
        """Empties the queue; returns the tokens that did not end."""
        self._playing.pop(leg.slot, None)
        return leg.playback.clear()

    def send(self, *, head: int, hearers: Slots, heard: NDArray[np.float32]) -> Ended:
        """Sends the frames of position `head`; returns which pieces ended with them.

        `heard`: what each of `hearers` hears of other parties, (hearers, 160), added to what it is played.
        """
        slots = np.flatnonzero(self._sending)
        if not len(slots):
            return []
        laws = self._payload_type[slots, None] >> 3
        packets = self._packets
        packets["type"][slots] = self._payload_type[slots] | self._marker[slots] << 7
        packets["sequence"][slots] += 1
        packets["timestamp"][slots] = self._timestamp_base[slots] + np.uint32(head & 0xFFFFFFFF)
        packets["payload"][slots] = g711.SILENCE[laws]
        self._marker[slots] = 0
        ended = self._play()
        self._sent.put_frames(slots, g711.DECODE[laws, packets["payload"][slots]], position=head)
        if len(hearers):
            self._mix(hearers, heard)
        for slot in slots.tolist():
            leg = self._legs[slot]
            if leg.latch.destination is None:
                continue
            try:
                leg.endpoint.sendto(self._views[slot], leg.latch.destination)
            except OSError:
                self.errors += 1
        return ended

    def add(self, slot: int, samples: Samples, *, position: int) -> None:
        """Adds another party's voice to what was sent, for the recording."""
        self._sent.add(slot, samples, position=position)

    def take(self, slot: int, *, position: int, count: int) -> Samples:
        """Removes and returns what was sent and added from `position` on."""
        return self._sent.take(slot, position=position, count=count)

    def _mix(self, hearers: Slots, heard: NDArray[np.float32]) -> None:
        """Adds voices to what is played in the packets."""
        laws = self._payload_type[hearers, None] >> 3
        mixed = g711.DECODE[laws, self._packets["payload"][hearers]] + heard
        linear = np.rint(np.clip(mixed, -32768, 32767)).astype(np.int16)
        self._packets["payload"][hearers] = g711.ENCODE[laws, linear.view(np.uint16)]

    def _play(self) -> Ended:
        """Puts the next frame of what plays into the packets; returns what ended with it."""
        legs = [leg for leg in self._playing.values() if self._sending[leg.slot]]
        if not legs:
            return []
        frames = np.zeros((len(legs), FRAME_SAMPLES), np.int16)
        ended = [(leg, leg.playback.fill(frame)) for leg, frame in zip(legs, frames, strict=True)]
        slots = np.array([leg.slot for leg in legs])
        laws = self._payload_type[slots, None] >> 3
        self._packets["payload"][slots] = g711.ENCODE[laws, frames.view(np.uint16)]
        for leg in legs:
            if not leg.playback:
                del self._playing[leg.slot]
        return [(leg, tokens) for leg, tokens in ended if tokens]
