"""What each kind of state does: on entering it, on an event, and after an emergency announcement.

A function returns the state, commands, and the next state's name (None: stay). The table at the end joins kinds to
functions.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import ceil

from ivr.menu.events import (
    Bridge,
    BridgeEnded,
    CallbackRequested,
    CancelDial,
    DemandRecorded,
    Dial,
    DialFailed,
    Digit,
    Enqueue,
    Hangup,
    Heard,
    LeaveQueue,
    LookedUp,
    LookUp,
    MenuCommand,
    MenuEvent,
    NumberAssigned,
    PlaybackEnded,
    QueueLeft,
    QueuePosition,
    RequestCallback,
    RequestNumber,
    SeatAnswered,
    SetVariable,
    SpeechEnded,
    SpeechStarted,
    StopPlaying,
    Survey,
    TimePassed,
)
from ivr.menu.flow import SUBJECTS, Branch, Flow, FlowState, RecordRule
from ivr.menu.spoken import spoken_answer
from ivr.menu.state import Context, MenuState, played

LONG_ANSWER_S = 15.0  # who speaks longer is asked again: noise must not keep a call for ever
KEY_AFTER_VOICE_S = 1.0  # a key so soon after a spoken answer belongs to the same question
Result = tuple[MenuState, list[MenuCommand], str | None]


def enter(state: MenuState, present: FlowState, flow: Flow, now: float) -> Result:
    """The state is entered: its prompts begin, and what its kind asks for."""
    match present.kind:
        case "condition":
            return state, [], _decide(state.context, present, flow, now)
        case "number" if state.context.number is not None:
            return state, [], present.next["assigned"]
    if present.record is not None and state.context.speaking_since_ms is not None:
        state = _begun(state, present.record, state.context.speaking_since_ms, now)
    state, commands = _say(state, present.play)
    match present.kind:
        case "play":
            return state, commands, None if state.playing else present.next["done"]
        case "hangup":
            return replace(state, over=True), [*commands, Hangup()], None
        case "number":
            waiting = replace(state, deadline=now + present.timeout_s)
            return waiting, [*commands, RequestNumber()], None
        case "look_up":
            inputs, _ = SUBJECTS[present.target]
            values = {name: state.context.value(name) for name in inputs}
            waiting = replace(state, deadline=now + present.timeout_s)
            return waiting, [*commands, LookUp(present.target, values)], None
        case "call_back":
            request: list[MenuCommand] = [RequestCallback(state.context.value("queue")), *commands]
            return state, request, None if state.playing else present.next["done"]
        case "enqueue":
            queue = state.context.resolve(present.target)
            context = replace(state.context, variables={**state.context.variables, "queue": queue})
            state = replace(state, context=context, undo=LeaveQueue())
            state, music = (state, []) if state.playing else _music(state, present)
            return state, [Enqueue(queue), *commands, *music], None
        case "dial":
            target = state.context.resolve(present.target)
            state = replace(state, undo=CancelDial(), deadline=now + present.timeout_s)
            state, music = (state, []) if state.playing else _music(state, present)
            return state, [Dial(target, present.timeout_s), *commands, *music], None
    return (state if state.playing else _awaiting(state, present, now)), commands, None


def react(state: MenuState, present: FlowState, event: MenuEvent, now: float) -> Result:
    """An event in the state."""
    return REACTIONS[present.kind](state, present, event, now)


def resume(state: MenuState, present: FlowState, now: float) -> Result:
    """The emergency announcement is over: the state goes on, its prompts from the beginning."""
    state = replace(state, announcing=False, playing=False)
    if present.kind == "record":
        return _awaiting(state, present, now), [], None
    if present.timeout_s:
        state = replace(state, deadline=now + present.timeout_s)
    if present.kind in ("enqueue", "dial"):
        state, commands = _music(state, present)
        return state, commands, None
    state, commands = _say(replace(state, digits=""), present.play)
    if state.playing:
        return state, commands, None
    return react(replace(state, playing=True), present, PlaybackEnded(), now)


# --- prompts ---


def _say(state: MenuState, items: tuple[str, ...]) -> tuple[MenuState, list[MenuCommand]]:
    command = played(items, state.context)
    return (replace(state, playing=True, music=False), [command]) if command.items else (state, [])


def _music(state: MenuState, present: FlowState) -> tuple[MenuState, list[MenuCommand]]:
    if not present.music:
        return replace(state, playing=False, music=False), []
    return replace(state, playing=True, music=True), [played((present.music,), state.context, loop=True)]


def _awaiting(state: MenuState, present: FlowState, now: float) -> MenuState:
    """The prompts are over: from now on the time of the caller runs."""
    if present.record is not None:
        rule = present.record
        if not state.heard:
            return replace(state, deadline=now + rule.no_speech_s)
        assert state.limit is not None  # set with `heard`
        speaking = state.context.speaking_since_ms is not None
        return replace(state, deadline=state.limit if speaking else min(now + rule.silence_s, state.limit))
    if present.choice is not None:
        return replace(state, deadline=now + present.choice.timeout_s)
    return state


def _begun(state: MenuState, rule: RecordRule, start_ms: int, now: float) -> MenuState:
    """The caller tells the demand; one who spoke before he was asked to goes on with it."""
    return replace(state, heard=True, demand_start_ms=start_ms, limit=now + rule.limit_s)


def _due(state: MenuState, event: MenuEvent, now: float) -> bool:
    return isinstance(event, TimePassed) and state.deadline is not None and now >= state.deadline


# --- kinds ---


def _decide(context: Context, present: FlowState, flow: Flow, now: float) -> str:
    for branch in present.branches:
        if _holds(branch, context, flow, now):
            return branch.next
    return present.next["otherwise"]


def _holds(branch: Branch, context: Context, flow: Flow, now: float) -> bool:
    if branch.hours:
        at = context.time_of_day(now)
        return at is not None and flow.hours[branch.hours].is_open(at)
    if branch.session is not None:
        return context.session_open is branch.session
    return context.value(branch.variable) in branch.values


def _play(state: MenuState, present: FlowState, event: MenuEvent, now: float) -> Result:
    """Also `call_back`: on when the prompts are over."""
    if isinstance(event, PlaybackEnded):
        return replace(state, playing=False), [], present.next["done"]
    return state, [], None


def _number(state: MenuState, present: FlowState, event: MenuEvent, now: float) -> Result:
    quiet = replace(state, playing=False)
    if isinstance(event, PlaybackEnded):
        return quiet, [], None if state.context.number is None else present.next["assigned"]
    if isinstance(event, NumberAssigned) and not state.playing:
        return state, [], present.next["assigned"]
    return state, [], present.next["unavailable"] if _due(state, event, now) else None


def _look_up(state: MenuState, present: FlowState, event: MenuEvent, now: float) -> Result:
    if isinstance(event, PlaybackEnded):
        return replace(state, playing=False), [], None
    if isinstance(event, LookedUp):
        if event.values is None:
            return state, [], present.next["not_found"]
        context = replace(state.context, variables={**state.context.variables, **event.values})
        return replace(state, context=context), [], present.next["found"]
    return state, [], present.next["unavailable"] if _due(state, event, now) else None


def _record(state: MenuState, present: FlowState, event: MenuEvent, now: float) -> Result:
    rule = present.record
    assert rule is not None  # the loader gives every record state its rule
    if isinstance(event, PlaybackEnded) and state.playing:
        return _awaiting(replace(state, playing=False), present, now), [], None
    if isinstance(event, SpeechStarted):
        state = state if state.heard else _begun(state, rule, event.offset_ms, now)
        if state.announcing:
            return state, [], None
        stop: list[MenuCommand] = [StopPlaying()] if state.playing else []
        return replace(state, playing=False, deadline=state.limit), stop, None
    if isinstance(event, SpeechEnded) and state.heard:
        return (state if state.announcing or state.playing else _awaiting(state, present, now)), [], None
    ended = isinstance(event, Digit) and event.digit in rule.end_keys
    if not (ended or _due(state, event, now)):
        return state, [], None
    if not state.heard:
        return state, [], present.next["silent"]
    assert isinstance(event, Digit | TimePassed)
    assert state.demand_start_ms is not None  # set with `heard`
    return state, [DemandRecorded(state.demand_start_ms, event.offset_ms)], present.next["recorded"]


def _menu(state: MenuState, present: FlowState, event: MenuEvent, now: float) -> Result:
    """Keys that lead somewhere never come here."""
    if isinstance(event, Digit):
        return _ask_again(state, present, "invalid", now)
    return _choice(state, present, event, now)


def _survey(state: MenuState, present: FlowState, event: MenuEvent, now: float) -> Result:
    """By key or, where phrases are listed, in words; words that began before the question are no answer to it."""
    rule = present.survey
    assert rule is not None  # the loader gives every survey state its rule
    match event:
        case Digit(digit, offset_ms) if digit in rule.answers:
            state, commands = give_answer(state, Survey(rule.question, rule.answers[digit], "key", offset_ms))
            return state, commands, present.next["answered"]
        case SpeechStarted(offset_ms) if rule.spoken:
            state = replace(state, spoke_ms=offset_ms if state.spoke_ms is None else state.spoke_ms)
            return (state if state.playing else replace(state, deadline=now + LONG_ANSWER_S)), [], None
        case SpeechEnded() if rule.spoken and not state.playing:
            return _awaiting(state, present, now), [], None
        case Heard(text, offset_ms) if state.spoke_ms is not None and offset_ms > state.spoke_ms:
            answer = spoken_answer(text, rule.spoken)
            if answer is not None:
                state, commands = give_answer(state, Survey(rule.question, answer, "voice", offset_ms))
                context = replace(state.context, aloud=(present.name, now + KEY_AFTER_VOICE_S))
                return replace(state, context=context), commands, present.next["answered"]
            if state.playing or state.context.speaking_since_ms is not None:
                return state, [], None
            return _ask_again(state, present, "invalid", now)
    return _menu(state, present, event, now)


def give_answer(state: MenuState, answer: Survey) -> tuple[MenuState, list[MenuCommand]]:
    """Keeps an answer, also as a variable."""
    state, commands = _set(state, answer.question, answer.answer)
    return state, [*commands, answer]


def _collect(state: MenuState, present: FlowState, event: MenuEvent, now: float) -> Result:
    rule = present.collect
    assert rule is not None  # the loader gives every collect state its rule
    timed_out = _due(state, event, now)
    if isinstance(event, Digit) and event.digit in "0123456789":
        stop: list[MenuCommand] = [StopPlaying()] if state.playing else []
        state = replace(state, playing=False, announcing=False, digits=state.digits + event.digit)
        state = _awaiting(state, present, now)
        if len(state.digits) < rule.most:
            return state, stop, None
        state, commands = _set(state, rule.variable, state.digits)
        return state, stop + commands, present.next["collected"]
    if not timed_out and not (isinstance(event, Digit) and event.digit == rule.end_key):
        return _choice(state, present, event, now)
    if len(state.digits) >= rule.least:
        state, commands = _set(state, rule.variable, state.digits)
        return state, commands, present.next["collected"]
    return _ask_again(state, present, "invalid" if state.digits or not timed_out else "timeout", now)


def _choice(state: MenuState, present: FlowState, event: MenuEvent, now: float) -> Result:
    if isinstance(event, PlaybackEnded) and state.playing:
        return _awaiting(replace(state, playing=False), present, now), [], None
    if _due(state, event, now):
        return _ask_again(state, present, "timeout", now)
    return state, [], None


def _ask_again(state: MenuState, present: FlowState, reason: str, now: float) -> Result:
    rule = present.choice
    assert rule is not None  # the loader gives these kinds their rule
    if state.attempts >= rule.retries:
        return state, [], present.next[reason]
    stop: list[MenuCommand] = [StopPlaying()] if state.playing else []
    again = replace(
        state, attempts=state.attempts + 1, digits="", deadline=None, playing=False, announcing=False, spoke_ms=None
    )
    sorry = rule.timeout_play if reason == "timeout" else rule.invalid_play
    again, commands = _say(again, sorry + present.play)
    return (again if again.playing else _awaiting(again, present, now)), stop + commands, None


def _set(state: MenuState, name: str, value: str) -> tuple[MenuState, list[MenuCommand]]:
    context = replace(state.context, variables={**state.context.variables, name: value})
    return replace(state, context=context), [SetVariable(name, value)]


def _enqueue(state: MenuState, present: FlowState, event: MenuEvent, now: float) -> Result:
    match event:
        case QueuePosition(position, wait_s) if not state.connected:
            place = {"position": str(position), "wait_minutes": str(max(1, ceil(wait_s / 60)))}
            state = replace(state, context=replace(state.context, variables={**state.context.variables, **place}))
            if not state.music or not present.announce:
                return state, [], None
            state, commands = _say(replace(state, playing=False), present.announce)
            return state, [StopPlaying(), *commands], None
        case QueueLeft() if not state.connected:
            return replace(state, undo=None), [], present.next["overflow"]
        case CallbackRequested() if not state.connected:
            return state, [], present.next.get("call_back", present.next["overflow"])
    return _conversation(state, present, event, now)


def _dial(state: MenuState, present: FlowState, event: MenuEvent, now: float) -> Result:
    if not state.connected and isinstance(event, DialFailed):
        return replace(state, undo=None), [], present.next["failed"]
    if _due(state, event, now):
        return state, [], present.next["failed"]
    return _conversation(state, present, event, now)


def _conversation(state: MenuState, present: FlowState, event: MenuEvent, now: float) -> Result:
    """From the answer of the other party to its leaving; before it, music."""
    match event:
        case SeatAnswered(seat) if not state.connected:
            stop: list[MenuCommand] = [StopPlaying()] if state.playing else []
            talking = replace(
                state, connected=True, playing=False, music=False, announcing=False, undo=None, deadline=None
            )
            return talking, [*stop, Bridge(seat)], None
        case BridgeEnded() if state.connected:
            return state, [], present.next["ended"]
        case PlaybackEnded() if not state.connected:
            state, commands = _music(state, present)
            return state, commands, None
    return state, [], None


Reaction = Callable[[MenuState, FlowState, MenuEvent, float], Result]


def _nothing(state: MenuState, present: FlowState, event: MenuEvent, now: float) -> Result:
    return state, [], None


REACTIONS: Mapping[str, Reaction] = {
    "play": _play,
    "record": _record,
    "number": _number,
    "menu": _menu,
    "collect": _collect,
    "survey": _survey,
    "condition": _nothing,
    "enqueue": _enqueue,
    "dial": _dial,
    "look_up": _look_up,
    "call_back": _play,
    "hangup": _nothing,
}
