"""The media engine and recordings in memory: what calls asked of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hotline.clock import ManualClock
from hotline.errors import UnavailableError
from ivr.media.types import (
    AudioTap,
    DirectionQuality,
    MediaListener,
    RecordingSink,
    RemoteMedia,
    Samples,
    StreamQuality,
)


@dataclass
class Media:
    """A MediaCall and the engine that made it."""

    clock: ManualClock
    listener: MediaListener
    sink: RecordingSink | None
    remote: RemoteMedia | None
    opened: float
    plays: list[tuple[int, Samples]] = field(default_factory=list)
    stopped: int = 0
    closed: bool = False
    local_port: int = 20000
    name: str = "caller"
    looped: bool = False  # music, until it is stopped
    digits: str = ""
    legs: dict[str, "Media"] = field(default_factory=dict)
    mix: dict[tuple[str, str], float] = field(default_factory=dict)
    recording: bool = True
    tap: AudioTap | None = None
    track: RecordingSink | None = None
    room: "Media | None" = None  # of another's leg: the call it is in
    full: bool = False  # no further leg is to be had

    def play(self, samples: Samples, *, token: int, loop: bool = False) -> None:
        self.plays.append((token, samples))
        self.looped = loop

    def stop_playing(self) -> None:
        self.stopped += 1
        self.looped = False
        if self.plays:
            self.listener.on_playback_ended(self.plays[-1][0], False, self.offset_ms())

    def info_digit(self, digit: str) -> None:
        self.listener.on_digit(digit, self.offset_ms())

    def send_digits(self, digits: str) -> None:
        self.digits += digits

    def quality(self) -> StreamQuality:
        return StreamQuality(received=DirectionQuality(packets=50))

    def add_leg(
        self,
        name: str,
        *,
        listener: MediaListener,
        remote: RemoteMedia | None,
        tap: AudioTap | None = None,
        track: RecordingSink | None = None,
    ) -> "Media":
        if self.full or self.closed:
            raise UnavailableError("no port is free")
        assert name not in self.legs
        self.legs[name] = Media(
            self.clock, listener, None, remote, self.opened, name=name, tap=tap, track=track, room=self
        )
        return self.legs[name]

    def set_mix(self, mix: Mapping[tuple[str, str], float]) -> None:
        self.mix = dict(mix)

    def pause_recording(self) -> None:
        self.recording = False

    def resume_recording(self) -> None:
        self.recording = True

    def adopt(self, leg: "Media", name: str) -> None:
        if leg.sink is not None:  # a caller's: its own call ends
            leg.sink.close()
            leg.sink = None
            for other in leg.legs.values():
                other.close()
            leg.legs = {}
        if leg.room is not None:
            del leg.room.legs[leg.name]
        self.legs[name], leg.name, leg.room, leg.opened = leg, name, self, self.opened

    def hears(self, hearer: str, source: str) -> bool:
        """Whether one party hears another, by their names in the call."""
        return any(
            gain > 0 for (h, s), gain in self.mix.items() if (h.split("/")[0], s.split("/")[0]) == (hearer, source)
        )

    def update(self, remote: RemoteMedia) -> None:
        self.remote = remote

    def offset_ms(self) -> int:
        return int((self.clock.monotonic() - self.opened) * 1000)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            for file in (self.sink, self.track):
                if file is not None:
                    file.close()
            for leg in self.legs.values():
                leg.close()

    def finish_playing(self) -> None:
        """Lets the present prompt play to its end."""
        token, samples = self.plays[-1]
        self.clock.advance(len(samples) / 8000)
        self.listener.on_playback_ended(token, True, self.offset_ms())


class Engine:
    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.calls: list[Media] = []
        self.full = False
        self.without_legs = False

    def open(self, *, listener: MediaListener, remote: RemoteMedia, sink: RecordingSink, tap: AudioTap | None) -> Media:
        if self.full:
            raise UnavailableError("no port is free")
        self.calls.append(Media(self.clock, listener, sink, remote, self.clock.monotonic()))
        self.calls[-1].full = self.without_legs
        return self.calls[-1]


@dataclass
class Sink:
    path: Path
    sample_rate: int
    on_closed: Callable[[], None]
    works: bool = True
    discarded: bool = False
    closed: bool = False

    def write(self, stereo: Samples) -> None:
        raise AssertionError("no audio flows in these tests")

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            if self.works:
                self.on_closed()

    def discard(self) -> None:
        self.discarded = self.discarded or not self.closed
        self.close()
