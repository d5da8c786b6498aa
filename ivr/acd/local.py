"""Automatic call distribution at work: the pure `Distributor` with a clock and timers, for the calls of one process."""

import logging
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from hotline.clock import Clock
from hotline.errors import NotFoundError
from ivr.acd.distributor import Distributor, Seat
from ivr.acd.events import (
    QueueCommand,
    QueueEvent,
    SeatAway,
    SeatReady,
    SeatSignedIn,
    SeatSignedOut,
    TimePassed,
)
from ivr.sip import Timer

log = logging.getLogger(__name__)


class Acd(Protocol):
    """Where callers wait for seats. What is to be done is told to the handler given at construction, a little later
    and on the SIP thread."""

    def start(self) -> None:
        """Takes part from now on, where several processes share an ACD; on the SIP thread."""
        ...

    def close(self) -> None:
        """Takes part no longer; after the SIP thread has ended."""
        ...

    def submit(self, event: QueueEvent) -> None:
        """Something happened; raises `NotFoundError` for a queue that does not exist."""
        ...

    @property
    def seats(self) -> tuple[Seat, ...]:
        """The seats that are distributed calls to from here; every seat of a site is so from one process."""
        ...


class AcdLoop(Protocol):
    """What it needs of the SIP thread."""

    def post(self, function: Callable[[], None]) -> None: ...

    def call_later(self, seconds: float, function: Callable[[], None]) -> Timer: ...


class LocalAcd:
    """Implements `Acd` for one media process. Only on the SIP thread."""

    def __init__(
        self, distributor: Distributor, *, loop: AcdLoop, clock: Clock, handle: Callable[[QueueCommand], None]
    ) -> None:
        self._distributor = distributor
        self._loop = loop
        self._clock = clock
        self._handle = handle
        self._timer: Timer | None = None

    def start(self) -> None:
        """Nothing to do: it waits for nobody."""

    def close(self) -> None:
        """Nothing to do: it holds nothing but a timer of the SIP thread."""

    def submit(self, event: QueueEvent) -> None:
        for command in self._distributor.handle(event, self._clock.monotonic()):
            self._post(command)
        self._arm()

    @property
    def seats(self) -> tuple[Seat, ...]:
        return self._distributor.seats

    def _post(self, command: QueueCommand) -> None:
        self._loop.post(lambda: self._handle(command))

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        deadline = self._distributor.deadline
        self._timer = (
            None
            if deadline is None
            else self._loop.call_later(deadline - self._clock.monotonic(), lambda: self.submit(TimePassed()))
        )


class Seats:
    """The seats of the distributor, as people and phones see them. Each method may be repeated without harm."""

    def __init__(self, acd: Acd) -> None:
        self._acd = acd

    def sign_in(self, seat: str, queues: Iterable[str], skills: Iterable[str] = ()) -> None:
        """The seat takes calls of these queues; raises `NotFoundError` for a queue that does not exist."""
        self._acd.submit(SeatSignedIn(seat, tuple(queues), frozenset(skills)))

    def sign_out(self, seat: str) -> None:
        """The seat is gone, whichever processes know its phone; a conversation of its goes on."""
        self._acd.submit(SeatSignedOut(seat, everywhere=True))

    def ready(self, seat: str) -> None:
        """The seat takes calls."""
        self._acd.submit(SeatReady(seat))

    def away(self, seat: str) -> None:
        """The seat takes no calls."""
        self._acd.submit(SeatAway(seat))

    def phone_changed(self, seat: str, queues: Iterable[str], skills: Iterable[str], *, reachable: bool) -> None:
        """A phone whose extension serves queues has registered, or is gone."""
        served = tuple(queues)
        if not served:
            return
        if not reachable:
            self._acd.submit(SeatSignedOut(seat))
            return
        try:
            self.sign_in(seat, served, skills)
        except NotFoundError as error:
            log.error("extension %s takes no calls: %s", seat, error)

    def snapshot(self) -> list[dict[str, Any]]:
        """Each seat as plain data."""
        return [
            {
                "seat": seat.name,
                "queues": list(seat.queues),
                "skills": sorted(seat.skills),
                "state": seat.state.value,
                "call_id": seat.call,
            }
            for seat in self._acd.seats
        ]
