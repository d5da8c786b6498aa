"""The engine thread's side of all legs: what each command does, and what each tick does for them.

Work that every leg needs each tick is done by NumPy over tables of legs ("slots"). Positions are samples since the
engine started; the one to be sent next is the head.
"""

import logging
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ivr.media.bridge import Bridge
from ivr.media.control import ControlChannel
from ivr.media.digit_merger import DigitSource
from ivr.media.jitterbuffer import JitterBuffer, StreamCounters
from ivr.media.leg import (
    Adopt,
    Begin,
    Close,
    Command,
    EngineLeg,
    InfoDigit,
    Play,
    Record,
    SendDigits,
    SetMix,
    StopPlaying,
    Update,
)
from ivr.media.mixer import CALLER
from ivr.media.receiver import Receiver
from ivr.media.ring import RING, Slots
from ivr.media.room import BLOCK, Room
from ivr.media.sender import Sender
from ivr.media.sockets import open_sockets
from ivr.media.tone_listener import Inband, ToneListener
from ivr.media.types import FRAME_SAMPLES, SAMPLE_RATE, Codec
from ivr.media.vad import ONSET_FRAMES, SpeechDetector

logger = logging.getLogger(__name__)

RECORD_TICKS = BLOCK // FRAME_SAMPLES
TAP_TICKS = 5
DRAIN_ROUNDS = 8
"""Packets read from one socket in a tick; after a stall one more for each skipped tick, up to STALL_ROUNDS."""
STALL_ROUNDS = 120
STALL_ROOM = RING - SAMPLE_RATE
"""What the rings keep of the past after a stall, for packets that waited; the rest is for those that are early."""


