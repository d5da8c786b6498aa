"""The media engine: one thread that, every 20 ms, hears, mixes, speaks and records for all calls.

A tick runs the commands of other threads, drains every socket, mixes, sends one frame a leg, looks for speech and hands
recordings what is final. Work that every leg needs each tick is done by NumPy over tables of legs ("slots").
The timeline is wall time: a stall skips ticks (sends nothing, records silence on our side) and never bursts.
"""

import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from hotline.errors import InvalidInputError, UnavailableError
from ivr.media.bridge import Bridge
from ivr.media.jitterbuffer import JitterBuffer, StreamCounters
from ivr.media.leg import (
    Adopt,
    Begin,
    Close,
    Command,
    EngineCall,
    EngineLeg,
    Play,
    Record,
    SendDigits,
    SetMix,
    StopPlaying,
    Update,
)
from ivr.media.ports import PortPool
from ivr.media.receiver import Receiver
from ivr.media.ring import RING, Slots
from ivr.media.room import BLOCK, Room
from ivr.media.sender import Sender
from ivr.media.ticks import TickClock, TickStats
from ivr.media.types import (
    FRAME_SAMPLES,
    SAMPLE_RATE,
    AudioTap,
    Codec,
    DirectionQuality,
    MediaListener,
    RecordingSink,
    RemoteMedia,
    StreamQuality,
)
from ivr.media.vad import ONSET_FRAMES, SpeechDetector

logger = logging.getLogger(__name__)

RECORD_TICKS = BLOCK // FRAME_SAMPLES
TAP_TICKS = 5
DRAIN_ROUNDS = 8
"""Packets read from one socket in a tick; after a stall one more for each skipped tick, up to STALL_ROUNDS."""
STALL_ROUNDS = 120
STALL_ROOM = RING - SAMPLE_RATE
"""What the rings keep of the past after a stall, for packets that waited; the rest is for those that are early."""
NICE = -15
"""The engine thread's priority; the kernel grants it to who may, or where RLIMIT_NICE is at least 20 - NICE."""


@dataclass(frozen=True)
class EngineStats:
    """Counts since the start, closed legs included. `bad` packets were no valid RTP of the leg; `foreign` ones came
    from a source that the leg is not locked to; `failures` are legs ended by an exception, which is a bug."""

    calls: int
    legs: int
    ticks: TickStats
    packets: StreamCounters
    bad: int
    foreign: int
    send_errors: int
    failures: int
    priority_raised: bool


