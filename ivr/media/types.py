"""What the engine and the call layer say to each other."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
SAMPLE_RATE = 8000
WIDEBAND_RATE = 16000
FRAME_SAMPLES = 160
FRAME_MS = 20


PTIMES_MS = (10, 20, 30, 40, 50, 60)


class Codec(Enum):
    """A codec with its static payload type (RFC 3551 section 6)."""

    PCMU = 0
    PCMA = 8
    G722 = 9

    @property
    def sample_rate(self) -> int:
        """Of the audio, in Hz; the RTP clock of all is 8000."""
        return WIDEBAND_RATE if self is Codec.G722 else SAMPLE_RATE


@dataclass(frozen=True)
class RtpAddress:
    """Where packets go: a numeric address (a name would mean blocking DNS in the tick) and a port 1-65535."""

    host: str
    port: int

    def __post_init__(self) -> None:
        ip_address(self.host)
        if not 1 <= self.port <= 65535:
            raise ValueError(f"RTP port {self.port}")


@dataclass(frozen=True)
class RemoteMedia:
    """What the far end's SDP asks of us. `telephone_event` is the RFC 4733 payload type, None without digits."""

    address: RtpAddress
    codec: Codec
    telephone_event: int | None
    send: bool = True  # false while the far end holds us (sendonly or inactive from its side)
    receive: bool = True
    ptime_ms: int = FRAME_MS
    """How much the far end wants in one packet: one of `PTIMES_MS`."""
    comfort_noise: bool = False
    """Payload type 13 was agreed (RFC 3389)."""
    rtcp: RtpAddress | None = None
    """Where reports go; None: the port after the RTP port."""
    payload_type: int | None = None
    """What packets call the codec where it is not its static type (RFC 3264 section 6.1)."""

    def __post_init__(self) -> None:
        if self.ptime_ms not in PTIMES_MS:
            raise ValueError(f"packets of {self.ptime_ms} ms")

    @property
    def audio_type(self) -> int:
        """The payload type of audio."""
        return self.codec.value if self.payload_type is None else self.payload_type


@dataclass(frozen=True)
class DirectionQuality:
    """One direction of a stream. `loss`: share of the packets, 0-1; `mos`: estimated listening quality, 1-4.5."""

    packets: int = 0
    loss: float = 0.0
    jitter_ms: float = 0.0
    mos: float | None = None


@dataclass(frozen=True)
class StreamQuality:
    """Both directions of a leg. `sent` and the round trip are known only where the far end reports (RFC 3550)."""

    received: DirectionQuality
    sent: DirectionQuality | None = None
    round_trip_ms: float | None = None


class MediaListener(Protocol):
    """Told by the engine, on its own thread: must return at once and must not raise.

    All offsets are milliseconds since the call was opened, on the recording's clock.
    """

    def on_digit(self, digit: str, offset_ms: int) -> None: ...

    def on_playback_ended(self, token: int, completed: bool, offset_ms: int) -> None: ...

    def on_speech_started(self, offset_ms: int) -> None: ...

    def on_speech_ended(self, offset_ms: int) -> None: ...

    def on_media_timeout(self) -> None: ...


class RecordingSink(Protocol):
    """Takes a timeline, gap-free; must not block. A call's has two channels, left the caller, right our side; a
    participant's track has one. `sample_rate`: 8000, or 16000 to have what wideband legs (G.722) say in full."""

    @property
    def sample_rate(self) -> int: ...

    def write(self, frames: Samples, /) -> None:
        """`frames`: (n, channels) int16."""
        ...

    def close(self) -> None: ...

    def discard(self) -> None:
        """The call was refused: no file is left behind."""
        ...


class AudioTap(Protocol):
    """Takes one leg's audio in order, gap-free; must not block. `pcm`: s16le mono at `sample_rate`, 8000 or 16000."""

    @property
    def sample_rate(self) -> int: ...

    def feed(self, pcm: bytes) -> None: ...


@runtime_checkable
class HearingTap(AudioTap, Protocol):
    """An `AudioTap` that is told what its party was played, where that is known: it may come back as an echo."""

    def hear(self, pcm: bytes) -> None:
        """Played during what is fed next; as long."""
        ...


class Leg(Protocol):
    """One party's RTP inside the engine. All methods return at once and may be called from any thread."""

    @property
    def local_port(self) -> int: ...

    def play(self, samples: Samples, *, token: int, loop: bool = False) -> None:
        """Plays to this party alone, after what is queued; `on_playback_ended(token, ...)` follows exactly once for
        each call of play. A looped piece, music, goes on until `stop_playing`."""
        ...

    def stop_playing(self) -> None:
        """Ends what plays and drops what is queued (each reports completed=False)."""
        ...

    def send_digits(self, digits: str) -> None:
        """Presses keys (0-9, *, #, A-D): RFC 4733 where agreed, else tones in the audio, which waits meanwhile."""
        ...

    def info_digit(self, digit: str) -> None:
        """The far end told a key by SIP INFO: `on_digit` follows, once for one press however it is told."""
        ...

    def update(self, remote: RemoteMedia) -> None:
        """The first answer of a leg that we offered, or a re-INVITE: new address, codec or direction."""
        ...

    def quality(self) -> StreamQuality:
        """How the stream fares, or fared until the leg was closed."""
        ...

    def offset_ms(self) -> int:
        """The recording's clock now."""
        ...

    def close(self) -> None:
        """This party leaves; with the caller's leg the whole call ends, recording and taps flushed. Idempotent."""
        ...


class MediaCall(Leg, Protocol):
    """The caller's leg and the call around it: further legs, who hears whom, the recording."""

    def add_leg(
        self,
        name: str,
        *,
        listener: MediaListener,
        remote: RemoteMedia | None,
        tap: AudioTap | None = None,
        track: RecordingSink | None = None,
    ) -> Leg:
        """Another party, unheard until a mix says else. `remote` None: we offer, and `update` follows."""
        ...

    def set_mix(self, mix: Mapping[tuple[str, str], float]) -> None:
        """Who hears whom from now on, the whole matrix (`mixer.Mix`); changes are ramped."""
        ...

    def pause_recording(self) -> None:
        """Recording, tracks and taps get silence of the right length from now on."""
        ...

    def resume_recording(self) -> None:
        """And audio again."""
        ...

    def adopt(self, leg: Leg, name: str) -> None:
        """Takes over a leg of another call (attended transfer). A caller's leg leaves its own call, which ends."""
        ...
