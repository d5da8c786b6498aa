"""What all legs send: one frame a leg and tick, of what it is played and of what others say.

For the recording it keeps what was played, as the far end decodes it; other parties' voices are added once settled.
"""

import os
from collections.abc import Container, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from ivr.media import g711
from ivr.media.digits import EventPacket
from ivr.media.leg import EngineLeg
from ivr.media.packetizer import Packetizer
from ivr.media.reports import RtcpReports
from ivr.media.ring import Rings, Slots
from ivr.media.rtp import MARKER, RtpPacket
from ivr.media.sockets import Sockets
from ivr.media.types import FRAME_MS, FRAME_SAMPLES, Codec, Samples
from ivr.media.wideband import WIDTH, Floats, WidebandEncoder

Ended = list[tuple[EngineLeg, list[int]]]
Tones = dict[int, EventPacket | Samples]


class Sender:
    """Tables over `slots` legs. RTP timestamps follow the timeline, so a skipped tick is a gap and not a slip."""

    def __init__(self, *, slots: int, sockets: Sockets, reports: RtcpReports) -> None:
        self._reports = reports
        self.errors = 0
        self._legs: dict[int, EngineLeg] = {}
        self._playing: dict[int, EngineLeg] = {}
        self._sent = Rings(slots=slots)
        self._dialling: dict[int, EngineLeg] = {}
        self._wideband: dict[int, WidebandEncoder] = {}
        self._second = Rings(slots=slots, width=WIDTH)  # of other parties' voices; what is played has none
        self._added: set[int] = set()  # slots that ever held any of it
        self._packetizers: dict[int, Packetizer] = {}  # of legs that do not take 20 ms
        self._plain = np.ones(slots, bool)  # of all others
        self._sending = np.zeros(slots, bool)
        self._payload_type = np.zeros(slots, np.uint8)  # the codec's static one; packets carry the agreed one
        self._agreed_type = np.zeros(slots, np.uint8)
        self._marker = np.zeros(slots, np.uint8)
        self._timestamp_base = np.zeros(slots, np.uint32)
        self._sockets = sockets
        self._packets = sockets.outgoing

    def open(self, leg: EngineLeg) -> tuple[int, int]:
        """Begins a leg with random numbers (RFC 3550 section 5.1): its SSRC and its timestamp of position 0."""
        slot = leg.slot
        self._legs[slot] = leg
        self._sent.clear(slot)
        if slot in self._added:
            self._second.clear(slot)
            self._added.remove(slot)
        self._timestamp_base[slot], self._packets["ssrc"][slot] = np.frombuffer(os.urandom(8), np.uint32)
        self._packets["sequence"][slot] = np.frombuffer(os.urandom(2), np.uint16)[0]
        self._sending[slot] = False
        self.apply(leg)
        return int(self._packets["ssrc"][slot]), int(self._timestamp_base[slot])

    def apply(self, leg: EngineLeg) -> None:
        """Takes over the leg's remote media: codec, hold. Playback waits while the far end does not listen."""
        slot, remote = leg.slot, leg.remote
        if remote is None:
            return
        self._marker[slot] = remote.send and not self._sending[slot]
        self._payload_type[slot] = remote.codec.value
        self._agreed_type[slot] = remote.audio_type
        self._sending[slot] = remote.send
        if remote.codec is Codec.G722:
            self._wideband.setdefault(slot, WidebandEncoder())
        else:
            self._wideband.pop(slot, None)
        self._packetizers.pop(slot, None)
        self._plain[slot] = remote.ptime_ms == FRAME_MS
        if not self._plain[slot]:
            self._packetizers[slot] = Packetizer(remote.ptime_ms)

    def close(self, leg: EngineLeg) -> None:
        """Sends nothing more; what was sent can still be taken."""
        self._sending[leg.slot] = False
        del self._legs[leg.slot]
        self._dialling.pop(leg.slot, None)
        self._wideband.pop(leg.slot, None)
        self._packetizers.pop(leg.slot, None)

    def play(self, leg: EngineLeg, samples: Samples, *, token: int, loop: bool = False) -> None:
        """Queues a piece."""
        leg.playback.add(samples, token=token, loop=loop)
        self._playing[leg.slot] = leg

    def stop_playing(self, leg: EngineLeg) -> list[int]:
        """Empties the queue; returns the tokens that did not end."""
        self._playing.pop(leg.slot, None)
        return leg.playback.clear()

    def dial(self, leg: EngineLeg, digits: str) -> None:
        """Sends digits in place of audio, which waits (playback) or is not heard (voices) meanwhile."""
        leg.digits.add(digits)
        self._dialling[leg.slot] = leg

    def send(self, *, head: int, hearers: Slots, heard: NDArray[np.float32], second: Mapping[int, Floats]) -> Ended:
        """Sends the frames of position `head`; returns which pieces ended with them.

        `heard`: what each of `hearers` hears of other parties, (hearers, 160), added to what it is played. `second`:
        the second plane, (320,), of what some slots hear (`wideband`).
        """
        slots = np.flatnonzero(self._sending)
        if not len(slots):
            return []
        laws = self._payload_type[slots] >> 3
        packets = self._packets
        packets["type"][slots] = self._agreed_type[slots] | self._marker[slots] << 7
        packets["sequence"][slots] += 1
        packets["timestamp"][slots] = self._timestamp_base[slots] + np.uint32(head & 0xFFFFFFFF)
        packets["payload"][slots] = g711.SILENCE[laws, None]
        self._sent.put_frames(slots, g711.SILENT[laws, None], position=head)
        self._marker[slots] = 0
        dialled = self._dial(head) if self._dialling else {}
        ended = self._play(dialled, head=head)
        if len(hearers):
            self._mix(hearers, heard)
        for slot, tone in dialled.items():
            if not isinstance(tone, EventPacket):
                self._packets["payload"][slot] = g711.ENCODE[self._payload_type[slot] >> 3, tone.view(np.uint16)]
        if self._wideband:
            self._encode_wideband(head, hearers, heard, second, dialled)
        plain = self._plain[slots]
        for slot in dict.fromkeys([*slots[~plain].tolist(), *dialled]):
            event = dialled.get(slot)
            if isinstance(event, EventPacket):
                plain[slots == slot] = False
                self._send_event(slot, event)
            elif slot in self._packetizers:
                payload = packets["payload"][slot].tobytes()
                self._send_packets(slot, self._packetizers[slot].push(payload, position=head))
        slots = slots[plain]
        self.errors += self._sockets.send(slots)
        self._reports.sent(slots, octets=FRAME_SAMPLES)
        return ended

    def _send_octets(self, slot: int, octets: bytes) -> None:
        self.errors += not self._sockets.send_one(slot, octets)

    def _send_packets(self, slot: int, packets: Iterator[tuple[int, bytes]]) -> None:
        """Audio in packets of another length than a frame's; `packets`: (position, payload)."""
        row = self._packets[slot]
        self._count(slot, -1)  # `send` counted one for the frame
        for position, payload in packets:
            self._count(slot, 1)
            self._send_packet(slot, int(row["type"]), position, payload)
            row["type"] &= 0x7F
        self._marker[slot] = row["type"] >> 7  # still to be sent, where no packet was full

    def _send_event(self, slot: int, event: EventPacket) -> None:
        if (packetizer := self._packetizers.get(slot)) is not None:
            self._send_packets(slot, packetizer.flush())
            self._count(slot, 1)
        remote = self._legs[slot].remote
        if remote is not None and remote.telephone_event is not None:
            kind = remote.telephone_event | event.marker << 7
            self._send_packet(slot, kind, event.position, event.payload)

    def _count(self, slot: int, step: int) -> None:
        self._packets["sequence"][slot] = (int(self._packets["sequence"][slot]) + step) & 0xFFFF

    def _send_packet(self, slot: int, kind: int, position: int, payload: bytes) -> None:
        row = self._packets[slot]
        packet = RtpPacket(
            payload_type=kind & 0x7F,
            marker=bool(kind & MARKER),
            sequence=int(row["sequence"]),
            timestamp=(int(self._timestamp_base[slot]) + position) & 0xFFFFFFFF,
            ssrc=int(row["ssrc"]),
            payload=payload,
        )
        self._send_octets(slot, packet.serialize())
        self._reports.sent(np.array([slot]), octets=len(payload))

    def _dial(self, head: int) -> Tones:
        """What goes out this tick in place of audio, by slot."""
        dialled: Tones = {}
        for slot, leg in list(self._dialling.items()):
            if leg.remote is None or not self._sending[slot]:
                continue
            step = leg.digits.step(head, events=leg.remote.telephone_event is not None)
            if step is not None:
                dialled[slot] = step
            if not leg.digits:
                del self._dialling[slot]
        return dialled

    def add(self, slot: int, samples: Samples, *, position: int) -> None:
        """Adds another party's voice to what was sent, for the recording."""
        self._sent.add(slot, samples, position=position)

    def add_second(self, slot: int, samples: Samples, *, position: int) -> None:
        """Adds that voice's second plane; only for a slot of which it is taken."""
        self._added.add(slot)
        self._second.add(slot, samples, position=position)

    def take(self, slot: int, *, position: int, count: int) -> Samples:
        """Removes and returns what was sent and added from `position` on."""
        return self._sent.take(slot, position=position, count=count)

    def take_frames(self, slots: Slots, *, positions: NDArray[np.int64], count: int) -> Samples:
        """The same of many legs: `count` frames of each, (legs, count * 160)."""
        return self._sent.take_frames(slots, positions=positions, count=count)

    def take_second(self, slot: int, *, position: int, count: int) -> Samples:
        """And its second plane; what was played has none."""
        return self._second.take(slot, position=position, count=count)

    def _encode_wideband(
        self, head: int, hearers: Slots, heard: NDArray[np.float32], second: Mapping[int, Floats], tones: Tones
    ) -> None:
        """G.722 takes the place of the A-law that tables made for those who speak it."""
        for slot, encoder in self._wideband.items():
            played, encoder.played = encoder.played, np.zeros(FRAME_SAMPLES, np.int16)
            self._sent.put_frames(np.array([slot]), played[None], position=head)
            row = int(np.searchsorted(hearers, slot))
            if isinstance(tone := tones.get(slot), np.ndarray):
                octets = encoder.encode(tone, None)
            elif row < len(hearers) and hearers[row] == slot:
                octets = encoder.encode(played + heard[row], second.get(slot))
            else:
                octets = encoder.encode(played, None)
            self._packets["payload"][slot] = np.frombuffer(octets, np.uint8)

    def _mix(self, hearers: Slots, heard: NDArray[np.float32]) -> None:
        """Adds voices to what is played in the packets."""
        laws = self._payload_type[hearers] >> 3
        payload = self._packets["payload"][hearers]
        # A-law knows no zero: were its silence added, a voice of the same law would not pass unchanged.
        played = np.where(payload == g711.SILENCE[laws, None], 0, g711.decode_frames(payload, laws=laws))
        mixed = played + heard
        linear = np.rint(np.clip(mixed, -32768, 32767)).astype(np.int16)
        self._packets["payload"][hearers] = g711.encode_frames(linear, laws=laws)

    def _play(self, waiting: Container[int], *, head: int) -> Ended:
        """Puts the next frame of what plays into the packets; returns what ended with it."""
        legs = [leg for leg in self._playing.values() if self._sending[leg.slot] and leg.slot not in waiting]
        if not legs:
            return []
        frames = np.zeros((len(legs), FRAME_SAMPLES), np.int16)
        ended = [(leg, leg.playback.fill(frame)) for leg, frame in zip(legs, frames, strict=True)]
        slots = np.array([leg.slot for leg in legs])
        laws = self._payload_type[slots] >> 3
        octets = g711.encode_frames(frames, laws=laws)
        self._packets["payload"][slots] = octets
        self._sent.put_frames(slots, g711.decode_frames(octets, laws=laws), position=head)
        if self._wideband:
            for leg, frame in zip(legs, frames, strict=True):
                if leg.slot in self._wideband:
                    self._wideband[leg.slot].played = frame
        for leg in legs:
            if not leg.playback:
                del self._playing[leg.slot]
        return [(leg, tokens) for leg, tokens in ended if tokens]
