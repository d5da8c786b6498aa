import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotline.errors import ProtocolError
from ivr.media import rtcp
from ivr.media.reports import RtcpReports
from ivr.media.rtcp import Goodbye, Report, ReportBlock, SenderInfo, SourceDescription
from ivr.media.types import Codec, DirectionQuality, StreamQuality

OURS, THEIRS = 0x11223344, 0x55667788
UNIX = 1_750_000_000.0


class Call:
    """One leg in slot 1 of three."""

    def __init__(self, *, slot=1):
        self.reports = RtcpReports(slots=3, cname="hotline@192.0.2.1", unix_offset_s=UNIX,
                                   random=np.random.default_rng(7))  # fmt: skip
        self.slot = slot
        self.reports.open(slot, ssrc=OURS, now=0.0)

    def hear(self, sequence, *, now, timestamp=None, ssrc=THEIRS):
        self.reports.observe(
            np.array([self.slot]),
            sequence=np.array([sequence & 0xFFFF], np.uint16),
            timestamp=np.array([(sequence * 160 if timestamp is None else timestamp) & 0xFFFFFFFF], np.uint32),
            ssrc=np.array([ssrc], np.uint32),
            arrival=None if now is None else np.array([int(now * 8000) & 0xFFFFFFFF], np.uint32),
        )

    def send(self, count):
        for _ in range(count):
            self.reports.sent(np.array([self.slot]), octets=160)

    def report(self, *, now=1.0, timestamp=0):
        return rtcp.parse(self.reports.build(self.slot, now=now, timestamp=timestamp))[0]

    def block(self, *, now=1.0):
        return self.report(now=now).blocks[0]

    def told(self, *packets, now):
        self.reports.receive(self.slot, rtcp.serialize(packets), now=now)

    @property
    def quality(self):
        return self.reports.quality(self.slot, codec=Codec.PCMA)


def about_us(**fields):
    known = {"fraction_lost": 0, "lost": 0, "highest_sequence": 0, "jitter": 0, "last_report": 0, "delay": 0}
    return ReportBlock(ssrc=fields.pop("ssrc", OURS), **{**known, **fields})


def test_a_leg_that_sent_and_heard_nothing_reports_itself_all_the_same():
    call = Call()
    report, description = rtcp.parse(call.reports.build(1, now=1.0, timestamp=0))
    assert report == Report(ssrc=OURS)
    assert description == SourceDescription.of(OURS, "hotline@192.0.2.1")


def test_a_sender_tells_its_counts_and_both_its_clocks():
    call = Call()
    call.send(50)
    report = call.report(now=1.5, timestamp=(1 << 32) + 8000)
    assert report.sender == SenderInfo(ntp=rtcp.ntp_time(UNIX + 1.5), timestamp=8000, packets=50, octets=8000)
    assert call.report().sender is None  # nothing was sent since
    call.send(1)
    assert call.report().sender.packets == 51


def test_losses_are_counted_in_all_and_as_a_share_since_the_last_report():
    call = Call()
    for sequence in range(100):
        if sequence % 4 != 3:
            call.hear(sequence, now=sequence * 0.02)
    call.hear(100, now=2.0)
    first = call.block()
    assert (first.ssrc, first.lost, first.highest_sequence) == (THEIRS, 25, 100)
    assert first.fraction_lost == 25 * 256 // 101
    for sequence in range(101, 151):
        call.hear(sequence, now=sequence * 0.02)
    second = call.block()
    assert (second.lost, second.fraction_lost, second.highest_sequence) == (25, 0, 150)


@pytest.mark.parametrize("start", [0, 65530, 32760])
def test_sequence_numbers_wrap_into_cycles(start):
    call = Call()
    for n in range(0, 140001, 100):
        call.hear(start + n, now=n * 0.02)
    block = call.block()
    assert block.highest_sequence == start + 140000
    assert block.lost == 140001 - 1401


def test_duplicates_make_losses_negative_but_no_share():
    call = Call()
    for sequence in (1, 2, 2, 2, 3):
        call.hear(sequence, now=sequence * 0.02)
    block = call.block()
    assert (block.lost, block.fraction_lost) == (-2, 0)
    assert call.quality.received.loss == 0


@settings(max_examples=50)
@given(st.permutations(range(1, 12)), st.sets(st.integers(1, 11)))
def test_reordering_does_not_change_what_was_lost(order, lost):
    call = Call()
    call.hear(0, now=0.0)
    for sequence in order:
        if sequence not in lost:
            call.hear(sequence, now=0.1)
    highest = max((s for s in order if s not in lost), default=0)
    block = call.block()
    assert block.highest_sequence == highest
    assert block.lost == len([s for s in lost if s < highest])


