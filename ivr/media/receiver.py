"""What all calls hear: sockets drained, packets judged, audio put into the jitter buffer, digits told."""

import logging
import select
from collections.abc import Callable

import numpy as np

from hotline.errors import ProtocolError
from ivr.media import g711
from ivr.media.call import EngineCall
from ivr.media.jitterbuffer import JitterBuffer
from ivr.media.latch import SocketAddress
from ivr.media.ring import Slots
from ivr.media.rtp import COMFORT_NOISE, PLAIN_FRAME, PLAIN_FRAME_SIZE, VERSION_2, RtpPacket
from ivr.media.types import Codec

logger = logging.getLogger(__name__)

DATAGRAM_SIZE = 2048
MAX_PAYLOAD = 1600
"""200 ms of G.711 in one packet; phones send 10 to 60."""
AUDIO_TYPES = (Codec.PCMU.value, Codec.PCMA.value)

Guard = Callable[..., None]
"""`guard(call, action, *arguments)` runs the action and ends the call's media should it raise."""


class Receiver:
    """Tables over `slots` calls. Either law is heard at any time: static payload types need no agreement."""

    def __init__(self, *, slots: int, jitter: JitterBuffer, guard: Guard) -> None:
        self._jitter = jitter
        self._guard = guard
        self._epoll = select.epoll()
        self._calls: dict[int, EngineCall] = {}
        self._last_heard = np.zeros(slots)
        self._timed = np.zeros(slots, bool)  # the RTP timeout runs
        self._datagrams = np.zeros((slots, DATAGRAM_SIZE), np.uint8)
        octets = memoryview(self._datagrams.reshape(-1).data)
        self._views = [octets[start : start + DATAGRAM_SIZE] for start in range(0, len(octets), DATAGRAM_SIZE)]

    def open(self, call: EngineCall) -> None:
        """Begins to hear a call's socket."""
        self._calls[call.endpoint.fileno()] = call
        self._epoll.register(call.endpoint.fileno(), select.EPOLLIN)
        self._timed[call.slot] = False

    def apply(self, call: EngineCall, *, now: float) -> None:
        """Takes over the call's remote media: the timeout runs only while both sides send."""
        timed = call.remote.send and call.remote.receive
        if timed and not self._timed[call.slot]:
            self._last_heard[call.slot] = now
            self._jitter.resume(call.slot)
        self._timed[call.slot] = timed

    def close(self, call: EngineCall) -> None:
        """Hears the call no more."""
        self._timed[call.slot] = False
        del self._calls[call.endpoint.fileno()]
        self._epoll.unregister(call.endpoint.fileno())

    def stop(self) -> None:
        """Frees the poll; all calls are closed."""
        self._epoll.close()

    def expired(self, *, now: float, timeout_s: float) -> list[int]:
        """Slots that heard nothing valid for `timeout_s`, each told once."""
        slots = np.flatnonzero(self._timed & (now - self._last_heard > timeout_s))
        self._timed[slots] = False
        expired: list[int] = slots.tolist()
        return expired

    def receive(self, *, now: float, head: int, rounds: int) -> None:
        """Reads up to `rounds` packets of each call."""
        for _ in range(rounds):
            events = self._epoll.poll(0, max(1, len(self._calls)))
            if not events:
                return
            calls: list[EngineCall] = []
            lengths: list[int] = []
            for descriptor, _event in events:
                call = self._calls[descriptor]
                index = len(calls)
                try:
                    length, source = call.endpoint.recvfrom_into(self._views[index])
                except OSError:
                    continue
                if call.remote.receive and (
                    source == call.latch.source or self._admit(call, source, index=index, length=length, now=now)
                ):
                    calls.append(call)
                    lengths.append(length)
            if calls:
                self._take_packets(calls, np.array(lengths), now=now, head=head)

    def _admit(self, call: EngineCall, source: SocketAddress, *, index: int, length: int, now: float) -> bool:
        """Whether a packet from a source the call is not locked to is taken; if so, the call is locked to it."""
        if not call.latch.admits(source, silent_s=now - float(self._last_heard[call.slot])):
            call.foreign += 1
            return False
        try:
            packet = RtpPacket.parse(bytes(self._views[index][:length]))
        except ProtocolError:
            call.bad += 1
            return False
        if packet.payload_type not in (*AUDIO_TYPES, COMFORT_NOISE, call.remote.telephone_event):
            call.bad += 1
            return False
        call.latch.lock(source)
        return True

    def _take_packets(self, calls: list[EngineCall], lengths: Slots, *, now: float, head: int) -> None:
        """One packet a call: plain frames all at once, others one by one."""
        frames = self._datagrams[: len(calls), :PLAIN_FRAME_SIZE].view(PLAIN_FRAME)[:, 0]
        types = frames["type"] & 0x7F
        audio = (types == AUDIO_TYPES[0]) | (types == AUDIO_TYPES[1])
        plain = audio & (lengths == PLAIN_FRAME_SIZE) & (frames["flags"] == VERSION_2)
        if plain.any():
            slots = np.array([call.slot for call in calls])[plain]
            header = frames[plain]
            self._last_heard[slots] = now
            self._jitter.observe(
                slots, sequence=header["sequence"].astype(np.uint16), ssrc=header["ssrc"].astype(np.uint32)
            )
            samples = g711.DECODE[types[plain, None] >> 3, header["payload"]]
            self._jitter.place(slots, timestamp=header["timestamp"].astype(np.uint32), samples=samples, head=head)
        for index in np.flatnonzero(~plain).tolist():
            data = bytes(self._views[index][: lengths[index]])
            self._guard(calls[index], self._take_packet, calls[index], data, now, head)

    def _take_packet(self, call: EngineCall, data: bytes, now: float, head: int) -> None:
        """Any packet that is no plain frame: other lengths, extensions, digits, comfort noise, garbage."""
        try:
            packet = RtpPacket.parse(data)
            digit = self._judge(call, packet)
        except ProtocolError as error:
            logger.debug("port %d: %s", call.local_port, error.message)
            call.bad += 1
            return
        slots = np.array([call.slot])
        self._last_heard[call.slot] = now
        self._jitter.observe(
            slots, sequence=np.array([packet.sequence], np.uint16), ssrc=np.array([packet.ssrc], np.uint32)
        )
        if packet.payload_type in AUDIO_TYPES:
            samples = g711.decode(packet.payload, codec=Codec(packet.payload_type))[None]
            self._jitter.place(slots, timestamp=np.array([packet.timestamp], np.uint32), samples=samples, head=head)
        if digit is not None:
            position = self._jitter.position(call.slot, timestamp=packet.timestamp, head=head)
            call.listener.on_digit(digit, call.offset_of(head if position is None else position))

    def _judge(self, call: EngineCall, packet: RtpPacket) -> str | None:
        """The digit the packet tells, if any; raises `ProtocolError` where it is none of the call's."""
        if packet.payload_type == call.remote.telephone_event:
            return call.dtmf.receive(packet.payload, ssrc=packet.ssrc, timestamp=packet.timestamp)
        if packet.payload_type in AUDIO_TYPES and not 0 < len(packet.payload) <= MAX_PAYLOAD:
            raise ProtocolError(f"{len(packet.payload)} octets of audio")
        if packet.payload_type not in (*AUDIO_TYPES, COMFORT_NOISE):
            raise ProtocolError(f"payload type {packet.payload_type} was not agreed")
        return None
