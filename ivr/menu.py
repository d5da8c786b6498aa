"""What a caller meets: a flow read from YAML, and the pure machine that walks it.

`step(state, event, now)` returns the next state and the commands to carry out; `now` is in monotonic seconds. The
caller of the machine sends `TimePassed` when `state.deadline` is reached. A flow is checked whole when it is loaded:
unknown prompts, missing states and wrong keys are errors that name the line, never a surprise during a call.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import yaml

from hotline.errors import ConfigurationError

KEYS = "0123456789*#ABCD"


# --- events ---


@dataclass(frozen=True)
class Answered:
    """The call stands; the flow starts."""


@dataclass(frozen=True)
class PlaybackEnded:
    """The prompts of the last `Play` are over (or were stopped)."""


@dataclass(frozen=True)
class Digit:
    """A key was pressed."""

    digit: str
    offset_ms: int


@dataclass(frozen=True)
class SpeechStarted:
    """The caller began to speak."""

    offset_ms: int


@dataclass(frozen=True)
class SpeechEnded:
    """The caller fell silent."""

    offset_ms: int


@dataclass(frozen=True)
class NumberAssigned:
    """The ticket's number is known."""

    number: str
    lookup_code: str


@dataclass(frozen=True)
class TimePassed:
    """`now` has reached the deadline."""

    offset_ms: int


MenuEvent = Answered | PlaybackEnded | Digit | SpeechStarted | SpeechEnded | NumberAssigned | TimePassed


# --- commands ---


@dataclass(frozen=True)
class Play:
    """Play these prompts in order; `{number}` and `{lookup_code}` are already spelled out as `say:` texts."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class StopPlaying:
    """Barge-in: silence our side."""


@dataclass(frozen=True)
class DemandRecorded:
    """The caller told the demand in this span of the recording."""

    start_ms: int
    end_ms: int


@dataclass(frozen=True)
class RequestNumber:
    """Ask for a ticket number; `NumberAssigned` should follow."""


@dataclass(frozen=True)
class Hangup:
    """The flow is over."""


MenuCommand = Play | StopPlaying | DemandRecorded | RequestNumber | Hangup


# --- the flow ---


@dataclass(frozen=True)
class RecordRule:
    """When a recorded demand is over; all in seconds."""

    end_keys: str
    silence_s: float
    no_speech_s: float
    limit_s: float


@dataclass(frozen=True)
class FlowState:
    """One state: what is played and how it is left. `next` holds the state's outcomes and where they lead."""

    name: str
    kind: Literal["play", "record", "number", "hangup"]
    play: tuple[str, ...]
    next: dict[str, str]
    keys: dict[str, str]
    record: RecordRule | None = None
    timeout_s: float = 0.0


@dataclass(frozen=True)
class Flow:
    """A whole menu."""

    name: str
    start: str
    states: dict[str, FlowState]


OUTCOMES = {
    "play": ("done",),
    "record": ("recorded", "silent"),
    "number": ("assigned", "unavailable"),
    "hangup": (),
}
VARIABLES = ("{number}", "{lookup_code}")


@dataclass(frozen=True)
class MenuState:
    """Where a call is. `heard` tells whether the caller spoke in the present record state."""

    name: str = ""
    playing: bool = False
    deadline: float | None = None
    demand_start_ms: int | None = None
    limit: float | None = None
    heard: bool = False
    speaking: bool = False
    number: NumberAssigned | None = None
    over: bool = False


