"""What a process lets through of what a distributor tells it."""

import pytest

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
    RingSeats,
    SeatAway,
    SeatNotAnswered,
    SeatReady,
    SeatSignedIn,
    SeatSignedOut,
    TalkTimeMeasured,
    WrapUpResumed,
)
from ivr.acd.member import Member


@pytest.fixture
def member() -> Member:
    """With a caller who waits since 100 s."""
    started = Member(("operator",))
    started.note(CallerJoined("c1", "operator", frozenset({"english"}), 2), 100.0)
    return started


def test_a_caller_is_connected_once_and_only_to_a_seat_that_rings(member: Member) -> None:
    assert not member.take(Connect("c1", "8001"), 101.0)
    assert member.take(RingSeats("c1", ("8001", "8002")), 101.0)
    member.note(SeatNotAnswered("c1", "8002"), 102.0)
    assert not member.take(Connect("c1", "8002"), 103.0)
    assert member.take(CancelRinging("c1", ("8002",)), 103.0)
    assert member.take(Connect("c1", "8001"), 103.0)
    assert not member.take(Connect("c1", "8001"), 103.0)
    assert not member.take(RingSeats("c1", ("8002",)), 103.0)


@pytest.mark.parametrize(
    "command",
    [RingSeats("c1", ("8001",)), Connect("c1", "8001"), Announce("c1", 1, 2.0), Overflow("c1", "timeout")],
)
def test_a_late_command_for_a_caller_who_has_gone_does_nothing(member: Member, command: QueueCommand) -> None:
    member.take(RingSeats("c1", ("8001",)), 101.0)
    member.note(CallerLeft("c1"), 102.0)
    assert not member.take(command, 103.0)


def test_phones_stop_ringing_even_for_a_call_that_has_gone(member: Member) -> None:
    assert member.take(CancelRinging("gone", ("8001",)), 101.0)


def test_a_caller_who_was_given_up_may_join_again(member: Member) -> None:
    assert member.take(Overflow("c1", "timeout"), 700.0)
    assert not member.take(Overflow("c1", "timeout"), 700.0)
    member.note(CallerJoined("c1", "operator"), 701.0)
    assert member.introduction(701.0) == [CallerJoined("c1", "operator")]


def test_an_introduction_tells_seats_then_conversations_then_callers_with_their_time(member: Member) -> None:
    member.note(CallerJoined("c2", "operator"), 110.0)
    member.take(RingSeats("c2", ("8001",)), 111.0)
    member.take(Connect("c2", "8001"), 120.0)
    member.note(SeatSignedIn("8001", ("operator",)), 121.0)
    member.note(SeatSignedIn("8002", ("operator",)), 121.0)
    member.note(SeatAway("8002"), 122.0)
    member.note(SeatSignedIn("8003", ("operator",)), 122.0)
    member.note(SeatSignedOut("8003"), 123.0)
    assert member.introduction(130.0) == [
        SeatSignedIn("8001", ("operator",)),
        SeatSignedIn("8002", ("operator",)),
        SeatAway("8002"),
        ConversationResumed("c2", "8001", "operator", 10.0),
        CallerJoined("c1", "operator", frozenset({"english"}), 2, 30.0),
    ]
    member.note(ConversationEnded("c2", "8002"), 131.0)  # not the one that talks
    member.note(SeatReady("8002"), 131.0)
    assert ConversationResumed("c2", "8001", "operator", 11.0) in member.introduction(131.0)
    member.note(ConversationEnded("c2", "8001"), 132.0)
    assert [type(event) for event in member.introduction(132.0)[2:]] == [SeatSignedIn, SeatSignedIn, CallerJoined]


def test_an_introduction_begins_with_how_long_people_talked_and_who_wraps_up(member: Member) -> None:
    for call, seat, begins, ends in (("c1", "8001", 110.0, 140.0), ("c2", "8002", 150.0, 160.0)):
        if call != "c1":
            member.note(CallerJoined(call, "operator"), begins)
        member.take(RingSeats(call, (seat,)), begins)
        member.take(Connect(call, seat), begins)
        member.note(CallerLeft(call), ends)
    assert member.introduction(165.0) == [
        TalkTimeMeasured("operator", 20.0, 2),
        WrapUpResumed("8001", "operator", 25.0),
        WrapUpResumed("8002", "operator", 5.0),
    ]
    member.note(SeatReady("8001"), 166.0)
    assert WrapUpResumed("8001", "operator", 26.0) not in member.introduction(166.0)


def test_a_change_of_distributors_stops_what_rings(member: Member) -> None:
    member.take(RingSeats("c1", ("8002", "8001")), 101.0)
    assert member.stop_ringing() == [CancelRinging("c1", ("8001", "8002"))]
    assert member.stop_ringing() == []
    assert not member.take(Connect("c1", "8001"), 102.0)
