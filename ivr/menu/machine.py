"""The pure machine that walks a flow: `step(state, event, now)` returns the next state and the commands to carry out.

`now` is in monotonic seconds. The caller of the machine sends `TimePassed` when `state.deadline` is reached. What each
kind of state does stands in `ivr.menu.kinds`; this module enters and leaves states and handles what concerns all.
"""

from dataclasses import replace

from ivr.menu.events import (
    Answered,
    Bridge,
    BridgeEnded,
    CancelDial,
    DemandRecorded,
    Dial,
    DialFailed,
    Digit,
    EmergencyHeard,
    Enqueue,
    Hangup,
    Heard,
    LeaveQueue,
    LookedUp,
    LookUp,
    MenuCommand,
    MenuEvent,
    NumberAssigned,
    Play,
    PlaybackEnded,
    QueueLeft,
    QueuePosition,
    RequestCallback,
    RequestNumber,
    SeatAnswered,
    SessionChanged,
    SetVariable,
    SpeechEnded,
    SpeechStarted,
    StartAlarm,
    StopPlaying,
    Survey,
    TimePassed,
)
from ivr.menu.flow import Flow, FlowState
from ivr.menu.kinds import enter, give_answer, react, resume
from ivr.menu.loader import load_flow
from ivr.menu.state import Context, MenuState, played

__all__ = [
    "Answered",
    "Bridge",
    "BridgeEnded",
    "CancelDial",
    "DemandRecorded",
    "Dial",
    "DialFailed",
    "Digit",
    "EmergencyHeard",
    "Enqueue",
    "Hangup",
    "Heard",
    "LeaveQueue",
    "LookUp",
    "LookedUp",
    "MenuCommand",
    "MenuEvent",
    "MenuMachine",
    "MenuState",
    "NumberAssigned",
    "Play",
    "PlaybackEnded",
    "QueueLeft",
    "QueuePosition",
    "RequestCallback",
    "RequestNumber",
    "SeatAnswered",
    "SessionChanged",
    "SetVariable",
    "SpeechEnded",
    "SpeechStarted",
    "StartAlarm",
    "StopPlaying",
    "Survey",
    "TimePassed",
    "load_flow",
]

Step = tuple[MenuState, list[MenuCommand]]


class MenuMachine:
    """Walks one flow. It holds no state of a call."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow

    def step(self, state: MenuState, event: MenuEvent, now: float) -> Step:
        """One event; an event that means nothing in the present state changes nothing."""
        if state.over:
            return state, []
        match event:
            case Answered() if not state.name:
                return self._start(state, event, now)
            case SessionChanged(is_open):
                return replace(state, context=replace(state.context, session_open=is_open)), []
            case NumberAssigned():
                state = replace(state, context=replace(state.context, number=event))
            case SpeechStarted(offset_ms):
                state = replace(state, context=replace(state.context, speaking_since_ms=offset_ms))
            case SpeechEnded():
                state = replace(state, context=replace(state.context, speaking_since_ms=None))
        if not state.name:
            return state, []
        present = self.flow.states[state.name]
        match event:
            case EmergencyHeard(words):
                return self._emergency(state, words)
            case PlaybackEnded() if state.announcing:
                return self._follow(*resume(state, present, now), now)
            case Digit() if state.context.aloud is not None and now < state.context.aloud[1]:
                return self._press_after_speaking(state, event, state.context.aloud[0])
            case Digit(digit) if digit in present.keys and not state.connected:
                return self._leave(state, present.keys[digit], now)
        return self._follow(*react(state, present, event, now), now)

    def _start(self, state: MenuState, event: Answered, now: float) -> Step:
        variables = {**self.flow.variables, "caller": event.caller, "called": event.called, **event.variables}
        context = replace(
            state.context,
            variables=variables,
            at=None if event.at is None else event.at.astimezone(self.flow.zone),
            since=now,
            session_open=event.session_open or state.context.session_open,
        )
        return self._enter(context, self.flow.entry(event.called), now)

    def _follow(self, state: MenuState, commands: list[MenuCommand], target: str | None, now: float) -> Step:
        if target is None:
            return state, commands
        entered, more = self._leave(state, target, now)
        return entered, commands + more

    def _leave(self, state: MenuState, target: str, now: float) -> Step:
        commands: list[MenuCommand] = [StopPlaying()] if state.playing else []
        if state.undo is not None:
            commands.append(state.undo)
        entered, more = self._enter(state.context, target, now)
        return entered, commands + more

    def _enter(self, context: Context, name: str, now: float) -> Step:
        """Goes on over states that need no time; it ends because the loader refuses loops without input."""
        commands: list[MenuCommand] = []
        while True:
            present = self.flow.states[name]
            context, assigned = _assign(context, present)
            state, more, target = enter(MenuState(name=name, context=context), present, self.flow, now)
            commands += assigned + more
            if target is None:
                return state, commands
            context, name = state.context, target

    def _press_after_speaking(self, state: MenuState, event: Digit, asked: str) -> Step:
        """Who says and presses an answer means one question; the key is the surer of the two."""
        rule = self.flow.states[asked].survey
        if rule is None or event.digit not in rule.answers:
            return state, []
        return give_answer(state, Survey(rule.question, rule.answers[event.digit], "key", event.offset_ms))

    def _emergency(self, state: MenuState, words: tuple[str, ...]) -> Step:
        """Once a call: the alarm, and the announcement unless a person listens already. The state goes on after it."""
        rule = self.flow.emergency
        if rule is None or state.context.alarmed:
            return state, []
        context = replace(state.context, alarmed=True)
        alarm: list[MenuCommand] = [StartAlarm(words)]
        if state.connected:
            return replace(state, context=context), alarm
        stop: list[MenuCommand] = [StopPlaying()] if state.playing else []
        announcing = replace(state, context=context, playing=True, announcing=True, music=False, deadline=None)
        return announcing, [*alarm, *stop, played(rule.play, context)]


def _assign(context: Context, present: FlowState) -> tuple[Context, list[MenuCommand]]:
    if not present.set:
        return context, []
    commands: list[MenuCommand] = [SetVariable(name, value) for name, value in present.set.items()]
    return replace(context, variables={**context.variables, **present.set}), commands
