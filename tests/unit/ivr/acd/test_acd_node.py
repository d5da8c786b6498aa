"""Several processes that share one distributor: leaders that die, brokers that are away, frames that are lost."""

import random
from collections import defaultdict
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotline.clock import ManualClock
from hotline.election import Leadership, MemoryElection
from hotline.errors import ConflictError, NotFoundError, UnavailableError
from ivr.acd.distributor import Distributor, SeatState
from ivr.acd.events import (
    Announce,
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
    SeatAway,
    SeatNotAnswered,
    SeatReady,
    SeatSignedIn,
    SeatSignedOut,
)
from ivr.acd.node import ALONE_S, LEASE_S, MEMBER_TIMEOUT_S, OPENING_S, AcdNode, Output, Role
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


@pytest.fixture
def cluster() -> Cluster:
    started = Cluster("a", "b", "c")
    started.run(OPENING_S + 2)
    return started


def test_one_process_leads_and_the_others_follow(cluster: Cluster) -> None:
    assert cluster.leaders() == ["a"]
    assert [node.role for node in cluster.nodes.values()] == [Role.LEADING, Role.FOLLOWING, Role.FOLLOWING]


def test_a_caller_of_one_process_gets_the_seat_of_another(cluster: Cluster) -> None:
    cluster.submit("b", SeatSignedIn("8001", ("operator",)))
    cluster.run(1)
    cluster.join("c", "c1")
    cluster.run(3)
    assert cluster.commands("c", RingSeats) == [RingSeats("c1", ("8001",))]
    assert cluster.commands("c", Connect) == [Connect("c1", "8001")]
    assert cluster.carried_out["a"] == cluster.carried_out["b"] == []
    assert cluster.seat("8001") is SeatState.TALKING
    assert cluster.nodes["b"].seats == (), "who leads tells of all seats"


def test_callers_of_all_processes_are_served_in_the_order_of_their_waiting(cluster: Cluster) -> None:
    cluster.submit("a", SeatSignedIn("8001", ("operator",)))
    cluster.run(1)
    for name, call in (("c", "c1"), ("a", "c2"), ("b", "c3")):
        cluster.join(name, call)
        cluster.run(0.5)
    cluster.run(2)
    served = []
    for _ in range(3):
        (call,) = cluster.talks
        served.append(call)
        cluster.leave(call)
        cluster.run(5)
    assert served == ["c1", "c2", "c3"]


def test_a_dead_leader_is_replaced_within_three_seconds_and_nobody_loses_a_place(cluster: Cluster) -> None:
    cluster.submit("b", SeatSignedIn("8001", ("operator",)))
    cluster.submit("b", SeatSignedIn("8002", ("operator",)))
    cluster.submit("b", SeatAway("8002"))
    cluster.run(1)
    cluster.join("b", "talks")
    cluster.run(3)
    for name, call in (("c", "first"), ("b", "second"), ("a", "lost")):
        cluster.join(name, call)
        cluster.run(1)
    cluster.kill("a")
    cluster.run(3)
    (leader,) = cluster.leaders()
    cluster.run(OPENING_S)
    site = cluster.nodes[leader]._site
    assert site is not None
    waiting = site.distributor.waiting("operator")
    assert [caller.call for caller in waiting] == ["first", "second"]
    assert waiting[0].joined == pytest.approx(cluster.now - OPENING_S - 6, abs=0.5)
    assert (cluster.seat("8001"), cluster.seat("8002")) == (SeatState.TALKING, SeatState.AWAY)
    cluster.hang_up_seat("talks")
    cluster.run(5)
    assert cluster.talks == {"first": ("c", "8001")}


@pytest.mark.parametrize("at", ["b", "c"])  # the caller's process, and another that introduces itself earlier or later
def test_a_new_leader_lets_a_seat_wrap_up_and_knows_how_long_people_talk(at: str) -> None:
    cluster = Cluster("a", "b", "c", rules=(QueueRule("operator", wrap_up_s=20.0, talk_s=600.0),))
    cluster.run(OPENING_S + 2)
    cluster.submit(at, SeatSignedIn("8001", ("operator",)))
    for number in range(4):
        cluster.join("b", f"c{number}")
        cluster.run(13)
        cluster.leave(f"c{number}")
        cluster.run(21 if number < 3 else 1)
    cluster.join("c", "next")
    cluster.kill("a")
    cluster.run(15)
    assert cluster.seat("8001") is SeatState.PAUSED
    assert cluster.phones["8001"].ringing == {}
    waits = [command.wait_s for command in cluster.commands("c", Announce) if isinstance(command, Announce)]
    assert waits[-1] < 200, "four conversations of ten seconds, and a first guess of ten minutes"
    cluster.run(8)
    assert cluster.talks == {"next": ("c", "8001")}


