"""Automatic call distribution: which caller rings at which seat, as a pure machine.

Callers: the highest priority first, then the longest waiting. A seat takes calls of the queues it serves, if it has
every skill the caller needs (a unit or an enterprise line is a skill). `handle(event, now)` returns commands; `now` is
in monotonic seconds, and `TimePassed` is due at `deadline`. Rules:

- A caller waits, rings or talks at one seat; a seat rings for or talks to one caller.
- A seat that answers after its call has gone is told to stop ringing and gets no call.
- A seat that does not answer `no_answers` times in a row is set away; a busy one is left alone for `busy_s`.
- A caller is given up after `max_wait_s`, or at once where the queue is full or nobody who could answer is signed in.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum

from hotline.errors import ConflictError, NotFoundError
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
    SeatAnswered,
    SeatAway,
    SeatNotAnswered,
    SeatReady,
    SeatSignedIn,
    SeatSignedOut,
    TalkTimeMeasured,
    TimePassed,
    WrapUpResumed,
)
from ivr.acd.rule import QueueRule, Strategy


class SeatState(StrEnum):
    """What a seat is doing. `PAUSED`: wrapping up or busy, ready again by itself."""

    AWAY = "away"
    READY = "ready"
    RINGING = "ringing"
    TALKING = "talking"
    PAUSED = "paused"


class SeatAction(Enum):
    """What happens to a seat."""

    READY = "ready"
    AWAY = "away"
    RING = "ring"
    ANSWER = "answer"
    RELEASE = "release"  # it rings no more: answered elsewhere, hung up, or it did not answer
    RESUME = "resume"  # it talks already: another distributor connected it
    PAUSE = "pause"  # the conversation is over, or it is busy


SEATS: dict[tuple[SeatState, SeatAction], SeatState] = {
    (SeatState.AWAY, SeatAction.READY): SeatState.READY,
    (SeatState.AWAY, SeatAction.AWAY): SeatState.AWAY,
    (SeatState.READY, SeatAction.READY): SeatState.READY,
    (SeatState.READY, SeatAction.AWAY): SeatState.AWAY,
    (SeatState.READY, SeatAction.RING): SeatState.RINGING,
    (SeatState.RINGING, SeatAction.AWAY): SeatState.AWAY,
    (SeatState.RINGING, SeatAction.ANSWER): SeatState.TALKING,
    (SeatState.RINGING, SeatAction.RELEASE): SeatState.READY,
    (SeatState.RINGING, SeatAction.PAUSE): SeatState.PAUSED,
    (SeatState.AWAY, SeatAction.RESUME): SeatState.TALKING,
    (SeatState.READY, SeatAction.RESUME): SeatState.TALKING,
    (SeatState.READY, SeatAction.PAUSE): SeatState.PAUSED,
    (SeatState.PAUSED, SeatAction.RESUME): SeatState.TALKING,
    (SeatState.TALKING, SeatAction.PAUSE): SeatState.PAUSED,
    (SeatState.TALKING, SeatAction.AWAY): SeatState.AWAY,
    (SeatState.PAUSED, SeatAction.READY): SeatState.READY,
    (SeatState.PAUSED, SeatAction.AWAY): SeatState.AWAY,
}


@dataclass(frozen=True)
class Waiting:
    """A caller in a queue. `ringing`: the seats that ring; `tried`: those that did not answer in this round."""

    call: str
    queue: str
    skills: frozenset[str]
    priority: int
    joined: float
    announce_at: float
    ringing: frozenset[str] = frozenset()
    ring_until: float | None = None
    tried: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Seat:
    """A seat that is signed in: idle `since`, paused `until`; `then` follows its conversation, or it is `leaving`."""

    name: str
    queues: tuple[str, ...]
    skills: frozenset[str]
    state: SeatState = SeatState.READY
    since: float = 0.0
    until: float | None = None
    call: str = ""
    queue: str = ""  # the call's
    talking_since: float = 0.0
    missed: int = 0
    then: SeatAction = SeatAction.PAUSE
    leaving: bool = False


AVERAGE_WEIGHT = 0.1  # of the newest conversation in the running average
FIRST_GUESS_COUNTS = 1  # as so many conversations, beside those measured under another distributor


@dataclass
class _Queue:
    rule: QueueRule
    handle_s: float  # average talk and wrap-up
    told: int = FIRST_GUESS_COUNTS  # conversations that the average stood for when it was last told one
    last_rung: str = ""
    order: list[str] = field(default_factory=list)  # names of its seats by sign-in


class Distributor:
    """All queues and seats of a site. Holds no thread, socket or clock."""

    def __init__(self, rules: Iterable[QueueRule], *, no_answers: int = 3, busy_s: float = 10.0) -> None:
        self._queues = {rule.name: _Queue(rule, rule.talk_s + rule.wrap_up_s) for rule in rules}
        self._no_answers = no_answers
        self._busy_s = busy_s
        self._callers: dict[str, Waiting] = {}
        self._seats: dict[str, Seat] = {}
        self._wrap_ups: dict[str, float] = {}  # of seats that have yet to sign in here: until when

    @property
    def deadline(self) -> float | None:
        """When `TimePassed` is due; None: never."""
        times = [seat.until for seat in self._seats.values() if seat.until is not None]
        for caller in self._callers.values():
            times += [self._gives_up(caller), caller.announce_at]
            times += [] if caller.ring_until is None else [caller.ring_until]
        return min(times, default=None)

    def waiting(self, queue: str) -> tuple[Waiting, ...]:
        """The callers of a queue, the next one first."""
        return tuple(sorted((c for c in self._callers.values() if c.queue == queue), key=_rank))

    @property
    def seats(self) -> tuple[Seat, ...]:
        return tuple(self._seats.values())

    def handle(self, event: QueueEvent, now: float) -> list[QueueCommand]:
        """One event. Raises `NotFoundError` for an unknown queue and `ConflictError` for a caller that already waits;
        other events that mean nothing any more (a late answer) change nothing but stop what still rings."""
        match event:
            case CallerJoined():
                commands = self._join(event, now)
            case CallerLeft(call):
                commands = self._remove(call, now)
            case SeatSignedIn():
                commands = self._sign_in(event, now)
            case SeatSignedOut(name):
                commands = self._sign_out(name, now)
            case SeatReady(name):
                commands = self._ready(name, now)
            case SeatAway(name):
                commands = self._away(name, now)
            case SeatAnswered(call, name):
                commands = self._answered(call, name, now)
            case SeatNotAnswered(call, name, busy):
                commands = self._not_answered(call, (name,), now, busy=busy)
            case ConversationResumed():
                commands = self._resume(event, now)
            case WrapUpResumed():
                commands = self._resume_wrap_up(event, now)
            case TalkTimeMeasured():
                commands = self._learn(event)
            case ConversationEnded(call, name):
                commands = self._conversation_over(call, name, now)
            case TimePassed():
                commands = self._time_passed(now)
        return commands + self._assign(now)

    # --- callers ---

    def _join(self, event: CallerJoined, now: float) -> list[QueueCommand]:
        queue = self._queue(event.queue)
        if event.call in self._callers or any(seat.call == event.call for seat in self._seats.values()):
            raise ConflictError(f"call {event.call} is already waiting or talking")
        rule = queue.rule
        skills = event.skills | rule.skills
        if not any(self._serves(seat, rule.name, skills) for seat in self._seats.values()):
            return [Overflow(event.call, "closed")]
        if not event.waited_s and len(self.waiting(rule.name)) >= rule.max_length:
            return [Overflow(event.call, "full")]
        self._callers[event.call] = Waiting(
            call=event.call,
            queue=rule.name,
            skills=skills,
            priority=event.priority + rule.priority,
            joined=now - event.waited_s,
            announce_at=now,
        )
        return []

    def _remove(self, call: str, now: float) -> list[QueueCommand]:
        """The caller is gone from wherever it is."""
        caller = self._callers.pop(call, None)
        if caller is None:
            talking = [seat.name for seat in self._seats.values() if seat.call == call]
            return [command for name in talking for command in self._conversation_over(call, name, now)]
        for name in caller.ringing:
            self._move(name, SeatAction.RELEASE, call="")
        return [CancelRinging(call, tuple(sorted(caller.ringing)))] if caller.ringing else []

    # --- seats ---

    def _sign_in(self, event: SeatSignedIn, now: float) -> list[QueueCommand]:
        unknown = [name for name in event.queues if name not in self._queues]
        if unknown:
            raise NotFoundError(f"no queue named {', '.join(unknown)}")
        present = self._seats.get(event.seat)
        until = self._wrap_ups.pop(event.seat, now)
        if present is None:
            self._seats[event.seat] = Seat(event.seat, event.queues, event.skills, since=now)
            if until > now:
                self._move(event.seat, SeatAction.PAUSE, until=until)
        else:
            self._seats[event.seat] = replace(present, queues=event.queues, skills=event.skills, leaving=False)
        for name, queue in self._queues.items():
            queue.order = [seat for seat in queue.order if seat != event.seat or name in event.queues]
            if name in event.queues and event.seat not in queue.order:
                queue.order.append(event.seat)
        return [] if present is None or present.state is not SeatState.AWAY else self._ready(event.seat, now)

    def _sign_out(self, name: str, now: float) -> list[QueueCommand]:
        seat = self._seats.get(name)
        if seat is None:
            return []
        if seat.state is SeatState.TALKING:
            self._seats[name] = replace(seat, leaving=True, queues=())
            commands: list[QueueCommand] = []
        else:
            commands = self._away(name, now)
            del self._seats[name]
        for queue in self._queues.values():
            queue.order = [other for other in queue.order if other != name]
        return commands

    def _ready(self, name: str, now: float) -> list[QueueCommand]:
        seat = self._seats.get(name)
        if seat is None:
            return []
        if seat.state is SeatState.TALKING:
            self._seats[name] = replace(seat, then=SeatAction.PAUSE)
        elif (seat.state, SeatAction.READY) in SEATS and seat.state is not SeatState.READY:
            self._move(name, SeatAction.READY, since=now, until=None, missed=0)
        return []

    def _away(self, name: str, now: float) -> list[QueueCommand]:
        """No calls from now on; a call that rings there goes to others."""
        seat = self._seats.get(name)
        if seat is None:
            return []
        if seat.state is SeatState.TALKING:
            self._seats[name] = replace(seat, then=SeatAction.AWAY)
            return []
        commands = self._stop_ringing(name) if seat.state is SeatState.RINGING else []
        self._move(name, SeatAction.AWAY, until=None, call="", missed=0)
        return commands

    def _answered(self, call: str, name: str, now: float) -> list[QueueCommand]:
        caller = self._callers.get(call)
        if caller is None or name not in caller.ringing:
            return [CancelRinging(call, (name,))]
        others = tuple(sorted(caller.ringing - {name}))
        del self._callers[call]
        for other in others:
            self._move(other, SeatAction.RELEASE, call="")
        self._move(name, SeatAction.ANSWER, queue=caller.queue, talking_since=now, missed=0, then=SeatAction.PAUSE)
        cancel: list[QueueCommand] = [CancelRinging(call, others)] if others else []
        return [Connect(call, name), *cancel]

    def _not_answered(self, call: str, names: tuple[str, ...], now: float, *, busy: bool) -> list[QueueCommand]:
        for name in names:
            seat = self._seats.get(name)
            if seat is None or seat.state is not SeatState.RINGING or seat.call != call:
                continue
            self._stop_ringing(name)
            if busy:
                self._move(name, SeatAction.PAUSE, until=now + self._busy_s, call="")
            elif seat.missed + 1 >= self._no_answers:
                self._move(name, SeatAction.AWAY, call="", missed=0)
            else:
                self._move(name, SeatAction.RELEASE, call="", missed=seat.missed + 1)
        return []

    def _resume(self, event: ConversationResumed, now: float) -> list[QueueCommand]:
        """A seat that has not signed in here yet is one that leaves after its conversation, until it does."""
        self._queue(event.queue)
        seat = self._seats.setdefault(event.seat, Seat(event.seat, (), frozenset(), since=now, leaving=True))
        if seat.state is SeatState.TALKING:
            return []
        then = SeatAction.AWAY if seat.state is SeatState.AWAY else SeatAction.PAUSE
        commands = self._stop_ringing(event.seat) if seat.state is SeatState.RINGING else []
        if commands:
            self._move(event.seat, SeatAction.RELEASE)
        since = now - event.talked_s
        self._move(
            *(event.seat, SeatAction.RESUME),
            call=event.call,
            queue=event.queue,
            talking_since=since,
            until=None,
            then=then,
        )
        return commands

    def _resume_wrap_up(self, event: WrapUpResumed, now: float) -> list[QueueCommand]:
        """A seat that talks or rings again, or is away, has done with it; one may also sign in here only later."""
        seat, until = self._seats.get(event.seat), now - event.ended_s + self._queue(event.queue).rule.wrap_up_s
        if until <= now:
            return []
        if seat is None:
            self._wrap_ups[event.seat] = max(until, self._wrap_ups.get(event.seat, until))
        elif seat.state is SeatState.READY:
            self._move(seat.name, SeatAction.PAUSE, until=until)
        elif seat.until is not None:
            self._seats[seat.name] = replace(seat, until=max(until, seat.until))
        return []

    def _learn(self, event: TalkTimeMeasured) -> list[QueueCommand]:
        """Averages of several processes weigh as many conversations as each stands for."""
        queue = self._queue(event.queue)
        count = max(event.count, 0)
        queue.told += count
        queue.handle_s += count / queue.told * (event.talk_s + queue.rule.wrap_up_s - queue.handle_s)
        return []

    def _conversation_over(self, call: str, name: str, now: float) -> list[QueueCommand]:
        seat = self._seats.get(name)
        if seat is None or seat.state is not SeatState.TALKING or seat.call != call:
            return []
        queue = self._queues[seat.queue]
        wrap_up_s = queue.rule.wrap_up_s
        queue.handle_s += AVERAGE_WEIGHT * (now - seat.talking_since + wrap_up_s - queue.handle_s)
        if seat.leaving:
            del self._seats[name]
        else:
            until = now + wrap_up_s if seat.then is SeatAction.PAUSE else None
            self._move(name, seat.then, until=until, call="", since=now)
        return []

    # --- time and choice ---

    def _time_passed(self, now: float) -> list[QueueCommand]:
        commands: list[QueueCommand] = []
        for seat in list(self._seats.values()):
            if seat.until is not None and now >= seat.until:
                self._move(seat.name, SeatAction.READY, until=None, since=max(seat.since, seat.until))
        for caller in sorted(self._callers.values(), key=_rank):
            if now >= self._gives_up(caller):
                commands += [*self._remove(caller.call, now), Overflow(caller.call, "timeout")]
            elif caller.ring_until is not None and now >= caller.ring_until:
                seats = tuple(sorted(caller.ringing))
                commands += [CancelRinging(caller.call, seats)]
                commands += self._not_answered(caller.call, seats, now, busy=False)
        return commands

    def _assign(self, now: float) -> list[QueueCommand]:
        """Rings seats for those who wait, then tells the others where they stand."""
        commands: list[QueueCommand] = []
        nobody: set[tuple[str, frozenset[str]]] = set()  # queue and skills no ready seat has: one look for all callers
        for caller in sorted(self._callers.values(), key=_rank):
            needs = caller.queue, caller.skills
            if not caller.ringing and needs not in nobody:
                offered = self._offer(caller, now)
                commands += offered
                if not offered:
                    nobody.add(needs)
        for name, queue in self._queues.items():
            for position, caller in enumerate(self.waiting(name), start=1):
                if now >= caller.announce_at:
                    self._callers[caller.call] = replace(caller, announce_at=now + queue.rule.announce_every_s)
                    if not caller.ringing:
                        commands.append(Announce(caller.call, position, self._expected_wait(queue, position)))
        return commands

    def _offer(self, caller: Waiting, now: float) -> list[QueueCommand]:
        queue = self._queues[caller.queue]
        seats = [self._seats[name] for name in queue.order]
        able = [seat for seat in seats if seat.state is SeatState.READY and caller.skills <= seat.skills]
        fresh = [seat for seat in able if seat.name not in caller.tried]
        if not fresh and able:  # all have been tried: a new round
            caller, fresh = replace(caller, tried=frozenset()), able
        if not fresh:
            return []
        match queue.rule.strategy:
            case Strategy.RING_ALL:
                chosen = fresh
            case Strategy.RING_ONE:
                chosen = fresh[:1]
            case Strategy.LONGEST_IDLE:
                chosen = [min(fresh, key=lambda seat: seat.since)]
            case Strategy.ROUND_ROBIN:
                last = queue.order.index(queue.last_rung) if queue.last_rung in queue.order else -1
                size = len(queue.order)
                chosen = [min(fresh, key=lambda seat: (queue.order.index(seat.name) - last - 1) % size)]
        names = tuple(seat.name for seat in chosen)
        queue.last_rung = names[-1]
        for name in names:
            self._move(name, SeatAction.RING, call=caller.call)
        self._callers[caller.call] = replace(caller, ringing=frozenset(names), ring_until=now + queue.rule.ring_s)
        return [RingSeats(caller.call, names)]

    def _stop_ringing(self, name: str) -> list[QueueCommand]:
        """Takes the seat out of the call that rings there; the seat's own state is the caller's business."""
        seat = self._seats[name]
        caller = self._callers[seat.call]
        ringing = caller.ringing - {name}
        self._callers[caller.call] = replace(
            caller,
            ringing=ringing,
            ring_until=caller.ring_until if ringing else None,
            tried=caller.tried | {name},
        )
        return [CancelRinging(caller.call, (name,))]

    def _expected_wait(self, queue: _Queue, position: int) -> float:
        """Those ahead and the caller, each for the average time, shared by the seats that serve the queue."""
        serving = sum(self._seats[name].state is not SeatState.AWAY for name in queue.order)
        return float(math.ceil(position * queue.handle_s / max(serving, 1)))

    def _queue(self, name: str) -> _Queue:
        try:
            return self._queues[name]
        except KeyError:
            raise NotFoundError(f"no queue named {name}") from None

    def _gives_up(self, caller: Waiting) -> float:
        return caller.joined + self._queues[caller.queue].rule.max_wait_s

    def _serves(self, seat: Seat, queue: str, skills: frozenset[str]) -> bool:
        return queue in seat.queues and seat.state is not SeatState.AWAY and skills <= seat.skills

    def _move(self, name: str, action: SeatAction, **changes: object) -> None:
        seat = self._seats[name]
        self._seats[name] = replace(seat, state=SEATS[seat.state, action], **changes)  # type: ignore[arg-type]


def _rank(caller: Waiting) -> tuple[int, float, str]:
    return -caller.priority, caller.joined, caller.call
