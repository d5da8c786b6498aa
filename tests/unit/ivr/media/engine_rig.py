"""Phones, ears and an engine whose ticks are fed with time, for the engine's tests."""

import socket
from dataclasses import dataclass, field, replace

import numpy as np

from ivr.media import g711
from ivr.media.engine import MediaEngine
from ivr.media.rtp import RtpPacket
from ivr.media.types import Codec, RemoteMedia, RtpAddress

FRAME = 160
DELAY_FRAMES = 3
EVENTS = 101


@dataclass
class Ear:
    """Listener, sink and tap of one call: keeps what it is told."""

    events: list[tuple] = field(default_factory=list)
    blocks: list[np.ndarray] = field(default_factory=list)
    tapped: list[bytes] = field(default_factory=list)
    closed: int = 0
    sample_rate: int = 8000

    def on_digit(self, digit, offset_ms):
        self.events.append(("digit", digit, offset_ms))

    def on_playback_ended(self, token, completed, offset_ms):
        self.events.append(("played", token, completed, offset_ms))

    def on_speech_started(self, offset_ms):
        self.events.append(("speech", offset_ms))

    def on_speech_ended(self, offset_ms):
        self.events.append(("quiet", offset_ms))

    def on_media_timeout(self):
        self.events.append(("timeout",))

    def write(self, stereo):
        assert not self.closed
        self.blocks.append(stereo)

    def close(self):
        self.closed += 1

    def feed(self, pcm):
        self.tapped.append(pcm)

    @property
    def stereo(self):
        return np.concatenate([np.zeros((0, 2), np.int16), *self.blocks])

    @property
    def left(self):
        return self.stereo[:, 0]

    @property
    def right(self):
        return self.stereo[:, 1]


class Phone:
    """The far end: sends numbered frames of noise to `server` and keeps what it gets."""

    server = "127.0.0.1"

    def __init__(self, codec=Codec.PCMA):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.codec = codec
        self.audio = np.random.default_rng(self.address.port).integers(0, 256, 1100 * FRAME, dtype=np.uint8).tobytes()

    @property
    def address(self):
        return RtpAddress(*self.socket.getsockname())

    @property
    def remote(self):
        return RemoteMedia(address=self.address, codec=self.codec, telephone_event=EVENTS)

    def packet(self, number, **changes):
        packet = RtpPacket(
            payload_type=self.codec.value,
            sequence=number & 0xFFFF,
            timestamp=number * FRAME,
            ssrc=self.address.port,
            payload=self.audio[number * FRAME : (number + 1) * FRAME],
        )
        return replace(packet, **changes)

    def send(self, call, *packets):
        for packet in packets:
            data = packet if isinstance(packet, bytes) else packet.serialize()
            self.socket.sendto(data, (self.server, call.local_port))

    def spoken(self, first, last):
        """The samples of frames [first, last)."""
        return g711.decode(self.audio[first * FRAME : last * FRAME], codec=self.codec)

    def received(self):
        packets = []
        while True:
            try:
                packets.append(RtpPacket.parse(self.socket.recv(2048)))
            except BlockingIOError:
                return packets


class Rig:
    """An engine without its thread, phones, and the time."""

    def __init__(self, **changes):
        options = {
            "bind_address": "127.0.0.1",
            "port_min": 46000,
            "port_max": 46999,
            "max_calls": 4,
            "playout_delay_ms": 20 * DELAY_FRAMES,
            "rtp_timeout_s": 3.0,
        }
        self.engine = MediaEngine(**(options | changes))
        self.now = 1000.0
        self.phones = []

    def phone(self, codec=Codec.PCMA):
        self.phones.append(Phone(codec))
        return self.phones[-1]

    def open(self, phone, *, tap=True, sample_rate=8000, **changes):
        ear = Ear(sample_rate=sample_rate)
        remote = replace(phone.remote, **changes)
        call = self.engine.open(listener=ear, remote=remote, sink=ear, tap=ear if tap else None)
        return call, ear

    def tick(self, count=1, *, before=lambda index: None):
        for index in range(count):
            before(index)
            self.engine.tick(self.now)
            self.now += 0.02

    def talk(self, call, phone, frames, *, first=0):
        self.tick(frames, before=lambda index: phone.send(call, phone.packet(first + index)))

    def close(self):
        self.engine.stop()
        for phone in self.phones:
            phone.socket.close()


def finish(rig, call):
    call.close()
    rig.tick()
