"""The media engine: one thread that, every 20 ms, hears, mixes, speaks and records for all calls.

A tick runs the commands of other threads, drains every socket, mixes, sends one frame a leg, looks for speech and hands
recordings what is final. Here is what other threads use, and the thread; `switchboard.py` does the work.
The timeline is wall time: a stall skips ticks (sends nothing, records silence on our side) and never bursts.
"""

import logging
import math
import os
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass

from hotline.errors import InvalidInputError, UnavailableError
from ivr.media.control import ControlCounters
from ivr.media.jitterbuffer import JitterBuffer, StreamCounters
from ivr.media.leg import Adopt, Begin, Command, EngineCall, EngineLeg, Update
from ivr.media.mixer import CALLER
from ivr.media.ports import PortPool
from ivr.media.room import Room
from ivr.media.switchboard import Switchboard
from ivr.media.ticks import TickClock, TickStats
from ivr.media.tone_listener import Inband
from ivr.media.types import (
    FRAME_SAMPLES,
    SAMPLE_RATE,
    AudioTap,
    MediaListener,
    RecordingSink,
    RemoteMedia,
    StreamQuality,
)

logger = logging.getLogger(__name__)

COMMANDS_S = 0.005
"""What commands may take of a tick; the rest of them waits for the next one. A stream whose first packet came while
they took longer would be placed by a time that is past, and be late from then on."""
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
    control: ControlCounters
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
        inband: Inband = Inband.AUTO,
    ) -> None:
        """`max_legs`: callers and other parties together; without it there may be as many others as callers.
        `playout_delay_ms` is where the recording places a stream; what parties hear of each other adapts between
        `playout_min_ms` and `playout_max_ms`, whatever the recording's."""
        slots = 2 * max_calls if max_legs is None else max_legs
        self._lock = threading.Lock()  # guards _ports, _free, _open_calls, _stopping and the rooms' reserved names
        self._ports = PortPool(address=bind_address, port_min=port_min, port_max=port_max)
        self._free = list(reversed(range(slots)))  # the last freed is used first: fewer rings are ever touched
        self._max_calls, self._open_calls = max_calls, 0
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._commands: deque[tuple[EngineLeg, Command]] = deque()

        self._clock = TickClock()
        self._board = Switchboard(
            slots=slots,
            jitter=JitterBuffer(
                slots=slots,
                delay=playout_delay_ms * SAMPLE_RATE // 1000,
                least=playout_min_ms * SAMPLE_RATE // 1000,
                most=playout_max_ms * SAMPLE_RATE // 1000,
            ),
            rtp_timeout_s=rtp_timeout_s,
            speech_hangover_ms=speech_hangover_ms,
            inband=inband,
            release=self._release,
        )
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
        for leg in self._board.legs.values():
            leg.close()
        self._run_commands(time.monotonic())
        self._board.stop()

    @property
    def head(self) -> int:
        """The timeline position of the next frame to be sent."""
        return self._board.head

    def open(
        self, *, listener: MediaListener, remote: RemoteMedia, sink: RecordingSink, tap: AudioTap | None
    ) -> EngineCall:
        """A call whose timeline begins at the next tick. Raises `UnavailableError` where no port or slot is free, and
        `InvalidInputError` where the remote's IP version is not ours or its codec is none that we speak."""
        self._check(remote)
        with self._lock:
            if self._open_calls >= self._max_calls:
                raise UnavailableError("all media slots are in use")
            slot, endpoints = self._allocate()
            self._open_calls += 1
            call = EngineCall(self, slot, *endpoints, listener, remote, tap, None, Room(sink))
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
                slot, endpoints = self._allocate()
            except UnavailableError:
                room.reserved.discard(name)
                raise
            leg = EngineLeg(self, slot, *endpoints, listener, remote, tap, track, room, name)
            self.post(leg, Begin())
        return leg

    def quality(self, leg: EngineLeg) -> StreamQuality:
        """How the stream of an open leg fares."""
        return self._board.control.quality(leg)

    def stats(self) -> EngineStats:
        """A snapshot; may be a tick old."""
        board = self._board
        legs = list(board.legs.values())
        return EngineStats(
            calls=sum(leg.name == CALLER for leg in legs),
            legs=len(legs),
            ticks=self._clock.stats(),
            packets=sum((board.jitter.counters(leg.slot) for leg in legs), board.past_packets),
            control=board.control.counters(),
            bad=board.past_bad + sum(leg.bad for leg in legs),
            foreign=board.past_foreign + sum(leg.foreign for leg in legs),
            send_errors=board.sender.errors,
            failures=board.failures,
            priority_raised=self._priority_raised,
        )

    def tick(self, now: float, *, commands_s: float = math.inf) -> None:
        """One tick, at monotonic time `now`; it begins no command after `commands_s` but the first."""
        skipped = self._clock.advance(now)
        self._board.head = self._clock.index * FRAME_SAMPLES
        self._run_commands(now, limit_s=commands_s)
        self._board.tick(now=now, index=self._clock.index, skipped=skipped)

    def _run(self) -> None:
        self._raise_priority()
        errors = 0
        while not self._stopping:
            deadline = self._clock.deadline()
            if deadline is not None and (wait := deadline - time.monotonic()) > 0:
                time.sleep(wait)
            try:
                self.tick(time.monotonic(), commands_s=COMMANDS_S)
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

    def _allocate(self) -> tuple[int, tuple[socket.socket, socket.socket]]:
        """A slot and a pair of ports; the lock is held."""
        if self._stopping:
            raise UnavailableError("the media engine is stopping")
        if not self._free:
            raise UnavailableError("all media slots are in use")
        endpoints = self._ports.bind()
        return self._free.pop(), endpoints

    def _release(self, leg: EngineLeg) -> None:
        """The leg's slot and ports are free again."""
        leg.endpoint.close()
        leg.control_endpoint.close()
        with self._lock:
            self._free.append(leg.slot)
            self._open_calls -= isinstance(leg, EngineCall)

    def post(self, leg: EngineLeg, command: Command) -> None:
        """Has `command` run at the next tick; raises `InvalidInputError` where it cannot be."""
        match command:
            case Update(remote):
                self._check(remote)
            case Adopt(_, name):
                with self._lock:
                    _reserve(leg.room, name)
        self._commands.append((leg, command))

    def _run_commands(self, now: float, *, limit_s: float = math.inf) -> None:
        began = time.monotonic()
        while self._commands:
            leg, command = self._commands.popleft()
            self._board.run(leg, command, now=now)
            if time.monotonic() - began >= limit_s:
                return


def _reserve(room: Room, name: str) -> None:
    if name in room.reserved:
        raise InvalidInputError(f"the call has a leg {name!r} already")
    room.reserved.add(name)
