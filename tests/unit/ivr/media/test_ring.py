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


def test_frames_taken_of_many_are_those_taken_of_each_wherever_the_ring_ends():
    together, alone = Rings(slots=4), Rings(slots=4)
    slots, positions = np.array([3, 1, 2]), np.array([0, RING - 320, 5 * RING + 1600])
    samples = np.random.default_rng(1).integers(-32768, 32767, (3, 800), np.int16)
    for rings in (together, alone):
        for slot, position, row in zip(slots, positions, samples, strict=True):
            rings.add(int(slot), row, position=int(position))
    taken = together.take_frames(slots, positions=positions, count=4)
    for slot, position, row, all_of_it in zip(slots, positions, taken, samples, strict=True):
        assert np.array_equal(row, alone.take(int(slot), position=int(position), count=640))
        assert np.array_equal(row, all_of_it[:640])
        rest = together.take(int(slot), position=int(position), count=800)
        assert not rest[:640].any()
        assert np.array_equal(rest[640:], all_of_it[640:])


@pytest.mark.parametrize("offset", [0, 1, 80])
def test_whole_frames_and_others_are_put_at_their_positions(offset):
    rings = Rings(slots=3)
    slots, positions = np.array([2, 0]), np.array([RING - 160 + offset, 4 * RING + offset])
    samples = np.random.default_rng(2).integers(-32768, 32767, (2, 160), np.int16)
    rings.put(slots, samples, positions=positions)
    for slot, position, row in zip(slots, positions, samples, strict=True):
        assert np.array_equal(rings.take(int(slot), position=int(position), count=160), row)