class MenuMachine:
    """Walks one flow. It holds no state of a call."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow

    def step(self, state: MenuState, event: MenuEvent, now: float) -> tuple[MenuState, list[MenuCommand]]:
        """One event; an event that means nothing in the present state changes nothing."""
        if state.over:
            return state, []
        if isinstance(event, Answered):
            return self._enter(state, self.flow.start, now)
        if isinstance(event, NumberAssigned):
            return self._number_assigned(state, event, now)
        if not state.name:
            return state, []
        present = self.flow.states[state.name]
        if isinstance(event, Digit) and event.digit in present.keys:
            return self._leave(state, present.keys[event.digit], now)
        if present.kind == "record":
            return self._record(state, present, event, now)
        if isinstance(event, PlaybackEnded):
            return self._prompts_over(state, present, now)
        if isinstance(event, TimePassed) and present.kind == "number" and _due(state, now):
            return self._leave(state, present.next["unavailable"], now)
        return state, []

    def _enter(self, state: MenuState, name: str, now: float) -> tuple[MenuState, list[MenuCommand]]:
        present = self.flow.states[name]
        if present.kind == "number" and state.number is not None:
            return self._enter(state, present.next["assigned"], now)
        entered = MenuState(name=name, playing=bool(present.play), number=state.number, over=present.kind == "hangup")
        commands: list[MenuCommand] = []
        if present.play:
            commands.append(Play(tuple(_fill(item, state.number) for item in present.play)))
        if present.kind == "hangup":
            return entered, [*commands, Hangup()]
        if present.record is not None and not present.play:
            return replace(entered, deadline=now + present.record.no_speech_s), commands
        if present.kind == "number":
            return replace(entered, deadline=now + present.timeout_s), [*commands, RequestNumber()]
        return entered, commands

    def _leave(self, state: MenuState, name: str, now: float) -> tuple[MenuState, list[MenuCommand]]:
        stop: list[MenuCommand] = [StopPlaying()] if state.playing else []
        entered, commands = self._enter(state, name, now)
        return entered, stop + commands

    def _prompts_over(self, state: MenuState, present: FlowState, now: float) -> tuple[MenuState, list[MenuCommand]]:
        quiet = replace(state, playing=False)
        if present.kind == "play":
            return self._leave(quiet, present.next["done"], now)
        if present.kind == "number" and state.number is not None:
            return self._leave(quiet, present.next["assigned"], now)
        return quiet, []

    def _number_assigned(
        self, state: MenuState, event: NumberAssigned, now: float
    ) -> tuple[MenuState, list[MenuCommand]]:
        known = replace(state, number=event)
        present = self.flow.states.get(state.name)
        if present is None or present.kind != "number" or state.playing:
            return known, []
        return self._leave(known, present.next["assigned"], now)

    def _record(
        self, state: MenuState, present: FlowState, event: MenuEvent, now: float
    ) -> tuple[MenuState, list[MenuCommand]]:
        rule = present.record
        assert rule is not None  # the loader gives every record state its rule
        if isinstance(event, PlaybackEnded) and state.playing:
            waiting = replace(state, playing=False)
            return (waiting if state.heard else replace(waiting, deadline=now + rule.no_speech_s)), []
        if isinstance(event, SpeechStarted):
            start = event.offset_ms if state.demand_start_ms is None else state.demand_start_ms
            limit = now + rule.limit_s if state.limit is None else state.limit
            spoken = replace(
                state, playing=False, heard=True, speaking=True, demand_start_ms=start, limit=limit, deadline=limit
            )
            return spoken, [StopPlaying()] if state.playing else []
        if isinstance(event, SpeechEnded) and state.heard:
            assert state.limit is not None  # set with `heard`
            return replace(state, speaking=False, deadline=min(now + rule.silence_s, state.limit)), []
        ended = isinstance(event, Digit) and event.digit in rule.end_keys
        timed_out = isinstance(event, TimePassed) and _due(state, now)
        if not (ended or timed_out):
            return state, []
        if not state.heard:
            return self._leave(state, present.next["silent"], now)
        assert isinstance(event, Digit | TimePassed)
        assert state.demand_start_ms is not None  # set with `heard`
        entered, commands = self._leave(state, present.next["recorded"], now)
        return entered, [DemandRecorded(state.demand_start_ms, event.offset_ms), *commands]


def _due(state: MenuState, now: float) -> bool:
    return state.deadline is not None and now >= state.deadline


def _fill(item: str, number: NumberAssigned | None) -> str:
    if item not in VARIABLES:
        return item
    if number is None:
        return "say:"
    return "say:" + (number.number if item == "{number}" else number.lookup_code)


# --- loading ---


def load_flow(path: Path, *, prompts: frozenset[str]) -> Flow:
    """Reads and checks a flow; `prompts` are the names there are. Raises `ConfigurationError` naming file and line."""
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        raise ConfigurationError(f"flow {path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"flow {path}: not valid YAML: {error}") from error
    reader = _Reader(path, prompts)
    top = reader.mapping(node)
    reader.only(node, top, {"name", "start", "states"})
    state_nodes = reader.mapping(reader.need(node, top, "states"))
    start_node = reader.need(node, top, "start")
    states = {name: reader.state(name, item, frozenset(state_nodes)) for name, item in state_nodes.items()}
    start = reader.text(start_node)
    if start not in states:
        reader.fail(start_node, f"start names no state: {start}")
    return Flow(name=reader.text(reader.need(node, top, "name")), start=start, states=states)


class _Reader:
    """Reads YAML nodes (which know their lines) into values."""

    def __init__(self, path: Path, prompts: frozenset[str]) -> None:
        self.path = path
        self.prompts = prompts

    def fail(self, node: Any, message: str) -> None:
        line = node.start_mark.line + 1 if node is not None else 1
        raise ConfigurationError(f"flow {self.path} line {line}: {message}")

    def mapping(self, node: Any) -> dict[str, Any]:
        if not isinstance(node, yaml.MappingNode):
            self.fail(node, "a mapping is needed here")
        out: dict[str, Any] = {}
        for key, value in node.value:
            if key.value in out:
                self.fail(key, f"{key.value} stands twice")
            out[str(key.value)] = value
        return out

    def only(self, node: Any, mapping: dict[str, Any], known: set[str]) -> None:
        for key, value in mapping.items():
            if key not in known:
                self.fail(value, f"unknown key {key}; known: {', '.join(sorted(known))}")

    def need(self, node: Any, mapping: dict[str, Any], key: str) -> Any:
        if key not in mapping:
            self.fail(node, f"{key} is missing")
        return mapping[key]

    def text(self, node: Any) -> str:
        if not isinstance(node, yaml.ScalarNode) or not node.value:
            self.fail(node, "a text is needed here")
        return str(node.value)

    def seconds(self, node: Any) -> float:
        try:
            value = float(self.text(node))
        except ValueError:
            value = -1.0
        if not 0 < value <= 3600:
            self.fail(node, "seconds between 0 and 3600 are needed here")
        return value

    def state(self, name: str, node: Any, names: frozenset[str]) -> FlowState:
        mapping = self.mapping(node)
        kind = self.text(self.need(node, mapping, "kind"))
        if kind not in OUTCOMES:
            self.fail(mapping["kind"], f"unknown kind {kind}; known: {', '.join(OUTCOMES)}")
        extra = {"record": {"record"}, "number": {"timeout_s"}}.get(kind, set())
        self.only(node, mapping, {"kind", "play", "next", "keys"} | extra)
        prompts = self._prompts(mapping.get("play"))
        if kind == "play" and not prompts:
            self.fail(node, "a state of kind play needs prompts")
        return FlowState(
            name=name,
            kind=kind,  # type: ignore[arg-type] # checked against OUTCOMES
            play=prompts,
            next=self._targets(node, mapping, kind, names),
            keys=self._keys(mapping.get("keys"), names),
            record=self._rule(self.need(node, mapping, "record")) if kind == "record" else None,
            timeout_s=self.seconds(self.need(node, mapping, "timeout_s")) if kind == "number" else 0.0,
        )

    def _prompts(self, node: Any) -> tuple[str, ...]:
        if node is None:
            return ()
        if not isinstance(node, yaml.SequenceNode):
            self.fail(node, "a list of prompts is needed here")
        items = []
        for item in node.value:
            name = self.text(item)
            if name not in VARIABLES and name not in self.prompts:
                self.fail(item, f"no prompt named {name}")
            items.append(name)
        return tuple(items)

    def _targets(self, node: Any, mapping: dict[str, Any], kind: str, names: frozenset[str]) -> dict[str, str]:
        if not OUTCOMES[kind]:
            return {}
        target_node = self.need(node, mapping, "next")
        targets = self.mapping(target_node)
        self.only(target_node, targets, set(OUTCOMES[kind]))
        return {outcome: self._target(self.need(target_node, targets, outcome), names) for outcome in OUTCOMES[kind]}

    def _target(self, node: Any, names: frozenset[str]) -> str:
        name = self.text(node)
        if name not in names:
            self.fail(node, f"no state named {name}")
        return name

    def _keys(self, node: Any, names: frozenset[str]) -> dict[str, str]:
        if node is None:
            return {}
        keys = self.mapping(node)
        for key, value in keys.items():
            if len(key) != 1 or key not in KEYS:
                self.fail(value, f"no such key on a telephone: {key}")
        return {key: self._target(value, names) for key, value in keys.items()}

    def _rule(self, node: Any) -> RecordRule:
        mapping = self.mapping(node)
        self.only(node, mapping, {"end_keys", "silence_s", "no_speech_s", "limit_s"})
        end_keys = self.text(self.need(node, mapping, "end_keys"))
        if any(key not in KEYS for key in end_keys):
            self.fail(mapping["end_keys"], f"no such keys on a telephone: {end_keys}")
        return RecordRule(
            end_keys=end_keys,
            silence_s=self.seconds(self.need(node, mapping, "silence_s")),
            no_speech_s=self.seconds(self.need(node, mapping, "no_speech_s")),
            limit_s=self.seconds(self.need(node, mapping, "limit_s")),
        )
