"""The media engine: one thread that, every 20 ms, hears, speaks and records for all calls.

A tick runs the commands of other threads, drains every socket, sends one frame a call, looks for speech and hands
recordings what is final. Work that every call needs each tick is done by NumPy over tables of calls ("slots").
The timeline is wall time: a stall skips ticks (sends nothing, records silence on our side) and never bursts.
"""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from hotline.errors import InvalidInputError, UnavailableError
from ivr.media.call import Begin, Close, Command, EngineCall, Play, StopPlaying, Update
from ivr.media.jitterbuffer import JitterBuffer, StreamCounters
from ivr.media.ports import PortPool
from ivr.media.receiver import Receiver
from ivr.media.ring import RING, Slots
from ivr.media.sender import Sender
from ivr.media.ticks import TickClock, TickStats
from ivr.media.types import FRAME_SAMPLES, SAMPLE_RATE, AudioTap, MediaListener, RecordingSink, RemoteMedia
from ivr.media.vad import ONSET_FRAMES, SpeechDetector

logger = logging.getLogger(__name__)

RECORD_TICKS = 10
TAP_TICKS = 5
BLOCK = RECORD_TICKS * FRAME_SAMPLES
DRAIN_ROUNDS = 8
"""Packets read from one socket in a tick; after a stall one more for each skipped tick, up to STALL_ROUNDS."""
STALL_ROUNDS = 120
STALL_ROOM = RING - SAMPLE_RATE
"""What the rings keep of the past after a stall, for packets that waited; the rest is for those that are early."""
NICE = -15
"""The engine thread's priority; the kernel grants it to who may, or where RLIMIT_NICE is at least 20 - NICE."""


