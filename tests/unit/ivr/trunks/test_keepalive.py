"""OPTIONS to a server: when it is asked, when it is down, when it is up again."""

from hypothesis import given
from hypothesis import strategies as st

from ivr.trunks.keepalive import Keepalive, KeepalivePolicy

POLICY = KeepalivePolicy(interval_s=30.0, patience_s=4.0, max_missed=3)


def asked(state: Keepalive, now: float) -> Keepalive:
    state, ask = state.on_time(now)
    assert ask
    return state


def test_a_server_that_answers_is_asked_again_after_the_interval() -> None:
    state = asked(Keepalive(POLICY), 0.0)
    state = state.on_answer(1, 0.1)
    assert state.deadline == 30.1
    assert state.on_time(30.0) == (state, False)
    assert asked(state, 30.1).attempt == 2


def test_a_silent_server_is_down_after_so_many_and_asked_sooner_meanwhile() -> None:
    state, now, ups = Keepalive(POLICY), 0.0, []
    for _ in range(3):
        state = asked(state, now)
        now += 4.0
        state, ask = state.on_time(now)
        assert not ask
        ups.append(state.up)
        now = state.deadline
    assert ups == [True, True, False]
    assert now == 24.0
    state = asked(state, now).on_answer(state.attempt + 1, now)
    assert (state.up, state.missed) == (True, 0)


def test_a_late_answer_does_not_count() -> None:
    state = asked(Keepalive(POLICY), 0.0)
    state, _ = state.on_time(4.0)
    assert state.on_answer(1, 4.1) == state
    again = asked(state, 8.0)
    assert again.on_answer(1, 8.1) == again


def test_a_server_that_says_it_is_out_of_service_counts_as_silent() -> None:
    state = Keepalive(KeepalivePolicy(max_missed=1))
    state = asked(state, 0.0).on_answer(1, 0.1, well=False)
    assert not state.up


@given(st.lists(st.tuples(st.floats(0, 60), st.booleans(), st.booleans()), max_size=80))
def test_it_is_down_only_after_as_many_misses_in_a_row(steps: list[tuple[float, bool, bool]]) -> None:
    state, now, missed = Keepalive(POLICY), 0.0, 0
    for wait_s, answers, well in steps:
        now += wait_s
        if answers and state.asking:
            state = state.on_answer(state.attempt, now, well=well)
            missed = 0 if well else missed + 1
        else:
            before = state.asking
            state, _ = state.on_time(now)
            missed += before and not state.asking
        assert state.missed == missed
        assert state.up or missed
        assert missed < 3 or not state.up
