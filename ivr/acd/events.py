"""What happens at the queues and seats (events) and what is to be done (commands): one frozen dataclass each."""

from dataclasses import dataclass

# --- events ---


@dataclass(frozen=True)
class CallerJoined:
    """A caller wants to wait. `skills` and `priority` add to the queue's own; `waited_s` has been waited elsewhere."""

    call: str
    queue: str
    skills: frozenset[str] = frozenset()
    priority: int = 0
    waited_s: float = 0.0


@dataclass(frozen=True)
class CallerLeft:
    """The caller hung up or chose something else; also the end of a conversation by the caller."""

    call: str


@dataclass(frozen=True)
class SeatSignedIn:
    """A seat is there and ready; signing in again changes its queues and skills."""

    seat: str
    queues: tuple[str, ...]
    skills: frozenset[str] = frozenset()


@dataclass(frozen=True)
class SeatSignedOut:
    """A seat is gone. A conversation it holds goes on until it is ended. `everywhere`: a person said so; otherwise this
    process has lost its phone, and another may still know it."""

    seat: str
    everywhere: bool = False


@dataclass(frozen=True)
class SeatReady:
    """The seat takes calls (again), before its wrap-up time is over if it wants."""

    seat: str


@dataclass(frozen=True)
class SeatAway:
    """The seat takes no calls; a conversation it holds goes on."""

    seat: str


@dataclass(frozen=True)
class SeatAnswered:
    """The seat picked up."""

    call: str
    seat: str


@dataclass(frozen=True)
class SeatNotAnswered:
    """The seat did not take the call; `busy`: it is on another line."""

    call: str
    seat: str
    busy: bool = False


@dataclass(frozen=True)
class ConversationResumed:
    """The seat has talked to a caller of `queue` for `talked_s` already: said to a distributor that takes over."""

    call: str
    seat: str
    queue: str
    talked_s: float


@dataclass(frozen=True)
class WrapUpResumed:
    """The seat's last conversation, with a caller of `queue`, is over since `ended_s`: said to a distributor that takes
    over, which lets the seat have the rest of its wrap-up time."""

    seat: str
    queue: str
    ended_s: float


@dataclass(frozen=True)
class TalkTimeMeasured:
    """`count` conversations of the queue took `talk_s` on average: said to a distributor that takes over."""

    queue: str
    talk_s: float
    count: int


@dataclass(frozen=True)
class ConversationEnded:
    """The seat left the conversation."""

    call: str
    seat: str


@dataclass(frozen=True)
class TimePassed:
    """`now` has reached the deadline."""


SeatEvent = SeatSignedIn | SeatSignedOut | SeatReady | SeatAway
QueueEvent = (
    CallerJoined
    | CallerLeft
    | SeatSignedIn
    | SeatSignedOut
    | SeatReady
    | SeatAway
    | SeatAnswered
    | SeatNotAnswered
    | ConversationResumed
    | WrapUpResumed
    | TalkTimeMeasured
    | ConversationEnded
    | TimePassed
)


# --- commands ---


@dataclass(frozen=True)
class RingSeats:
    """Ring these seats for the caller; `SeatAnswered` or `SeatNotAnswered` follow."""

    call: str
    seats: tuple[str, ...]


@dataclass(frozen=True)
class CancelRinging:
    """Stop ringing these seats for the caller."""

    call: str
    seats: tuple[str, ...]


@dataclass(frozen=True)
class Connect:
    """The caller and the seat talk."""

    call: str
    seat: str


@dataclass(frozen=True)
class Announce:
    """Tell the caller the position (1: next) and the expected wait in seconds."""

    call: str
    position: int
    wait_s: float


@dataclass(frozen=True)
class Overflow:
    """The queue gives the caller up: `full`, `closed` or `timeout`."""

    call: str
    reason: str


QueueCommand = RingSeats | CancelRinging | Connect | Announce | Overflow