@dataclass(frozen=True)
class EngineStats:
    """Counts since the start, closed calls included. `bad` packets were no valid RTP of the call; `foreign` ones came
    from a source that the call is not locked to; `failures` are calls ended by an exception, which is a bug."""

    calls: int
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
        playout_delay_ms: int,
        rtp_timeout_s: float,
        speech_hangover_ms: int = 300,
    ) -> None:
        self._rtp_timeout_s = rtp_timeout_s
        self._lock = threading.Lock()  # guards _ports, _free and _stopping
        self._ports = PortPool(address=bind_address, port_min=port_min, port_max=port_max)
        self._free = deque(range(max_calls))
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._commands: deque[tuple[EngineCall, Command]] = deque()

        self._clock = TickClock()
        self._head = 0  # the next position to be sent
        self._calls: dict[int, EngineCall] = {}
        self._active = np.zeros(max_calls, bool)
        self._record_ticks = np.full(max_calls, RECORD_TICKS)
        self._jitter = JitterBuffer(slots=max_calls, delay=playout_delay_ms * SAMPLE_RATE // 1000)
        self._receiver = Receiver(slots=max_calls, jitter=self._jitter, guard=self._guard)
        self._sender = Sender(slots=max_calls)
        self._speech = SpeechDetector(slots=max_calls, hangover_ms=speech_hangover_ms)

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
        for call in self._calls.values():
            call.close()
        self._run_commands(time.monotonic())
        self._receiver.stop()

    def open(
        self, *, listener: MediaListener, remote: RemoteMedia, sink: RecordingSink, tap: AudioTap | None
    ) -> EngineCall:
        """A call whose timeline begins at the next tick. Raises `UnavailableError` where no port or slot is free, and
        `InvalidInputError` where the remote address is of another IP version than ours."""
        self._check_version(remote)
        with self._lock:
            if self._stopping:
                raise UnavailableError("the media engine is stopping")
            if not self._free:
                raise UnavailableError("all media slots are in use")
            call = EngineCall(
                endpoint=self._ports.bind(),
                slot=self._free.popleft(),
                listener=listener,
                remote=remote,
                sink=sink,
                tap=tap,
                post=self._post,
                head=lambda: self._head,
            )
            self._post(call, Begin())
        return call

    def stats(self) -> EngineStats:
        """A snapshot; may be a tick old."""
        calls = list(self._calls.values())
        return EngineStats(
            calls=len(calls),
            ticks=self._clock.stats(),
            packets=sum((self._jitter.counters(call.slot) for call in calls), self._past_packets),
            bad=self._past_bad + sum(call.bad for call in calls),
            foreign=self._past_foreign + sum(call.foreign for call in calls),
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
            for call in list(self._calls.values()):
                self._guard(call, self._record, call, self._head - STALL_ROOM)
        self._receiver.receive(now=now, head=self._head, rounds=min(DRAIN_ROUNDS + skipped, STALL_ROUNDS))
        for slot in self._receiver.expired(now=now, timeout_s=self._rtp_timeout_s):
            self._guard(self._calls[slot], self._calls[slot].listener.on_media_timeout)
        ended = self._sender.send(head=self._head)
        self._head += FRAME_SAMPLES
        for call, tokens in ended:
            self._guard(call, self._report_playback, call, tokens, True)
        active = np.flatnonzero(self._active)
        if len(active):
            self._detect_speech(active)
            for slot in active[(active + self._clock.index) % self._record_ticks[active] == 0].tolist():
                if (due := self._calls.get(slot)) is not None:
                    self._guard(due, self._record, due, self._jitter.settled(slot, head=self._head))

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

    def _check_version(self, remote: RemoteMedia) -> None:
        if (":" in remote.address.host) != (self._ports.version == 6):
            raise InvalidInputError(f"{remote.address.host} is not an IPv{self._ports.version} address")

    def _guard(self, call: EngineCall, action: Callable[..., None], *arguments: object) -> None:
        """Runs one call's own work: whatever it raises ends that call's media and no other's."""
        try:
            action(*arguments)
        except Exception:
            logger.exception("media of the call on port %d failed", call.local_port)
            self._failures += 1
            for ending in (partial(self._close, call), call.listener.on_media_timeout):
                try:
                    ending()
                except Exception:
                    logger.exception("ending the media of the call on port %d failed", call.local_port)

    # Commands

    def _post(self, call: EngineCall, command: Command) -> None:
        if isinstance(command, Update):
            self._check_version(command.remote)
        self._commands.append((call, command))

    def _run_commands(self, now: float) -> None:
        while self._commands:
            call, command = self._commands.popleft()
            self._guard(call, self._run_command, call, command, now)

    def _run_command(self, call: EngineCall, command: Command, now: float) -> None:
        match command:
            case Play() if call.closed:
                self._report_playback(call, [command.token], False)
            case _ if call.closed:
                pass
            case Begin():
                self._begin(call, now)
            case Play():
                self._sender.play(call, command.samples, token=command.token)
            case StopPlaying():
                self._report_playback(call, self._sender.stop_playing(call), False)
            case Update():
                if command.remote.address != call.remote.address:
                    call.latch.move(command.remote.address)
                call.remote = command.remote
                self._sender.apply(call)
                self._receiver.apply(call, now=now)
            case Close():
                self._receiver.receive(now=now, head=self._head, rounds=STALL_ROUNDS)
                self._close(call)

    def _begin(self, call: EngineCall, now: float) -> None:
        slot = call.slot
        call.origin = self._head
        self._calls[slot] = call
        self._jitter.open(slot, position=self._head)
        self._speech.open(slot)
        self._sender.open(call)
        self._receiver.open(call)
        self._receiver.apply(call, now=now)
        self._active[slot] = True
        self._record_ticks[slot] = RECORD_TICKS if call.tap is None else TAP_TICKS

    def _close(self, call: EngineCall) -> None:
        if call.closed:
            return
        slot = call.slot
        call.end = max(self._head, self._jitter.end(slot))
        self._active[slot] = False
        del self._calls[slot]
        self._sender.close(call)
        self._receiver.close(call)
        call.endpoint.close()
        try:
            self._record(call, call.end)
        finally:
            self._past_packets += self._jitter.counters(slot)
            self._past_bad += call.bad
            self._past_foreign += call.foreign
            with self._lock:
                self._free.append(slot)
            call.sink.close()
        if self._speech.speaking(slot):
            call.listener.on_speech_ended(call.offset_of(call.end))
        self._report_playback(call, self._sender.stop_playing(call), False)

    # What the call layer is told

    def _report_playback(self, call: EngineCall, tokens: list[int], completed: bool) -> None:
        for token in tokens:
            call.listener.on_playback_ended(token, completed, call.offset_of(call.end or self._head))

    def _detect_speech(self, slots: Slots) -> None:
        started, ended = self._speech.update(slots, self._jitter.frames(slots, head=self._head - FRAME_SAMPLES))
        for slot in slots[started].tolist():
            call, position = self._calls[slot], self._head - ONSET_FRAMES * FRAME_SAMPLES
            self._guard(call, call.listener.on_speech_started, call.offset_of(position))
        for slot in slots[ended].tolist():
            call, position = self._calls[slot], self._head - self._speech.hangover_frames * FRAME_SAMPLES
            self._guard(call, call.listener.on_speech_ended, call.offset_of(position))

    def _record(self, call: EngineCall, until: int) -> None:
        """Hands the timeline up to `until` to the recording and the tap."""
        while (count := min(until - self._jitter.frontier(call.slot), BLOCK)) > 0:
            stereo = np.empty((count, 2), np.int16)
            stereo[:, 1] = self._sender.take(call.slot, position=self._jitter.frontier(call.slot), count=count)
            stereo[:, 0] = self._jitter.take(call.slot, count=count)
            call.sink.write(stereo)
            if call.tap is not None:
                call.tap.feed(stereo[:, 0].tobytes())
