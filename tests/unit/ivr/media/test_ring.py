import numpy as np
import pytest

from ivr.media.ring import RING, Rings


@pytest.mark.parametrize("position", [0, 160, RING - 200, RING - 50, 3 * RING - 1])
def test_added_samples_lie_at_their_position_wherever_the_ring_ends(position):
    rings = Rings(slots=2)
    rings.add(1, np.arange(200, dtype=np.int16), position=position)
    rings.add(1, np.ones(200, np.int16), position=position)
    assert np.array_equal(rings.take(1, position=position, count=200), np.arange(1, 201))
    assert not rings.take(1, position=position, count=200).any()
    assert not rings.take(0, position=position, count=200).any()


def test_sums_saturate():
    rings = Rings(slots=1)
    for _ in range(2):
        rings.add(0, np.array([30000, -30000], np.int16), position=0)
    assert rings.take(0, position=0, count=2).tolist() == [32767, -32768]


def test_frames_at_positions_are_copies():
    rings = Rings(slots=2)
    rings.add(1, np.full(160, 7, np.int16), position=RING + 320)
    frames = rings.frames_at(np.array([1, 0]), positions=np.array([320, 320]))
    assert frames[0].tolist() == [7] * 160
    assert not frames[1].any()
    frames[:] = 1
    assert rings.frames_at(np.array([0]), positions=np.array([320]))[0, 0] == 0
