"""A call in progress: the caller, the flow he walks, the people he talks to, and what is kept of it.

Everything here runs on the SIP thread; the engine's and the recognizer's threads cross over with `post`. Nothing here
waits: a broker, a recognizer or a worker that is away costs the caller nothing but the spoken number.
"""

import contextlib
import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from hotline.errors import ConflictError, HotlineError
from ivr.acd.local import Acd
from ivr.calls.board import CallBoard
from ivr.calls.captions import CALLER, OUR_SIDE
from ivr.calls.flow_run import FlowRun
from ivr.calls.origin import CallOrigin
from ivr.calls.party import Party
from ivr.calls.queue_place import QueuePlace
from ivr.calls.record import CallRecord
from ivr.calls.ringing import Signalling
from ivr.calls.services import CallServices, Destination
from ivr.calls.transfers import Transfers
from ivr.media.mixer import Role
from ivr.media.types import MediaCall, RecordingSink, Samples
from ivr.menu.events import LookedUp
from ivr.menu.machine import (
    Answered,
    BridgeEnded,
    DialFailed,
    Digit,
    MenuEvent,
    MenuMachine,
    NumberAssigned,
    SeatAnswered,
    SessionChanged,
    SpeechEnded,
    SpeechStarted,
)
from ivr.sdp import unknown_remote
from ivr.sip import CallEnd, EndReason, Timer, TransferTarget

log = logging.getLogger(__name__)

CAPTIONS_TIMEOUT_S = 15.0
Q850_CAUSES = {"media_timeout": 102, "internal_error": 41}  # what our BYE says (RFC 3326); else normal clearing


class Switch(Protocol):
    """What a call needs of the exchange."""

    acd: Acd
    session_open: bool

    def transfer_attended(self, call: "Call", party: Party, target: TransferTarget) -> None:
        """Joins the call with the one that `target.replaces` names."""
        ...