class Switchboard:
    """Tables over `slots` legs. Everything belongs to the engine thread but `control.quality` and what is read for
    counts. `release` takes back the slot and the ports of a leg that is closed.
    """

    def __init__(
        self,
        *,
        slots: int,
        jitter: JitterBuffer,
        rtp_timeout_s: float,
        speech_hangover_ms: int,
        inband: Inband,
        release: Callable[[EngineLeg], None],
    ) -> None:
        self.head = 0
        self.legs: dict[int, EngineLeg] = {}
        self.jitter = jitter
        self.control = ControlChannel(slots=slots, guard=self._guard)
        self.sockets = open_sockets(slots=slots)
        self.sender = Sender(slots=slots, sockets=self.sockets, reports=self.control.reports)
        self.receiver = Receiver(
            slots=slots,
            sockets=self.sockets,
            jitter=jitter,
            reports=self.control.reports,
            guard=self._guard,
            tell_digit=self._tell_digit,
        )
        self.failures = 0
        self.past_packets = StreamCounters()
        self.past_bad = self.past_foreign = 0
        self._bridge = Bridge()
        self._speech = SpeechDetector(slots=slots, hangover_ms=speech_hangover_ms)
        self._tones = ToneListener(slots=slots, inband=inband, arrivals=jitter.arrivals)
        self._active = np.zeros(slots, bool)
        self._wideband: dict[int, EngineLeg] = {}  # those that speak G.722 now
        self._record_ticks = np.full(slots, RECORD_TICKS)
        self._turn = np.zeros(slots, np.intp)  # when they are over; all legs of a call at once
        self._rtp_timeout_s = rtp_timeout_s
        self._release = release
        self._now = 0.0

    def run(self, leg: EngineLeg, command: Command, *, now: float) -> None:
        """Carries out a leg's command."""
        self._now = now
        self._guard(leg, self._run_command, leg, command, now)

    def tick(self, *, now: float, index: int, skipped: int) -> None:
        """Tick number `index`, after `skipped` that were slept through: hears, mixes, sends, records what is final."""
        self._now = now
        self.control.exchange(now=now, head=self.head)
        if skipped:
            for leg in list(self.legs.values()):
                if not leg.closed:
                    self._guard(leg, self._take, leg, self.head - STALL_ROOM)
        self.receiver.receive(now=now, head=self.head, rounds=min(DRAIN_ROUNDS + skipped, STALL_ROUNDS))
        for slot in self.receiver.expired(now=now, timeout_s=self._rtp_timeout_s):
            if (silent := self.legs.get(slot)) is not None:
                self._guard(silent, silent.listener.on_media_timeout)
        hearers = self._bridge.hearers
        frames = self.jitter.playout.read(self._bridge.sources, head=self.head)
        second = self._mix_second() if self._wideband else {}
        heard = self._bridge.mix(frames)
        ended = self.sender.send(head=self.head, hearers=hearers, heard=heard, second=second)
        self.head += FRAME_SAMPLES
        for leg, tokens in ended:
            self._guard(leg, self._report_playback, leg, tokens, True)
        active = np.flatnonzero(self._active)
        if len(active):
            self._detect_speech(active)
        if len(self._tones.slots):
            self._detect_tones()
        if len(active):
            self._record(active[(self._turn[active] + index) % self._record_ticks[active] == 0])

    def stop(self) -> None:
        """Frees the polls; all legs are closed."""
        self.sockets.stop()
        self.control.stop()

    def _guard(self, leg: EngineLeg, action: Callable[..., None], *arguments: object) -> None:
        """Runs one leg's own work: whatever it raises ends that leg, or that caller's call, and no other's."""
        try:
            action(*arguments)
        except Exception:
            logger.exception("media of the leg on port %d failed", leg.local_port)
            self.failures += 1
            for ending in (partial(self._close, leg), leg.listener.on_media_timeout):
                try:
                    ending()
                except Exception:
                    logger.exception("ending the media of the leg on port %d failed", leg.local_port)

    def _run_command(self, leg: EngineLeg, command: Command, now: float) -> None:
        match command:
            case Play() if leg.closed:
                self._report_playback(leg, [command.token], False)
            case _ if leg.closed:
                pass
            case Begin():
                self._begin(leg, now)
            case Play():
                self.sender.play(leg, command.samples, token=command.token, loop=command.loop)
            case SendDigits(digits):
                self.sender.dial(leg, digits)
            case InfoDigit(digit):
                self._tell_digit(leg, digit, DigitSource.INFO, self.head)
            case StopPlaying():
                self._report_playback(leg, self.sender.stop_playing(leg), False)
            case Update(remote):
                leg.latch.move(remote.address)
                leg.remote = remote
                self.sender.apply(leg)
                self.receiver.apply(leg, now=now)
                self._apply(leg)
            case Close():
                self.receiver.receive(now=now, head=self.head, rounds=STALL_ROUNDS, only=np.array([leg.slot]))
                self._close(leg)
            case _ if leg.name != CALLER:
                pass  # it was adopted: its own call is over
            case SetMix(mix):
                leg.room.mix = mix
                self._apply_mix(leg.room)
            case Record(on):
                leg.room.record(on=on, position=self.head)
            case Adopt(other, name):
                self._adopt(leg.room, other, name)

    def _begin(self, leg: EngineLeg, now: float) -> None:
        slot = leg.slot
        if leg.room.ended:  # the call was closed just before
            leg.end = self.head
            self._release(leg)
            self._close_track(leg)
            return
        self.legs[slot] = leg
        self.jitter.open(slot, position=self.head)
        self._speech.open(slot)
        ssrc, timestamp_base = self.sender.open(leg)
        self.control.open(leg, ssrc=ssrc, timestamp_base=timestamp_base, now=now)
        self.receiver.open(leg)
        self.receiver.apply(leg, now=now)
        self._apply(leg)
        self._active[slot] = True
        self._join(leg, leg.room, leg.name)

    def _join(self, leg: EngineLeg, room: Room, name: str) -> None:
        room.join(leg, name=name, position=self.head)
        self._apply_mix(room)
        slots = [other.slot for other in room.legs.values()]
        tapped = any(other.tap is not None for other in room.legs.values())
        self._record_ticks[slots] = TAP_TICKS if tapped else RECORD_TICKS
        self._turn[slots] = room.caller.slot

    def _apply(self, leg: EngineLeg) -> None:
        """Takes over the leg's remote media: in-band digits, wideband."""
        self._tones.apply(leg)
        if leg.remote is not None and leg.remote.codec is Codec.G722:
            leg.wideband = True
            self._wideband[leg.slot] = leg
        else:
            self._wideband.pop(leg.slot, None)

    def _mix_second(self) -> dict[int, NDArray[np.float32]]:
        """The second plane of what wideband legs hear, by slot."""
        heard = {}
        for slot, leg in self._wideband.items():
            others = [
                other.slot for other in leg.room.legs.values() if other.slot in self._wideband and other is not leg
            ]
            planes = {other: self.jitter.second_frame(other, head=self.head) for other in others}
            heard[slot] = self._bridge.mix_second(
                slot, {key: plane for key, plane in planes.items() if plane is not None}
            )
        return heard

    def _apply_mix(self, room: Room) -> None:
        if len(room.legs) > 1 or room.mix:
            self._bridge.set(*room.edges())
            heard = {name: self.jitter.playout.position(leg.slot, head=self.head) for name, leg in room.legs.items()}
            room.set_recorded(heard)

    def _adopt(self, room: Room, leg: EngineLeg, name: str) -> None:
        """The leg goes on in `room`; what was heard of it until now is its old call's."""
        if leg.closed or leg.room is room:
            room.reserved.discard(name)
            return
        self._bridge.remove(leg.slot)
        self._take(leg, self.head)
        if leg.name == CALLER:
            self._end(leg.room)
        leg.room.leave(leg)
        self._join(leg, room, name)

    def _close(self, leg: EngineLeg) -> None:
        if leg.closed:
            return
        slot, room, is_caller = leg.slot, leg.room, leg.name == CALLER
        leg.end = max(self.head, self.jitter.end(slot)) if is_caller else self.head
        self._active[slot] = False
        del self.legs[slot]
        self._bridge.remove(slot)
        self.sender.close(leg)
        self.receiver.close(leg)
        self._tones.close(leg)
        self._wideband.pop(slot, None)
        leg.last_quality = self.control.close(leg, now=self._now, head=self.head)
        try:
            if is_caller:
                self._end(room)
            else:
                self._take(leg, leg.end)
        finally:
            room.leave(leg)
            self.past_packets += self.jitter.counters(slot)
            self.past_bad += leg.bad
            self.past_foreign += leg.foreign
            self._release(leg)
            self._close_track(leg)
        if self._speech.speaking(slot):
            leg.listener.on_speech_ended(leg.offset_of(leg.end))
        self._report_playback(leg, self.sender.stop_playing(leg), False)

    def _end(self, room: Room) -> None:
        """The caller leaves: so does everybody else, and the recording is whole."""
        for other in list(room.legs.values()):
            if other is not room.caller:
                self._guard(other, self._close, other)
        try:
            self._take(room.caller, room.caller.end or self.head)
        finally:
            room.close_recording()

    def _take(self, leg: EngineLeg, until: int) -> None:
        leg.room.take(leg, until, jitter=self.jitter, sender=self.sender)

    def _record(self, slots: Slots) -> None:
        """Moves on what is settled of the calls whose turn it is: of plain ones all at once, of others leg by leg."""
        legs = {slot: leg for slot in slots.tolist() if (leg := self.legs.get(slot)) is not None}
        for ticks in (RECORD_TICKS, TAP_TICKS):
            due = slots[self._record_ticks[slots] == ticks]
            due = due[self.jitter.ready(due, head=self.head, count=ticks)]
            frontiers = dict(zip(due.tolist(), self.jitter.frontiers(due).tolist(), strict=True))
            rooms = []
            for slot, frontier in frontiers.items():
                leg = legs.get(slot)
                if leg is None or leg.name != CALLER or not leg.room.plain:
                    continue
                other = leg.room.other
                if other is None or frontiers.get(other.slot) == frontier:
                    rooms.append(leg.room)
                    del legs[slot]
                    if other is not None:
                        del legs[other.slot]
            if rooms:
                self._write(rooms, frames=ticks)
        for leg in legs.values():
            if not leg.closed:
                self._guard(leg, self._take, leg, self.jitter.settled(leg.slot, head=self.head))

    def _write(self, rooms: list[Room], *, frames: int) -> None:
        """The next `frames` of plain calls."""
        callers = [room.caller for room in rooms]
        slots = np.array([leg.slot for leg in callers])
        positions = self.jitter.frontiers(slots)
        stereo = np.empty((len(rooms), frames * FRAME_SAMPLES, 2), np.int16)
        stereo[:, :, 0] = said = self.jitter.take_frames(slots, count=frames)
        right = self.sender.take_frames(slots, positions=positions, count=frames)
        others = {row: other for row, room in enumerate(rooms) if (other := room.other) is not None}
        if others:
            rows = list(others)
            voices = self.jitter.take_frames(np.array([leg.slot for leg in others.values()]), count=frames)
            right[rows] = np.clip(right[rows].astype(np.int32) + voices, -32768, 32767)
            for leg, mono in zip(others.values(), voices, strict=True):
                self._guard(leg, leg.room.feed, leg, mono)
        stereo[:, :, 1] = right
        for leg, both, mono in zip(callers, stereo, said, strict=True):
            self._guard(leg, leg.room.write, leg, both, mono)

    # What the call layer is told

    def _report_playback(self, leg: EngineLeg, tokens: list[int], completed: bool) -> None:
        for token in tokens:
            leg.listener.on_playback_ended(token, completed, leg.offset_of(leg.end or self.head))

    def _detect_speech(self, slots: Slots) -> None:
        started, ended = self._speech.update(slots, self.jitter.frames(slots, head=self.head - FRAME_SAMPLES))
        for turned, frames_ago, method in (
            (started, ONSET_FRAMES, "on_speech_started"),
            (ended, self._speech.hangover_frames, "on_speech_ended"),
        ):
            for slot in slots[turned].tolist():
                if (leg := self.legs.get(slot)) is not None:
                    offset_ms = leg.offset_of(self.head - frames_ago * FRAME_SAMPLES)
                    self._guard(leg, getattr(leg.listener, method), offset_ms)

    def _detect_tones(self) -> None:
        position = self.head - FRAME_SAMPLES
        frames = self.jitter.frames(self._tones.slots, head=position)
        for leg, digit, pressed in list(self._tones.listen(frames, position=position)):
            self._guard(leg, self._tell_digit, leg, digit, DigitSource.INBAND, pressed)

    def _tell_digit(self, leg: EngineLeg, digit: str, source: DigitSource, position: int) -> None:
        """Tells a press once, whichever ways tell it."""
        offset_ms = leg.offset_of(position)
        if leg.merger.accept(digit, source=source, offset_ms=offset_ms):
            self._tones.apply(leg)
            leg.listener.on_digit(digit, offset_ms)

    @staticmethod
    def _close_track(leg: EngineLeg) -> None:
        if leg.track is not None:
            leg.track.close()
