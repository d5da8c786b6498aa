"""A flow: what a caller meets, as data. The loader makes it of YAML, the machine walks it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from ivr.acd.rule import QueueRule
from ivr.menu.hours import AttemptRule, OpeningHours

KEYS = "0123456789*#ABCD"

# The kinds of state, and the outcomes each must name a next state for.
OUTCOMES: Mapping[str, tuple[str, ...]] = {
    "play": ("done",),
    "record": ("recorded", "silent"),
    "number": ("assigned", "unavailable"),
    "menu": ("timeout", "invalid"),
    "collect": ("collected", "timeout", "invalid"),
    "survey": ("answered", "timeout", "invalid"),
    "condition": (),
    "enqueue": ("ended", "overflow"),
    "dial": ("ended", "failed"),
    "look_up": ("found", "not_found", "unavailable"),
    "call_back": ("done",),
    "hangup": (),
}
# Outcomes that need the caller or another person: a caller who does nothing never takes them.
ACTIVE_OUTCOMES = frozenset({"recorded", "collected", "answered", "ended"})
# What a look-up takes and gives.
SUBJECTS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "ticket_progress": (("ticket_number", "ticket_code", "caller"), ("status",)),
}
# Variables every flow has, and how a prompt list reads each out.
BUILT_IN: Mapping[str, str] = {
    "number": "say",
    "lookup_code": "say",
    "caller": "say",
    "called": "say",
    "language": "say",
    "queue": "say",
    "position": "ordinal",
    "wait_minutes": "count",
}


@dataclass(frozen=True)
class RecordRule:
    """When a recorded demand is over; all in seconds."""

    end_keys: str
    silence_s: float
    no_speech_s: float
    limit_s: float


@dataclass(frozen=True)
class ChoiceRule:
    """How a menu, a collect and a survey state wait for keys.

    `timeout_s` runs from the end of the prompts and from each digit; `retries` times the caller is asked again, after
    `timeout_play` or `invalid_play`.
    """

    timeout_s: float
    retries: int
    timeout_play: tuple[str, ...] = ()
    invalid_play: tuple[str, ...] = ()


@dataclass(frozen=True)
class CollectRule:
    """Digits into a variable: between `least` and `most`, ended by `end_key`, by the last digit or by time."""

    variable: str
    least: int
    most: int
    end_key: str


@dataclass(frozen=True)
class SurveyRule:
    """A question and the answer each key stands for; `spoken`: answer -> phrases that stand for it (`spoken.py`)."""

    question: str
    answers: Mapping[str, str]
    spoken: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Branch:
    """One test of a condition: exactly one of `hours`, `session` and `variable` is asked."""

    next: str
    hours: str = ""
    session: bool | None = None
    variable: str = ""
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class FlowState:
    """One state: what is played and how it is left. `next` holds the state's outcomes and where they lead.

    `play` and the like hold prompt names and `{variable}`s. Fields that a kind does not use keep their defaults.
    """

    name: str
    kind: str
    file: str
    line: int
    play: tuple[str, ...] = ()
    next: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    set: Mapping[str, str] = field(default_factory=dict)
    record: RecordRule | None = None
    choice: ChoiceRule | None = None
    collect: CollectRule | None = None
    survey: SurveyRule | None = None
    branches: tuple[Branch, ...] = ()
    timeout_s: float = 0.0
    target: str = ""  # the queue of enqueue, the target of dial, the subject of look_up
    music: str = ""
    announce: tuple[str, ...] = ()

    def edges(self) -> Iterator[tuple[str, str, bool]]:
        """(label, next state, whether a caller who does nothing may take it)."""
        for key, name in self.keys.items():
            yield key, name, False
        for number, branch in enumerate(self.branches, start=1):
            yield f"when {number}", branch.next, True
        for outcome, name in self.next.items():
            yield outcome, name, outcome not in ACTIVE_OUTCOMES

    def prompts(self) -> Iterator[str]:
        """Every item that may be played here."""
        yield from self.play
        yield from self.announce
        if self.choice is not None:
            yield from self.choice.timeout_play
            yield from self.choice.invalid_play
        if self.music:
            yield self.music


@dataclass(frozen=True)
class EmergencyRule:
    """Words that stand for danger to life, and what the caller is told when they are heard."""

    words: tuple[str, ...]
    play: tuple[str, ...]

    def heard_in(self, text: str) -> tuple[str, ...]:
        """The words that a recognized text holds."""
        spoken = text.replace(" ", "")
        return tuple(word for word in self.words if word in spoken)


@dataclass(frozen=True)
class Flow:
    """A whole flow. `entries`: called number -> first state; `start` for all others."""

    name: str
    start: str
    states: Mapping[str, FlowState]
    entries: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    hours: Mapping[str, OpeningHours] = field(default_factory=dict)
    queues: Mapping[str, QueueRule] = field(default_factory=dict)
    emergency: EmergencyRule | None = None
    attempts: AttemptRule | None = None
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Asia/Shanghai"))
    line: int = 1

    def entry(self, called: str) -> str:
        """The first state of a call to this number."""
        return self.entries.get(called, self.start)
