"""How we stay registered with a carrier: a state machine. Pure: times are seconds of any clock that never goes back.

`step` takes a state and an event to the next state and what is to be sent. A table names the event's handler by phase;
an event that it does not know in a phase is late or meaningless there, and changes nothing.

RFC 3261 section 10.2. A round asks the servers one after the other, those that answer the keepalive first, until one
accepts. After a round without success comes a wait that doubles, between a half and the whole of it by chance (RFC 5626
section 4.5). Refreshes begin a round too, so that a preferred server that is back is used again. What was registered
elsewhere is left to expire: at servers that share their location service, removing it would remove what was just made.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto

Address = tuple[str, int]
REFRESH_AT = (0.75, 0.85)  # of the time granted: what is left bears some servers that say nothing
MAX_CHALLENGES = 3
LEAST_REFRESH_S = 1.0


@dataclass(frozen=True)
class RegistrationPolicy:
    """`expires_s`: asked for. `patience_s`: a server that says nothing for so long has failed."""

    expires_s: int = 600
    patience_s: float = 4.0
    backoff_s: float = 5.0
    backoff_max_s: float = 120.0


class Phase(Enum):
    """`IDLE`: no server is known. `WAITING`: every server failed."""

    IDLE = auto()
    REGISTERING = auto()
    REGISTERED = auto()
    WAITING = auto()
    UNREGISTERING = auto()
    STOPPED = auto()


@dataclass(frozen=True)
class Servers:
    """The carrier's servers are these, the preferred one first; none: its name is not found (any more)."""

    addresses: tuple[Address, ...]


@dataclass(frozen=True)
class Accepted:
    """2xx to request `attempt`, for `expires_s`."""

    attempt: int
    expires_s: int


@dataclass(frozen=True)
class Challenged:
    """401 or 407 to request `attempt`. `stale`: the secret was right, the nonce too old."""

    attempt: int
    stale: bool = False


@dataclass(frozen=True)
class TooBrief:
    """423 with Min-Expires."""

    attempt: int
    min_s: int


@dataclass(frozen=True)
class Refused:
    """Any other final answer; `retry_after_s` as it says, else 0."""

    attempt: int
    code: int
    retry_after_s: float = 0.0


@dataclass(frozen=True)
class TimePassed:
    """The state's `wake` has come."""


@dataclass(frozen=True)
class ServerDown:
    """A server does not answer its keepalive any more: what it knew of us is gone."""

    address: Address


@dataclass(frozen=True)
class ServerUp:
    """A server answers its keepalive again."""

    address: Address


@dataclass(frozen=True)
class Stop:
    """We leave."""


Event = Servers | Accepted | Challenged | TooBrief | Refused | TimePassed | ServerDown | ServerUp | Stop


@dataclass(frozen=True)
class SendRegister:
    """REGISTER to `server`, `expires_s` 0 to leave; `signed`: with an answer to the last challenge."""

    attempt: int
    server: Address
    expires_s: int
    signed: bool = False


@dataclass(frozen=True)
class Registration:
    """`at`: where we are registered, until `until`. `deadline`: when the phase is over."""

    policy: RegistrationPolicy
    phase: Phase = Phase.IDLE
    servers: tuple[Address, ...] = ()
    down: frozenset[Address] = frozenset()
    untried: tuple[Address, ...] = ()
    asked: Address | None = None
    attempt: int = 0
    challenges: int = 0
    expires_s: int = 0  # asked for in this round: a server may want more than the policy says
    hold_s: float = 0.0  # the longest Retry-After of this round
    failures: int = 0
    at: Address | None = None
    until: float = 0.0
    deadline: float | None = None

    @property
    def wake(self) -> float | None:
        """When `TimePassed` is due next."""
        times = [time for time in (self.deadline, self.until if self.at is not None else None) if time is not None]
        return min(times, default=None)


Step = tuple[Registration, SendRegister | None]


def step(state: Registration, event: Event, *, now: float, chance: float) -> Step:
    """The next state, and the request to send. `chance`: a random number from 0 to 1."""
    if state.at is not None and now >= state.until:
        state = replace(state, at=None)
    if isinstance(event, Accepted | Challenged | TooBrief | Refused) and event.attempt != state.attempt:
        return state, None
    handler = _TABLE.get((state.phase, type(event)))
    return (state, None) if handler is None else handler(state, event, now, chance)


def _on_servers(state: Registration, event: Servers, now: float, chance: float) -> Step:
    same = set(event.addresses) == set(state.servers)  # equal ones come in another order each time (RFC 2782)
    state = state if same else replace(state, servers=event.addresses)
    state = replace(state, down=state.down & set(state.servers))
    if state.phase is Phase.REGISTERED:
        return (state, None) if state.at in state.servers or not state.servers else _begin(state, now, chance)
    if state.phase is Phase.WAITING:
        return (state, None) if same else _begin(state, now, chance)
    return _begin(state, now, chance) if state.phase is Phase.IDLE and state.servers else (state, None)


def _begin(state: Registration, now: float, chance: float) -> Step:
    """A round over all servers."""
    order = tuple(sorted(state.servers, key=lambda server: server in state.down))
    return _next(replace(state, untried=order, expires_s=state.policy.expires_s, hold_s=0.0), now, chance)


def _next(state: Registration, now: float, chance: float) -> Step:
    if not state.servers:
        return replace(state, phase=Phase.IDLE, deadline=None), None
    if not state.untried:
        return _wait(state, now, chance)
    asked, *untried = state.untried
    state = replace(state, phase=Phase.REGISTERING, asked=asked, untried=tuple(untried), challenges=0)
    return _send(state, now, signed=False)