class Call(Transfers):
    """One call; a `Room` to its parties and a `FlowHost` to its flow."""

    def __init__(
        self,
        call_id: str,
        services: CallServices,
        signalling: Signalling,
        switch: Switch,
        origin: CallOrigin,
        *,
        machine: MenuMachine | None,
        caller: Callable[["Call"], Party],
        on_closed: Callable[[], Any],
    ) -> None:
        """Opens media and captions; `caller` makes the party whom the recording has on its left."""
        super().__init__(call_id, services, signalling)
        self.origin = origin
        self._switch = switch
        self._began = services.clock.monotonic()
        self._answered_at = services.clock.now()
        self.place = QueuePlace(self, switch.acd)
        self._board = CallBoard(call_id, services.publisher, call_later=self.call_later, describe=self._state)
        self._limit: Timer | None = None
        self._patience: Timer | None = None  # with captions that do not end
        self._answer_sdp = ""  # what an inbound call is answered with when its time comes
        self.flow = None if machine is None else FlowRun(self, machine, services.languages, services.clock)
        self.caller = caller(self)
        self.parties[CALLER] = self.caller
        remote = self.caller.remote or unknown_remote(origin.peer, self.caller.codecs[0])
        self.sample_rate = remote.codec.sample_rate
        self.record = CallRecord(
            call_id,
            services,
            sample_rate=self.sample_rate,
            post=signalling.post,
            offset_ms=self.offset_ms,
            heard=self._heard,
            on_closed=self._closed,
        )
        self._on_closed = on_closed
        with contextlib.ExitStack() as undo:
            sink = self.record.open_sink()
            undo.callback(sink.discard)
            tap = self.record.tap(CALLER, speaker=CALLER)
            undo.callback(self.record.captions.give_up)
            undo.callback(tap.finish)
            self.media: MediaCall = services.engine.open(listener=self.caller, remote=remote, sink=sink, tap=tap)
            undo.pop_all()
        self.caller.leg = self.media
        self.record.follow(CALLER, self.media)
        self.note(
            "opened",
            call_id=call_id,
            node=services.node,
            sip_call_id=origin.sip_call_id,
            caller=origin.caller,
            called=origin.called,
            peer=origin.peer,
            codec=remote.codec.name,
            sample_rate=self.sample_rate,
            direction=origin.direction,
            purpose=origin.purpose,
            flow=origin.flow,
            variables=dict(origin.variables),
        )

    # --- the beginning ---

    def answered(self) -> None:
        """Somebody took the call: from now on it is kept."""
        if not self.record.kept and not self.ended:
            self._answered_at = self.services.clock.now()
            self.record.open()
            self.note("answered", answer_ms=round((self.services.clock.monotonic() - self._began) * 1000, 3))

    def start(self) -> None:
        """The far end knows that the call stands: the flow begins."""
        if self.ended or self._limit is not None:
            return
        self._limit = self.call_later(self.services.max_call_s, lambda: self.end("time_limit"))
        self._board.begin()
        self.services.publish("call.answered", call_id=self.call_id, **self._identity())
        if self.flow is not None:
            self.step(
                Answered(
                    at=self.services.clock.now(),
                    caller=self.origin.caller,
                    called=self.origin.called,
                    session_open=self._switch.session_open,
                    variables=self.origin.variables,
                )
            )

    def answer(self) -> None:
        """Takes a call that still rings, for those it is put through to; one that stands stays as it is."""
        caller = self.caller
        if caller.established:
            return
        if caller.dialog is None or not self._answer_sdp:
            raise ConflictError("this call waits for somebody to answer it")
        caller.established = caller.connected = True
        caller.dialog.answer(self._answer_sdp)
        self.answered()
        self.start()
        self.remix()  # he hears ringing from us now

    def answer_later(self, sdp: str) -> None:
        """The call rings until `answer`."""
        self._answer_sdp = sdp

    # --- as its parties see it ---

    def post(self, function: Callable[[], None]) -> None:
        self.signalling.post(function)

    def digit(self, party: Party, digit: str, offset_ms: int) -> None:
        if party.is_caller and not self.ended:
            self.note("digit", offset_ms=offset_ms, digit=digit)
            self.step(Digit(digit, offset_ms))

    def playback_ended(self, party: Party, token: int, offset_ms: int) -> None:
        if self.ended:
            return
        if party.is_caller and self.flow is not None and token > 0:
            self.flow.playback_ended(token, offset_ms)
        elif token < 0:
            self.remix()  # an announcement of staff is over: the music goes on

    def speech(self, party: Party, *, started: bool, offset_ms: int) -> None:
        if party.greeting is not None:
            party.greeting.speech(started=started, offset_ms=offset_ms)
        if party.is_caller:
            self.step(SpeechStarted(offset_ms) if started else SpeechEnded(offset_ms))

    def media_lost(self, party: Party) -> None:
        if party.is_caller and party.established:
            self.end("media_timeout")
        elif party.established:
            self.remove(party)

    def media_changed(self, party: Party) -> None:
        held = party.far_held
        if party.established and held != party.was_held:
            party.was_held = held
            self.note("held" if held else "resumed", party=party.name, offset_ms=self.offset_ms())
            self.publish("call.held" if held else "call.resumed", party=party.name)
        self.remix()  # also where it began on hold
        if party.is_caller and party.established and self.flow is not None and not self.flow.started:
            self.start()  # the answer to our late offer

    def party_ended(self, party: Party, end: CallEnd) -> None:
        others = [p for p in self.parties.values() if not p.is_caller]
        stays = party.is_caller and self.flow is None and any(p.connected for p in others)
        if stays or (party.established and not party.is_caller):
            self.remove(party)
        elif party.is_caller:
            self._finish(end.reason)
        else:  # a phone gives up before anybody has answered it
            self.end(end.reason)

    def transfer_asked(self, party: Party, target: TransferTarget) -> None:
        if target.replaces is not None:
            self._switch.transfer_attended(self, party, target)
        else:
            self.transfer_for(party, self.services.destination(target.user, asked_by=party.extension))

    # --- as its conversation sees it ---

    def shown_to(self, destination: Destination) -> tuple[str, str]:
        if destination.extension is None:
            return self.services.directory.caller_id(destination.name), ""
        if self.origin.private:
            return "", ""
        return self.origin.number, self.origin.display_name

    def begin_captions(self, party: Party) -> None:
        self.record.follow(party.name, party.leg)
        if party.tap is not None:
            shift_ms = party.tap.offset_ms
            speaker = party.role.name.lower()
            party.tap.open(self.record.tap(party.leg_name, speaker=speaker, shift_ms=shift_ms))

    def open_track(self, party: Party) -> RecordingSink | None:
        return self.record.open_track(party.track_name)

    def party_left(self, party: Party) -> None:
        self.record.captions.finish(party.leg_name)
        self.place.party_left(party)

    def left_alone(self) -> None:
        if self.flow is None or not self.caller.established:
            self.end("completed")
        elif self.caller.connected and not self.place.by_staff:
            self.caller.connected = self.caller.held = False
            self.remix()
            self.step(BridgeEnded())

    def announced(self, text: str, start_ms: int, end_ms: int) -> None:
        self.note("prompt", start_ms=start_ms, end_ms=end_ms, text=text)
        self.record.captions.said(OUR_SIDE, text, start_ms, end_ms)
        self._board.put()

    def handed_over(self) -> None:
        self.end("transferred")

    def hang_up(self, party: str = CALLER) -> None:
        """The party leaves; the caller: the whole call ends. Again, nothing."""
        if party == CALLER:
            self.end("completed")
        elif party in self._ringings:
            self._ringings[party].give_up()
        elif party in self.parties:
            self.remove(self.parties[party])

    # --- the flow ---

    def offset_ms(self) -> int:
        return self.media.offset_ms()

    def play_to_caller(self, samples: Samples, *, token: int, loop: bool) -> None:
        self.caller.loops = loop
        self.media.play(samples, token=token, loop=loop)

    def stop_playing(self) -> None:
        self.caller.loops = False
        self.media.stop_playing()

    def request(self, job: str, **arguments: Any) -> None:
        self.services.enqueue(job, {"call_id": self.call_id, **arguments})

    def call_later(self, seconds: float, function: Callable[[], None]) -> Timer:
        return self.signalling.call_later(seconds, function)

    def step(self, event: MenuEvent) -> None:
        """The flow goes on; an error of ours ends the call rather than leave the caller in silence."""
        if self.ended or self.flow is None:
            return
        try:
            self.flow.step(event)
        except Exception:
            log.exception("call %s: the flow failed at %r", self.call_id, self.flow.state_name)
            self.end("internal_error")

    def number_assigned(self, number: NumberAssigned) -> None:
        """The worker answered our request."""
        self.step(number)

    def looked_up(self, values: Mapping[str, str] | None) -> None:
        """The worker found what the flow asked for, or nothing."""
        self.step(LookedUp(values))

    def session_changed(self, *, is_open: bool) -> None:
        """The live session opened or closed."""
        self.step(SessionChanged(is_open))

    def dial(self, target: str, timeout_s: float) -> None:
        """The flow puts the caller through; it waits `timeout_s` and then cancels."""

        def failed(reason: str) -> None:
            self.step(DialFailed(reason))

        try:
            destination = self.services.destination(target)
            self.ring(
                destination, role=Role.SEAT, answered=lambda party: self.step(SeatAnswered(party.name)), failed=failed
            )
        except HotlineError as error:
            log.warning("call %s: %s", self.call_id, error)
            self.post(lambda: failed(EndReason.UNREACHABLE))

    def cancel_dial(self) -> None:
        for name in list(self._ringings):
            self.cancel_ringing(name)

    def bridge(self, seat: str) -> None:
        party = self.parties.get(seat)
        if party is not None:
            self.connect(party)
        else:  # gone while the flow was told of it
            self.post(lambda: self.step(BridgeEnded()))

    def alarm(self, words: tuple[str, ...]) -> None:
        self.note("alarm", words=list(words), offset_ms=self.offset_ms())
        self.services.publish("alarm.emergency", call_id=self.call_id, caller=self.origin.caller, words=list(words))

    def enqueue(self, queue: str) -> None:
        self.place.enter(queue)

    def leave_queue(self) -> None:
        self.place.leave()

    def transfer_to_queue(self, party: str, queue: str) -> None:
        """The party leaves and the caller waits for a seat of that queue, hearing music. Raises `ConflictError`."""
        if self.place.queue != queue:
            leaving = self._transferor(party)
            self.place.transfer(leaving, queue)
            self.cancel_dial()  # whoever still rang was to talk to the one who left
            self._transferred(leaving, queue)

    # --- parties of other calls ---

    def absorb(self, other: "Call", *, instead_of: Party, without: Party) -> None:
        """Those who talk in `other` go on here, but for `without`, in the place of `instead_of`; `other` is over."""
        for party in sorted(
            other.parties.values(), key=lambda party: party.is_caller
        ):  # with his leg the rest would end
            if party is not without and party.connected and party.role is not Role.SUPERVISOR:
                del other.parties[party.name]
                self.adopt(party, name=(other.origin.number or "anonymous") if party.is_caller else party.name)
        self._transferred(instead_of, without.name)
        self.remove(instead_of)
        without.hang_up()
        other.moved()

    # --- what is known of it elsewhere ---

    def _heard(self, speaker: str, text: str, end_ms: int, final: bool) -> None:
        if final:
            self._board.put()
        if speaker == CALLER and self.flow is not None and not self.ended:
            self.flow.heard(text, end_ms, final=final)

    def _identity(self) -> dict[str, Any]:
        return {
            **{name: getattr(self.origin, name) for name in ("caller", "called", "direction", "purpose")},
            "node": self.services.node,
            "answered_at": self._answered_at.isoformat(),
        }

    def _state(self) -> dict[str, Any]:
        parties = [
            {"name": p.name, "role": p.role.name.lower(), "held": p.held or p.far_held, "muted": p.muted}
            for p in self.parties.values()
            if p.connected
        ]
        captions = self.record.captions
        return {
            "call_id": self.call_id,
            **self._identity(),
            "parties": parties,
            "captions": list(captions.recent),
            "captions_behind_s": captions.behind_s,
        }

    def publish(self, name: str, **data: Any) -> None:
        self.services.publish(name, call_id=self.call_id, **data)
        self.show()

    def show(self) -> None:
        self._board.put()

    def note(self, kind: str, **data: Any) -> None:
        self.record.note(kind, **data)

    # --- the end ---

    def end(self, reason: str) -> None:
        """Our side ends the call."""
        if not self.ended:
            self.caller.hang_up(q850=Q850_CAUSES.get(reason))
            self._finish(reason)

    def moved(self) -> None:
        """The parties go on in another call."""
        self._finish("transferred")

    def _finish(self, reason: str) -> None:
        if self.ended:
            return
        duration_ms = self.offset_ms()
        if self.flow is not None:
            self.flow.finish(duration_ms)
        self._leave_everybody()
        self.ended = True
        if self._limit is not None:
            self._limit.cancel()
        self._board.finish()
        self.note("ended", reason=reason, duration_ms=duration_ms)
        answered = self.record.kept
        self._patience = self.call_later(CAPTIONS_TIMEOUT_S, self.record.give_up_captions)
        self.record.finish()
        if self.caller.room is self:  # else his leg is another call's now
            self.media.close()
        self.publish("call.ended" if answered else "call.failed", reason=reason, duration_ms=duration_ms)
        if not answered and self.origin.flow and self.origin.direction == "out":
            self._tell_failure(reason)

    def _leave_everybody(self) -> None:
        """Whoever is still there hears that the call is over."""
        self.place.leave()
        for ringing in self._ringings.values():
            ringing.cancel()
        self._ringings.clear()
        for party in self.parties.values():
            if party is not self.caller:
                party.hang_up()
                if party.connected:
                    self.note("left", party=party.name, offset_ms=self.offset_ms())
                self.party_left(party)

    def _tell_failure(self, reason: str) -> None:
        self.request(
            "outgoing_failed",
            flow=self.origin.flow,
            number=self.origin.called,
            variables=dict(self.origin.variables),
            reason=reason,
            at=self.services.clock.now().isoformat(),
        )

    def _closed(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
        self._on_closed()
