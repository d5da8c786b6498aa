"""A phone's RTP stream: sends a frame each 20 ms by absolute deadlines, receives, and keeps exact books of both.

Audio goes out as the bytes it was given (RFC 3550, RFC 3551), digits as RFC 4733 events, silence between.
"""

import asyncio
import random
import struct
from array import array
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from demo.g711 import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE, Law, decode

DIGITS = "0123456789*#ABCD"
DIGIT_FRAMES = 8  # 160 ms
DIGIT_END_PACKETS = 3
VOLUME = 10  # -10 dBm0
MAX_HEARD_S = 3600
HEADER = struct.Struct("!BBHII")


@dataclass(frozen=True)
class ReceiverStats:
    """What arrived: packets, lost ones, out of order or doubled ones, RFC 3550 jitter and lateness in milliseconds.

    Lateness is by how much a packet came later than the least delayed one would have.
    """

    received: int = 0
    lost: int = 0
    reordered: int = 0
    jitter_ms: float = 0.0
    late_p99_ms: float = 0.0


class Receiver:
    """Takes packets in any order and puts their audio where their timestamp says."""

    def __init__(self, law: Law) -> None:
        self._law = law
        self._frames: dict[int, bytes] = {}
        self._source: int | None = None
        self._first_sequence = self._highest = self._base = 0
        self._count = self._reordered = 0
        self._jitter = 0.0
        self._transits = array("d")

    def push(self, packet: bytes, now: float) -> bytes | None:
        """The audio of a packet that arrived at `now` (seconds); None for what is no audio of ours."""
        if len(packet) < HEADER.size:
            return None
        flags, kind, sequence, timestamp, source = HEADER.unpack_from(packet)
        if flags >> 6 != 2 or kind & 0x7F != self._law.value:
            return None
        payload = packet[HEADER.size + 4 * (flags & 15) :]
        if self._source is None:
            self._source, self._base = source, timestamp
            self._first_sequence, self._highest = sequence, sequence - 1
        if source != self._source:
            return None
        step = (sequence - self._highest + 0x8000) % 0x10000 - 0x8000
        if step > 0:
            self._highest += step
        else:
            self._reordered += 1
        position = (timestamp - self._base + 0x80000000) % 0x100000000 - 0x80000000
        if position in self._frames:
            return None
        self._count += 1
        if 0 <= position < MAX_HEARD_S * SAMPLE_RATE:
            self._frames[position] = payload
        transit = now - position / SAMPLE_RATE
        if self._transits:
            self._jitter += (abs(transit - self._transits[-1]) - self._jitter) / 16
        self._transits.append(transit)
        return payload

    def stats(self) -> ReceiverStats:
        """The books so far."""
        expected = self._highest - self._first_sequence + 1 if self._source is not None else 0
        return ReceiverStats(
            received=self._count,
            lost=max(0, expected - self._count),
            reordered=self._reordered,
            jitter_ms=round(1000 * self._jitter, 3),
            late_p99_ms=round(1000 * self._late_p99(), 3),
        )

    def _late_p99(self) -> float:
        return float(np.percentile(self._transits, 99) - min(self._transits)) if self._transits else 0.0

    def audio(self) -> NDArray[np.int16]:
        """All that was heard on its time line, gaps filled with zeros."""
        length = max((position + len(payload) for position, payload in self._frames.items()), default=0)
        samples = np.zeros(length, np.int16)
        for position, payload in self._frames.items():
            samples[position : position + len(payload)] = decode(payload, self._law)
        return samples


