"""The distribution of calls to seats."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.errors import ConflictError, NotFoundError
from ivr.acd.distributor import SEATS, Distributor, SeatAction, SeatState
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
    TimePassed,
)
from ivr.acd.rule import QueueRule, Strategy


class Site:
    """A distributor and a clock."""

    def __init__(self, *rules: QueueRule, seats: str = "", **settings: float) -> None:
        self.rules = rules or (QueueRule("q", wrap_up_s=20, ring_s=15),)
        self.acd = Distributor(self.rules, **settings)  # type: ignore[arg-type]
        self.now = 0.0
        for name in seats:
            self.feed(SeatSignedIn(name, tuple(rule.name for rule in self.rules)))

    def feed(self, event: QueueEvent, *, after: float = 1.0) -> list[QueueCommand]:
        self.now += after
        return self.acd.handle(event, self.now)

    def until(self, time: float) -> list[QueueCommand]:
        """Lets time pass up to `time`, handling each deadline when it is due."""
        commands: list[QueueCommand] = []
        while self.acd.deadline is not None and self.acd.deadline <= time:
            self.now = max(self.now, self.acd.deadline)
            commands += self.acd.handle(TimePassed(), self.now)
        self.now = time
        return commands

    def join(self, call: str, **more: object) -> list[QueueCommand]:
        return self.feed(CallerJoined(call, self.rules[0].name, **more))  # type: ignore[arg-type]

    def talk(self, call: str, seat: str) -> None:
        assert Connect(call, seat) in self.feed(SeatAnswered(call, seat))

    def state(self, name: str) -> SeatState:
        return next(seat.state for seat in self.acd.seats if seat.name == name)


def test_a_caller_rings_at_a_free_seat_and_is_connected_when_it_answers() -> None:
    site = Site(seats="A")
    assert site.join("1") == [RingSeats("1", ("A",))]
    assert site.feed(SeatAnswered("1", "A")) == [Connect("1", "A")]
    assert site.state("A") is SeatState.TALKING


def test_the_longest_waiting_caller_is_next() -> None:
    site = Site(seats="A")
    for call in "123":
        site.join(call)
    site.talk("1", "A")
    site.feed(ConversationEnded("1", "A"))
    assert RingSeats("2", ("A",)) in site.feed(SeatReady("A"))


def test_a_higher_priority_overtakes() -> None:
    site = Site(seats="A")
    site.join("1")
    site.talk("1", "A")
    site.join("2")
    assert site.join("urgent", priority=10)[0] == Announce("urgent", 1, 200.0)
    site.feed(ConversationEnded("1", "A"))
    assert RingSeats("urgent", ("A",)) in site.feed(SeatReady("A"))


def test_a_queue_of_higher_priority_is_served_first() -> None:
    site = Site(QueueRule("low"), QueueRule("high", priority=5), seats="A")
    site.join("0")
    site.talk("0", "A")
    site.join("1")
    site.feed(CallerJoined("2", "high"))
    site.feed(ConversationEnded("0", "A"))
    assert RingSeats("2", ("A",)) in site.feed(SeatReady("A"))


def test_only_a_seat_with_all_skills_rings() -> None:
    site = Site()
    site.feed(SeatSignedIn("A", ("q",)))
    site.feed(SeatSignedIn("B", ("q",), frozenset({"water", "enterprise"})))
    assert site.join("1", skills=frozenset({"water"})) == [RingSeats("1", ("B",))]
    assert site.join("2") == [RingSeats("2", ("A",))]


def test_a_caller_waits_for_the_skill_while_other_seats_are_free() -> None:
    site = Site()
    site.feed(SeatSignedIn("A", ("q",)))
    site.feed(SeatSignedIn("B", ("q",), frozenset({"water"})))
    site.join("1", skills=frozenset({"water"}))
    assert not any(isinstance(c, RingSeats) for c in site.join("2", skills=frozenset({"water"})))


def test_a_seat_takes_only_calls_of_its_queues() -> None:
    site = Site(QueueRule("q"), QueueRule("other"))
    site.feed(SeatSignedIn("A", ("other",)))
    assert site.join("1") == [Overflow("1", "closed")]


def test_ring_all_rings_every_free_seat_and_the_others_stop_when_one_answers() -> None:
    site = Site(QueueRule("q", strategy=Strategy.RING_ALL), seats="ABC")
    assert site.join("1") == [RingSeats("1", ("A", "B", "C"))]
    assert site.feed(SeatAnswered("1", "B")) == [Connect("1", "B"), CancelRinging("1", ("A", "C"))]
    assert site.join("2") == [RingSeats("2", ("A", "C"))]


def test_ring_one_takes_the_first_that_signed_in() -> None:
    site = Site(QueueRule("q", strategy=Strategy.RING_ONE), seats="AB")
    for call in ("1", "2"):
        assert site.join(call) == [RingSeats(call, ("A",))]
        site.feed(CallerLeft(call))


def test_round_robin_goes_on_from_the_last_seat_that_rang() -> None:
    site = Site(QueueRule("q", strategy=Strategy.ROUND_ROBIN), seats="ABC")
    rung = []
    for call in "12345":
        rung += [c.seats for c in site.join(call) if isinstance(c, RingSeats)]
        site.feed(CallerLeft(call))
    assert rung == [("A",), ("B",), ("C",), ("A",), ("B",)]


def test_the_seat_that_is_idle_longest_rings() -> None:
    site = Site(QueueRule("q", wrap_up_s=1), seats="AB")
    site.join("1")
    site.talk("1", "A")
    site.feed(ConversationEnded("1", "A"))
    site.until(100)
    assert site.join("2") == [RingSeats("2", ("B",))]


def test_a_seat_that_does_not_answer_gives_the_caller_to_the_next() -> None:
    site = Site(seats="AB")
    site.join("1")
    assert site.until(site.now + 15) == [CancelRinging("1", ("A",)), RingSeats("1", ("B",))]


def test_when_all_have_been_tried_the_round_begins_again() -> None:
    site = Site(seats="AB")
    site.join("1")
    rung = [c.seats for c in site.until(site.now + 31) if isinstance(c, RingSeats)]
    assert rung == [("B",), ("A",)]


def test_a_seat_that_misses_three_calls_is_set_away() -> None:
    site = Site(seats="A", no_answers=3)
    site.join("1")
    site.until(site.now + 44)
    assert site.state("A") is SeatState.RINGING
    site.until(site.now + 1)
    assert site.state("A") is SeatState.AWAY
    assert any(isinstance(c, RingSeats) for c in site.feed(SeatReady("A")))


def test_a_busy_seat_is_left_alone_for_a_while() -> None:
    site = Site(seats="A", busy_s=10)
    site.join("1")
    assert site.feed(SeatNotAnswered("1", "A", busy=True)) == []
    assert RingSeats("1", ("A",)) not in site.until(site.now + 9.5)
    assert RingSeats("1", ("A",)) in site.until(site.now + 1)


def test_wrap_up_keeps_the_seat_free_of_calls_and_ends_by_itself() -> None:
    site = Site(QueueRule("q", wrap_up_s=20, announce_every_s=1000), seats="A")
    site.join("1")
    site.talk("1", "A")
    site.join("2")
    assert site.feed(ConversationEnded("1", "A")) == []
    ended = site.now
    assert site.until(ended + 19.9) == []
    assert site.until(ended + 20) == [RingSeats("2", ("A",))]


def test_going_away_while_it_rings_gives_the_call_to_another() -> None:
    site = Site(seats="AB")
    site.join("1")
    assert site.feed(SeatAway("A")) == [CancelRinging("1", ("A",)), RingSeats("1", ("B",))]


def test_going_away_while_talking_counts_from_the_end_of_the_conversation() -> None:
    site = Site(seats="A")
    site.join("1")
    site.talk("1", "A")
    assert site.feed(SeatAway("A")) == []
    assert site.state("A") is SeatState.TALKING
    site.feed(ConversationEnded("1", "A"))
    assert site.state("A") is SeatState.AWAY


def test_coming_back_during_the_conversation_takes_the_absence_back() -> None:
    site = Site(seats="A")
    site.join("1")
    site.talk("1", "A")
    site.feed(SeatAway("A"))
    site.feed(SeatReady("A"))
    site.feed(ConversationEnded("1", "A"))
    assert site.state("A") is SeatState.PAUSED


def test_a_seat_that_signs_out_while_talking_is_gone_afterwards() -> None:
    site = Site(seats="A")
    site.join("1")
    site.talk("1", "A")
    assert site.feed(SeatSignedOut("A")) == []
    assert site.acd.seats[0].call == "1"
    site.feed(CallerLeft("1"))
    assert site.acd.seats == ()


def test_a_caller_who_hangs_up_stops_the_ringing_and_frees_the_seat() -> None:
    site = Site(seats="A")
    site.join("1")
    assert site.feed(CallerLeft("1")) == [CancelRinging("1", ("A",))]
    assert site.state("A") is SeatState.READY


def test_a_seat_that_answers_after_the_caller_left_gets_no_call() -> None:
    site = Site(seats="A")
    site.join("1")
    site.feed(CallerLeft("1"))
    assert site.feed(SeatAnswered("1", "A")) == [CancelRinging("1", ("A",))]
    assert site.state("A") is SeatState.READY


def test_the_second_answer_of_ring_all_gets_no_call() -> None:
    site = Site(QueueRule("q", strategy=Strategy.RING_ALL), seats="AB")
    site.join("1")
    site.talk("1", "A")
    assert site.feed(SeatAnswered("1", "B")) == [CancelRinging("1", ("B",))]


def test_position_and_wait_are_told_at_once_and_again() -> None:
    site = Site(QueueRule("q", talk_s=180, wrap_up_s=20, announce_every_s=45), seats="AB")
    for call in "12":
        site.join(call)
        site.talk(call, "A" if call == "1" else "B")
    assert site.join("3") == [Announce("3", 1, 100.0)]
    assert site.join("4") == [Announce("4", 2, 200.0)]
    assert site.until(site.now + 45) == [Announce("3", 1, 100.0), Announce("4", 2, 200.0)]


def test_the_expected_wait_follows_the_conversations_that_were_measured() -> None:
    site = Site(QueueRule("q", talk_s=100, wrap_up_s=0.001), seats="A")
    for call in "12345678":
        site.join(call)
        site.talk(call, "A")
        site.feed(ConversationEnded(call, "A"), after=1000.0)
        site.until(site.now + 1)
    site.join("talking")
    site.talk("talking", "A")
    (told,) = site.join("waiting")
    assert isinstance(told, Announce)
    assert 400 < told.wait_s < 1000


def test_a_full_queue_and_a_long_wait_overflow() -> None:
    site = Site(QueueRule("q", max_length=2, max_wait_s=100), seats="A")
    site.join("1")
    site.talk("1", "A")
    site.join("2")
    site.join("3")
    assert site.join("4") == [Overflow("4", "full")]
    gone = [c for c in site.until(site.now + 120) if isinstance(c, Overflow)]
    assert gone == [Overflow("2", "timeout"), Overflow("3", "timeout")]


def test_a_caller_given_up_while_ringing_stops_the_ringing() -> None:
    site = Site(QueueRule("q", max_wait_s=10, ring_s=15), seats="A")
    site.join("1")
    assert site.until(site.now + 10) == [CancelRinging("1", ("A",)), Overflow("1", "timeout")]


def test_where_all_seats_are_away_the_queue_is_closed() -> None:
    site = Site(seats="A")
    site.feed(SeatAway("A"))
    assert site.join("1") == [Overflow("1", "closed")]


def test_unknown_queues_and_a_caller_twice_are_refused() -> None:
    site = Site(seats="A")
    with pytest.raises(NotFoundError, match="nowhere"):
        site.feed(CallerJoined("1", "nowhere"))
    with pytest.raises(NotFoundError, match="nowhere"):
        site.feed(SeatSignedIn("B", ("nowhere",)))
    site.join("1")
    with pytest.raises(ConflictError):
        site.join("1")


def test_signing_in_again_changes_queues_and_ends_an_absence() -> None:
    site = Site(QueueRule("q"), QueueRule("other"), seats="A")
    site.feed(SeatAway("A"))
    site.feed(SeatSignedIn("A", ("other",)))
    assert site.state("A") is SeatState.READY
    assert site.join("1") == [Overflow("1", "closed")]
    assert site.feed(CallerJoined("2", "other")) == [RingSeats("2", ("A",))]


def test_what_is_said_of_unknown_seats_and_calls_changes_nothing() -> None:
    site = Site(seats="A")
    events = (SeatAway("X"), SeatReady("X"), SeatSignedOut("X"), CallerLeft("x"), ConversationEnded("x", "A"))
    assert [site.feed(event) for event in events] == [[]] * len(events)
    assert site.feed(SeatNotAnswered("x", "A")) == []


def test_every_move_of_a_seat_is_in_the_table() -> None:
    assert (SeatState.TALKING, SeatAction.RING) not in SEATS
    assert (SeatState.AWAY, SeatAction.RING) not in SEATS
    assert {state for state, _ in SEATS} == set(SeatState)


CALLS, NAMES = st.sampled_from("123456"), st.sampled_from("ABC")
SKILLS = st.frozensets(st.sampled_from(["water", "live"]), max_size=2)
QUEUES = st.sampled_from(["all", "one", "robin", "idle"])
EVENTS = st.one_of(
    st.builds(CallerJoined, CALLS, QUEUES, SKILLS, st.integers(0, 2)),
    st.builds(CallerLeft, CALLS),
    st.builds(SeatSignedIn, NAMES, st.lists(QUEUES, max_size=4, unique=True).map(tuple), SKILLS),
    st.builds(SeatSignedOut, NAMES),
    st.builds(SeatReady, NAMES),
    st.builds(SeatAway, NAMES),
    st.builds(SeatAnswered, CALLS, NAMES),
    st.builds(SeatNotAnswered, CALLS, NAMES, st.booleans()),
    st.builds(ConversationEnded, CALLS, NAMES),
    st.just(TimePassed()),
)
RULES = tuple(
    QueueRule(name, strategy=strategy, max_length=3, max_wait_s=60, ring_s=5, wrap_up_s=5, announce_every_s=7)
    for name, strategy in zip(["all", "one", "robin", "idle"], Strategy, strict=True)
)


class Ledger:
    """What the outside world knows from commands alone: who rings where, who talks, who still waits."""

    def __init__(self) -> None:
        self.rings: set[tuple[str, str]] = set()
        self.talks: dict[str, str] = {}  # seat -> call
        self.waits: set[str] = set()

    def before(self, event: QueueEvent) -> None:
        match event:
            case CallerJoined(call):
                self.waits.add(call)
            case CallerLeft(call):
                self.waits.discard(call)
                self.talks = {seat: other for seat, other in self.talks.items() if other != call}
            case ConversationEnded(call, seat) if self.talks.get(seat) == call:
                del self.talks[seat]
            case SeatNotAnswered(call, seat):
                self.rings.discard((call, seat))

    def after(self, commands: list[QueueCommand]) -> None:
        for command in commands:
            match command:
                case RingSeats(call, seats):
                    for seat in seats:
                        assert call in self.waits, "rings for one who left"
                        assert seat not in self.talks, "a talking seat rings"
                        assert seat not in {other for _, other in self.rings}, "a seat rings twice"
                        self.rings.add((call, seat))
                case CancelRinging(call, seats):
                    self.rings -= {(call, seat) for seat in seats}
                case Connect(call, seat):
                    assert (call, seat) in self.rings
                    assert seat not in self.talks
                    assert call not in self.talks.values(), "a call at two seats"
                    self.rings.discard((call, seat))
                    self.waits.remove(call)
                    self.talks[seat] = call
                case Overflow(call):
                    self.waits.remove(call)
                case Announce(call, position, wait_s):
                    assert call in self.waits
                    assert position >= 1
                    assert wait_s > 0
        assert {call for call, _ in self.rings} <= self.waits, "a seat rings for one who left or talks"


@given(st.lists(st.tuples(EVENTS, st.floats(0, 10)), max_size=80))
def test_no_caller_is_lost_doubled_or_rung_after_leaving(events: list[tuple[QueueEvent, float]]) -> None:
    site, ledger = Site(*RULES, seats="AB"), Ledger()
    for event, after in events:
        if isinstance(event, CallerJoined) and (event.call in ledger.waits or event.call in ledger.talks.values()):
            with pytest.raises(ConflictError):
                site.feed(event, after=after)
            continue
        ledger.before(event)
        ledger.after(site.feed(event, after=after))
        inside = {caller.call: caller for rule in RULES for caller in site.acd.waiting(rule.name)}
        assert set(inside) == ledger.waits, "a caller was lost"
        assert {(call, seat) for call, caller in inside.items() for seat in caller.ringing} == ledger.rings
        assert {seat.name: seat.call for seat in site.acd.seats if seat.state is SeatState.TALKING} == ledger.talks
        for rule in RULES:
            assert len(site.acd.waiting(rule.name)) <= rule.max_length


@given(st.lists(st.tuples(EVENTS, st.floats(0, 10)), max_size=40))
def test_every_caller_has_an_end_when_time_passes(events: list[tuple[QueueEvent, float]]) -> None:
    site = Site(*RULES, seats="AB")
    for event, after in events:
        try:
            site.feed(event, after=after)
        except ConflictError:
            continue
    site.until(site.now + 100)
    assert all(site.acd.waiting(rule.name) == () for rule in RULES)
    assert site.acd.deadline is None or site.acd.deadline > site.now