def test_a_seat_that_wraps_up_when_its_process_introduces_itself_anew_goes_on_wrapping_up() -> None:
    cluster = Cluster("a", "b", rules=(QueueRule("operator", wrap_up_s=20.0),))
    cluster.run(OPENING_S + 2)
    cluster.submit("b", SeatSignedIn("8001", ("operator",)))
    cluster.join("b", "c1")
    cluster.run(3)
    cluster.leave("c1")
    cluster.answering = False
    cluster.submit("a", SeatSignedIn("8002", ("operator",)))
    cluster.join("a", "rings at 8002")
    cluster.join("a", "waits")
    cluster.loss = 1.0
    cluster.run(MEMBER_TIMEOUT_S + 1)
    cluster.loss = 0.0
    cluster.run(3)
    assert cluster.seat("8001") is SeatState.PAUSED
    assert cluster.phones["8001"].ringing == {}


def test_a_leader_whose_lease_ran_out_stops_before_the_next_begins(cluster: Cluster) -> None:
    cluster.election.away = True
    cluster.run(LEASE_S)
    assert cluster.leaders() == []
    assert Role.ALONE not in {node.role for node in cluster.nodes.values()}


def test_without_a_broker_each_process_serves_its_callers_with_its_seats(cluster: Cluster) -> None:
    cluster.submit("b", SeatSignedIn("8001", ("operator",)))
    cluster.answering = False
    cluster.run(1)
    cluster.join("b", "c1")
    cluster.join("c", "c2")
    cluster.run(1)
    cluster.election.away = True
    cluster.run(ALONE_S + 0.5)
    assert {node.role for node in cluster.nodes.values()} == {Role.ALONE}
    assert cluster.commands("c", Overflow) == [Overflow("c2", "closed")]  # no seat of its own: what the flow does then
    cluster.answering = True
    cluster.run(3)
    assert cluster.talks == {"c1": ("b", "8001")}
    cluster.election.away = False
    cluster.run(OPENING_S + 2)
    assert len(cluster.leaders()) == 1
    assert cluster.seat("8001") is SeatState.TALKING


def test_a_phone_that_rings_when_the_leader_dies_is_told_to_stop_and_rings_again(cluster: Cluster) -> None:
    cluster.answering = False
    cluster.submit("b", SeatSignedIn("8001", ("operator",)))
    cluster.join("c", "c1")
    cluster.run(1)
    cluster.kill("a")
    cluster.run(5)
    assert [type(command) for command in cluster.carried_out["c"] if not hasattr(command, "position")] == [
        *(RingSeats, CancelRinging, RingSeats)
    ]


def test_a_dead_follower_frees_the_seat_that_talked_to_its_caller(cluster: Cluster) -> None:
    cluster.submit("a", SeatSignedIn("8001", ("operator",)))
    cluster.submit("b", SeatSignedIn("8002", ("operator",)))
    cluster.join("b", "c1")
    cluster.run(3)
    assert cluster.talks == {"c1": ("b", "8001")}
    cluster.kill("b")
    cluster.run(MEMBER_TIMEOUT_S + 2)
    (leader,) = cluster.leaders()
    assert [(seat.name, seat.state) for seat in cluster.nodes[leader].seats] == [("8001", SeatState.READY)]


def test_a_seat_that_signs_in_elsewhere_is_not_signed_out_by_where_it_was(cluster: Cluster) -> None:
    cluster.submit("b", SeatSignedIn("8001", ("operator",)))
    cluster.run(1)
    cluster.submit("c", SeatSignedIn("8001", ("operator",)))
    cluster.run(1)
    cluster.submit("b", SeatSignedOut("8001"))
    cluster.run(1)
    assert cluster.seat("8001") is SeatState.READY


def test_a_seat_that_several_processes_know_is_there_until_the_last_says_it_is_gone(cluster: Cluster) -> None:
    cluster.submit("b", SeatSignedIn("8001", ("operator",)))
    cluster.submit("b", SeatAway("8001"))
    cluster.run(1)
    cluster.submit("c", SeatSignedIn("8001", ("operator",)))
    cluster.run(1)
    assert cluster.seat("8001") is SeatState.AWAY
    cluster.kill("b")
    cluster.run(MEMBER_TIMEOUT_S + 1)
    assert cluster.seat("8001") is SeatState.AWAY
    cluster.submit("c", SeatSignedOut("8001"))
    cluster.run(1)
    assert cluster.nodes["a"].seats == ()


def seat_that_all_know(cluster: Cluster) -> None:
    for name in "abc":
        cluster.submit(name, SeatSignedIn("8001", ("operator",)))
    cluster.run(1)