class Sender:
    """Makes the packet of each 20 ms: a digit that is being pressed, else audio that waits, else silence."""

    def __init__(self, law: Law, *, events: int | None, generator: random.Random) -> None:
        self._law = law
        self._events = events
        self._silence = bytes([law.silence]) * FRAME_SAMPLES
        self._audio: deque[bytes] = deque()
        self._digits: deque[tuple[int, int]] = deque()  # event code, packet of it
        self._sequence = generator.getrandbits(15)
        self._timestamp = generator.getrandbits(31)
        self._event_timestamp = 0
        self._source = generator.getrandbits(32)
        self._marker = True
        self._sent = bytearray()
        self.packets = 0

    def say(self, payload: bytes) -> None:
        """Queues G.711 bytes; the last frame is filled up with silence."""
        for start in range(0, len(payload), FRAME_SAMPLES):
            frame = payload[start : start + FRAME_SAMPLES]
            self._audio.append(frame + self._silence[len(frame) :])

    def press(self, digit: str) -> bool:
        """Queues a digit, which goes before waiting audio; false when the far end takes none."""
        if self._events is None:
            return False
        self._digits.extend((DIGITS.index(digit), packet) for packet in range(DIGIT_FRAMES + DIGIT_END_PACKETS - 1))
        return True

    @property
    def idle(self) -> bool:
        """Nothing waits."""
        return not self._audio and not self._digits

    def next_packet(self) -> bytes:
        """The packet of this tick; time moves on by 20 ms."""
        if self._digits and self._events is not None:
            code, packet = self._digits.popleft()
            if packet == 0:
                self._event_timestamp = self._timestamp
            kind, timestamp, marker = self._events, self._event_timestamp, packet == 0
            last = packet >= DIGIT_FRAMES - 1
            duration = min(packet + 1, DIGIT_FRAMES) * FRAME_SAMPLES
            payload = struct.pack("!BBH", code, VOLUME | (0x80 if last else 0), duration)
            self._sent += self._silence
            self._marker = True
        else:
            payload = self._audio.popleft() if self._audio else self._silence
            kind, timestamp, marker = self._law.value, self._timestamp, self._marker
            self._sent += payload
            self._marker = False
        header = HEADER.pack(0x80, kind | (0x80 if marker else 0), self._sequence, timestamp, self._source)
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp = (self._timestamp + FRAME_SAMPLES) & 0xFFFFFFFF
        self.packets += 1
        return header + payload

    def skip(self) -> None:
        """Lets this tick pass without a packet: the clock runs on while the call is held (RFC 3550 section 5.1)."""
        self._sent += self._silence
        self._timestamp = (self._timestamp + FRAME_SAMPLES) & 0xFFFFFFFF
        self._marker = True

    def sent(self) -> NDArray[np.int16]:
        """All audio sent, from the first packet on; digits and holds count as silence."""
        return decode(bytes(self._sent), self._law)


class RtpStream(asyncio.DatagramProtocol):
    """Socket and clock around a `Sender` and a `Receiver`. Build it with `open`."""

    def __init__(self, law: Law) -> None:
        self._law = law
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.DatagramTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._target = ("", 0)
        self._deadline = 0.0
        self._idle: list[asyncio.Future[None]] = []
        self.on_audio: Callable[[bytes], None] | None = None
        self.on_tick: Callable[[float], None] | None = None
        self.muted = False
        self.lateness_s: list[float] = []
        self.sender: Sender | None = None
        self.receiver = Receiver(law)

    @classmethod
    async def open(cls, host: str, law: Law) -> "RtpStream":
        """Binds a port of `host`."""
        _, stream = await asyncio.get_running_loop().create_datagram_endpoint(lambda: cls(law), local_addr=(host, 0))
        return stream

    @property
    def port(self) -> int:
        assert self._transport is not None
        return int(self._transport.get_extra_info("sockname")[1])

    def start(self, host: str, port: int, *, events: int | None, generator: random.Random | None = None) -> None:
        """Begins to send; called again it only changes the address."""
        self._target = (host, port)
        if self.sender is None:
            generator = generator or random.Random()  # noqa: S311 - sequence numbers, no secrets
            self.sender = Sender(self._law, events=events, generator=generator)
            self._deadline = self._loop.time()
            self._tick()

    async def drained(self) -> None:
        """Returns when all that was queued has left."""
        if self.sender is not None and not self.sender.idle:
            waiter = self._loop.create_future()
            self._idle.append(waiter)
            await waiter

    def close(self) -> None:
        """Ends sending and receiving; idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        audio = self.receiver.push(data, self._loop.time())
        if audio is not None and self.on_audio is not None:
            self.on_audio(audio)

    def error_received(self, exc: Exception) -> None:
        """The far end's port is closed: it has hung up, and signalling will say so."""

    def _tick(self) -> None:
        """Sends what is due, also several packets after a stall: the phone's audio is never cut."""
        assert self._transport is not None
        assert self.sender is not None
        now = self._loop.time()
        while self._deadline <= now:
            if self.muted:
                self.sender.skip()
            else:
                self._transport.sendto(self.sender.next_packet(), self._target)
                self.lateness_s.append(now - self._deadline)
            self._deadline += FRAME_S
        if self._idle and self.sender.idle:
            for waiter in self._idle:
                if not waiter.done():
                    waiter.set_result(None)
            self._idle.clear()
        if self.on_tick is not None:
            self.on_tick(now)
        self._timer = self._loop.call_at(self._deadline, self._tick)
