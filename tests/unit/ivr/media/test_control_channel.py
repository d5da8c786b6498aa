"""RTCP between the engine and the far end's sockets: what is taken, what is dropped and why, where reports go."""

import contextlib
import socket
from contextlib import closing

import pytest
from engine_rig import Phone, Rig, finish
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ivr.media import rtcp
from ivr.media.ports import PortPool
from ivr.media.rtcp import Goodbye, Report, ReportBlock, SenderInfo, SourceDescription
from ivr.media.types import DirectionQuality, RtpAddress, StreamQuality

PORTS = PortPool(address="127.0.0.1", port_min=46200, port_max=46598)
REPORT_TICKS = 160
"""More than the longest wait for a first report."""


class Reporter(Phone):
    """A phone with RTCP at the port after its RTP port."""

    def __init__(self, pool=PORTS, **options):
        super().__init__(**options)
        self.socket.close()
        self.socket, self.control = pool.bind()

    @property
    def address(self):
        return RtpAddress(*self.socket.getsockname()[:2])

    def tell(self, call, *packets, source=None):
        """Sends a compound packet, or octets as they are, to the call's RTCP port."""
        data = packets[0] if isinstance(packets[0], bytes) else rtcp.serialize(packets)
        (source or self.control).sendto(data, (self.server, call.local_port + 1))

    @property
    def ssrc(self):
        return self.address.port

    def reports(self, source=None):
        """The compound packets that came."""
        told = []
        with contextlib.suppress(BlockingIOError):
            while True:
                told.append(rtcp.parse((source or self.control).recv(2048)))
        return told


@pytest.fixture
def rig():
    rig = Rig()
    yield rig
    for phone in rig.phones:
        phone.control.close()
    rig.close()


@pytest.fixture
def phone(rig):
    rig.phones.append(Reporter())
    return rig.phones[-1]


@pytest.fixture
def endpoint():
    """A socket of the same host at some other port."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as other:
        other.bind(("127.0.0.1", 0))
        other.setblocking(False)
        yield other


@pytest.fixture
def stranger():
    """A socket of another host."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as other:
        other.bind(("127.0.0.9", 0))
        other.setblocking(False)
        yield other


def about(ssrc, **fields):
    known = {"fraction_lost": 0, "lost": 0, "highest_sequence": 0, "jitter": 0, "last_report": 0, "delay": 0}
    return ReportBlock(ssrc=ssrc, **{**known, **fields})


def own_ssrc(phone):
    """What the engine sends as."""
    return phone.received()[-1].ssrc


def told(rig):
    return rig.engine.stats().control


def test_an_answering_far_end_tells_round_trip_loss_and_jitter(rig, phone):
    call, _ = rig.open(phone)
    rig.talk(call, phone, REPORT_TICKS)
    report, description = phone.reports()[-1]
    assert 50 <= report.sender.packets < REPORT_TICKS
    assert report.sender.octets == 160 * report.sender.packets
    assert report.blocks[0].ssrc == phone.ssrc
    assert report.blocks[0].lost == 0
    assert isinstance(description, SourceDescription)
    ssrc = own_ssrc(phone)
    assert report.ssrc == ssrc
    block = about(ssrc, lost=8, jitter=80, last_report=rtcp.middle(report.sender.ntp), delay=0)
    phone.tell(call, Report(ssrc=phone.ssrc, blocks=(block,)))
    rig.tick()
    quality = call.quality()
    assert quality.sent.loss == pytest.approx(8 / quality.sent.packets, abs=1e-4)
    assert quality.sent.jitter_ms == 10.0
    assert 0 < quality.round_trip_ms < 4000
    assert quality.received.mos > 4
    assert quality.sent.mos < 4
    assert told(rig).received == 1
    assert told(rig).sent >= 1


def test_what_is_lost_on_the_way_to_us_is_reported_and_kept(rig, phone):
    call, _ = rig.open(phone)
    rig.tick(
        REPORT_TICKS, before=lambda index: phone.send(call, *([phone.packet(index)] if index % 5 or not index else []))
    )
    report, _description = phone.reports()[-1]
    (block,) = report.blocks
    assert block.lost == pytest.approx(block.highest_sequence / 5, abs=1)
    assert block.fraction_lost == pytest.approx(256 / 5, abs=6)
    finish(rig, call)
    assert call.quality().received.loss == pytest.approx(0.2, abs=0.01)
    assert call.quality().received.packets == pytest.approx(REPORT_TICKS * 4 / 5, abs=1)