def test_one_stray_packet_does_not_restart_the_stream_and_two_do():
    call = Call()
    for sequence in (10, 11, 40000, 12, 13):
        call.hear(sequence, now=sequence * 0.02 if sequence < 100 else 0.23)
    assert (call.block().lost, call.block().highest_sequence) == (0, 13)
    for sequence in (40001, 40002, 40004):
        call.hear(sequence, now=1.0)
    block = call.block()
    assert (block.lost, block.highest_sequence) == (1, 40004)
    assert call.quality.received.packets == 7  # 40000 only announced the restart


def test_a_new_source_is_reported_anew_and_the_call_s_quality_keeps_both():
    call = Call()
    for sequence in (1, 2, 4):
        call.hear(sequence, now=sequence * 0.02)
    for sequence in (500, 501, 503):
        call.hear(sequence, now=2.0, ssrc=9)
    block = call.block()
    assert (block.ssrc, block.lost, block.highest_sequence) == (9, 1, 503)
    assert call.quality.received.packets == 6
    assert call.quality.received.loss == pytest.approx(2 / 8)


def reference_jitter(packets):
    """Appendix A.8 in its floating-point form."""
    jitter, last = 0.0, None
    for arrival, timestamp in packets:
        transit = int(arrival * 8000) - timestamp
        if last is not None:
            jitter += (abs(transit - last) - jitter) / 16
        last = transit
    return jitter


@settings(max_examples=50)
@given(st.lists(st.floats(0, 0.2), min_size=2, max_size=60), st.sampled_from([0, 0xFFFFFFFF - 1000, 1 << 31]))
def test_jitter_is_the_running_mean_of_the_rfc_whatever_wraps(delays, base):
    call = Call()
    packets = [(n * 0.02 + delay, n * 160) for n, delay in enumerate(delays)]
    for n, (arrival, timestamp) in enumerate(packets):
        call.hear(n, now=arrival, timestamp=base + timestamp)
    assert call.block().jitter == pytest.approx(reference_jitter(packets), abs=1)


def test_telephone_events_and_a_clock_set_anew_are_no_jitter():
    call = Call()
    for n in range(50):
        call.hear(n, now=n * 0.02)
    for n in range(50, 80):  # an event: one timestamp for 600 ms
        call.hear(n, now=n * 0.02, timestamp=50 * 160)
    for n in range(80, 120):
        call.hear(n, now=n * 0.02)
    assert call.block().jitter == 0
    for n in range(120, 160):
        call.hear(n, now=n * 0.02, timestamp=n * 160 + (1 << 30))
    assert call.block().jitter == 0


def test_the_far_end_s_report_is_referred_to_with_its_delay():
    call = Call()
    call.hear(1, now=0.0)
    assert (call.block().last_report, call.block().delay) == (0, 0)
    sender = SenderInfo(ntp=0x01234567_89ABCDEF, timestamp=0, packets=0, octets=0)
    call.told(Report(ssrc=THEIRS, sender=sender), now=2.0)
    block = call.block(now=3.5)
    assert (block.last_report, block.delay) == (0x456789AB, int(1.5 * 65536))


def test_a_report_of_another_source_is_not_referred_to():
    call = Call()
    call.hear(1, now=0.0)
    call.told(Report(ssrc=99, sender=SenderInfo(ntp=1 << 40, timestamp=0, packets=0, octets=0)), now=2.0)
    assert call.block().last_report == 0


