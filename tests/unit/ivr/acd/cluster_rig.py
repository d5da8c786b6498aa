"""Processes that share one distributor, their election and their network, in virtual time."""

import random
from collections import defaultdict
from dataclasses import dataclass, field

from hotline.clock import ManualClock
from hotline.election import MemoryElection
from hotline.errors import UnavailableError
from ivr.acd.distributor import Distributor, SeatState
from ivr.acd.events import (
    CallerJoined,
    CallerLeft,
    CancelRinging,
    Connect,
    ConversationEnded,
    Overflow,
    QueueCommand,
    QueueEvent,
    RingSeats,
    SeatAnswered,
    SeatNotAnswered,
)
from ivr.acd.node import LEASE_S, AcdNode, Output, Role
from ivr.acd.rule import QueueRule, Strategy
from ivr.acd.wire import Frame

STEP_S = 0.125
RULES = (QueueRule("operator", max_wait_s=1e6, wrap_up_s=1.0, strategy=Strategy.RING_ONE),)


@dataclass
class Phone:
    """Rings for calls; answers what still rings, and one call only."""

    ringing: dict[str, str] = field(default_factory=dict)  # call -> process
    talking: str = ""


class Cluster:
    """Processes, their election and their network, which may be bad; phones that processes ring."""

    def __init__(self, *names: str, seed: int = 0, rules: tuple[QueueRule, ...] = RULES) -> None:
        self.rules = rules
        self.clock = ManualClock()
        self.election = MemoryElection(self.clock, lease_s=LEASE_S)
        self.random = random.Random(seed)
        self.loss = self.duplicates = 0.0
        self.delay_s = 0.0
        self.answering = True
        self.nodes: dict[str, AcdNode] = {}
        self.under_way: list[tuple[float, Frame]] = []
        self.carried_out: dict[str, list[QueueCommand]] = defaultdict(list)
        self.phones: dict[str, Phone] = defaultdict(Phone)
        self.waiting: dict[str, str] = {}  # call -> process
        self.talks: dict[str, tuple[str, str]] = {}  # call -> process, seat
        for name in names:
            self.start(name)

    @property
    def now(self) -> float:
        return self.clock.monotonic()

    def start(self, name: str) -> None:
        self.nodes[name] = AcdNode(
            name, queues=("operator",), distributor=lambda: Distributor(self.rules, no_answers=1000), now=self.now
        )

    def kill(self, name: str) -> None:
        del self.nodes[name]
        self.waiting = {call: at for call, at in self.waiting.items() if at != name}
        for phone in self.phones.values():
            phone.ringing = {call: at for call, at in phone.ringing.items() if at != name}
        for call, (at, seat) in list(self.talks.items()):
            if at == name:
                del self.talks[call]
                self.phones[seat].talking = ""

    def submit(self, name: str, event: QueueEvent) -> None:
        self.do(name, self.nodes[name].submit(event, self.now))

    def join(self, name: str, call: str) -> None:
        self.waiting[call] = name
        self.submit(name, CallerJoined(call, "operator"))

    def leave(self, call: str) -> None:
        if call in self.waiting:
            self.submit(self.waiting.pop(call), CallerLeft(call))
        elif call in self.talks:
            name, seat = self.talks.pop(call)
            self.phones[seat].talking = ""
            self.submit(name, CallerLeft(call))

    def hang_up_seat(self, call: str) -> None:
        name, seat = self.talks.pop(call)
        self.phones[seat].talking = ""
        self.submit(name, ConversationEnded(call, seat))

    def do(self, name: str, output: Output) -> None:
        self.carried_out[name] += output.commands
        for command in output.commands:
            match command:
                case RingSeats(call, seats):
                    for seat in seats:
                        self.phones[seat].ringing[call] = name
                case CancelRinging(call, seats):
                    for seat in seats:
                        self.phones[seat].ringing.pop(call, None)
                case Connect(call, seat):
                    assert self.waiting.pop(call) == name, "only who waits is connected, and once"
                    self.phones[seat].ringing.pop(call, None)
                    assert self.phones[seat].talking in ("", call)
                    self.phones[seat].talking = call
                    self.talks[call] = (name, seat)
                case Overflow(call):
                    assert self.waiting.pop(call) == name
        for frame in output.frames:
            for _ in range(1 + (self.random.random() < self.duplicates)):
                if self.random.random() >= self.loss and not self.election.away:
                    self.under_way.append((self.now + self.random.random() * self.delay_s, frame))

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP_S)):
            self.clock.advance(STEP_S)
            arrived = [frame for at, frame in self.under_way if at <= self.now]
            self.under_way = [item for item in self.under_way if item[0] > self.now]
            for frame in arrived:
                for name in list(self.nodes):  # a bus: everybody hears all
                    self.do(name, self.nodes[name].receive(Frame.parse(frame.serialize()), self.now))
            for name in list(self.nodes):
                try:
                    found = self.election.ask(name)
                except UnavailableError:
                    pass
                else:
                    self.do(name, self.nodes[name].lease(found, asked=self.now, now=self.now))
                self.do(name, self.nodes[name].tick(self.now))
            if self.answering:
                self.answer()

    def answer(self) -> None:
        for seat, phone in list(self.phones.items()):
            for call, name in list(phone.ringing.items()):
                if phone.talking:
                    del phone.ringing[call]
                    self.submit(name, SeatNotAnswered(call, seat, busy=True))
                elif self.random.random() < 0.3:
                    self.submit(name, SeatAnswered(call, seat))
                    break

    def leaders(self) -> list[str]:
        return [name for name, node in self.nodes.items() if node.role is Role.LEADING]

    def seat(self, name: str) -> SeatState:
        (leader,) = self.leaders()
        return next(seat.state for seat in self.nodes[leader].seats if seat.name == name)

    def commands(self, name: str, kind: type[QueueCommand]) -> list[QueueCommand]:  # type: ignore[valid-type]
        return [command for command in self.carried_out[name] if isinstance(command, kind)]  # type: ignore[arg-type]