def test_who_is_signed_out_by_staff_is_so_everywhere_and_for_the_next_leader(cluster: Cluster) -> None:
    seat_that_all_know(cluster)
    cluster.submit("c", SeatSignedOut("8001", everywhere=True))
    cluster.run(1)
    assert cluster.nodes["a"].seats == ()
    cluster.kill("a")
    cluster.run(5)
    assert cluster.nodes[cluster.leaders()[0]].seats == ()


@pytest.mark.parametrize(
    ("last", "state"),
    [
        (SeatReady("8001"), SeatState.READY),
        (SeatSignedIn("8001", ("operator",), frozenset({"water"})), SeatState.READY),
        (SeatAway("8001"), SeatState.AWAY),
    ],
)
@pytest.mark.parametrize("first", ["a", "b", "c"])
def test_the_next_leader_knows_what_was_said_last_of_a_seat_wherever_that_was(
    cluster: Cluster, first: str, last: QueueEvent, state: SeatState
) -> None:
    seat_that_all_know(cluster)
    cluster.submit(first, SeatAway("8001"))
    cluster.run(1)
    cluster.submit("c" if first == "b" else "b", last)
    cluster.run(1)
    assert cluster.seat("8001") is state
    cluster.kill("a")
    cluster.run(5)
    assert cluster.seat("8001") is state


def test_a_process_that_the_leader_has_given_up_introduces_itself_anew(cluster: Cluster) -> None:
    cluster.submit("b", SeatSignedIn("8001", ("operator",)))
    cluster.run(1)
    cluster.loss = 1.0
    cluster.run(MEMBER_TIMEOUT_S + 1)
    assert cluster.nodes["a"].seats == ()
    cluster.loss = 0.0
    cluster.run(2)
    assert cluster.seat("8001") is SeatState.READY


def test_a_command_of_a_former_leader_does_nothing(cluster: Cluster) -> None:
    cluster.submit("c", SeatSignedIn("8001", ("operator",)))
    cluster.answering = False
    cluster.join("c", "c1")
    cluster.run(1)
    cluster.kill("a")
    cluster.run(4)
    node = cluster.nodes["c"]
    for number in range(5):
        late = Frame(sender="a", to="c", term=1, session=number, first=0, received=0, items=(Connect("c1", "8001"),))
        assert node.receive(late, cluster.now) == Output()


def test_a_new_leader_sends_nobody_away_before_the_seats_have_introduced_themselves(cluster: Cluster) -> None:
    cluster.answering = False
    cluster.submit("c", SeatSignedIn("8001", ("operator",)))
    cluster.run(1)
    cluster.join("b", "c1")
    cluster.run(1)
    cluster.kill("a")
    cluster.run(4)
    assert cluster.leaders() == ["b"]
    assert cluster.commands("b", Overflow) == []
    assert cluster.phones["8001"].ringing == {"c1": "b"}


def follower_frame(session: int, *items: QueueEvent) -> Frame:
    return Frame(sender="f", to="a", term=1, session=session, first=0, received=0, items=items)


def test_a_new_session_of_a_follower_replaces_the_former_and_what_it_said() -> None:
    cluster = Cluster("a")
    cluster.run(OPENING_S + 1)
    leader = cluster.nodes["a"]
    leader.receive(follower_frame(1, SeatSignedIn("8001", ("operator",)), SeatSignedIn("8002", ("operator",))), 1.0)
    leader.receive(follower_frame(2, SeatSignedIn("8002", ("operator",))), 1.1)
    assert [seat.name for seat in leader.seats] == ["8002"]
    leader.receive(follower_frame(1, SeatSignedIn("8001", ("operator",)), SeatSignedIn("8003", ("operator",))), 1.2)
    assert [seat.name for seat in leader.seats] == ["8002"]


def test_a_process_that_joins_and_dies_while_a_leader_opens_leaves_no_callers_behind() -> None:
    cluster = Cluster("a")
    cluster.run(STEP_S)
    leader = cluster.nodes["a"]
    leader.receive(follower_frame(1, SeatSignedIn("8001", ("operator",)), CallerJoined("c1", "operator")), cluster.now)
    leader.receive(follower_frame(2, SeatSignedIn("8001", ("operator",))), cluster.now)
    cluster.run(OPENING_S + 1)
    assert leader._site is not None
    assert leader._site.distributor.waiting("operator") == ()


def test_a_frame_of_an_earlier_term_of_the_same_leader_does_nothing() -> None:
    node = AcdNode("a", queues=("operator",), distributor=lambda: Distributor(RULES), now=0.0)
    for at, found in enumerate((Leadership("a", 1), Leadership("b", 2), Leadership("a", 3), Leadership("b", 2))):
        node.lease(found, asked=float(at), now=float(at))
    assert node.role is Role.LEADING
    node.receive(follower_frame(1, SeatSignedIn("8001", ("operator",))), 4.0)
    assert node.seats == ()


