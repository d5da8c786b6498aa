"""Leaders of a shared distributor that die or lose the broker, and what the next one knows."""

import pytest
from cluster_rig import Cluster
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr.acd.distributor import SeatState
from ivr.acd.events import (
    Announce,
    CancelRinging,
    Connect,
    Overflow,
    QueueEvent,
    RingSeats,
    SeatAway,
    SeatReady,
    SeatSignedIn,
    SeatSignedOut,
)
from ivr.acd.node import ALONE_S, LEASE_S, MEMBER_TIMEOUT_S, OPENING_S, Output, Role
from ivr.acd.rule import QueueRule
from ivr.acd.wire import Frame


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
