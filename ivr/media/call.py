"""One call inside the engine: the handle that other threads hold, and the state that only the engine thread touches."""

import socket
from collections.abc import Callable
from dataclasses import dataclass

from hotline.errors import InvalidInputError
from ivr.media.dtmf import DtmfReceiver
from ivr.media.latch import Latch
from ivr.media.playback import Playback
from ivr.media.types import SAMPLE_RATE, AudioTap, MediaListener, RecordingSink, RemoteMedia, Samples


@dataclass(frozen=True)
class Begin:
    """Start the timeline."""


@dataclass(frozen=True, eq=False)
class Play:
    """Queue a piece; it must be mono 16-bit audio."""

    samples: Samples
    token: int

    def __post_init__(self) -> None:
        if self.samples.ndim != 1 or self.samples.dtype != "int16":
            raise InvalidInputError(f"audio must be mono int16, got {self.samples.dtype} {self.samples.shape}")


@dataclass(frozen=True)
class StopPlaying:
    """Drop what plays and what is queued."""


@dataclass(frozen=True)
class Update:
    """A re-INVITE."""

    remote: RemoteMedia


@dataclass(frozen=True)
class Close:
    """Flush and free the call."""


Command = Begin | Play | StopPlaying | Update | Close


class EngineCall:
    """Implements `MediaCall`: each method hands the engine a command, which it runs at its next tick."""

    def __init__(
        self,
        *,
        slot: int,
        endpoint: socket.socket,
        listener: MediaListener,
        remote: RemoteMedia,
        sink: RecordingSink,
        tap: AudioTap | None,
        post: Callable[["EngineCall", Command], None],
        head: Callable[[], int],
    ) -> None:
        self.slot = slot
        self.endpoint = endpoint
        self.listener = listener
        self.remote = remote
        self.sink = sink
        self.tap = tap
        self.playback = Playback()
        self.latch = Latch(remote.address)
        self.dtmf = DtmfReceiver()
        self.origin: int | None = None  # timeline position at which the call began
        self.end: int | None = None  # and at which it was closed
        self.bad = 0
        self.foreign = 0
        self._post = post
        self._head = head
        self._local_port: int = endpoint.getsockname()[1]

    @property
    def local_port(self) -> int:
        return self._local_port

    @property
    def closed(self) -> bool:
        return self.end is not None

    def play(self, samples: Samples, *, token: int) -> None:
        """Plays after what is queued; raises `InvalidInputError` where `samples` is not mono int16."""
        self._post(self, Play(samples=samples, token=token))

    def stop_playing(self) -> None:
        """Ends what plays and drops what is queued."""
        self._post(self, StopPlaying())

    def update(self, remote: RemoteMedia) -> None:
        """A re-INVITE: new address, codec or direction."""
        self._post(self, Update(remote))

    def close(self) -> None:
        """Ends media and flushes the recording and the tap; idempotent."""
        self._post(self, Close())

    def offset_ms(self) -> int:
        """The recording's clock now; 0 until the next tick has begun the call."""
        if self.origin is None:
            return 0
        return self.offset_of(self._head() if self.end is None else self.end)

    def offset_of(self, position: int) -> int:
        """A timeline position as milliseconds of the recording."""
        return max(0, position - (self.origin or 0)) * 1000 // SAMPLE_RATE
