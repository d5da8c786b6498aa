"""A scripted network in front of the jitter buffer: what is heard of it, and when."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr.media.jitterbuffer import JitterBuffer
from ivr.media.playout import PATIENCE_TICKS, WINDOW_TICKS

FRAME = 160
MS = 8
DELAY, LEAST, MOST = 60 * MS, 40 * MS, 200 * MS
BASE = 10000
"""Frame k holds the sample BASE + k, so that the last sample of what is heard names the frame."""


class Network:
    """One leg's packets; tick t reads what arrived before or at it."""

    def __init__(self, level=BASE):
        self.buffer = JitterBuffer(slots=2, delay=DELAY, least=LEAST, most=MOST)
        self.buffer.open(1, position=0)
        self.level = level
        self.tick = 0
        self.heard = []  # last sample of each frame
        self.samples = []
        self.delays = []  # of the frame at the reading position, in ms, for packets that take no time
        self.sources = np.array([1])
        self.recorded = []

    def run(self, ticks, arrivals):
        """`arrivals(tick)`: numbers of the frames that arrive with it."""
        for _ in range(ticks):
            head = self.tick * FRAME
            if self.tick == 0:
                self.buffer.playout.read(self.sources, head=head)
            for number in arrivals(self.tick):
                self.buffer.observe(
                    np.array([1]), sequence=np.array([number & 0xFFFF], np.uint16), ssrc=np.array([1], np.uint32)
                )
                self.buffer.place(
                    np.array([1]),
                    timestamp=np.array([number * FRAME], np.uint32),
                    samples=np.full((1, FRAME), self.level + number, np.int16),
                    head=head,
                )
            self.tick += 1
            frame = self.buffer.playout.read(self.sources, head=self.tick * FRAME)[0]
            self.samples.append(frame)
            self.heard.append(int(frame[-1]) - self.level)
            self.delays.append(
                (DELAY + self.tick * FRAME - self.buffer.playout.position(1, head=self.tick * FRAME)) // MS
            )
            settled = self.buffer.settled(1, head=self.tick * FRAME)
            if (count := settled - self.buffer.frontier(1)) > 0:
                self.recorded.append(self.buffer.take(1, count=count))


def steady(tick):
    return [tick]


def late_by(frames):
    """Every packet takes that many ticks more than it did at first."""
    return lambda tick: [tick - frames]


def test_steady_stream_is_heard_at_once_and_comes_down_to_the_least_delay():
    line = Network()
    line.run(2 * WINDOW_TICKS + PATIENCE_TICKS, steady)
    assert line.delays[0] == 60
    assert line.delays[-1] == 40
    assert (np.diff(line.heard[10:]) >= 1).all()
    assert line.heard[-1] - line.heard[10] == len(line.heard) - 11 + 1  # one frame was left out


def test_delay_shrinks_sooner_where_a_frame_is_quiet():
    line = Network(level=0)
    line.run(2 * WINDOW_TICKS + 10, steady)
    assert line.delays[-1] == 40


def test_shrinking_in_speech_is_cross_faded():
    line = Network()
    line.run(2 * WINDOW_TICKS + PATIENCE_TICKS, steady)
    audio = np.concatenate(line.samples[5:]).astype(int)
    assert np.abs(np.diff(audio)).max() <= 2


def test_packets_that_come_later_are_heard_after_all_and_none_twice():
    line = Network()
    line.run(50, steady)
    line.run(50, late_by(5))
    real = [number for number in line.heard if number > 0]
    assert set(range(5, real[-1])) <= set(real)
    repeated = {number for number in real if real.count(number) > 1}
    assert not repeated
    assert line.delays[-1] == 100


def test_delay_ends_at_the_most_and_what_is_later_is_concealed():
    line = Network()
    line.run(50, steady)
    line.run(100, lambda tick: [tick] if tick % 2 else [tick - 9] if tick >= 9 else [])
    assert max(line.delays) <= 200
    assert line.delays[-1] >= 180


def test_delay_comes_back_after_the_jitter_is_over():
    line = Network(level=0)
    line.run(50, steady)
    line.run(20, late_by(6))
    assert line.delays[-1] == 120
    line.run(1, lambda tick: range(tick - 6, tick + 1))
    line.run(4 * WINDOW_TICKS, steady)
    assert line.delays[-1] == 40


def test_lost_frame_is_concealed_in_the_ear_and_silence_in_the_recording():
    line = Network()
    line.run(60, lambda tick: [] if tick == 30 else [tick])
    recorded = np.concatenate(line.recorded).reshape(-1, FRAME)
    assert not recorded[33].any()
    assert recorded[32, 0] == BASE + 29
    gap = line.heard.index(29) + 1
    assert np.abs(line.samples[gap]).min() > BASE / 2


def test_long_loss_fades_to_silence():
    line = Network()
    line.run(60, lambda tick: [tick] if tick < 30 else [])
    assert not line.samples[-1].any()


@pytest.mark.parametrize("ppm", [-5000, 5000])
def test_clock_that_drifts_is_followed_with_few_frames_touched(ppm):
    line = Network()
    sent = iter(range(10**9))
    pending = next(sent)

    def arrivals(tick):
        nonlocal pending
        numbers = []
        while pending * (1 - ppm / 1e6) <= tick + 0.5:
            numbers.append(pending)
            pending = next(sent)
        return numbers

    line.run(1500, arrivals)
    real = [number for number in line.heard[10:] if number > 0]
    assert len(real) >= 1500 * 0.97
    assert real == sorted(set(real))
    transit = [tick * (1 + ppm / 1e6) - number for tick, number in enumerate(line.heard) if number > 0]
    assert min(transit[20:]) >= -1
    assert max(transit[20:]) <= 200 / 20 + 1


def test_where_nobody_is_heard_nothing_is_read():
    line = Network()
    assert line.buffer.playout.read(np.zeros(0, np.intp), head=0).shape == (0, FRAME)
    assert line.buffer.playout.position(1, head=800) == 800


@pytest.mark.parametrize("length", [80, 240, 480])
def test_other_packet_lengths_are_heard_whole(length):
    buffer = JitterBuffer(slots=1, delay=DELAY, least=LEAST, most=MOST)
    buffer.open(0, position=0)
    slots = np.array([0])
    buffer.playout.read(slots, head=0)
    sent, heard, source = 0, [], np.arange(1, 16001, dtype=np.int16)
    for tick in range(1, 80):
        while sent + length <= tick * FRAME:
            buffer.observe(slots, sequence=np.array([sent // length], np.uint16), ssrc=np.array([1], np.uint32))
            buffer.place(
                slots,
                timestamp=np.array([sent], np.uint32),
                samples=source[None, sent : sent + length],
                head=tick * FRAME,
            )
            sent += length
        heard.append(buffer.playout.read(slots, head=tick * FRAME)[0])
    audio = np.concatenate(heard).astype(int)
    start = int(np.flatnonzero(audio)[0])
    assert (np.diff(audio[start + 200 :]) == 1).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 14) | st.none(), min_size=60, max_size=160))
def test_whatever_the_network_does_nothing_is_heard_twice_and_delays_stay_bounded(transits):
    """`transits`: ticks that each packet takes, None for lost."""
    line = Network()
    due = {}
    for number, transit in enumerate(transits):
        if transit is not None:
            due.setdefault(number + transit, []).append(number)
    line.run(len(transits) + 20, lambda tick: due.get(tick, []))
    real = [number for number in line.heard if number > 0]
    assert len(real) == len(set(real))