class MediaEngine:
    """All calls' media. `open` and the calls' methods may be used from any thread; listeners hear from the engine's."""

    def __init__(
        self,
        *,
        bind_address: str,
        port_min: int,
        port_max: int,
        max_calls: int,
        max_legs: int | None = None,
        playout_delay_ms: int,
        playout_min_ms: int = 40,
        playout_max_ms: int = 200,
        rtp_timeout_s: float,
        speech_hangover_ms: int = 300,
    ) -> None:
        """`max_legs`: callers and other parties together; without it there may be as many others as callers.
        `playout_delay_ms` is where the recording places a stream; what parties hear of each other adapts between
        `playout_min_ms` and `playout_max_ms`, whatever the recording's."""
        slots = 2 * max_calls if max_legs is None else max_legs
        self._rtp_timeout_s = rtp_timeout_s
        self._lock = threading.Lock()  # guards _ports, _free, _open_calls, _stopping and the rooms' reserved names
        self._ports = PortPool(address=bind_address, port_min=port_min, port_max=port_max)
        self._free = list(reversed(range(slots)))  # the last freed is used first: fewer rings are ever touched
        self._max_calls, self._open_calls = max_calls, 0
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._commands: deque[tuple[EngineLeg, Command]] = deque()

        self._clock = TickClock()
        self._head = 0  # the next position to be sent
        self._legs: dict[int, EngineLeg] = {}
        self._active = np.zeros(slots, bool)
        self._record_ticks = np.full(slots, RECORD_TICKS)
        self._jitter = JitterBuffer(
            slots=slots,
            delay=playout_delay_ms * SAMPLE_RATE // 1000,
            least=playout_min_ms * SAMPLE_RATE // 1000,
            most=playout_max_ms * SAMPLE_RATE // 1000,
        )
        self._receiver = Receiver(slots=slots, jitter=self._jitter, guard=self._guard)
        self._sender = Sender(slots=slots)
        self._bridge = Bridge()
        self._speech = SpeechDetector(slots=slots, hangover_ms=speech_hangover_ms)

        self._past_packets = StreamCounters()
        self._past_bad = self._past_foreign = self._failures = 0
        self._priority_raised = False

    def start(self) -> None:
        """Starts the thread."""
        self._thread = threading.Thread(target=self._run, name="media-engine", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Closes every call, recordings flushed, and ends the thread; idempotent."""
        with self._lock:
            if self._stopping:
                return
            self._stopping = True
        if self._thread is not None:
            self._thread.join()
        self._run_commands(time.monotonic())  # calls that wait to begin
        for leg in self._legs.values():
            leg.close()
        self._run_commands(time.monotonic())
        self._receiver.stop()

    @property
    def head(self) -> int:
        """The timeline position of the next frame to be sent."""
        return self._head

    def open(
        self, *, listener: MediaListener, remote: RemoteMedia, sink: RecordingSink, tap: AudioTap | None
    ) -> EngineCall:
        """A call whose timeline begins at the next tick. Raises `UnavailableError` where no port or slot is free, and
        `InvalidInputError` where the remote's IP version is not ours or its codec is none that we speak."""
        self._check(remote)
        with self._lock:
            if self._open_calls >= self._max_calls:
                raise UnavailableError("all media slots are in use")
            slot, endpoint = self._allocate()
            self._open_calls += 1
            call = EngineCall(self, slot, endpoint, listener, remote, tap, None, Room(sink))
            self.post(call, Begin())
        return call

    def open_leg(
        self,
        call: EngineCall,
        name: str,
        *,
        listener: MediaListener,
        remote: RemoteMedia | None,
        tap: AudioTap | None,
        track: RecordingSink | None,
    ) -> EngineLeg:
        """`MediaCall.add_leg`."""
        if remote is not None:
            self._check(remote)
        room = call.own_room
        with self._lock:
            if room.ended:
                raise UnavailableError("the call is over")
            _reserve(room, name)
            try:
                slot, endpoint = self._allocate()
            except UnavailableError:
                room.reserved.discard(name)
                raise
            leg = EngineLeg(self, slot, endpoint, listener, remote, tap, track, room, name)
            self.post(leg, Begin())
        return leg

    def quality(self, leg: EngineLeg) -> StreamQuality:
        """What the jitter buffer counted of a leg that is open."""
        counters = self._jitter.counters(leg.slot)
        expected = counters.received + counters.lost
        loss = counters.lost / expected if expected else 0.0
        return StreamQuality(received=DirectionQuality(packets=counters.received, loss=loss))

    def stats(self) -> EngineStats:
        """A snapshot; may be a tick old."""
        legs = list(self._legs.values())
        return EngineStats(
            calls=sum(leg is leg.room.caller for leg in legs),
            legs=len(legs),
            ticks=self._clock.stats(),
            packets=sum((self._jitter.counters(leg.slot) for leg in legs), self._past_packets),
            bad=self._past_bad + sum(leg.bad for leg in legs),
            foreign=self._past_foreign + sum(leg.foreign for leg in legs),
            send_errors=self._sender.errors,
            failures=self._failures,
            priority_raised=self._priority_raised,
        )

    def tick(self, now: float) -> None:
        """One tick, at monotonic time `now`."""
        skipped = self._clock.advance(now)
        self._head = self._clock.index * FRAME_SAMPLES
        self._run_commands(now)
        if skipped:
            for leg in list(self._legs.values()):
                self._guard(leg, self._take, leg, self._head - STALL_ROOM)
        self._receiver.receive(now=now, head=self._head, rounds=min(DRAIN_ROUNDS + skipped, STALL_ROUNDS))
        for slot in self._receiver.expired(now=now, timeout_s=self._rtp_timeout_s):
            if (silent := self._legs.get(slot)) is not None:
                self._guard(silent, silent.listener.on_media_timeout)
        hearers = self._bridge.hearers
        heard = self._bridge.mix(self._jitter.playout.read(self._bridge.sources, head=self._head))
        ended = self._sender.send(head=self._head, hearers=hearers, heard=heard)
        self._head += FRAME_SAMPLES
        for leg, tokens in ended:
            self._guard(leg, self._report_playback, leg, tokens, True)
        active = np.flatnonzero(self._active)
        if len(active):
            self._detect_speech(active)
            for slot in active[(active + self._clock.index) % self._record_ticks[active] == 0].tolist():
                if (due := self._legs.get(slot)) is not None:
                    self._guard(due, self._take, due, self._jitter.settled(slot, head=self._head))

    def _run(self) -> None:
        self._raise_priority()
        errors = 0
        while not self._stopping:
            deadline = self._clock.deadline()
            if deadline is not None and (wait := deadline - time.monotonic()) > 0:
                time.sleep(wait)
            try:
                self.tick(time.monotonic())
            except Exception:
                errors += 1
                if errors & (errors - 1) == 0:  # the log must not grow by fifty traces a second
                    logger.exception("media tick failed (%d so far)", errors)

    def _raise_priority(self) -> None:
        try:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
            self._priority_raised = True
        except OSError as error:
            logger.warning("cannot raise the media thread's priority: %s; load may be heard", error.strerror)

    def _check(self, remote: RemoteMedia) -> None:
        if (":" in remote.address.host) != (self._ports.version == 6):
            raise InvalidInputError(f"{remote.address.host} is not an IPv{self._ports.version} address")
        if remote.codec is Codec.G722:
            raise InvalidInputError("the engine does not speak G.722")

    def _allocate(self) -> tuple[int, socket.socket]:
        """A slot and a port; the lock is held."""
        if self._stopping:
            raise UnavailableError("the media engine is stopping")
        if not self._free:
            raise UnavailableError("all media slots are in use")
        endpoint = self._ports.bind()
        return self._free.pop(), endpoint

    def _release(self, leg: EngineLeg) -> None:
        leg.endpoint.close()
        with self._lock:
            self._free.append(leg.slot)

    def _guard(self, leg: EngineLeg, action: Callable[..., None], *arguments: object) -> None:
        """Runs one leg's own work: whatever it raises ends that leg, or that caller's call, and no other's."""
        try:
            action(*arguments)
        except Exception:
            logger.exception("media of the leg on port %d failed", leg.local_port)
            self._failures += 1
            for ending in (partial(self._close, leg), leg.listener.on_media_timeout):
                try:
                    ending()
                except Exception:
                    logger.exception("ending the media of the leg on port %d failed", leg.local_port)

    # Commands

    def post(self, leg: EngineLeg, command: Command) -> None:
        """Has `command` run at the next tick; raises `InvalidInputError` where it cannot be."""
        match command:
            case Update(remote):
                self._check(remote)
            case Adopt(_, name):
                with self._lock:
                    _reserve(leg.room, name)
        self._commands.append((leg, command))

    def _run_commands(self, now: float) -> None:
        while self._commands:
            leg, command = self._commands.popleft()
            self._guard(leg, self._run_command, leg, command, now)

    def _run_command(self, leg: EngineLeg, command: Command, now: float) -> None:
        match command:
            case Play() if leg.closed:
                self._report_playback(leg, [command.token], False)
            case _ if leg.closed:
                pass
            case Begin():
                self._begin(leg, now)
            case Play():
                self._sender.play(leg, command.samples, token=command.token, loop=command.loop)
            case SendDigits(digits):
                self._sender.dial(leg, digits)
            case StopPlaying():
                self._report_playback(leg, self._sender.stop_playing(leg), False)
            case Update(remote):
                leg.latch.move(remote.address)
                leg.remote = remote
                self._sender.apply(leg)
                self._receiver.apply(leg, now=now)
            case Close():
                self._receiver.receive(now=now, head=self._head, rounds=STALL_ROUNDS)
                self._close(leg)
            case _ if leg is not leg.room.caller:
                pass  # it was adopted: its own call is over
            case SetMix(mix):
                leg.room.mix = mix
                self._apply_mix(leg.room)
            case Record(on):
                leg.room.record(on=on, position=self._head)
            case Adopt(other, name):
                self._adopt(leg.room, other, name)

    def _begin(self, leg: EngineLeg, now: float) -> None:
        slot = leg.slot
        if leg.room.ended:  # the call was closed just before
            leg.end = self._head
            self._release(leg)
            self._close_track(leg)
            return
        self._legs[slot] = leg
        self._jitter.open(slot, position=self._head)
        self._speech.open(slot)
        self._sender.open(leg)
        self._receiver.open(leg)
        self._receiver.apply(leg, now=now)
        self._active[slot] = True
        self._record_ticks[slot] = RECORD_TICKS if leg.tap is None else TAP_TICKS
        leg.room.join(leg, name=leg.name, position=self._head)
        self._apply_mix(leg.room)

    def _apply_mix(self, room: Room) -> None:
        if len(room.legs) > 1 or room.mix:
            self._bridge.set(*room.edges())
            heard = {name: self._jitter.playout.position(leg.slot, head=self._head) for name, leg in room.legs.items()}
            room.set_recorded(heard)

    def _adopt(self, room: Room, leg: EngineLeg, name: str) -> None:
        """The leg goes on in `room`; what was heard of it until now is its old call's."""
        if leg.closed or leg.room is room:
            room.reserved.discard(name)
            return
        self._bridge.remove(leg.slot)
        self._take(leg, self._head)
        if leg is leg.room.caller:
            self._end(leg.room)
        leg.room.leave(leg)
        room.join(leg, name=name, position=self._head)
        self._apply_mix(room)

    def _close(self, leg: EngineLeg) -> None:
        if leg.closed:
            return
        slot, room = leg.slot, leg.room
        is_caller = leg is room.caller
        leg.end = max(self._head, self._jitter.end(slot)) if is_caller else self._head
        leg.last_quality = self.quality(leg)
        self._active[slot] = False
        del self._legs[slot]
        self._bridge.remove(slot)
        self._sender.close(leg)
        self._receiver.close(leg)
        try:
            if is_caller:
                self._end(room)
            else:
                self._take(leg, leg.end)
        finally:
            if not is_caller:
                room.leave(leg)
            self._past_packets += self._jitter.counters(slot)
            self._past_bad += leg.bad
            self._past_foreign += leg.foreign
            self._release(leg)
            self._close_track(leg)
        if self._speech.speaking(slot):
            leg.listener.on_speech_ended(leg.offset_of(leg.end))
        self._report_playback(leg, self._sender.stop_playing(leg), False)

    def _end(self, room: Room) -> None:
        """The caller leaves: so does everybody else, and the recording is whole."""
        for other in list(room.legs.values()):
            if other is not room.caller:
                self._guard(other, self._close, other)
        try:
            self._take(room.caller, room.caller.end or self._head)
        finally:
            with self._lock:
                self._open_calls -= 1
            room.close_recording()

    def _take(self, leg: EngineLeg, until: int) -> None:
        leg.room.take(leg, until, jitter=self._jitter, sender=self._sender)

    # What the call layer is told

    def _report_playback(self, leg: EngineLeg, tokens: list[int], completed: bool) -> None:
        for token in tokens:
            leg.listener.on_playback_ended(token, completed, leg.offset_of(leg.end or self._head))

    def _detect_speech(self, slots: Slots) -> None:
        started, ended = self._speech.update(slots, self._jitter.frames(slots, head=self._head - FRAME_SAMPLES))
        for turned, frames_ago, method in (
            (started, ONSET_FRAMES, "on_speech_started"),
            (ended, self._speech.hangover_frames, "on_speech_ended"),
        ):
            for slot in slots[turned].tolist():
                if (leg := self._legs.get(slot)) is not None:
                    offset_ms = leg.offset_of(self._head - frames_ago * FRAME_SAMPLES)
                    self._guard(leg, getattr(leg.listener, method), offset_ms)

    @staticmethod
    def _close_track(leg: EngineLeg) -> None:
        if leg.track is not None:
            leg.track.close()


def _reserve(room: Room, name: str) -> None:
    if name in room.reserved:
        raise InvalidInputError(f"the call has a leg {name!r} already")
    room.reserved.add(name)
