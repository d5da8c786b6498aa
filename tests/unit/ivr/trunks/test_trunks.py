"""Registration at a carrier: rounds, refreshes, failover and back, waits, and the ways it is refused."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.trunks.registration import (
    Accepted,
    Challenged,
    Event,
    Phase,
    Refused,
    Registration,
    RegistrationPolicy,
    SendRegister,
    ServerDown,
    Servers,
    ServerUp,
    Stop,
    TimePassed,
    TooBrief,
    step,
)

A, B, C = ("203.0.113.1", 5060), ("203.0.113.2", 5060), ("203.0.113.3", 5060)
POLICY = RegistrationPolicy(expires_s=600, patience_s=4.0, backoff_s=5.0, backoff_max_s=120.0)


class Line:
    """A registration and its clock."""

    def __init__(self, *servers: tuple[str, int]) -> None:
        self.state = Registration(POLICY)
        self.now = 1000.0
        self.sent: list[SendRegister] = []
        if servers:
            self.tell(Servers(servers))

    def tell(self, event: Event, *, chance: float = 1.0) -> SendRegister | None:
        self.state, request = step(self.state, event, now=self.now, chance=chance)
        if request is not None:
            self.sent.append(request)
        return request

    def accept(self, expires_s: int = 600) -> None:
        self.tell(Accepted(self.state.attempt, expires_s))
        assert self.state.phase is Phase.REGISTERED

    def refuse(self, code: int = 503, retry_after_s: float = 0.0) -> SendRegister | None:
        return self.tell(Refused(self.state.attempt, code, retry_after_s))

    def wait(self, seconds: float | None = None) -> SendRegister | None:
        """Time passes, until the state wants to wake up unless told."""
        if seconds is None:
            assert self.state.wake is not None
            seconds = self.state.wake - self.now
        self.now += seconds
        return self.tell(TimePassed())


def registered(*servers: tuple[str, int]) -> Line:
    line = Line(*servers)
    line.accept()
    return line


def test_nothing_is_sent_before_a_server_is_known() -> None:
    line = Line()
    assert line.tell(TimePassed()) is None
    assert line.tell(Servers((A,))) == SendRegister(1, A, 600)


def test_a_challenge_is_answered_once_and_then_we_are_registered() -> None:
    line = Line(A)
    assert line.tell(Challenged(1)) == SendRegister(2, A, 600, signed=True)
    line.tell(Accepted(2, 300))
    assert (line.state.phase, line.state.at, line.state.until) == (Phase.REGISTERED, A, line.now + 300)


@pytest.mark.parametrize(("chance", "after"), [(0.0, 0.75), (1.0, 0.85)])
def test_a_registration_is_refreshed_before_it_is_over(chance: float, after: float) -> None:
    line = Line(A)
    line.tell(Accepted(1, 400), chance=chance)
    assert line.wait(400 * after - 0.1) is None
    assert line.wait(0.2) == SendRegister(2, A, 600)
    assert line.state.at == A, "the old one holds meanwhile"


def test_a_stale_nonce_is_answered_anew_but_not_for_ever() -> None:
    line = Line(A, B)
    line.tell(Challenged(1))
    assert line.tell(Challenged(2, stale=True)) == SendRegister(3, A, 600, signed=True)
    assert line.tell(Challenged(3, stale=True)) == SendRegister(4, A, 600, signed=True)
    assert line.tell(Challenged(4, stale=True)) == SendRegister(5, B, 600)


def test_a_wrong_secret_is_not_tried_at_other_servers_and_waits_longest() -> None:
    line = Line(A, B)
    line.tell(Challenged(1))
    assert line.tell(Challenged(2)) is None
    assert (line.state.phase, line.state.wake) == (Phase.WAITING, line.now + 120)


def test_too_brief_an_interval_is_made_longer() -> None:
    line = Line(A)
    line.tell(Challenged(1))
    assert line.tell(TooBrief(2, 1800)) == SendRegister(3, A, 1800, signed=True)
    assert line.tell(Challenged(3)) == SendRegister(4, A, 1800, signed=True), "the nonce may be good for one request"
    line.accept(1800)
    assert line.wait() == SendRegister(5, A, 600), "a later round asks for what is set"


@pytest.mark.parametrize("min_s", [0, 60, 600])
def test_a_423_that_makes_no_sense_is_a_refusal(min_s: int) -> None:
    line = Line(A, B)
    assert line.tell(TooBrief(1, min_s)) == SendRegister(2, B, 600)


def test_a_server_that_is_silent_or_refuses_is_followed_by_the_next() -> None:
    line = Line(A, B, C)
    assert line.wait(3.9) is None
    assert line.wait(0.2) == SendRegister(2, B, 600)
    assert line.refuse(403) == SendRegister(3, C, 600)
    line.accept()
    assert line.state.at == C


def test_an_acceptance_for_no_time_is_a_refusal() -> None:
    line = Line(A, B)
    assert line.tell(Accepted(1, 0)) == SendRegister(2, B, 600)


def test_waits_double_up_to_the_longest_and_a_success_forgets_them() -> None:
    line, waits = Line(A), []
    for _ in range(7):
        line.refuse()
        assert line.state.wake is not None
        waits.append(line.state.wake - line.now)
        line.wait()
    assert waits == [5, 10, 20, 40, 80, 120, 120]
    line.accept()
    line.wait()
    line.refuse()
    assert line.state.wake == line.now + 5


def test_a_wait_is_between_a_half_and_the_whole_by_chance() -> None:
    line = Line(A)
    line.tell(Refused(1, 500), chance=0.0)
    assert line.state.wake == line.now + 2.5


def test_retry_after_is_respected_within_bounds() -> None:
    line = Line(A, B)
    line.refuse(503, 60.0)
    line.refuse(503, 10.0)
    assert line.state.wake == line.now + 60
    line.wait()
    line.refuse(503, 1e9)
    line.refuse()
    assert line.state.wake == line.now + 120


def test_a_late_answer_of_a_server_given_up_changes_nothing() -> None:
    line = Line(A, B)
    line.wait(5)
    before = line.state
    for late in (Accepted(1, 600), Challenged(1), Refused(1, 500), TooBrief(1, 900)):
        line.tell(late)
    assert line.state == before


def test_a_registration_that_is_not_refreshed_is_over_in_time() -> None:
    line = registered(A)
    line.wait()
    line.refuse()
    while line.state.at is not None:
        line.wait()
        if line.state.phase is Phase.REGISTERING:
            line.refuse()
    assert line.now >= 1600


def test_a_server_that_stops_answering_is_left_for_the_next_at_once() -> None:
    line = registered(A, B)
    assert line.tell(ServerDown(A)) == SendRegister(2, B, 600)
    assert line.state.at is None
    line.accept()
    assert line.state.at == B
    assert line.wait() == SendRegister(3, B, 600), "one that is down is not asked first"


def test_a_preferred_server_that_is_back_is_returned_to() -> None:
    line = registered(A, B)
    line.tell(ServerDown(A))
    line.accept()
    assert line.tell(ServerUp(A)) == SendRegister(3, A, 600)
    assert line.state.at == B, "until the other one accepts"
    line.accept()
    assert line.state.at == A


def test_a_refresh_asks_the_preferred_server_first() -> None:
    line = Line(A, B)
    line.refuse()
    line.accept()
    assert line.state.at == B
    assert line.wait() == SendRegister(3, A, 600)
    assert line.refuse() == SendRegister(4, B, 600)


def test_a_server_that_is_back_ends_the_wait() -> None:
    line = registered(A)
    line.tell(ServerDown(A))
    line.wait()
    assert line.state.phase is Phase.WAITING
    assert line.tell(ServerUp(A)) is not None


def test_a_less_preferred_server_that_is_back_moves_nothing() -> None:
    line = registered(A, B)
    line.tell(ServerDown(B))
    assert line.tell(ServerUp(B)) is None
    assert line.state.at == A


def test_other_servers_in_the_name_are_taken_up_and_the_same_in_another_order_are_not() -> None:
    line = registered(A, B)
    assert line.tell(Servers((B, A))) is None
    assert line.state.servers == (A, B)
    assert line.tell(Servers((A, C))) is None, "still registered at one of them"
    assert line.tell(Servers((B, C))) == SendRegister(2, B, 600)


def test_a_new_server_ends_the_wait() -> None:
    line = Line(A)
    line.refuse()
    assert line.tell(Servers((A,))) is None
    assert line.tell(Servers((B,))) == SendRegister(2, B, 600)


def test_whoever_leaves_unregisters_and_does_not_wait_for_long() -> None:
    line = registered(A)
    assert line.tell(Stop()) == SendRegister(2, A, 0)
    assert line.tell(Challenged(2)) == SendRegister(3, A, 0, signed=True)
    line.tell(Accepted(3, 0))
    assert line.state.phase is Phase.STOPPED
    silent = registered(A)
    silent.tell(Stop())
    silent.wait()
    assert silent.state.phase is Phase.STOPPED


def test_whoever_is_not_registered_leaves_without_a_word() -> None:
    for line in (Line(), Line(A)):
        before = len(line.sent)
        assert line.tell(Stop()) is None
        assert line.state.phase is Phase.STOPPED
        assert line.tell(Servers((A, B))) is None
        assert len(line.sent) == before


addresses = st.sampled_from([A, B, C])
answers = st.one_of(
    st.builds(Accepted, st.just(0), st.integers(-1, 5000)),
    st.builds(Challenged, st.just(0), st.booleans()),
    st.builds(TooBrief, st.just(0), st.integers(0, 5000)),
    st.builds(Refused, st.just(0), st.integers(300, 699), st.floats(0, 1e9)),
)
events = st.one_of(
    answers,
    st.builds(TimePassed),
    st.builds(Servers, st.lists(addresses, unique=True).map(tuple)),
    st.builds(ServerDown, addresses),
    st.builds(ServerUp, addresses),
)


@given(st.lists(st.tuples(events, st.floats(0, 400), st.floats(0, 1), st.booleans()), max_size=60))
def test_whatever_happens_it_neither_rests_nor_floods_and_it_can_be_stopped(
    history: list[tuple[Event, float, float, bool]],
) -> None:
    line = Line(A, B)
    for event, wait_s, chance, late in history:
        line.now += wait_s
        if isinstance(event, Accepted | Challenged | TooBrief | Refused):
            event = replace(event, attempt=line.state.attempt - late)
        before = line.state
        request = line.tell(event, chance=chance)
        state = line.state
        assert state.phase in (Phase.IDLE, Phase.REGISTERING, Phase.REGISTERED, Phase.WAITING)
        assert (state.phase is Phase.IDLE) == (
            not state.servers and state.deadline is None
        ) or state.deadline is not None
        assert request is None or (request.attempt == state.attempt == before.attempt + 1)
        assert state.at is None or state.until > line.now
        if state.phase is Phase.WAITING and before.phase is not Phase.WAITING:
            assert state.deadline is not None
            assert 2.5 <= state.deadline - line.now <= 120
    line.tell(Stop())
    for _ in range(3):
        if line.state.phase is not Phase.STOPPED:
            line.wait(5)
    assert line.state.phase is Phase.STOPPED
    assert line.state.wake is None
