"""What the engine and the call layer say to each other."""

from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
SAMPLE_RATE = 8000
FRAME_SAMPLES = 160
FRAME_MS = 20


class Codec(Enum):
    """A G.711 law with its static payload type (RFC 3551 section 6)."""

    PCMU = 0
    PCMA = 8


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
    """Takes the call's timeline, gap-free; must not block. `stereo`: (n, 2) int16, left caller, right our side."""

    def write(self, stereo: Samples) -> None: ...

    def close(self) -> None: ...

    def discard(self) -> None:
        """The call was refused: no file is left behind."""
        ...


class AudioTap(Protocol):
    """Takes one leg's audio in order, gap-free; must not block. `pcm`: s16le mono 8 kHz."""

    def feed(self, pcm: bytes) -> None: ...


class MediaCall(Protocol):
    """A call inside the engine. All methods return at once and may be called from any thread."""

    @property
    def local_port(self) -> int: ...

    def play(self, samples: Samples, *, token: int) -> None:
        """Plays after what is queued; `on_playback_ended(token, ...)` follows exactly once for each call of play."""
        ...

    def stop_playing(self) -> None:
        """Ends what plays and drops what is queued (each reports completed=False)."""
        ...

    def update(self, remote: RemoteMedia) -> None:
        """A re-INVITE: new address, codec or direction."""
        ...

    def offset_ms(self) -> int:
        """The recording's clock now."""
        ...

    def close(self) -> None:
        """Ends media and flushes the recording and the tap; idempotent."""
        ...
