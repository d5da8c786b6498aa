"""What all legs hear: sockets drained, packets judged, audio put into the jitter buffer, digits told."""

import logging
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hotline.errors import ProtocolError
from ivr.media import g711
from ivr.media.arrival import Arrival
from ivr.media.comfort import ComfortNoise
from ivr.media.digit_merger import DigitSource
from ivr.media.jitterbuffer import JitterBuffer
from ivr.media.latch import SocketAddress
from ivr.media.leg import EngineLeg
from ivr.media.reports import RtcpReports
from ivr.media.ring import Slots
from ivr.media.rtp import COMFORT_NOISE, PLAIN_FRAME, PLAIN_FRAME_SIZE, VERSION_2, RtpPacket
from ivr.media.sockets import Sockets
from ivr.media.types import FRAME_SAMPLES, Codec
from ivr.media.wideband import WidebandDecoder

logger = logging.getLogger(__name__)

MAX_PAYLOAD = 1600
"""200 ms of G.711 in one packet; phones send 10 to 60."""
AUDIO_TYPES = (Codec.PCMU.value, Codec.PCMA.value)

TIMED, TIMED_OF = 4, 20
"""Ticks of how many in which arrival times, for jitter, are read though they cost more than the packets do. Four ticks
hold two packets of the longest."""
Guard = Callable[..., None]
"""`guard(leg, action, *arguments)` runs the action and ends the leg's media should it raise."""
TellDigit = Callable[[EngineLeg, str, DigitSource, int], None]
"""(leg, key, who tells it, the position at which it was pressed)"""


