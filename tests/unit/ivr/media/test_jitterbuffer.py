import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr.media.jitterbuffer import DRIFT, MAX_AHEAD, RESYNC, JitterBuffer, StreamCounters
from ivr.media.ring import RING

DELAY = 480
FRAME = 160
START = 3200


class Line:
    """One call's stream of numbered frames: frame k holds the samples k + 1."""

    def __init__(self, *, timestamp=0, sequence=0):
        self.buffer = JitterBuffer(slots=3, delay=DELAY)
        self.buffer.open(1, position=START)
        self.timestamp, self.sequence = timestamp, sequence

    def arrive(self, number, *, head, ssrc=1, shift=0, length=FRAME):
        self.buffer.observe(
            np.array([1]),
            sequence=np.array([(self.sequence + number) & 0xFFFF], np.uint16),
            ssrc=np.array([ssrc], np.uint32),
        )
        self.buffer.place(
            np.array([1]),
            timestamp=np.array([(self.timestamp + shift + number * FRAME) & 0xFFFFFFFF], np.uint32),
            samples=np.full((1, length), number + 1, np.int16),
            head=head,
        )

    def take(self, frames):
        """The first sample of each of the next frames, after checking that each frame is one value."""
        taken = self.buffer.take(1, count=frames * FRAME).reshape(frames, FRAME)
        assert (taken == taken[:, :1]).all()
        return taken[:, 0].tolist()

    @property
    def counters(self):
        return self.buffer.counters(1)


@pytest.mark.parametrize(("timestamp", "sequence"), [(0, 0), (0xFFFFFFFF - 200, 0xFFFE), (0x7FFFFF80, 0x7FFF)])
def test_a_stream_is_placed_one_delay_after_its_first_packet_whatever_wraps(timestamp, sequence):
    line = Line(timestamp=timestamp, sequence=sequence)
    for number in range(5):
        line.arrive(number, head=START + number * FRAME)
    assert line.take(9) == [0, 0, 0, 1, 2, 3, 4, 5, 0]
    assert line.counters == StreamCounters(received=5)


@settings(max_examples=50)
@given(st.permutations(range(1, 8)), st.sets(st.integers(1, 7)))
def test_order_and_loss_do_not_move_what_arrives(order, lost):
    line = Line()
    line.arrive(0, head=START)
    for number in order:
        if number not in lost:
            line.arrive(number, head=START)
    assert line.take(11)[3:] == [1] + [0 if number in lost else number + 1 for number in range(1, 8)]


def test_loss_is_counted_and_a_late_comer_is_uncounted():
    line = Line()
    for number in (0, 1, 4, 5):
        line.arrive(number, head=START)
    assert line.counters.lost == 2
    line.arrive(2, head=START)
    assert line.counters.lost == 1


def test_duplicate_changes_nothing_but_the_count():
    line = Line()
    for number in (0, 1, 1, 2):
        line.arrive(number, head=START)
    assert line.take(7) == [0, 0, 0, 1, 2, 3, 0]
    assert line.counters == StreamCounters(received=4)


def test_late_packet_is_counted_and_recorded_while_the_frontier_allows():
    line = Line()
    line.arrive(0, head=START)
    line.arrive(2, head=START)
    line.arrive(1, head=START + 10 * FRAME)
    assert line.take(7) == [0, 0, 0, 1, 2, 3, 0]
    assert line.counters == StreamCounters(received=3, late=1)


def test_packet_behind_the_frontier_is_dropped():
    line = Line()
    line.arrive(0, head=START)
    line.arrive(2, head=START)
    line.take(10)
    line.arrive(1, head=START + 12 * FRAME)
    assert line.take(4) == [0, 0, 0, 0]
    assert line.counters == StreamCounters(received=3, dropped=1)


def test_new_ssrc_is_placed_anew_at_once():
    line = Line()
    line.arrive(0, head=START)
    line.arrive(1, head=START + 5 * FRAME, ssrc=2, shift=987654321)
    assert line.take(9) == [0, 0, 0, 1, 0, 0, 0, 0, 2]
    assert line.counters == StreamCounters(received=2)


