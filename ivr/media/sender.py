"""What all calls send: one frame a call and tick, from the playback queues or silence, and what the recording keeps."""

import os

import numpy as np

from ivr.media import g711
from ivr.media.call import EngineCall
from ivr.media.ring import Rings
from ivr.media.rtp import PLAIN_FRAME, PLAIN_FRAME_SIZE, VERSION_2
from ivr.media.types import FRAME_SAMPLES, Samples

Ended = list[tuple[EngineCall, list[int]]]


class Sender:
    """Tables over `slots` calls. RTP timestamps follow the timeline, so a skipped tick is a gap and not a slip."""

    def __init__(self, *, slots: int) -> None:
        self.errors = 0
        self._calls: dict[int, EngineCall] = {}
        self._playing: dict[int, EngineCall] = {}
        self._sent = Rings(slots=slots)
        self._sending = np.zeros(slots, bool)
        self._payload_type = np.zeros(slots, np.uint8)
        self._marker = np.zeros(slots, np.uint8)
        self._timestamp_base = np.zeros(slots, np.uint32)
        self._packets = np.zeros(slots, PLAIN_FRAME)
        self._packets["flags"] = VERSION_2
        octets = memoryview(self._packets.view(np.uint8).data)
        self._views = [octets[start : start + PLAIN_FRAME_SIZE] for start in range(0, len(octets), PLAIN_FRAME_SIZE)]

    def open(self, call: EngineCall) -> None:
        """Begins a call with random numbers (RFC 3550 section 5.1)."""
        slot = call.slot
        self._calls[slot] = call
        self._sent.clear(slot)
        self._timestamp_base[slot], self._packets["ssrc"][slot] = np.frombuffer(os.urandom(8), np.uint32)
        self._packets["sequence"][slot] = np.frombuffer(os.urandom(2), np.uint16)[0]
        self._sending[slot] = False
        self.apply(call)

    def apply(self, call: EngineCall) -> None:
        """Takes over the call's remote media: codec, hold. Playback waits while the far end does not listen."""
        slot, remote = call.slot, call.remote
        self._marker[slot] = remote.send and not self._sending[slot]
        self._payload_type[slot] = remote.codec.value
        self._sending[slot] = remote.send

    def close(self, call: EngineCall) -> None:
        """Sends nothing more; what was sent can still be taken."""
        self._sending[call.slot] = False
        del self._calls[call.slot]

    def play(self, call: EngineCall, samples: Samples, *, token: int) -> None:
        """Queues a piece."""
        call.playback.add(samples, token=token)
        self._playing[call.slot] = call

    def stop_playing(self, call: EngineCall) -> list[int]:
        """Empties the queue; returns the tokens that did not end."""
        self._playing.pop(call.slot, None)
        return call.playback.clear()

    def send(self, *, head: int) -> Ended:
        """Sends the frames of position `head`; returns which pieces ended with them."""
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
        for slot in slots.tolist():
            call = self._calls[slot]
            try:
                call.endpoint.sendto(self._views[slot], call.latch.destination)
            except OSError:
                self.errors += 1
        return ended

    def take(self, slot: int, *, position: int, count: int) -> Samples:
        """Removes and returns what was sent from `position` on, as the far end decodes it."""
        return self._sent.take(slot, position=position, count=count)

    def _play(self) -> Ended:
        """Puts the next frame of what plays into the packets; returns what ended with it."""
        calls = [call for call in self._playing.values() if self._sending[call.slot]]
        if not calls:
            return []
        frames = np.zeros((len(calls), FRAME_SAMPLES), np.int16)
        ended = [(call, call.playback.fill(frame)) for call, frame in zip(calls, frames, strict=True)]
        slots = np.array([call.slot for call in calls])
        laws = self._payload_type[slots, None] >> 3
        self._packets["payload"][slots] = g711.ENCODE[laws, frames.view(np.uint16)]
        for call in calls:
            if not call.playback:
                del self._playing[call.slot]
        return [(call, tokens) for call, tokens in ended if tokens]
