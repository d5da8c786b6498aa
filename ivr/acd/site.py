"""The distributor of a site at its leader: events of several processes in, commands out to those that hold the calls.

Several processes may know a phone and sign its seat in: the seat is there as long as one of them says so. What is
said of it at one process is passed on to the others that know it: they will tell the next leader the same.

A new leader knows nothing: until `opens_at` it listens to who is there, and only seats and conversations are taken in
at once, so that no caller is sent away for want of seats that have yet to introduce themselves.
"""

import logging
from collections.abc import Iterable

from hotline.errors import ConflictError, NotFoundError
from ivr.acd.distributor import Distributor, Seat
from ivr.acd.events import (
    CallerJoined,
    CallerLeft,
    ConversationEnded,
    ConversationResumed,
    Overflow,
    QueueCommand,
    QueueEvent,
    SeatAway,
    SeatEvent,
    SeatReady,
    SeatSignedIn,
    SeatSignedOut,
    TalkTimeMeasured,
    TimePassed,
    WrapUpResumed,
)

log = logging.getLogger(__name__)

Routed = tuple[str, QueueCommand | SeatEvent]
_AT_ONCE = (
    *(SeatSignedIn, SeatSignedOut, SeatReady, SeatAway),
    *(ConversationResumed, WrapUpResumed, TalkTimeMeasured),
)


class Site:
    """Not thread-safe; `node` names a process."""

    def __init__(self, distributor: Distributor, *, opens_at: float) -> None:
        self._distributor = distributor
        self._opens_at: float | None = opens_at
        self._deferred: list[tuple[str, QueueEvent, float]] = []
        self._node_of_call: dict[str, str] = {}
        self._nodes_of_seat: dict[str, set[str]] = {}

    @property
    def seats(self) -> tuple[Seat, ...]:
        return self._distributor.seats

    @property
    def distributor(self) -> Distributor:
        return self._distributor

    def handle(self, node: str, event: QueueEvent, now: float) -> list[Routed]:
        """An event of a process; commands, and what is passed on, with the process that each is for."""
        if self._opens_at is not None and not isinstance(event, _AT_ONCE):
            self._deferred.append((node, event, now))
            return []
        passed_on: list[Routed] = []
        match event:
            case SeatSignedIn(seat):
                nodes = self._nodes_of_seat.setdefault(seat, set())
                known = bool(nodes) and node not in nodes
                nodes.add(node)
                if known and self._serves(event):  # no news, and no reason to be ready again
                    return []
                passed_on = self._passed_on(event, sender=node)
            case SeatReady() | SeatAway():
                passed_on = self._passed_on(event, sender=node)
            case SeatSignedOut(seat, everywhere):
                nodes = self._nodes_of_seat.get(seat, set())
                if everywhere:
                    passed_on = self._passed_on(event, sender=node)
                    nodes.clear()
                nodes.discard(node)
                if nodes:
                    return []
                self._nodes_of_seat.pop(seat, None)
            case CallerJoined(call) | ConversationResumed(call):
                self._node_of_call[call] = node
        routed = self._routed(self._decide(event, now), sender=node)
        if isinstance(event, CallerLeft | ConversationEnded):
            self._node_of_call.pop(event.call, None)
        return passed_on + routed

    def tick(self, now: float) -> list[Routed]:
        """Time passes."""
        routed: list[Routed] = []
        if self._opens_at is not None and now >= self._opens_at:
            self._opens_at = None
            deferred, self._deferred = self._deferred, []
            for node, event, at in deferred:
                routed += self.handle(node, event, at)
        deadline = self._distributor.deadline
        if self._opens_at is None and deadline is not None and now >= deadline:
            routed += self._routed(self._decide(TimePassed(), now), sender="")
        return routed

    def drop(self, node: str, now: float) -> list[Routed]:
        """A process is gone with its calls and seats; or it will introduce itself anew."""
        self._deferred = [item for item in self._deferred if item[0] != node]
        routed: list[Routed] = []
        for seat in [seat for seat, nodes in self._nodes_of_seat.items() if node in nodes]:
            routed += self.handle(node, SeatSignedOut(seat), now)
        for call in [call for call, at in self._node_of_call.items() if at == node]:
            routed += self._routed(self._decide(CallerLeft(call), now), sender=node)
            del self._node_of_call[call]
        return [(to, command) for to, command in routed if to != node]

    def _passed_on(self, event: SeatEvent, *, sender: str) -> list[Routed]:
        return [(node, event) for node in sorted(self._nodes_of_seat.get(event.seat, ())) if node != sender]

    def _serves(self, event: SeatSignedIn) -> bool:
        return any(
            (seat.name, seat.queues, seat.skills) == (event.seat, event.queues, event.skills)
            for seat in self._distributor.seats
        )

    def _decide(self, event: QueueEvent, now: float) -> list[QueueCommand]:
        """A process with other queues than ours must not stop the others: its callers find the queue closed."""
        try:
            return self._distributor.handle(event, now)
        except (NotFoundError, ConflictError) as error:
            log.error("%r of another process is refused: %s", event, error)
            return [Overflow(event.call, "closed")] if isinstance(event, CallerJoined) else []

    def _routed(self, commands: Iterable[QueueCommand], *, sender: str) -> list[Routed]:
        routed: list[Routed] = []
        for command in commands:
            node = self._node_of_call.get(command.call, sender)
            if node:
                routed.append((node, command))
            if isinstance(command, Overflow):
                self._node_of_call.pop(command.call, None)
        return routed