def test_rtp_and_wall_clock_of_sender_reports_agree(rig, phone):
    call, _ = rig.open(phone)
    rig.talk(call, phone, 700)
    first, *_, last = [report.sender for report, _ in phone.reports()]
    seconds = (last.ntp - first.ntp) / 2**32
    assert seconds > 2
    assert (last.timestamp - first.timestamp) & 0xFFFFFFFF == pytest.approx(seconds * 8000, abs=2)


def test_a_leg_that_closes_says_goodbye_with_its_last_report(rig, phone):
    call, _ = rig.open(phone)
    rig.talk(call, phone, 5)
    finish(rig, call)
    ((report, _description, goodbye),) = phone.reports()
    assert report.sender.packets == 5
    assert goodbye == Goodbye(sources=(report.ssrc,))


def test_a_leg_that_sent_nothing_leaves_without_a_word(rig, phone):
    call, _ = rig.open(phone, send=False)
    rig.tick(2)
    finish(rig, call)
    assert phone.reports() == []


def test_the_far_end_s_last_report_counts_although_it_comes_with_its_hanging_up(rig, phone):
    call, _ = rig.open(phone)
    rig.talk(call, phone, 50)
    phone.tell(call, Report(ssrc=phone.ssrc, blocks=(about(own_ssrc(phone), lost=5),)), Goodbye(sources=(phone.ssrc,)))
    finish(rig, call)
    assert call.quality().sent.loss == 0.1
    assert call.quality().round_trip_ms is None


def test_a_stranger_s_reports_are_foreign(rig, phone, stranger):
    call, _ = rig.open(phone)
    rig.talk(call, phone, 5)
    ssrc = own_ssrc(phone)
    sender = SenderInfo(ntp=1 << 40, timestamp=0, packets=1, octets=1)
    phone.tell(call, Report(ssrc=phone.ssrc, sender=sender, blocks=(about(ssrc, lost=500),)), source=stranger)
    rig.talk(call, phone, REPORT_TICKS, first=5)
    assert call.quality().sent is None
    assert phone.reports()[0][0].blocks[0].last_report == 0
    assert phone.reports(stranger) == []
    assert (told(rig).foreign, told(rig).received) == (1, 0)


def test_reports_about_streams_of_others_are_unrelated(rig, phone):
    call, _ = rig.open(phone)
    rig.talk(call, phone, 5)
    phone.tell(call, Report(ssrc=phone.ssrc + 1, blocks=(about(own_ssrc(phone) ^ 1, lost=500),)))
    rig.tick()
    assert call.quality().sent is None
    assert (told(rig).unrelated, told(rig).received) == (1, 0)


@pytest.mark.parametrize(
    "data", [b"", b"\x80", b"\x80\xc8\x00\x06" + bytes(8), bytes(2000), b"\x81\xc9\x00\x01" + bytes(4)]
)
def test_what_is_no_compound_packet_is_malformed(rig, phone, data):
    call, _ = rig.open(phone)
    rig.talk(call, phone, 2)
    phone.tell(call, data)
    rig.tick()
    assert (told(rig).malformed, told(rig).received) == (1, 0)
    assert rig.engine.stats().failures == 0


def test_reports_follow_the_far_end_s_own_through_address_translation(rig, phone, endpoint):
    call, _ = rig.open(phone)
    rig.talk(call, phone, 5)
    phone.tell(call, Report(ssrc=phone.ssrc), source=endpoint)
    rig.talk(call, phone, REPORT_TICKS, first=5)
    assert phone.reports() == []
    assert phone.reports(endpoint)


def test_reports_go_where_signalling_says(rig, phone, stranger):
    call, _ = rig.open(phone, rtcp=RtpAddress(*stranger.getsockname()))
    rig.talk(call, phone, REPORT_TICKS)
    assert phone.reports() == []
    assert phone.reports(stranger)
    phone.tell(call, Report(ssrc=phone.ssrc), source=stranger)
    rig.tick()
    assert told(rig).received == 1


def test_reports_move_with_the_media(rig, phone, endpoint):
    call, _ = rig.open(phone)
    rig.talk(call, phone, 5)
    phone.tell(call, Report(ssrc=phone.ssrc), source=endpoint)
    rig.tick()
    other = Reporter(PortPool(address="127.0.0.5", port_min=46200, port_max=46210))
    rig.phones.append(other)
    call.update(other.remote)
    rig.talk(call, other, REPORT_TICKS)
    assert other.reports()
    assert phone.reports() == phone.reports(endpoint) == []