def test_commands_in_events_place_are_ignored() -> None:
    cluster = Cluster("a")
    cluster.run(OPENING_S + 1)
    leader = cluster.nodes["a"]
    strange = Frame(sender="f", to="a", term=1, session=1, first=0, received=0, items=(Connect("c1", "8001"),))
    assert leader.receive(strange, cluster.now).commands == []


def test_a_connect_for_a_caller_who_has_gone_does_nothing(cluster: Cluster) -> None:
    cluster.submit("b", SeatSignedIn("8001", ("operator",)))
    cluster.answering = False
    cluster.join("c", "c1")
    cluster.run(1)
    cluster.submit("c", SeatAnswered("c1", "8001"))
    cluster.leave("c1")
    cluster.run(3)
    assert cluster.commands("c", Connect) == []
    assert cluster.seat("8001") is SeatState.READY


def test_mistakes_are_refused_where_they_are_made(cluster: Cluster) -> None:
    cluster.submit("b", SeatSignedIn("8001", ("operator",)))
    cluster.join("b", "c1")
    with pytest.raises(ConflictError):
        cluster.nodes["b"].submit(CallerJoined("c1", "operator"), cluster.now)
    with pytest.raises(NotFoundError):
        cluster.nodes["b"].submit(CallerJoined("c2", "nowhere"), cluster.now)
    with pytest.raises(NotFoundError):
        cluster.nodes["b"].submit(SeatSignedIn("8002", ("nowhere",)), cluster.now)


def test_a_queue_that_only_another_process_knows_is_closed_to_its_callers() -> None:
    cluster = Cluster("a")
    cluster.run(OPENING_S + 1)
    cluster.nodes["b"] = AcdNode("b", queues=("new",), distributor=lambda: Distributor(RULES), now=cluster.now)
    cluster.run(1)
    cluster.waiting["c1"] = "b"
    cluster.submit("b", CallerJoined("c1", "new"))
    cluster.run(1)
    assert cluster.commands("b", Overflow) == [Overflow("c1", "closed")]


ACTIONS = st.sampled_from(
    ["join", "join", "join", "leave", "hang up", "sign in", "sign in", "sign out", "kill", "start", "broker", "run"]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(ACTIONS, st.integers(0, 5)), max_size=30), st.integers(0, 2**32))
def test_after_any_trouble_one_leader_knows_all_seats_and_every_caller_is_served(
    actions: list[tuple[str, int]], seed: int
) -> None:
    cluster = Cluster("a", "b", "c", seed=seed)
    cluster.loss, cluster.duplicates, cluster.delay_s = 0.3, 0.2, 0.6
    seats: dict[str, str] = {}
    cluster.run(3)
    for number, (action, pick) in enumerate(actions):
        names = sorted(cluster.nodes)
        name = names[pick % len(names)]
        match action:
            case "join":
                cluster.join(name, f"c{number}")
            case "leave" if cluster.waiting or cluster.talks:
                calls = sorted({**cluster.waiting, **cluster.talks})
                cluster.leave(calls[pick % len(calls)])
            case "hang up" if cluster.talks:
                cluster.hang_up_seat(sorted(cluster.talks)[pick % len(cluster.talks)])
            case "sign in":
                seats[f"80{pick}"] = name
                cluster.submit(name, SeatSignedIn(f"80{pick}", ("operator",)))
            case "sign out" if f"80{pick}" in seats:
                at = seats.pop(f"80{pick}")
                cluster.submit(at, SeatSignedOut(f"80{pick}"))
            case "kill" if len(names) > 1:
                cluster.kill(name)
                seats = {seat: at for seat, at in seats.items() if at != name}
            case "start":
                cluster.start(f"n{number}")
            case "broker":
                cluster.election.away = not cluster.election.away
        cluster.run(0.25 * (1 + pick))
    cluster.election.away = False
    cluster.loss, cluster.delay_s = 0.0, 0.1
    name = sorted(cluster.nodes)[0]
    seats["8100"] = name
    cluster.submit(name, SeatSignedIn("8100", ("operator",)))  # somebody is there
    cluster.run(12)
    assert len(cluster.leaders()) == 1
    for _ in range(len(cluster.waiting) + len(cluster.talks) + 3):
        for call in list(cluster.talks):
            cluster.hang_up_seat(call)
        cluster.run(16)
    assert cluster.waiting == {}
    for call in list(cluster.talks):
        cluster.hang_up_seat(call)
    cluster.run(5)
    (leader,) = cluster.leaders()
    known = {seat.name: seat.state for seat in cluster.nodes[leader].seats}
    assert known == dict.fromkeys(seats, SeatState.READY)
