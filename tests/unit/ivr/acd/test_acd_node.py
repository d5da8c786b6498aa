"""Processes that share one distributor: who rings whose phones, and frames that are lost, late or strange."""

import pytest
from cluster_rig import RULES, STEP_S, Cluster

from hotline.election import Leadership
from hotline.errors import ConflictError, NotFoundError
from ivr.acd.distributor import Distributor, SeatState
from ivr.acd.events import (
    CallerJoined,
    Connect,
    Overflow,
    QueueEvent,
    RingSeats,
    SeatAnswered,
    SeatAway,
    SeatSignedIn,
    SeatSignedOut,
)
from ivr.acd.node import MEMBER_TIMEOUT_S, OPENING_S, AcdNode, Role
from ivr.acd.wire import Frame


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


def test_a_process_that_the_leader_has_given_up_introduces_itself_anew(cluster: Cluster) -> None:
    cluster.submit("b", SeatSignedIn("8001", ("operator",)))
    cluster.run(1)
    cluster.loss = 1.0
    cluster.run(MEMBER_TIMEOUT_S + 1)
    assert cluster.nodes["a"].seats == ()
    cluster.loss = 0.0
    cluster.run(2)
    assert cluster.seat("8001") is SeatState.READY


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
