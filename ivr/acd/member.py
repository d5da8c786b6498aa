"""What one media process knows of its own callers and seats, whoever distributes them: the truth that a new leader is
told.

Every command passes through `take`, which lets through only what still means something here: a caller is connected at
most once, to a seat that rings for it, and a late command for a caller who has gone does nothing.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from hotline.errors import ConflictError, NotFoundError
from ivr.acd.distributor import AVERAGE_WEIGHT
from ivr.acd.events import (
    Announce,
    CallerJoined,
    CallerLeft,
    CancelRinging,
    Connect,
    ConversationEnded,
    ConversationResumed,
    Overflow,
    QueueCommand,
    QueueEvent,
    RingSeats,
    SeatAway,
    SeatEvent,
    SeatNotAnswered,
    SeatReady,
    SeatSignedIn,
    SeatSignedOut,
    TalkTimeMeasured,
    WrapUpResumed,
)


@dataclass(frozen=True)
class _Waiting:
    event: CallerJoined
    joined: float
    ringing: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Talking:
    seat: str
    queue: str
    since: float


@dataclass(frozen=True)
class _WrappingUp:
    queue: str
    since: float


@dataclass(frozen=True)
class _TalkTime:
    """Of the conversations of a queue: the newer weigh more."""

    average_s: float = 0.0
    count: int = 0

    def with_one(self, talk_s: float) -> "_TalkTime":
        count = self.count + 1
        return _TalkTime(self.average_s + max(AVERAGE_WEIGHT, 1 / count) * (talk_s - self.average_s), count)


@dataclass(frozen=True)
class _OwnSeat:
    """A seat that signed in at this process."""

    event: SeatSignedIn
    away: bool = False


class Member:
    """The callers whose calls this process holds, and the seats that signed in here. Times in monotonic seconds."""

    def __init__(self, queues: Iterable[str]) -> None:
        self._queues = frozenset(queues)
        self._waiting: dict[str, _Waiting] = {}
        self._talking: dict[str, _Talking] = {}
        self._seats: dict[str, _OwnSeat] = {}
        self._wrapping_up: dict[str, _WrappingUp] = {}  # after conversations of ours, also of seats of others
        self._talk_times: dict[str, _TalkTime] = {}

    def note(self, event: QueueEvent, now: float) -> None:
        """Something happens here. Raises `NotFoundError` for an unknown queue and `ConflictError` for a caller that
        waits or talks already."""
        match event:
            case CallerJoined(call, queue):
                self._know((queue,))
                if call in self._waiting or call in self._talking:
                    raise ConflictError(f"call {call} is already waiting or talking")
                self._waiting[call] = _Waiting(event, now - event.waited_s)
            case CallerLeft(call):
                self._waiting.pop(call, None)
                self._conversation_over(call, now)
            case SeatNotAnswered(call, seat):
                self._ring_no_more(call, frozenset({seat}))
            case ConversationEnded(call, seat):
                talking = self._talking.get(call)
                if talking is not None and talking.seat == seat:
                    self._conversation_over(call, now)
            case SeatSignedIn(seat, queues):
                self._know(queues)
                self._seats[seat] = _OwnSeat(event)
            case SeatSignedOut(seat):
                self._seats.pop(seat, None)
                self._wrapping_up.pop(seat, None)
            case SeatAway(seat) | SeatReady(seat):
                self._wrapping_up.pop(seat, None)
                if seat in self._seats:
                    self._seats[seat] = replace(self._seats[seat], away=isinstance(event, SeatAway))

    def hear(self, event: SeatEvent, now: float) -> None:
        """What was said at another process of a seat that signed in here too."""
        if event.seat in self._seats:
            with suppress(NotFoundError):  # a queue that only the other one has
                self.note(event, now)

    def take(self, command: QueueCommand, now: float) -> bool:
        """Whether a command is to be carried out; it is then taken as done."""
        match command:
            case RingSeats(call, seats):
                waiting = self._waiting.get(call)
                if waiting is None:
                    return False
                self._waiting[call] = replace(waiting, ringing=waiting.ringing | set(seats))
            case CancelRinging(call, seats):  # also of a call that has gone: its phones are told at any rate
                self._ring_no_more(call, frozenset(seats))
            case Connect(call, seat):
                waiting = self._waiting.get(call)
                if waiting is None or seat not in waiting.ringing:
                    return False
                del self._waiting[call]
                self._talking[call] = _Talking(seat, waiting.event.queue, now)
                self._wrapping_up.pop(seat, None)
            case Announce(call):
                return call in self._waiting
            case Overflow(call):
                return self._waiting.pop(call, None) is not None
        return True

    def stop_ringing(self) -> list[QueueCommand]:
        """Before another distributor takes over: it does not know what rings."""
        commands: list[QueueCommand] = []
        for call, waiting in self._waiting.items():
            if waiting.ringing:
                commands.append(CancelRinging(call, tuple(sorted(waiting.ringing))))
                self._waiting[call] = replace(waiting, ringing=frozenset())
        return commands

    def introduction(self, now: float) -> list[QueueEvent]:
        """What a distributor that knows nothing has to be told: how long people talk, what seats do, which callers wait
        and since when."""
        events: list[QueueEvent] = [
            TalkTimeMeasured(queue, measured.average_s, measured.count) for queue, measured in self._talk_times.items()
        ]
        for name, last in self._wrapping_up.items():  # before the seats: none may ring in between
            events.append(WrapUpResumed(name, last.queue, max(0.0, now - last.since)))
        for name, seat in self._seats.items():
            events += [seat.event, SeatAway(name)] if seat.away else [seat.event]
        for call, talking in self._talking.items():
            events.append(ConversationResumed(call, talking.seat, talking.queue, max(0.0, now - talking.since)))
        for waiting in self._waiting.values():
            events.append(replace(waiting.event, waited_s=max(0.0, now - waiting.joined)))
        return events

    def _conversation_over(self, call: str, now: float) -> None:
        talking = self._talking.pop(call, None)
        if talking is not None:
            self._wrapping_up[talking.seat] = _WrappingUp(talking.queue, now)
            measured = self._talk_times.get(talking.queue, _TalkTime())
            self._talk_times[talking.queue] = measured.with_one(now - talking.since)

    def _know(self, queues: Iterable[str]) -> None:
        unknown = [name for name in queues if name not in self._queues]
        if unknown:
            raise NotFoundError(f"no queue named {', '.join(unknown)}")

    def _ring_no_more(self, call: str, seats: frozenset[str]) -> None:
        waiting = self._waiting.get(call)
        if waiting is not None:
            self._waiting[call] = replace(waiting, ringing=waiting.ringing - seats)
