"""Legs inside the engine: the handles that other threads hold, and the state that only the engine thread touches."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from hotline.errors import InvalidInputError
from ivr.media.digit_merger import DigitMerger
from ivr.media.digits import DigitSender
from ivr.media.dtmf import DIGITS, DtmfReceiver
from ivr.media.gain import GainCurve
from ivr.media.latch import Latch
from ivr.media.mixer import CALLER, RECORDING, Mix
from ivr.media.playback import Playback
from ivr.media.types import (
    SAMPLE_RATE,
    AudioTap,
    HearingTap,
    Leg,
    MediaListener,
    RecordingSink,
    RemoteMedia,
    Samples,
    StreamQuality,
)
from ivr.media.wideband import Widener

if TYPE_CHECKING:
    from ivr.media.room import Room


@dataclass(frozen=True)
class Begin:
    """Start the leg's timeline."""


@dataclass(frozen=True, eq=False)
class Play:
    """Queue a piece; it must be mono 16-bit audio."""

    samples: Samples
    token: int
    loop: bool = False

    def __post_init__(self) -> None:
        if self.samples.ndim != 1 or self.samples.dtype != "int16":
            raise InvalidInputError(f"audio must be mono int16, got {self.samples.dtype} {self.samples.shape}")


@dataclass(frozen=True)
class StopPlaying:
    """Drop what plays and what is queued."""


@dataclass(frozen=True)
class Update:
    """An answer or a re-INVITE."""

    remote: RemoteMedia


@dataclass(frozen=True)
class SendDigits:
    """Press keys."""

    digits: str

    def __post_init__(self) -> None:
        if not self.digits or not set(self.digits) <= set(DIGITS):
            raise InvalidInputError(f"{self.digits!r} are no keys of a telephone")


@dataclass(frozen=True)
class InfoDigit:
    """The far end told a key by SIP INFO."""

    digit: str

    def __post_init__(self) -> None:
        if self.digit not in tuple(DIGITS):
            raise InvalidInputError(f"{self.digit[:16]!r} is no key of a telephone")


@dataclass(frozen=True)
class SetMix:
    """A call's whole matrix; gains are 0-1 and nobody hears himself."""

    mix: Mix

    def __post_init__(self) -> None:
        for (hearer, source), gain in self.mix.items():
            if hearer == source or source == RECORDING or not 0 <= gain <= 1:
                raise InvalidInputError(f"a mix in which {hearer!r} hears {source!r} at {gain}")


@dataclass(frozen=True)
class Record:
    """Record from now on, or silence."""

    on: bool


@dataclass(frozen=True)
class Adopt:
    """Take over a leg of another call."""

    leg: "EngineLeg"
    name: str


@dataclass(frozen=True)
class Close:
    """Flush and free the leg; with the caller's the call."""


Command = Begin | Play | StopPlaying | SendDigits | InfoDigit | Update | SetMix | Record | Adopt | Close


class Host(Protocol):
    """What a handle needs of the engine; any thread."""

    @property
    def head(self) -> int:
        """The timeline position of the next frame to be sent."""
        ...

    def post(self, leg: "EngineLeg", command: Command) -> None:
        """Has the command run at the next tick; raises `InvalidInputError` where it cannot be."""
        ...

    def open_leg(
        self,
        call: "EngineCall",
        name: str,
        *,
        listener: MediaListener,
        remote: RemoteMedia | None,
        tap: AudioTap | None,
        track: RecordingSink | None,
    ) -> "EngineLeg": ...

    def quality(self, leg: "EngineLeg") -> StreamQuality: ...