def _send(state: Registration, now: float, *, signed: bool, expires_s: int | None = None) -> Step:
    state = replace(state, attempt=state.attempt + 1, deadline=now + state.policy.patience_s)
    expires_s = state.expires_s if expires_s is None else expires_s
    return state, SendRegister(state.attempt, state.asked or ("", 0), expires_s, signed)


def _wait(state: Registration, now: float, chance: float, *, longest: bool = False) -> Step:
    policy = state.policy
    most = (
        policy.backoff_max_s
        if longest
        else min(policy.backoff_max_s, policy.backoff_s * 2.0 ** min(state.failures, 30))
    )
    wait_s = max(most * (0.5 + chance / 2), state.hold_s)
    return replace(state, phase=Phase.WAITING, failures=state.failures + 1, deadline=now + wait_s), None


def _on_accepted(state: Registration, event: Accepted, now: float, chance: float) -> Step:
    if event.expires_s <= 0:
        return _on_refused(state, event, now, chance)
    low, high = REFRESH_AT
    refresh_s = max(LEAST_REFRESH_S, event.expires_s * (low + (high - low) * chance))
    return (
        replace(
            state,
            phase=Phase.REGISTERED,
            at=state.asked,
            until=now + event.expires_s,
            deadline=now + refresh_s,
            failures=0,
            untried=(),
        ),
        None,
    )


def _on_challenged(state: Registration, event: Challenged, now: float, chance: float) -> Step:
    if state.challenges == 0 or (event.stale and state.challenges < MAX_CHALLENGES):
        return _send(replace(state, challenges=state.challenges + 1), now, signed=True)
    if event.stale:
        return _next(state, now, chance)
    return _wait(state, now, chance, longest=True)  # a wrong secret, asked again and again, gets us banned


def _on_too_brief(state: Registration, event: TooBrief, now: float, chance: float) -> Step:
    if event.min_s <= state.expires_s:
        return _next(state, now, chance)
    return _send(replace(state, expires_s=event.min_s, challenges=0), now, signed=state.challenges > 0)


def _on_refused(state: Registration, event: object, now: float, chance: float) -> Step:
    if isinstance(event, Refused):
        state = replace(state, hold_s=max(state.hold_s, min(event.retry_after_s, state.policy.backoff_max_s)))
    return _next(state, now, chance)


def _on_due(state: Registration, event: object, now: float, chance: float) -> Step:
    due = state.deadline is not None and now >= state.deadline
    if not due:
        return state, None
    return _next(state, now, chance) if state.phase is Phase.REGISTERING else _begin(state, now, chance)


def _on_down(state: Registration, event: ServerDown, now: float, chance: float) -> Step:
    state = replace(state, down=state.down | ({event.address} & set(state.servers)))
    if state.at != event.address:
        return state, None
    state = replace(state, at=None)
    return _begin(state, now, chance) if state.phase is Phase.REGISTERED else (state, None)


def _on_up(state: Registration, event: ServerUp, now: float, chance: float) -> Step:
    state = replace(state, down=state.down - {event.address})
    if event.address not in state.servers or state.phase is Phase.REGISTERING:
        return state, None
    better = state.at is None or state.servers.index(event.address) < _rank(state)
    return _begin(state, now, chance) if better else (state, None)


def _rank(state: Registration) -> int:
    return state.servers.index(state.at) if state.at in state.servers else len(state.servers)


def _on_stop(state: Registration, event: object, now: float, chance: float) -> Step:
    if state.at is None:
        return _stopped(state, event, now, chance)
    return _send(
        replace(state, phase=Phase.UNREGISTERING, asked=state.at, challenges=0), now, signed=False, expires_s=0
    )


def _on_challenged_leaving(state: Registration, event: Challenged, now: float, chance: float) -> Step:
    if state.challenges == 0:
        return _send(replace(state, challenges=1), now, signed=True, expires_s=0)
    return _stopped(state, event, now, chance)


def _stopped(state: Registration, event: object, now: float, chance: float) -> Step:
    return replace(state, phase=Phase.STOPPED, at=None, deadline=None), None


Handler = Callable[..., Step]
_REGISTERED_OR_NOT: Mapping[type, Handler] = {
    Servers: _on_servers,
    ServerDown: _on_down,
    ServerUp: _on_up,
    Stop: _on_stop,
}
_BY_PHASE: Mapping[Phase, Mapping[type, Handler]] = {
    Phase.IDLE: _REGISTERED_OR_NOT,
    Phase.REGISTERING: {
        **_REGISTERED_OR_NOT,
        Accepted: _on_accepted,
        Challenged: _on_challenged,
        TooBrief: _on_too_brief,
        Refused: _on_refused,
        TimePassed: _on_due,
    },
    Phase.REGISTERED: {**_REGISTERED_OR_NOT, TimePassed: _on_due},
    Phase.WAITING: {**_REGISTERED_OR_NOT, TimePassed: _on_due},
    Phase.UNREGISTERING: {
        Accepted: _stopped,
        Challenged: _on_challenged_leaving,
        TooBrief: _stopped,
        Refused: _stopped,
        TimePassed: _stopped,
    },
    Phase.STOPPED: {},
}
_TABLE = {(phase, kind): handler for phase, row in _BY_PHASE.items() for kind, handler in row.items()}
