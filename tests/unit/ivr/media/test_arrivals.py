import numpy as np

from ivr.media.arrivals import Arrivals
from ivr.media.ring import RING

FRAME = 160
BOTH = np.array([0, 1])
FIRST = BOTH[:1]


def watched():
    arrivals = Arrivals(slots=2)
    arrivals.watch(BOTH)
    return arrivals


def at(*frames):
    return np.array(frames) * FRAME


def test_a_frame_came_whole_or_not_and_only_once():
    arrivals = watched()
    arrivals.put(BOTH, position=at(5, 6), length=FRAME)
    assert arrivals.take(BOTH, position=at(5, 5)).tolist() == [True, False]
    assert arrivals.take(BOTH, position=at(5, 6)).tolist() == [False, True]


def test_half_a_frame_is_not_the_frame():
    arrivals = watched()
    arrivals.put(FIRST, position=at(5), length=FRAME // 2)
    assert not arrivals.take(FIRST, position=at(5))[0]
    arrivals.put(FIRST, position=at(7), length=FRAME // 2)
    arrivals.put(FIRST, position=at(7) + FRAME // 2, length=FRAME // 2)
    assert arrivals.take(FIRST, position=at(7))[0]


def test_a_long_packet_is_all_its_frames():
    arrivals = watched()
    arrivals.put(FIRST, position=at(5), length=3 * FRAME)
    assert [bool(arrivals.take(FIRST, position=at(n))[0]) for n in range(4, 9)] == [False, True, True, True, False]


def test_legs_that_are_not_watched_are_not_noted():
    arrivals = watched()
    arrivals.drop(1)
    assert arrivals.watched(BOTH).tolist() == [True, False]
    arrivals.put(BOTH, position=at(5, 5), length=FRAME)
    assert arrivals.take(BOTH, position=at(5, 5)).tolist() == [True, False]


def test_what_was_never_asked_for_is_forgotten_before_the_ring_comes_round():
    arrivals = watched()
    arrivals.put(FIRST, position=at(5), length=FRAME)
    for frame in range(6, RING // FRAME + 5):
        arrivals.take(FIRST, position=at(frame))
    assert not arrivals.take(FIRST, position=at(RING // FRAME + 5))[0]