class Receiver:
    """Tables over `slots` legs. Either law is heard at any time: static payload types need no agreement."""

    def __init__(
        self,
        *,
        slots: int,
        sockets: Sockets,
        jitter: JitterBuffer,
        reports: RtcpReports,
        guard: Guard,
        tell_digit: TellDigit,
    ) -> None:
        self._sockets = sockets
        self._jitter = jitter
        self._reports = reports
        self._tell_digit = tell_digit
        self._guard = guard
        self._legs: dict[int, EngineLeg] = {}
        self._wideband: dict[int, WidebandDecoder] = {}
        self._last_heard = np.zeros(slots)
        self._timed = np.zeros(slots, bool)  # the RTP timeout runs
        self._hears = np.zeros(slots, bool)

    def open(self, leg: EngineLeg) -> None:
        """Begins to hear a leg's socket."""
        self._legs[leg.slot] = leg
        self._sockets.open(leg.slot, leg.endpoint)
        self._timed[leg.slot] = False

    def apply(self, leg: EngineLeg, *, now: float) -> None:
        """Takes over the leg's remote media: the timeout runs only while both sides send."""
        if leg.remote is not None and leg.remote.codec is Codec.G722:
            self._wideband.setdefault(leg.slot, WidebandDecoder())
        timed = leg.remote is not None and leg.remote.send and leg.remote.receive
        if timed and not self._timed[leg.slot]:
            self._last_heard[leg.slot] = now
            self._jitter.resume(leg.slot)
        self._timed[leg.slot] = timed
        self._hears[leg.slot] = leg.remote is not None and leg.remote.receive
        self._aim(leg)

    def close(self, leg: EngineLeg) -> None:
        """Hears the leg no more."""
        self._timed[leg.slot] = self._hears[leg.slot] = False
        self._wideband.pop(leg.slot, None)
        del self._legs[leg.slot]
        self._sockets.close(leg.slot)

    def expired(self, *, now: float, timeout_s: float) -> list[int]:
        """Slots that heard nothing valid for `timeout_s`, each told once."""
        slots = np.flatnonzero(self._timed & (now - self._last_heard > timeout_s))
        self._timed[slots] = False
        expired: list[int] = slots.tolist()
        return expired

    def receive(self, *, now: float, head: int, rounds: int, only: Slots | None = None) -> None:
        """Reads up to `rounds` packets of each leg, or of some."""
        timed = head // FRAME_SAMPLES % TIMED_OF < TIMED
        for turn in range(rounds):
            slots = self._sockets.read(again=turn > 0, timed=timed, only=only)
            if not len(slots):
                return
            slots = slots[self._hears[slots]]
            known = self._sockets.known(slots)
            for slot in slots[~known].tolist():
                if (leg := self._legs.get(slot)) is not None:  # else another leg's failure just ended it
                    self._learn(leg, self._sockets.source(slot), self._sockets.datagram(slot), now=now, head=head)
            if known.any():
                self._take_packets(slots[known], now=now, head=head)

    def _aim(self, leg: EngineLeg) -> None:
        """Packets go where the latch says and are heard of whom it says."""
        self._sockets.aim(leg.slot, source=leg.latch.source, destination=leg.latch.destination)

    def _learn(self, leg: EngineLeg, source: SocketAddress, data: bytes, *, now: float, head: int) -> None:
        """A packet from a source the leg is not locked to."""
        silent_s = now - float(self._last_heard[leg.slot])
        if not leg.latch.learning(silent_s=silent_s):
            leg.foreign += 1
            return
        try:
            packet = RtpPacket.parse(data)
            _validate(leg, packet)
        except ProtocolError:
            leg.bad += 1
            return
        datagrams = leg.latch.learn(source, data, ssrc=packet.ssrc, sequence=packet.sequence, silent_s=silent_s)
        if datagrams is None:
            leg.foreign += 1
        elif datagrams:
            self._aim(leg)
            self._guard(leg, self._take_learned, leg, datagrams, now, head)

    def _take_learned(self, leg: EngineLeg, datagrams: list[bytes], now: float, head: int) -> None:
        """The newest first: it tells where the stream is now."""
        for datagram in datagrams:
            self._take_packet(leg, datagram, None, now, head)

    def _take_packets(self, slots: Slots, *, now: float, head: int) -> None:
        """One packet a leg: plain frames all at once, others one by one."""
        arrival = self._sockets.arrivals(slots)
        frames = self._sockets.incoming[slots, :PLAIN_FRAME_SIZE].view(PLAIN_FRAME)[:, 0]
        types = frames["type"] & 0x7F
        audio = (types == AUDIO_TYPES[0]) | (types == AUDIO_TYPES[1])
        plain = audio & (self._sockets.lengths[slots] == PLAIN_FRAME_SIZE) & (frames["flags"] == VERSION_2)
        if plain.any():
            header = frames[plain]
            timestamp = header["timestamp"].astype(np.uint32)
            self._observe(
                slots[plain],
                sequence=header["sequence"].astype(np.uint16),
                timestamp=timestamp,
                ssrc=header["ssrc"].astype(np.uint32),
                arrival=None if arrival is None else arrival[plain],
                now=now,
            )
            samples = g711.decode_frames(header["payload"], laws=types[plain] >> 3)
            self._jitter.place(slots[plain], timestamp=timestamp, samples=samples, head=head)
        for index in np.flatnonzero(~plain).tolist():
            slot = int(slots[index])
            if (leg := self._legs.get(slot)) is not None:
                own = None if arrival is None else arrival[index : index + 1]
                self._guard(leg, self._take_packet, leg, self._sockets.datagram(slot), own, now, head)

    def _observe(
        self,
        slots: Slots,
        *,
        sequence: NDArray[np.uint16],
        timestamp: NDArray[np.uint32],
        ssrc: NDArray[np.uint32],
        arrival: Arrival | None,
        now: float,
    ) -> None:
        """Every valid packet passes here, with or without audio; each slot once."""
        self._last_heard[slots] = now
        self._jitter.observe(slots, sequence=sequence, ssrc=ssrc)
        self._reports.observe(slots, sequence=sequence, timestamp=timestamp, ssrc=ssrc, arrival=arrival)

    def _take_packet(self, leg: EngineLeg, data: bytes, arrival: Arrival | None, now: float, head: int) -> None:
        """Any packet that is no plain frame: other lengths, extensions, digits, comfort noise, garbage."""
        try:
            packet = RtpPacket.parse(data)
            _validate(leg, packet)
            digit = noise = None
            if packet.payload_type == _telephone_event(leg):
                digit = leg.dtmf.receive(packet.payload, ssrc=packet.ssrc, timestamp=packet.timestamp)
            elif packet.payload_type == COMFORT_NOISE:
                noise = ComfortNoise.parse(packet.payload)
        except ProtocolError as error:
            logger.debug("port %d: %s", leg.local_port, error.message)
            leg.bad += 1
            return
        slots = np.array([leg.slot])
        timestamp = np.array([packet.timestamp], np.uint32)
        self._observe(
            slots,
            sequence=np.array([packet.sequence], np.uint16),
            timestamp=timestamp,
            ssrc=np.array([packet.ssrc], np.uint32),
            arrival=arrival,
            now=now,
        )
        if (codec := _codec(leg, packet)) is not None:
            second = None
            if codec is Codec.G722:
                samples, second = self._wideband[leg.slot].decode(packet.payload)
            else:
                samples = g711.decode(packet.payload, codec=codec)
            self._jitter.place(
                slots,
                timestamp=timestamp,
                samples=samples[None],
                second=None if second is None else second[None],
                head=head,
            )
        if noise is not None:
            self._jitter.playout.pause(leg.slot, noise)
        if digit is not None:
            position = self._jitter.position(leg.slot, timestamp=packet.timestamp, head=head)
            self._tell_digit(leg, digit, DigitSource.EVENT, head if position is None else position)


def _validate(leg: EngineLeg, packet: RtpPacket) -> None:
    """Raises `ProtocolError` where the packet is none of the leg's."""
    if packet.payload_type == _telephone_event(leg):
        return
    codec = _codec(leg, packet)
    if codec is not None and not 0 < len(packet.payload) <= MAX_PAYLOAD:
        raise ProtocolError(f"{len(packet.payload)} octets of audio")
    if codec is None and packet.payload_type != COMFORT_NOISE:
        raise ProtocolError(f"payload type {packet.payload_type} was not agreed")


def _codec(leg: EngineLeg, packet: RtpPacket) -> Codec | None:
    """Of a packet with audio: as agreed, or one of the static payload types, whichever was agreed."""
    if leg.remote is not None and packet.payload_type == leg.remote.audio_type:
        return leg.remote.codec
    return Codec(packet.payload_type) if packet.payload_type in AUDIO_TYPES else None


def _telephone_event(leg: EngineLeg) -> int | None:
    return None if leg.remote is None else leg.remote.telephone_event
