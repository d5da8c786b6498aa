"""Places at several recognizers, also against random announcements, failures and streams."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.capacity import AVOID_S, RecognizerPool, SpeedMeter, capacity
from asr.protocol import Health
from asr.recognizer import ModelInfo

MODEL = ModelInfo("zh", "vosk", demo=False)
A, B, C = "ws://a:2700", "ws://b:2700", "ws://c:2700"


def state(*, connections: int = 0, places: int | None = 4) -> dict[str, object]:
    return Health(MODEL, connections=connections, rtf=0.1, capacity=places).state()


def test_speed_is_that_of_the_last_minute_but_never_taken_from_silence_alone() -> None:
    meter = SpeedMeter()
    assert meter.rtf is None
    meter.warmed_up(audio_s=4, decode_s=0.4)
    assert meter.rtf == pytest.approx(0.1)
    for _ in range(600):
        meter.add(audio_s=1, decode_s=0.0001)
    assert meter.rtf == pytest.approx(0.05)
    for _ in range(600):
        meter.add(audio_s=1, decode_s=0.4)
    assert meter.rtf == pytest.approx(0.4, rel=0.01)


def test_a_slower_machine_bears_fewer_streams() -> None:
    assert capacity(0.05, threads=2, most=64) == 30
    assert capacity(0.5, threads=2, most=64) == 3
    assert capacity(9.0, threads=2, most=64) == 1
    assert capacity(0.001, threads=2, most=64) == 64
    assert capacity(None, threads=2, most=64) == 64


def test_streams_go_where_the_smallest_share_is_taken_and_none_beyond_capacity() -> None:
    pool = RecognizerPool([A, B])
    pool.tell({A: state(places=1), B: state(places=3)})
    assert [pool.take(0) for _ in range(5)] == [A, B, B, B, None]
    pool.give_back(A)
    assert pool.take(0) == A


def test_streams_of_others_count_as_they_are_announced() -> None:
    pool = RecognizerPool([A])
    pool.tell({A: state(connections=4)})
    assert pool.take(0) is None
    pool.tell({A: state(connections=3)})
    assert pool.take(0) == A


def test_a_stream_that_moves_finds_a_place_where_all_are_taken() -> None:
    pool = RecognizerPool([A, B])
    pool.tell({A: state(connections=4), B: state(connections=4)})
    pool.failed(A, 0)
    assert pool.take(0) is None
    assert pool.take(0, moving=True) == B


def test_a_recognizer_that_failed_is_avoided_for_longer_each_time_until_it_answers() -> None:
    pool = RecognizerPool([A, B])
    pool.failed(A, 0)
    assert pool.take(0.1) == B
    assert pool.take(AVOID_S) == A
    pool.give_back(A)
    pool.failed(A, AVOID_S)
    assert pool.take(2 * AVOID_S) == B
    pool.answered(A)
    assert pool.take(2 * AVOID_S) == A


def test_where_all_have_failed_one_is_tried_all_the_same() -> None:
    pool = RecognizerPool([A, B])
    pool.failed(B, 0)
    pool.failed(A, 0.5)
    assert pool.take(0.6) == B


def test_those_that_announce_themselves_replace_the_ones_that_are_only_supposed() -> None:
    supposed, named = RecognizerPool([A], fallback=True), RecognizerPool([A])
    for pool in (supposed, named):
        pool.tell({B: state(), "ws://bad:1": {"model": 1}})
    assert supposed.by_load() == [B]
    assert sorted(named.by_load()) == [A, B]
    supposed.tell({})
    assert supposed.take(0) == A


def test_one_that_says_nothing_of_its_capacity_takes_what_comes() -> None:
    pool = RecognizerPool([A])
    assert [pool.take(0) for _ in range(40)] == [A] * 40


def test_jobs_go_to_the_idlest_first() -> None:
    pool = RecognizerPool([])
    pool.tell({A: state(connections=3), B: state(connections=1), C: state(connections=4, places=40)})
    assert pool.by_load() == [C, B, A]


@given(st.lists(st.tuples(st.sampled_from([A, B, C]), st.integers(0, 3), st.floats(0, 5)), max_size=60))
def test_places_are_never_given_beyond_capacity_and_never_lost(steps: list[tuple[str, int, float]]) -> None:
    pool, held, now = RecognizerPool([A, B, C]), [], 0.0
    pool.tell({url: state(places=2) for url in (A, B, C)})
    for url, step, wait in steps:
        now += wait
        if step == 0 and held:
            pool.give_back(held.pop())
        elif step == 1:
            pool.failed(url, now)
        elif (taken := pool.take(now)) is not None:
            held.append(taken)
        assert all(held.count(each) <= 2 for each in (A, B, C))
    for taken in held:
        pool.give_back(taken)
    for url in (A, B, C):
        pool.answered(url)
    assert sorted(filter(None, (pool.take(now + 100) for _ in range(6)))) == [A, A, B, B, C, C]
