"""Processes that share a call distributor over a real broker; each has a SIP thread's loop of its own."""

import heapq
import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hotline.bus import Event, ValkeyBus
from hotline.clock import SystemClock
from hotline.election import ValkeyElection
from hotline.errors import NotFoundError
from hotline.settings import Settings
from hotline.supervisor import valkey_command
from ivr.acd.distributor import SeatState
from ivr.acd.events import (
    Announce,
    CallerJoined,
    Connect,
    QueueCommand,
    QueueEvent,
    RingSeats,
    SeatAnswered,
    SeatSignedIn,
)
from ivr.acd.node import Role
from ivr.acd.rule import QueueRule
from ivr.acd.shared import ELECTION, LEASE_S, SharedAcd

RULES = (QueueRule("operator"),)


class Loop(threading.Thread):
    """A thread with `post` and `call_later`, as the SIP thread has."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._posted: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self.longest_s = 0.0
        self.errors: list[Exception] = []

    def post(self, function: Callable[[], None]) -> None:
        self._posted.put(function)

    def call_later(self, seconds: float, function: Callable[[], None]) -> "Cancelled":
        heapq.heappush(self._timers, (time.monotonic() + seconds, id(function), function))
        return Cancelled()

    def stop(self) -> None:
        self._posted.put(None)
        self.join()

    def run(self) -> None:
        while True:
            wait = self._timers[0][0] - time.monotonic() if self._timers else 1.0
            try:
                function = self._posted.get(timeout=max(wait, 0.001))
            except queue.Empty:
                if not self._timers or self._timers[0][0] > time.monotonic():
                    continue
                function = heapq.heappop(self._timers)[2]
            if function is None:
                return
            began = time.thread_time()
            try:
                function()
            except Exception as error:
                self.errors.append(error)
            self.longest_s = max(self.longest_s, time.thread_time() - began)


class Cancelled:
    def cancel(self) -> None:
        """Nothing here cancels."""


@dataclass
class Process:
    """What a media process is to its distributor."""

    node: str
    url: str
    told: list[QueueCommand] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.loop = Loop()
        self.bus = ValkeyBus(self.url)
        self.election = ValkeyElection(self.url, ELECTION, lease_s=LEASE_S)
        self.acd = SharedAcd(
            self.node,
            RULES,
            bus=self.bus,
            election=self.election,
            loop=self.loop,
            clock=SystemClock(),
            handle=self.told.append,
        )
        self.loop.start()
        self.loop.post(self.acd.start)

    def submit(self, event: QueueEvent) -> None:
        self.loop.post(lambda: self.acd.submit(event))

    def die(self) -> None:
        """Without a word: the lease is left to run out."""
        self.acd._closed.set()
        self.loop.stop()

    def commands(self) -> list[QueueCommand]:
        return [command for command in self.told if not isinstance(command, Announce)]


def until(condition: Callable[[], bool], *, seconds: float) -> float:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds
        time.sleep(0.02)
    return time.monotonic() - began


@dataclass(frozen=True)
class Broker:
    """A Valkey of our own, which may be stopped."""

    url: str
    process: "subprocess.Popen[bytes]"


@pytest.fixture
def broker() -> Iterator[Broker]:
    with tempfile.TemporaryDirectory(prefix="hotline-") as folder:
        settings = Settings(data_dir=Path(folder))
        settings.valkey_socket.parent.mkdir()
        process = subprocess.Popen(valkey_command(settings), stdout=subprocess.DEVNULL)
        until(settings.valkey_socket.exists, seconds=10)
        yield Broker(settings.effective_valkey_url(), process)
        process.kill()
        process.wait()


@pytest.fixture
def pair(broker: Broker) -> Iterator[tuple[Process, Process]]:
    """The leader and a follower."""
    processes = [Process(node, broker.url) for node in ("a", "b")]
    until(lambda: {one.acd.role for one in processes} == {Role.LEADING, Role.FOLLOWING}, seconds=5)
    yield tuple(sorted(processes, key=lambda one: one.acd.role is not Role.LEADING))  # type: ignore[misc]
    for process in processes:
        process.loop.stop()
        process.acd.close()
        process.election.close()
        process.bus.close()
        assert process.loop.errors == []


def test_a_caller_here_is_connected_to_a_seat_there(pair: tuple[Process, Process]) -> None:
    leader, follower = pair
    leader.submit(SeatSignedIn("8001", ("operator",)))
    follower.submit(CallerJoined("c1", "operator"))
    until(lambda: follower.commands() == [RingSeats("c1", ("8001",))], seconds=3)
    follower.submit(SeatAnswered("c1", "8001"))
    assert until(lambda: follower.commands()[1:] == [Connect("c1", "8001")], seconds=1) < 0.5
    assert leader.commands() == []
    leader.bus.publish(Event(name="acd.frame", at=SystemClock().now(), data={"to": "a", "items": 3}))
    leader.bus.publish(Event(name="acd.frame", at=SystemClock().now(), data={"to": leader.acd._node.name}))
    with pytest.raises(NotFoundError):
        leader.acd.submit(CallerJoined("c2", "nowhere"))


def test_the_follower_leads_within_three_seconds_of_the_leaders_death(pair: tuple[Process, Process]) -> None:
    leader, follower = pair
    follower.submit(SeatSignedIn("8001", ("operator",)))
    until(lambda: [seat.name for seat in leader.acd.seats] == ["8001"], seconds=3)
    leader.die()
    assert until(lambda: follower.acd.role is Role.LEADING, seconds=5) < 3
    assert [(seat.name, seat.state) for seat in follower.acd.seats] == [("8001", SeatState.READY)]


def test_a_leader_that_leaves_is_replaced_at_once(pair: tuple[Process, Process]) -> None:
    leader, follower = pair
    leader.loop.stop()
    leader.acd.close()
    assert until(lambda: follower.acd.role is Role.LEADING, seconds=5) < 1


def test_without_a_broker_each_goes_on_alone_and_nothing_waits(pair: tuple[Process, Process], broker: Broker) -> None:
    _, follower = pair
    follower.submit(SeatSignedIn("8001", ("operator",)))
    follower.submit(CallerJoined("c1", "operator"))
    until(lambda: len(follower.commands()) == 1, seconds=3)
    broker.process.send_signal(signal.SIGSTOP)  # it hangs, which is worse than being gone
    until(lambda: {one.acd.role for one in pair} == {Role.ALONE}, seconds=6)
    until(lambda: follower.commands()[2:] == [RingSeats("c1", ("8001",))], seconds=1)
    follower.submit(SeatAnswered("c1", "8001"))
    until(lambda: follower.commands()[3:] == [Connect("c1", "8001")], seconds=1)
    assert max(one.loop.longest_s for one in pair) < 0.1
    broker.process.send_signal(signal.SIGCONT)
    until(lambda: {one.acd.role for one in pair} == {Role.LEADING, Role.FOLLOWING}, seconds=8)
    (there,) = (one for one in pair if one.acd.role is Role.LEADING)
    until(lambda: [(seat.name, seat.state) for seat in there.acd.seats] == [("8001", SeatState.TALKING)], seconds=3)
