"""A flow at work in a call: the pure menu machine with a clock, prompts and a call that carries out what it wants."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from hotline.clock import Clock
from ivr.announcements.prompts import PromptLibrary
from ivr.media.types import Samples
from ivr.menu.machine import (
    Bridge,
    CancelDial,
    DemandRecorded,
    Dial,
    EmergencyHeard,
    Enqueue,
    Hangup,
    Heard,
    LeaveQueue,
    LookUp,
    MenuCommand,
    MenuEvent,
    MenuMachine,
    MenuState,
    NumberAssigned,
    Play,
    PlaybackEnded,
    RequestCallback,
    RequestNumber,
    SetVariable,
    StartAlarm,
    StopPlaying,
    Survey,
    TimePassed,
)
from ivr.sip import Timer


@dataclass(frozen=True)
class Languages:
    """The prompts by language; `own` is the site's."""

    own: PromptLibrary
    others: Mapping[str, PromptLibrary]

    def of(self, language: str) -> PromptLibrary:
        """The prompts of a language; the site's where it has none."""
        return self.others.get(language, self.own)


class FlowHost(Protocol):
    """What a flow wants of its call."""

    def offset_ms(self) -> int: ...

    def play_to_caller(self, samples: Samples, *, token: int, loop: bool) -> None: ...

    def stop_playing(self) -> None: ...

    def announced(self, text: str, start_ms: int, end_ms: int) -> None:
        """What our side said is over."""
        ...

    def note(self, kind: str, **data: Any) -> None: ...

    def request(self, job: str, **arguments: Any) -> None:
        """Has the worker do something."""
        ...

    def enqueue(self, queue: str) -> None: ...

    def leave_queue(self) -> None: ...

    def dial(self, target: str, timeout_s: float) -> None: ...

    def cancel_dial(self) -> None: ...

    def bridge(self, seat: str) -> None: ...

    def alarm(self, words: tuple[str, ...]) -> None: ...

    def end(self, reason: str) -> None: ...

    def call_later(self, seconds: float, function: Callable[[], None]) -> Timer: ...

    def step(self, event: MenuEvent) -> None:
        """Goes on with the flow, whose faults end the call."""
        ...


class FlowRun:
    """Walks `machine` for one call. Only on the SIP thread."""

    def __init__(self, host: FlowHost, machine: MenuMachine, languages: Languages, clock: Clock) -> None:
        self._host = host
        self._machine = machine
        self._languages = languages
        self._clock = clock
        self._state = MenuState()
        self._timer: Timer | None = None
        self._token = 0
        self._playing: tuple[int, str] | None = None  # start offset and text of what our side says

    @property
    def state_name(self) -> str:
        return self._state.name

    @property
    def started(self) -> bool:
        return bool(self._state.name)

    @property
    def over(self) -> bool:
        return self._state.over

    def step(self, event: MenuEvent) -> None:
        """The flow goes on with what happened."""
        now = self._clock.monotonic()
        match event:
            case NumberAssigned(number, lookup_code):
                self._host.note("number", number=number, lookup_code=lookup_code)
        begun = self._state.demand_start_ms
        self._state, commands = self._machine.step(self._state, event, now)
        if begun is None and self._state.demand_start_ms is not None:  # so that a crash leaves a demand behind
            self._host.note("demand_begun", start_ms=self._state.demand_start_ms)
        for command in commands:
            self._carry_out(command)
        if not self._state.over:
            self._arm(now)

    def playback_ended(self, token: int, offset_ms: int) -> None:
        """A piece is over; the end of one that was stopped means nothing any more."""
        if token == self._token:
            self._said(offset_ms)
            self._host.step(PlaybackEnded())

    def heard(self, text: str, end_ms: int, *, final: bool) -> None:
        """The caller's words, as far as they are recognized; an emergency is one before its sentence is over."""
        if final:
            self._host.step(Heard(text, end_ms))
        rule = self._machine.flow.emergency
        if rule is not None and (words := rule.heard_in(text)):
            self._host.step(EmergencyHeard(words))

    def finish(self, end_ms: int) -> None:
        """The call is over, wherever the flow stood."""
        self._said(end_ms)
        if self._timer is not None:
            self._timer.cancel()
        if self._state.demand_start_ms is not None:  # hung up while telling the demand
            self._host.note("demand", start_ms=self._state.demand_start_ms, end_ms=end_ms)
        self._state = replace(self._state, over=True)

    def _carry_out(self, command: MenuCommand) -> None:
        host = self._host
        match command:
            case Play(items, loop, language):
                self._play(items, loop=loop, language=language)
            case StopPlaying():
                self._token += 1
                host.stop_playing()
                self._said(host.offset_ms())
            case DemandRecorded(start_ms, end_ms):
                host.note("demand", start_ms=start_ms, end_ms=end_ms)
            case RequestNumber():
                host.request("assign_number")
            case LookUp(subject, values):
                host.request("look_up", subject=subject, values=dict(values))
            case Enqueue(queue):
                host.enqueue(queue)
            case LeaveQueue():
                host.leave_queue()
            case Dial(target, timeout_s):
                host.dial(target, timeout_s)
            case CancelDial():
                host.cancel_dial()
            case Bridge(seat):
                host.bridge(seat)
            case SetVariable(name, value):
                host.note("variable", name=name, value=value)
            case Survey(question, answer, means, offset_ms):
                host.note("survey", question=question, answer=answer, means=means, offset_ms=offset_ms)
            case RequestCallback(queue):
                host.note("call_back", queue=queue)
            case StartAlarm(words):
                host.alarm(words)
            case Hangup():
                host.end("completed")

    def _play(self, items: tuple[str, ...], *, loop: bool, language: str) -> None:
        samples, text = self._languages.of(language).render(items)
        self._token += 1
        self._playing = (self._host.offset_ms(), text)
        self._host.play_to_caller(samples, token=self._token, loop=loop)

    def _said(self, end_ms: int) -> None:
        if self._playing is None:
            return
        (start_ms, text), self._playing = self._playing, None
        if text:
            self._host.announced(text, start_ms, end_ms)

    def _arm(self, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._state.deadline is not None:
            self._timer = self._host.call_later(self._state.deadline - now, self._time_passed)

    def _time_passed(self) -> None:
        self._timer = None
        self._host.step(TimePassed(self._host.offset_ms()))