def test_round_trip_loss_and_jitter_of_the_other_direction_come_from_the_far_end():
    call = Call()
    call.send(200)
    sent = call.report(now=10.0).sender
    block = about_us(lost=10, jitter=80, last_report=rtcp.middle(sent.ntp), delay=65536 // 2)
    call.told(Report(ssrc=THEIRS, blocks=(about_us(ssrc=5, lost=99), block)), now=10.62)
    quality = call.quality
    assert quality.round_trip_ms == pytest.approx(120, abs=0.2)
    assert quality.sent.packets == 200
    assert quality.sent.loss == 0.05
    assert quality.sent.jitter_ms == 10.0
    assert quality.sent.mos < 4


def test_two_of_our_ends_measure_each_other_s_round_trip():
    one, other = Call(), Call(slot=2)
    other.reports.open(2, ssrc=THEIRS, now=0.0)
    one.send(1)
    other.hear(1, now=1.0, ssrc=OURS)
    other.reports.receive(2, one.reports.build(1, now=1.0, timestamp=0), now=1.04)
    one.reports.receive(1, other.reports.build(2, now=3.0, timestamp=0), now=3.03)
    assert one.quality.round_trip_ms == pytest.approx(70, abs=0.2)


def test_quality_knows_nothing_of_what_was_not_told():
    assert Call().quality == StreamQuality(received=DirectionQuality(), sent=None, round_trip_ms=None)


@pytest.mark.parametrize("lost", [-5, (1 << 23) - 1])
def test_an_impossible_report_of_the_far_end_gives_a_quality_all_the_same(lost):
    call = Call()
    call.told(Report(ssrc=THEIRS, blocks=(about_us(lost=lost),)), now=1.0)
    assert call.quality.sent.loss == 0
    call.send(3)
    assert 0 <= call.quality.sent.loss <= 1


@given(st.binary(max_size=80))
def test_garbage_is_a_protocol_error_and_changes_nothing(datagram):
    call = Call()
    with pytest.raises(ProtocolError):
        call.reports.receive(1, b"\x80\xca" + datagram, now=1.0)
    assert call.quality.round_trip_ms is None


def test_reports_are_due_by_chance_around_every_five_seconds():
    call = Call()
    times, now = [], 0.0
    while len(times) < 400:
        now += 0.02
        if call.reports.due(now).tolist() == [1]:
            call.reports.build(1, now=now, timestamp=0)
            times.append(now)
    gaps = np.diff(times)
    assert 1 <= times[0] <= 3.1
    assert gaps.min() >= 2
    assert gaps.max() <= 6.2
    assert gaps.mean() == pytest.approx(5 / 1.21828, rel=0.05)
    assert gaps.std() > 0.8


def test_a_leg_that_leaves_says_goodbye_and_owes_nothing_more():
    call = Call()
    packets = rtcp.parse(call.reports.build(1, now=1.0, timestamp=0, leaves=True))
    assert packets[-1] == Goodbye(sources=(OURS,))
    assert not len(call.reports.due(1e9))


def test_a_closed_leg_owes_nothing_and_a_reopened_one_knows_nothing_of_the_last():
    call = Call()
    call.send(3)
    for sequence in (1, 5):
        call.hear(sequence, now=sequence)
    call.told(Report(ssrc=THEIRS, blocks=(about_us(last_report=1, delay=0),)), now=5.0)
    call.reports.close(1)
    assert not len(call.reports.due(1e9))
    call.reports.open(1, ssrc=OURS, now=10.0)
    assert call.quality == StreamQuality(received=DirectionQuality())
    assert call.report(now=11.0) == Report(ssrc=OURS)
    call.hear(7, now=11.0)
    assert call.block().lost == 0


def test_legs_in_one_batch_do_not_touch_each_other():
    reports = Call(slot=0).reports
    reports.open(2, ssrc=6, now=0.0)
    for n in range(10):
        slots = np.array([2, 0]) if n % 2 else np.array([0, 2])
        sequence = np.where(slots == 0, n, 65530 + 2 * n).astype(np.uint16)
        ssrc = np.where(slots == 0, 1, 2).astype(np.uint32)
        timestamp = sequence.astype(np.uint32)
        reports.observe(slots, sequence=sequence, timestamp=timestamp, ssrc=ssrc, arrival=timestamp)
    blocks = [rtcp.parse(reports.build(slot, now=1.0, timestamp=0))[0].blocks[0] for slot in (0, 2)]
    assert [(block.ssrc, block.lost, block.highest_sequence) for block in blocks] == [(1, 0, 9), (2, 9, 65548)]


def test_jitter_is_of_neighbours_alone_where_not_every_arrival_is_known():
    known = Call()
    for n in range(200):
        late = 0.004 * (n % 2)  # each packet 4 ms off the one before
        known.hear(n, now=n * 0.02 + late if n % 20 < 4 else None)
    assert known.block().jitter == pytest.approx(32, abs=5)
    drifting = Call()
    for n in range(200):  # 2 ms more a packet: far from one known stretch to the next, near within each
        drifting.hear(n, now=n * 0.022 if n % 20 < 4 else None)
    assert drifting.block().jitter == pytest.approx(16, abs=4)
    alone = Call()
    for n in range(200):
        alone.hear(n, now=n * 0.02 + 0.01 * (n % 3) if n % 2 else None)
    assert alone.block().jitter == 0
