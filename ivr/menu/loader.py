"""Reads a flow from YAML (`ivr/flow.schema.json`, `docs/flows.md`) and checks it whole, before the first call.

A file may `include` others: their states, hours, queues, variables and emergency rule are taken where the including
file has none of that name. Paths are relative to the file that names them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hotline.errors import ConfigurationError
from ivr.acd.rule import read_queue
from ivr.menu.check import problems_of, reachable
from ivr.menu.flow import (
    BUILT_IN,
    KEYS,
    OUTCOMES,
    SUBJECTS,
    Branch,
    ChoiceRule,
    CollectRule,
    EmergencyRule,
    Flow,
    FlowState,
    RecordRule,
    SurveyRule,
)
from ivr.menu.hours import HOLIDAYS, AttemptRule, OpeningHours, read_calendar, read_hours
from ivr.menu.yaml_reader import Node, Problem, YamlReader

TOP_KEYS = frozenset(
    {
        *("name", "start", "entries", "include", "variables", "timezone", "holidays"),
        *("hours", "queues", "emergency", "attempts", "states"),
    }
)
CHOICE_KEYS = frozenset({"timeout_s", "retries", "timeout_play", "invalid_play"})
PLAYING = frozenset({"play", "keys", "next"})
KIND_KEYS = {  # besides kind and set
    "play": PLAYING,
    "record": PLAYING | {"record"},
    "number": PLAYING | {"timeout_s"},
    "menu": PLAYING | CHOICE_KEYS,
    "collect": PLAYING - {"keys"} | CHOICE_KEYS | {"variable", "min_digits", "max_digits", "end_key"},
    "survey": PLAYING - {"keys"} | CHOICE_KEYS | {"question", "answers", "spoken"},
    "condition": frozenset({"when", "otherwise"}),
    "enqueue": PLAYING | {"queue", "music", "announce"},
    "dial": PLAYING | {"target", "timeout_s", "music"},
    "look_up": PLAYING | {"subject", "timeout_s"},
    "call_back": PLAYING,
    "hangup": frozenset({"play"}),
}
MAX_INCLUDES = 20
T = TypeVar("T")


def load_flow(path: Path, *, prompts: frozenset[str]) -> Flow:
    """A flow without a problem; `prompts` are the names there are. Raises `ConfigurationError` naming all problems."""
    flow, problems = examine_flow(path, prompts=prompts)
    if flow is None or problems:
        raise ConfigurationError(
            "; ".join(f"flow {problem}" for problem in problems), hint=f"hotline flow check {path}"
        )
    return flow


def examine_flow(path: Path, *, prompts: frozenset[str]) -> tuple[Flow | None, list[Problem]]:
    """The flow as far as it can be read, and everything that is wrong with it, by file and line."""
    reader = _FlowReader(prompts)
    flow = reader.flow(path)
    problems = set(reader.problems)
    if flow is not None:
        problems.update(problems_of(flow, main=str(path)))
        used = reachable(flow)
        kept = {name: state for name, state in flow.states.items() if name in used or state.file == str(path)}
        flow = replace(flow, states=kept)
    return flow, sorted(problems)


@dataclass
class _Parts:
    """The sections of a file and its includes, name -> node; the including file comes first and wins."""

    states: dict[str, Node] = field(default_factory=dict)
    hours: dict[str, Node] = field(default_factory=dict)
    queues: dict[str, Node] = field(default_factory=dict)
    variables: dict[str, Node] = field(default_factory=dict)
    emergency: list[Node] = field(default_factory=list)
    files: set[Path] = field(default_factory=set)


class _FlowReader(YamlReader):
    """Reads one flow."""

    def __init__(self, prompts: frozenset[str]) -> None:
        super().__init__()
        self._prompts = prompts
        self._states: frozenset[str] = frozenset()
        self._variables: frozenset[str] = frozenset()
        self._hours: dict[str, OpeningHours] = {}
        self._queues: frozenset[str] = frozenset()

    def flow(self, path: Path) -> Flow | None:
        top_node = self.load(path)
        if top_node is None:
            return None
        top = self.mapping(top_node, known=TOP_KEYS)
        parts = _Parts()
        self._gather(path, top, parts)
        states_node = self.need(top_node, top, "states")
        start_node = self.need(top_node, top, "start")
        calendar = read_calendar(self, path.parent / self.text(top.get("holidays"), str(HOLIDAYS)))
        self._hours = {name: read_hours(self, node, calendar) for name, node in parts.hours.items()}
        queues = {name: read_queue(self, name, node) for name, node in parts.queues.items()}
        variables = {name: self._default(node) for name, node in parts.variables.items()}
        self._states, self._queues = frozenset(parts.states), frozenset(queues)
        self._variables = frozenset({*BUILT_IN, *variables, *self._assigned(parts.states.values())})
        states = {name: self._state(name, node) for name, node in parts.states.items()}
        if states_node is None or start_node is None or not states:
            return None
        return Flow(
            name=self.text(self.need(top_node, top, "name")),
            start=self._target(start_node),
            states=states,
            entries={number: self._target(node) for number, node in self.mapping(top.get("entries")).items()},
            variables=variables,
            hours=self._hours,
            queues=queues,
            emergency=self._emergency(parts.emergency[0]) if parts.emergency else None,
            attempts=self._attempts(top["attempts"]) if "attempts" in top else None,
            zone=self._zone(top.get("timezone")),
            line=start_node.start_mark.line + 1,
        )

    # --- files ---

    def _gather(self, path: Path, top: dict[str, Node], parts: _Parts) -> None:
        parts.files.add(path.resolve())
        for section in ("states", "hours", "queues", "variables"):
            have: dict[str, Node] = getattr(parts, section)
            for name, node in self.mapping(top.get(section)).items():
                have.setdefault(name, node)
        if "emergency" in top:
            parts.emergency.append(top["emergency"])
        for item in self.items(top.get("include")):
            other = path.parent / self.text(item)
            if other.resolve() in parts.files:
                continue
            if len(parts.files) > MAX_INCLUDES:
                self.wrong(item, f"more than {MAX_INCLUDES} files are included")
                return
            if not other.is_file():
                self.wrong(item, f"no file {other}")
                continue
            self._gather(other, self.mapping(self.load(other), known=TOP_KEYS), parts)

    # --- names ---

    def _target(self, node: Node | None) -> str:
        name = self.text(node)
        if node is not None and name and name not in self._states:
            self.wrong(node, f"no state named {name}")
        return name

    def _variable(self, node: Node | None) -> str:
        name = self.text(node)
        if node is not None and name and name not in self._variables:
            self.wrong(node, f"no variable named {name}")
        return name

    def _items(self, node: Node | None) -> tuple[str, ...]:
        """Prompt names and `{variable}`s."""
        out = self.texts(node)
        for item, child in zip(out, self.items(node), strict=True):
            if item.startswith("{") and item.endswith("}"):
                if item[1:-1] not in self._variables:
                    self.wrong(child, f"no variable named {item[1:-1]}")
            elif item and item not in self._prompts:
                self.wrong(child, f"no prompt named {item}")
        return out

    def _prompt(self, node: Node | None) -> str:
        name = self.text(node)
        if node is not None and name and name not in self._prompts:
            self.wrong(node, f"no prompt named {name}")
        return name

    def _assigned(self, states: Iterable[Node]) -> set[str]:
        """Variables that some state sets, collects, asks or looks up."""
        names: set[str] = set()
        quiet = YamlReader()  # what is wrong is told where the state itself is read
        for node in states:
            state = quiet.mapping(node)
            names.update(quiet.mapping(state.get("set")))
            names.update(quiet.text(state[key]) for key in ("variable", "question") if key in state)
            names.update(SUBJECTS.get(quiet.text(state.get("subject")), ((), ()))[1])
        return names

    # --- states ---

    def _state(self, name: str, node: Node) -> FlowState:
        mapping = self.mapping(node)
        if not (name.isascii() and name.isidentifier()):
            self.wrong(node, f"not a state's name: {name}; letters, digits and _ are allowed")
        kind = self.choice(self.need(node, mapping, "kind"), tuple(OUTCOMES), "hangup")
        if "kind" in mapping:
            self.mapping(node, known=KIND_KEYS[kind] | {"kind", "set"})
        play = self._items(mapping.get("play"))
        if kind in ("play", "menu", "collect", "survey") and not play:
            self.wrong(node, f"a state of kind {kind} needs prompts")
        keys = self._keyed(mapping.get("keys"), self._target)
        if kind == "menu" and not keys:
            self.wrong(node, "a state of kind menu needs keys")
        needs_time = kind in ("number", "dial", "look_up")
        return FlowState(
            name=name,
            kind=kind,
            file=str(node.start_mark.name),
            line=node.start_mark.line + 1,
            play=play,
            next=self._outcomes(node, mapping, kind),
            keys=keys,
            set={key: self._default(value) for key, value in self.mapping(mapping.get("set")).items()},
            record=self._record(node, mapping) if kind == "record" else None,
            choice=self._choice(mapping) if kind in ("menu", "collect", "survey") else None,
            collect=self._collect(node, mapping) if kind == "collect" else None,
            survey=self._survey(node, mapping) if kind == "survey" else None,
            branches=tuple(map(self._branch, self.items(mapping.get("when")))),
            timeout_s=self.seconds(self.need(node, mapping, "timeout_s"), 1.0) if needs_time else 0.0,
            target=self._counterpart(node, mapping, kind),
            music=self._prompt(self.need(node, mapping, "music") if kind == "enqueue" else mapping.get("music")),
            announce=self._items(mapping.get("announce")),
        )

    def _outcomes(self, node: Node, mapping: dict[str, Node], kind: str) -> dict[str, str]:
        if kind == "condition":
            return {"otherwise": self._target(self.need(node, mapping, "otherwise"))}
        if not OUTCOMES[kind]:
            return {}
        optional = ("call_back",) if kind == "enqueue" else ()
        node = self.need(node, mapping, "next") or node
        given = self.mapping(mapping.get("next"), known=frozenset((*OUTCOMES[kind], *optional)))
        needed = {outcome: self._target(self.need(node, given, outcome)) for outcome in OUTCOMES[kind]}
        return needed | {outcome: self._target(given[outcome]) for outcome in optional if outcome in given}

    def _counterpart(self, node: Node, mapping: dict[str, Node], kind: str) -> str:
        """The queue, dial target or subject: a name or a `{variable}`."""
        key = {"enqueue": "queue", "dial": "target", "look_up": "subject"}.get(kind)
        if key is None:
            return ""
        child = self.need(node, mapping, key)
        value = self.text(child)
        if child is None:
            return value
        if value.startswith("{") and value.endswith("}"):
            if value[1:-1] not in self._variables:
                self.wrong(child, f"no variable named {value[1:-1]}")
        elif kind == "enqueue" and value not in self._queues:
            self.wrong(child, f"no queue named {value}")
        elif kind == "look_up" and value not in SUBJECTS:
            self.wrong(child, f"no subject named {value}; known: {', '.join(SUBJECTS)}")
        elif kind == "look_up":
            for name in SUBJECTS[value][0]:
                if name not in self._variables:
                    self.wrong(child, f"{value} needs the variable {name}")
        return value

    def _keyed(self, node: Node | None, read: Callable[[Node], str]) -> dict[str, str]:
        out: dict[str, str] = {}
        for key, value in self.mapping(node).items():
            if len(key) != 1 or key not in KEYS:
                self.wrong(value, f"no such key on a telephone: {key}")
            out[key] = read(value)
        return out

    def _record(self, node: Node, mapping: dict[str, Node]) -> RecordRule:
        rule = self.need(node, mapping, "record")
        parts = self.mapping(rule, known=frozenset({"end_keys", "silence_s", "no_speech_s", "limit_s"}))
        rule = rule or node
        end_keys = self.text(self.need(rule, parts, "end_keys"))
        if any(key not in KEYS for key in end_keys):
            self.wrong(parts["end_keys"], f"no such keys on a telephone: {end_keys}")
        return RecordRule(
            end_keys=end_keys,
            silence_s=self.seconds(self.need(rule, parts, "silence_s"), 1.0),
            no_speech_s=self.seconds(self.need(rule, parts, "no_speech_s"), 1.0),
            limit_s=self.seconds(self.need(rule, parts, "limit_s"), 1.0),
        )

    def _choice(self, mapping: dict[str, Node]) -> ChoiceRule:
        return ChoiceRule(
            timeout_s=self.seconds(mapping.get("timeout_s"), 6.0),
            retries=self.count(mapping.get("retries"), 2, least=0, most=10),
            timeout_play=self._items(mapping.get("timeout_play")),
            invalid_play=self._items(mapping.get("invalid_play")),
        )

    def _collect(self, node: Node, mapping: dict[str, Node]) -> CollectRule:
        least = self.count(mapping.get("min_digits"), 1, least=1, most=64)
        most = self.count(self.need(node, mapping, "max_digits"), 64, least=1, most=64)
        if most < least:
            self.wrong(mapping["max_digits"], "max_digits is less than min_digits")
        end_key = self.choice(mapping.get("end_key"), ("#", "*"), "#")
        return CollectRule(self._variable(self.need(node, mapping, "variable")), least, most, end_key)

    def _survey(self, node: Node, mapping: dict[str, Node]) -> SurveyRule:
        answers = self._keyed(self.need(node, mapping, "answers"), self.text)
        spoken: dict[str, tuple[str, ...]] = {}
        meant: dict[str, str] = {}
        for answer, listed in self.mapping(mapping.get("spoken")).items():
            spoken[answer] = self.texts(listed)
            if answer not in answers.values():
                self.wrong(listed, f"no key stands for the answer {answer}")
            if not spoken[answer]:
                self.wrong(listed, f"{answer} needs phrases")
            for phrase in spoken[answer]:
                if meant.setdefault(phrase, answer) != answer:
                    self.wrong(listed, f"{phrase} stands for {meant[phrase]} and for {answer}")
        return SurveyRule(self.text(self.need(node, mapping, "question")), answers, spoken)

    def _branch(self, node: Node) -> Branch:
        parts = self.mapping(node, known=frozenset({"hours", "session", "variable", "is", "next"}))
        if sum(key in parts for key in ("hours", "session", "variable")) != 1 or ("variable" in parts) != (
            "is" in parts
        ):
            self.wrong(node, "a test asks one of: hours; session; variable and is")
        hours = self.text(parts.get("hours"))
        if hours and hours not in self._hours:
            self.wrong(parts["hours"], f"no hours named {hours}")
        session = parts.get("session")
        return Branch(
            next=self._target(self.need(node, parts, "next")),
            hours=hours,
            session=None if session is None else self.choice(session, ("open", "closed"), "open") == "open",
            variable=self._variable(parts.get("variable")),
            values=tuple(map(self._default, self.items(parts.get("is")))),
        )

    # --- sections ---

    def _default(self, node: Node) -> str:
        """A variable's value; an empty text is one."""
        return str(node.value) if node.tag == "tag:yaml.org,2002:str" and not node.value else self.text(node)

    def _emergency(self, node: Node) -> EmergencyRule:
        parts = self.mapping(node, known=frozenset({"words", "play"}))
        rule = EmergencyRule(
            words=self.texts(self.need(node, parts, "words")), play=self._items(self.need(node, parts, "play"))
        )
        if not rule.words or not rule.play:
            self.wrong(node, "emergency needs words and prompts")
        return rule

    def _attempts(self, node: Node) -> AttemptRule:
        parts = self.mapping(node, known=frozenset({"count", "apart_s", "ring_s", "hours"}))
        hours_node = self.need(node, parts, "hours")
        hours = self.text(hours_node)
        if hours_node is not None and hours not in self._hours:
            self.wrong(hours_node, f"no hours named {hours}")
        return AttemptRule(
            attempts=self.count(parts.get("count"), 3, least=1, most=10),
            apart_s=float(self.count(parts.get("apart_s"), 7200, least=60, most=7 * 86400)),
            ring_s=self.seconds(parts.get("ring_s"), 30.0),
            hours=self._hours.get(hours, OpeningHours(())),
        )

    def _zone(self, node: Node | None) -> ZoneInfo:
        name = self.text(node, "Asia/Shanghai")
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            assert node is not None
            self.wrong(node, f"no time zone named {name}")
            return ZoneInfo("UTC")