def test_a_resumed_stream_is_placed_anew_though_its_clock_stood_still():
    line = Line()
    line.arrive(0, head=START)
    line.buffer.resume(1)
    line.arrive(1, head=START + 5 * FRAME)
    line.arrive(2, head=START + 6 * FRAME)
    assert line.take(10) == [0, 0, 0, 1, 0, 0, 0, 0, 2, 3]


@pytest.mark.parametrize("shift", [MAX_AHEAD + 5 * FRAME, -20 * FRAME, 1 << 31])
def test_a_clock_that_jumps_for_good_is_followed(shift):
    line = Line()
    line.arrive(0, head=START)
    line.take(2)
    jump = RESYNC // FRAME
    for number in range(1, jump + 3):
        line.arrive(number, head=START + number * FRAME, shift=shift)
    assert line.counters.dropped == jump
    assert line.take(jump + 4) == [0, 1] + [0] * jump + [jump + 2, jump + 3]


def test_stream_that_is_late_for_good_is_heard_again():
    line = Line()
    line.arrive(0, head=START)
    behind, drift = 5, DRIFT // FRAME
    for number in range(1, drift + 4):
        line.arrive(number, head=START + (number + behind) * FRAME)
    assert line.counters == StreamCounters(received=drift + 4, late=drift)
    head = START + (drift + 4 + behind) * FRAME
    assert line.buffer.frames(np.array([1]), head=head)[0, 0] == drift + 2
    silence = [0] * behind
    assert line.take(drift + 3 + behind + 4)[3:] == [*range(1, drift + 2), *silence, drift + 2, drift + 3, drift + 4]


def test_one_stray_timestamp_does_not_move_the_stream():
    line = Line()
    line.arrive(0, head=START)
    line.arrive(1, head=START, shift=1 << 30)
    for number in range(2, 12):
        line.arrive(number, head=START + number * FRAME)
        if number == 6:
            line.arrive(number, head=START + number * FRAME, shift=1 << 30)
    assert line.take(15) == [0, 0, 0, 1, 0, *range(3, 13)]


def test_packets_beyond_the_ring_do_not_overwrite_what_is_not_taken():
    line = Line()
    line.arrive(0, head=START)
    line.arrive(RING // FRAME, head=START + RING)
    assert line.counters.dropped == 1
    assert line.take(4) == [0, 0, 0, 1]


def test_ring_reused_after_taking_is_silent():
    line = Line()
    line.arrive(0, head=START)
    assert line.take(RING // FRAME).count(1) == 1
    assert line.take(RING // FRAME) == [0] * (RING // FRAME)


def test_reopened_slot_knows_nothing_of_the_last_call():
    line = Line()
    line.arrive(0, head=START)
    line.buffer.open(1, position=START)
    assert line.take(8) == [0] * 8
    assert line.counters == StreamCounters()
    assert line.buffer.position(1, timestamp=0, head=START) is None


def test_odd_packet_lengths_follow_their_timestamps():
    line = Line()
    line.arrive(0, head=START, length=240)
    line.timestamp += 80
    line.arrive(1, head=START, length=240)
    taken = line.buffer.take(1, count=DELAY + 480)
    assert np.array_equal(taken, np.repeat([0, 1, 2], [DELAY, 240, 240]))


def test_position_of_a_timestamp_is_where_its_audio_lies():
    line = Line()
    assert line.buffer.position(1, timestamp=0, head=START) is None
    line.arrive(0, head=START)
    assert line.buffer.position(1, timestamp=320, head=START) == START + DELAY + 320
    assert line.buffer.position(1, timestamp=1 << 30, head=START) is None


def test_calls_in_one_batch_do_not_touch_each_other():
    buffer = JitterBuffer(slots=3, delay=0)
    slots = np.array([2, 0])
    for slot in range(3):
        buffer.open(slot, position=0)
    buffer.observe(slots, sequence=np.array([9, 1], np.uint16), ssrc=np.array([5, 6], np.uint32))
    samples = np.array([[22] * FRAME, [10] * FRAME], np.int16)
    buffer.place(slots, timestamp=np.array([77, 1 << 31], np.uint32), samples=samples, head=0)
    assert buffer.frames(np.arange(3), head=0)[:, 0].tolist() == [10, 0, 22]
    assert [buffer.end(slot) for slot in range(3)] == [FRAME, 0, FRAME]
    assert buffer.counters(1) == StreamCounters()