@dataclass(eq=False)
class EngineLeg:
    """Implements `Leg`: each method hands the engine a command, which it runs at its next tick."""

    host: Host
    slot: int
    endpoint: socket.socket
    control_endpoint: socket.socket
    listener: MediaListener
    remote: RemoteMedia | None
    tap: AudioTap | None
    track: RecordingSink | None
    room: "Room"
    name: str = CALLER
    hearing: HearingTap | None = None
    """The tap, where it wants to know what the leg was played."""
    end: int | None = None
    """The timeline position at which the leg was closed."""
    bad: int = 0
    foreign: int = 0
    playback: Playback = field(default_factory=Playback)
    digits: DigitSender = field(default_factory=DigitSender)
    dtmf: DtmfReceiver = field(default_factory=DtmfReceiver)
    merger: DigitMerger = field(default_factory=DigitMerger)
    recorded: GainCurve = field(default_factory=lambda: GainCurve(0.0))
    """How loud the recording's right channel has the leg."""
    wideband: bool = False
    """It speaks G.722, or did: there may be a second plane."""
    widener: Widener | None = None
    """Where its tap, its track or, of a caller, the recording wants 16 kHz."""
    last_quality: StreamQuality | None = None

    def __post_init__(self) -> None:
        self._local_port: int = self.endpoint.getsockname()[1]
        self.latch = Latch(None if self.remote is None else self.remote.address)

    @property
    def local_port(self) -> int:
        return self._local_port

    @property
    def closed(self) -> bool:
        return self.end is not None

    def play(self, samples: Samples, *, token: int, loop: bool = False) -> None:
        """Plays after what is queued; raises `InvalidInputError` where `samples` is not mono int16."""
        self.host.post(self, Play(samples=samples, token=token, loop=loop))

    def stop_playing(self) -> None:
        """Ends what plays and drops what is queued."""
        self.host.post(self, StopPlaying())

    def send_digits(self, digits: str) -> None:
        """Presses keys; raises `InvalidInputError` where one is none."""
        self.host.post(self, SendDigits(digits.upper()))

    def info_digit(self, digit: str) -> None:
        """SIP INFO told a key; `on_digit` follows unless it is known already. Raises `InvalidInputError`."""
        self.host.post(self, InfoDigit(digit.upper()))

    def update(self, remote: RemoteMedia) -> None:
        """An answer or a re-INVITE; raises `InvalidInputError` where we cannot speak so."""
        self.host.post(self, Update(remote))

    def close(self) -> None:
        """Ends the leg, or with the caller's leg the call; idempotent."""
        self.host.post(self, Close())

    def quality(self) -> StreamQuality:
        """How the stream fares, or fared."""
        return self.last_quality or self.host.quality(self)

    def offset_ms(self) -> int:
        """The recording's clock now; 0 until the next tick has begun the call."""
        return self.offset_of(self.host.head if self.end is None else self.end)

    def offset_of(self, position: int) -> int:
        """A timeline position as milliseconds of the recording."""
        origin = self.room.origin
        return 0 if origin is None else max(0, position - origin) * 1000 // SAMPLE_RATE


class EngineCall(EngineLeg):
    """Implements `MediaCall`: the caller's leg and what is done with the call around it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.own_room = self.room  # also after the leg was adopted by another call

    def add_leg(
        self,
        name: str,
        *,
        listener: MediaListener,
        remote: RemoteMedia | None,
        tap: AudioTap | None = None,
        track: RecordingSink | None = None,
    ) -> EngineLeg:
        """Another party. Raises `InvalidInputError` where the name is taken or the remote cannot be spoken to, and
        `UnavailableError` where no port or slot is free."""
        return self.host.open_leg(self, name, listener=listener, remote=remote, tap=tap, track=track)

    def set_mix(self, mix: Mapping[tuple[str, str], float]) -> None:
        """The whole matrix; names that are not there are passed over. Raises `InvalidInputError`."""
        self.host.post(self, SetMix(dict(mix)))

    def pause_recording(self) -> None:
        """Silence is recorded from now on."""
        self.host.post(self, Record(on=False))

    def resume_recording(self) -> None:
        """And audio again."""
        self.host.post(self, Record(on=True))

    def adopt(self, leg: Leg, name: str) -> None:
        """Takes over a leg of another call of this engine; raises `InvalidInputError` where the name is taken."""
        if not isinstance(leg, EngineLeg) or leg.host is not self.host:
            raise InvalidInputError("only a leg of the same engine can be adopted")
        self.host.post(self, Adopt(leg=leg, name=name))