@pytest.mark.parametrize(("host", "port"), [("0.0.0.0", 4000), ("127.0.0.1", 65535)])
def test_a_far_end_that_cannot_be_told_is_not(rig, phone, host, port):
    call, _ = rig.open(phone, address=RtpAddress(host, port), send=False, receive=False)
    rig.tick(REPORT_TICKS)
    finish(rig, call)
    assert (told(rig).sent, told(rig).send_errors) == (0, 0)
    assert rig.engine.stats().failures == 0


def test_an_address_of_the_other_ip_version_is_an_error_counted(rig, phone):
    call, _ = rig.open(phone, rtcp=RtpAddress("::1", 4000))
    rig.talk(call, phone, REPORT_TICKS)
    assert told(rig).sent == 0
    assert told(rig).send_errors >= 1
    assert rig.engine.stats().failures == 0


def test_over_ipv6_as_over_ipv4():
    rig = Rig(bind_address="::1")
    phone = Reporter(PortPool(address="::1", port_min=46200, port_max=46298))
    phone.server = "::1"
    try:
        call, _ = rig.open(phone)
        rig.talk(call, phone, REPORT_TICKS)
        report, _description = phone.reports()[-1]
        phone.tell(
            call, Report(ssrc=phone.ssrc, blocks=(about(report.ssrc, last_report=rtcp.middle(report.sender.ntp)),))
        )
        rig.tick()
        assert call.quality().round_trip_ms > 0
        assert call.quality().received.loss == 0
    finally:
        phone.control.close()
        phone.socket.close()
        rig.close()


def test_a_flood_is_read_in_bounds_and_what_is_genuine_comes_through(rig, phone, stranger):
    call, _ = rig.open(phone)
    rig.talk(call, phone, 5)
    for _ in range(400):
        phone.tell(call, b"noise", source=stranger)
    rig.tick()
    assert 0 < told(rig).foreign <= 8
    rig.tick(20)
    phone.tell(call, Report(ssrc=phone.ssrc, blocks=(about(own_ssrc(phone)),)))
    rig.tick()
    assert told(rig).received == 1
    assert told(rig).foreign < 100  # what the small buffer did not hold


def test_before_a_leg_begins_its_quality_is_not_that_of_the_slot_s_last(rig, phone):
    call, _ = rig.open(phone)
    rig.talk(call, phone, 50)
    finish(rig, call)
    assert call.quality().received.packets == 50
    nothing = StreamQuality(received=DirectionQuality())
    following, _ = rig.open(phone)
    assert following.quality() == nothing
    following.close()
    rig.tick()
    assert following.quality() == nothing


def test_each_leg_of_a_room_has_reports_of_its_own(rig, phone):
    call, ear = rig.open(phone)
    seat = Reporter()
    rig.phones.append(seat)
    leg = call.add_leg("seat", listener=ear, remote=seat.remote)
    rig.tick(
        REPORT_TICKS, before=lambda index: (phone.send(call, phone.packet(index)), seat.send(leg, seat.packet(index)))
    )
    (own, _), (other, _) = phone.reports()[-1], seat.reports()[-1]
    assert own.ssrc != other.ssrc
    assert (own.blocks[0].ssrc, other.blocks[0].ssrc) == (phone.ssrc, seat.ssrc)
    leg.close()
    rig.tick()
    assert [type(packet) for packet in seat.reports()[-1]] == [Report, SourceDescription, Goodbye]
    assert phone.reports() == []


def test_events_and_packets_of_other_lengths_count_with_their_own_octets(rig, phone):
    call, _ = rig.open(phone, ptime_ms=40)
    call.send_digits("5")
    rig.talk(call, phone, REPORT_TICKS)
    packets = phone.received()
    finish(rig, call)
    sender = phone.reports()[-1][0].sender
    assert {len(packet.payload) for packet in packets} == {4, 320}
    assert (sender.packets, sender.octets) == (len(packets), sum(len(packet.payload) for packet in packets))


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.binary(max_size=120), header=st.sampled_from([b"", b"\x80\xc8", b"\x81\xc9", b"\x80\xc9\x00\x01"]))
def test_no_datagram_ends_a_leg(shared, data, header):
    rig, phone, call = shared
    phone.tell(call, header + data)
    rig.talk(call, phone, 1, first=told(rig).malformed)
    assert rig.engine.stats().failures == 0
    assert not call.closed


@pytest.fixture(scope="module")
def shared():
    rig, phone = Rig(), Reporter()
    call, _ = rig.open(phone)
    rig.tick()
    yield rig, phone, call
    phone.control.close()
    phone.socket.close()
    rig.close()
