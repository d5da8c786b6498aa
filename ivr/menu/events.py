"""What happens to a call in a flow (events) and what the flow wants done (commands): one frozen dataclass each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

# --- events ---


@dataclass(frozen=True)
class Answered:
    """The call stands; the flow starts.

    `at`: the time of day (aware), without which business hours count as closed. `variables`: what an outbound call
    brings along.
    """

    at: datetime | None = None
    caller: str = ""
    called: str = ""
    session_open: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)


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
class Heard:
    """What the caller said: a final caption. `offset_ms`: where its last word ends on the recording's clock."""

    text: str
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


@dataclass(frozen=True)
class SessionChanged:
    """The live session opened or closed."""

    open: bool


@dataclass(frozen=True)
class EmergencyHeard:
    """The caller said words that stand for danger to life."""

    words: tuple[str, ...]


@dataclass(frozen=True)
class QueuePosition:
    """Where the waiting caller stands (1: next) and the expected wait in seconds."""

    position: int
    wait_s: float


@dataclass(frozen=True)
class SeatAnswered:
    """A seat, or the party that was dialled, picked up."""

    seat: str


@dataclass(frozen=True)
class BridgeEnded:
    """The other party left the conversation; the caller is still there."""


@dataclass(frozen=True)
class QueueLeft:
    """The queue gave the caller up: `full`, `closed` (nobody serves it) or `timeout`."""

    reason: str


@dataclass(frozen=True)
class CallbackRequested:
    """Somebody decided for the waiting caller that we call back."""


@dataclass(frozen=True)
class DialFailed:
    """The dialled party was not reached: `busy`, `no_answer`, `rejected`, `unreachable`."""

    reason: str


@dataclass(frozen=True)
class LookedUp:
    """What a `LookUp` found, by variable; None: nothing fits."""

    values: Mapping[str, str] | None


MenuEvent = (
    Answered
    | PlaybackEnded
    | Digit
    | SpeechStarted
    | SpeechEnded
    | Heard
    | NumberAssigned
    | TimePassed
    | SessionChanged
    | EmergencyHeard
    | QueuePosition
    | SeatAnswered
    | BridgeEnded
    | QueueLeft
    | CallbackRequested
    | DialFailed
    | LookedUp
)


# --- commands ---


@dataclass(frozen=True)
class Play:
    """Play these prompts in order, each in `language` where it has it (empty: the site's); `loop`: until stopped.

    An item is a prompt's name, or `say:` (spelled), `count:` (a quantity) or `ordinal:` with a text to be read out.
    """

    items: tuple[str, ...]
    loop: bool = False
    language: str = ""


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
class Enqueue:
    """Put the caller into a queue; `QueuePosition`, `SeatAnswered` or `QueueLeft` follow."""

    queue: str


@dataclass(frozen=True)
class LeaveQueue:
    """The caller waits no longer."""


@dataclass(frozen=True)
class Dial:
    """Call this target; `SeatAnswered` or `DialFailed` should follow within `timeout_s`."""

    target: str
    timeout_s: float


@dataclass(frozen=True)
class CancelDial:
    """Give the dialled call up."""


@dataclass(frozen=True)
class Bridge:
    """Let the caller and the party that answered talk; `BridgeEnded` follows if that party leaves."""

    seat: str


@dataclass(frozen=True)
class SetVariable:
    """A variable got a value: for the journal and the caller's card."""

    name: str
    value: str


@dataclass(frozen=True)
class Survey:
    """The answer to one question of a call-back; a later one to the same question corrects it.

    `means`: `key` or `voice`; `offset_ms`: where in the recording it was given.
    """

    question: str
    answer: str
    means: str
    offset_ms: int


@dataclass(frozen=True)
class LookUp:
    """Find something out; `LookedUp` should follow."""

    subject: str
    values: Mapping[str, str]


@dataclass(frozen=True)
class RequestCallback:
    """Make a task of calling the caller back; `queue`: the one the caller waited in, or empty."""

    queue: str


@dataclass(frozen=True)
class StartAlarm:
    """Danger to life: tell the people on duty at once."""

    words: tuple[str, ...]


@dataclass(frozen=True)
class Hangup:
    """The flow is over."""


MenuCommand = (
    Play
    | StopPlaying
    | DemandRecorded
    | RequestNumber
    | Enqueue
    | LeaveQueue
    | Dial
    | CancelDial
    | Bridge
    | SetVariable
    | Survey
    | LookUp
    | RequestCallback
    | StartAlarm
    | Hangup
)
