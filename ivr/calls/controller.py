"""Carries commands out on the SIP thread: from a command to the method that does it, and its outcome to the bus."""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from hotline.bus import Event
from hotline.clock import Clock
from hotline.commands import Command, Delivery, Outcome
from hotline.errors import HotlineError
from ivr.announcements.prompts import PromptLibrary
from ivr.calls import control
from ivr.media.mixer import Supervision

log = logging.getLogger(__name__)

REMEMBERED = 10_000
"""Outcomes kept in this process, should the broker not hear of them in time and deliver a command again."""


class CallControl(Protocol):
    """What can be asked of a call; `ivr.calls.call.Call`. May be asked again without harm."""

    def answer(self) -> None: ...
    def hang_up(self, party: str, /) -> None: ...
    def hold(self, party: str, /) -> None: ...
    def resume(self, party: str, /) -> None: ...
    def mute(self, party: str, /) -> None: ...
    def unmute(self, party: str, /) -> None: ...
    def transfer(self, party: str, target: str, /) -> None: ...
    def consult(self, party: str, target: str, /) -> None: ...
    def complete_transfer(self, party: str, /) -> None: ...
    def cancel_consultation(self, party: str, /) -> None: ...
    def transfer_to_queue(self, party: str, queue: str, /) -> None: ...
    def conference(self, target: str, /) -> None: ...
    def supervise(self, extension: str, mode: Supervision, /) -> None: ...
    def play(self, items: tuple[str, ...], to: str, /) -> None: ...
    def send_digits(self, digits: str, to: str, /) -> None: ...
    def pause_recording(self) -> None: ...
    def resume_recording(self) -> None: ...


class SeatControl(Protocol):
    """What can be asked of seats; `ivr.acd.local.Seats`."""

    def sign_in(self, seat: str, queues: Iterable[str], skills: Iterable[str], /) -> None: ...
    def sign_out(self, seat: str, /) -> None: ...
    def ready(self, seat: str, /) -> None: ...
    def away(self, seat: str, /) -> None: ...


class ExchangeControl(Protocol):
    """What can be asked of a media process; `ivr.calls.exchange.Exchange`."""

    @property
    def seats(self) -> SeatControl: ...
    def call(self, call_id: str, /) -> CallControl: ...
    def dial_out(self, *, call_id: str, extension: str, number: str) -> None: ...
    def start_flow(self, *, call_id: str, flow: str, number: str, variables: Mapping[str, str]) -> None: ...


Handler = Callable[[ExchangeControl, Any], None]


def _call(act: Callable[[CallControl, Any], None]) -> Handler:
    return lambda exchange, request: act(exchange.call(request.call_id), request)


HANDLERS: Mapping[type[control.Request], Handler] = {
    control.Answer: _call(lambda call, _: call.answer()),
    control.HangUp: _call(lambda call, r: call.hang_up(r.party)),
    control.Hold: _call(lambda call, r: call.hold(r.party)),
    control.Resume: _call(lambda call, r: call.resume(r.party)),
    control.Mute: _call(lambda call, r: call.mute(r.party)),
    control.Unmute: _call(lambda call, r: call.unmute(r.party)),
    control.Transfer: _call(lambda call, r: call.transfer(r.party, r.target)),
    control.Consult: _call(lambda call, r: call.consult(r.party, r.target)),
    control.CompleteTransfer: _call(lambda call, r: call.complete_transfer(r.party)),
    control.CancelConsultation: _call(lambda call, r: call.cancel_consultation(r.party)),
    control.TransferToQueue: _call(lambda call, r: call.transfer_to_queue(r.party, r.queue)),
    control.Conference: _call(lambda call, r: call.conference(r.target)),
    control.Supervise: _call(lambda call, r: call.supervise(r.extension, r.mode)),
    control.Play: _call(lambda call, r: call.play(r.items, r.to)),
    control.SendDigits: _call(lambda call, r: call.send_digits(r.digits, r.to)),
    control.PauseRecording: _call(lambda call, _: call.pause_recording()),
    control.ResumeRecording: _call(lambda call, _: call.resume_recording()),
    control.DialOut: lambda exchange, r: exchange.dial_out(call_id=r.call_id, extension=r.extension, number=r.number),
    control.StartFlow: lambda exchange, r: exchange.start_flow(
        call_id=r.call_id, flow=r.flow, number=r.number, variables=r.variables
    ),
    control.SeatSignIn: lambda exchange, r: exchange.seats.sign_in(r.seat, r.queues, r.skills),
    control.SeatSignOut: lambda exchange, r: exchange.seats.sign_out(r.seat),
    control.SeatReady: lambda exchange, r: exchange.seats.ready(r.seat),
    control.SeatAway: lambda exchange, r: exchange.seats.away(r.seat),
}


class Controller:
    """`finish` and `publish` return at once: they reach the broker from another thread."""

    def __init__(
        self,
        exchange: ExchangeControl,
        *,
        prompts: PromptLibrary,
        clock: Clock,
        max_age_s: float,
        finish: Callable[[Delivery, Outcome], None],
        publish: Callable[[Event], None],
    ) -> None:
        self._exchange = exchange
        self._prompts = prompts
        self._clock = clock
        self._max_age_s = max_age_s
        self._finish = finish
        self._publish = publish
        self._outcomes: dict[str, Outcome] = {}

    def carry_out(self, delivery: Delivery) -> None:
        """On the SIP thread. Tells the outcome, also that of a command that was carried out before."""
        command = delivery.command
        outcome = self._outcomes.get(command.id) if delivery.outcome is None else delivery.outcome
        if outcome is None:
            if self._clock.monotonic() > delivery.begin_by:
                log.warning(
                    "command %s (%s) came too late to begin; it is left to be taken over", command.id, command.name
                )
                return
            outcome = self._outcome(command)
            self._remember(command.id, outcome)
        self._finish(delivery, outcome)
        self._publish(outcome.event(command, self._clock.now()))

    def _outcome(self, command: Command) -> Outcome:
        age_s = (self._clock.now() - command.at).total_seconds()
        if abs(age_s) > self._max_age_s:
            return Outcome(f"{command.name} is {age_s:.1f} s old; valid are {self._max_age_s:g} s")
        try:
            request = control.parse(command, prompts=self._prompts)
            HANDLERS[type(request)](self._exchange, request)
        except HotlineError as error:
            return Outcome(error.message)
        except Exception:
            log.exception("command %s (%s) failed", command.id, command.name)
            return Outcome("internal error")
        log.info("command %s (%s) is done", command.id, command.name)
        return Outcome()

    def _remember(self, command_id: str, outcome: Outcome) -> None:
        self._outcomes[command_id] = outcome
        if len(self._outcomes) > REMEMBERED:
            del self._outcomes[next(iter(self._outcomes))]
