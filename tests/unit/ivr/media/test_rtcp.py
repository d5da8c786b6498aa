import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.errors import ProtocolError
from ivr.media import rtcp
from ivr.media.rtcp import (
    Goodbye,
    OtherPacket,
    Report,
    ReportBlock,
    SenderInfo,
    SourceDescription,
    SourceItems,
    middle,
    ntp_time,
    parse,
    round_trip_s,
    serialize,
    transmission_interval_s,
)

words = st.integers(0, 0xFFFFFFFF)
texts = st.binary(max_size=255)
aligned = st.integers(0, 5).flatmap(lambda count: st.binary(min_size=4 * count, max_size=4 * count))
losses = st.integers(-(1 << 23), (1 << 23) - 1)
blocks = st.builds(ReportBlock, ssrc=words, fraction_lost=st.integers(0, 255), lost=losses,
                   highest_sequence=words, jitter=words, last_report=words, delay=words)  # fmt: skip
senders = st.builds(SenderInfo, ntp=st.integers(0, (1 << 64) - 1), timestamp=words, packets=words, octets=words)
reports = st.builds(Report, ssrc=words, blocks=st.lists(blocks, max_size=31).map(tuple),
                    sender=st.none() | senders, extension=aligned)  # fmt: skip
items = st.tuples(st.integers(1, 255), texts)
sources = st.builds(SourceItems, ssrc=words, items=st.lists(items, max_size=4).map(tuple))
descriptions = st.builds(SourceDescription, sources=st.lists(sources, max_size=31).map(tuple))
goodbyes = st.builds(Goodbye, sources=st.lists(words, max_size=31).map(tuple), reason=st.none() | texts)
kinds = st.integers(0, 199) | st.integers(204, 255)
others = st.builds(OtherPacket, kind=kinds, count=st.integers(0, 31), body=aligned)
compounds = st.tuples(reports, st.lists(reports | descriptions | goodbyes | others, max_size=4)).map(
    lambda parts: (parts[0], *parts[1])
)

RECEIVER = Report(ssrc=1)


@given(compounds)
def test_what_is_serialized_is_parsed_again(packets):
    datagram = serialize(packets)
    assert len(datagram) % 4 == 0
    assert parse(datagram) == packets


@given(st.binary(max_size=200))
def test_any_octets_are_packets_or_a_protocol_error(datagram):
    try:
        packets = parse(datagram)
    except ProtocolError:
        return
    assert isinstance(packets[0], Report)


@given(compounds, st.data())
def test_a_damaged_packet_is_another_packet_or_a_protocol_error(packets, data):
    datagram = bytearray(serialize(packets))
    for _ in range(data.draw(st.integers(1, 4))):
        datagram[data.draw(st.integers(0, min(len(datagram) - 1, 60)))] = data.draw(st.integers(0, 255))
    try:
        parse(bytes(datagram))
    except ProtocolError:
        return


@given(compounds, st.data())
def test_a_packet_cut_within_one_of_its_parts_is_refused(packets, data):
    datagram = serialize(packets)
    ends, start = {0}, 0
    for packet in packets:
        start += len(rtcp._serialize(packet))
        ends.add(start)
    cut = data.draw(st.integers(0, len(datagram) - 1).filter(lambda place: place not in ends or place == 0))
    with pytest.raises(ProtocolError):
        parse(datagram[:cut])


def test_a_sender_report_has_the_layout_of_the_rfc():
    block = ReportBlock(ssrc=0x0A0B0C0D, fraction_lost=64, lost=-2, highest_sequence=0x00020003, jitter=5,
                        last_report=0xB7058000, delay=0x00054000)  # fmt: skip
    sender = SenderInfo(ntp=0xB44DB705_20000000, timestamp=7, packets=8, octets=9)
    datagram = serialize([Report(ssrc=0x01020304, blocks=(block,), sender=sender), SourceDescription.of(1, "a@b")])
    assert datagram.hex(" ", 4) == (
        "81c8000c 01020304 b44db705 20000000 00000007 00000008 00000009 "
        "0a0b0c0d 40fffffe 00020003 00000005 b7058000 00054000 "
        "81ca0003 00000001 01036140 62000000"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",  # empty
        "80c9",  # within the header
        "40c9000100000001",  # version 1
        "80ca000100000001",  # begins with a source description
        "80cb0000",  # begins with a goodbye
        "80c9000200000001",  # longer than the datagram
        "80c9000100000001 00",  # an octet too many
        "80c90000",  # a report without its sender
        "81c9000100000001",  # a block that is not there
        "80c8000100000001",  # a sender report without the sender's part
        "a0c9000100000001 80c9000100000001",  # padding before the last
        "80c9000100000001 a0ca0000",  # padding of nothing
        "80c9000100000001 a0cc0001 00000000",  # no padding octets
        "80c9000100000001 a0cc0001 00000003",  # not whole words
        "80c9000100000001 a0cc0001 00000008",  # more than there is
        "80c9000100000001 81ca0000",  # a source that is not there
        "80c9000100000001 81ca0001 00000001",  # items without an end
        "80c9000100000001 81ca0002 00000001 01056162",  # an item longer than the packet
        "80c9000100000001 81ca0002 00000001 01026162",  # no zero after the last item
        "80c9000100000001 80ca0001 00000001",  # octets after the last source
        "80c9000100000001 81cb0000",  # a goodbye of nobody named
        "80c9000100000001 81cb0002 00000001 09616263",  # a reason longer than the packet
        "80c9000100000001 81cb0003 00000001 01610000 00000000",  # and a shorter one
    ],
)
def test_wrong_lengths_versions_and_orders_are_refused(text):
    with pytest.raises(ProtocolError):
        parse(bytes.fromhex(text))


def test_padding_of_the_last_packet_is_left_out():
    assert parse(bytes.fromhex("80c9000100000001 a1cb0002 00000001 00000004")) == (RECEIVER, Goodbye(sources=(1,)))


def test_a_word_of_zeros_too_many_after_the_names_is_forgiven():
    packets = (RECEIVER, SourceDescription.of(1, "ab"))
    assert parse(bytes.fromhex("80c9000100000001 81ca0003 00000001 01026162 00000000")) == packets
    assert parse(bytes.fromhex("80c9000100000001 81ca0004 00000001 01026162 00000000 00000000")) == packets


def test_a_name_that_is_not_utf_8_is_read_all_the_same():
    name = "热线".encode("gbk")
    packets = (RECEIVER, SourceDescription(sources=(SourceItems(ssrc=1, items=((1, name),)),)))
    assert parse(serialize(packets)) == packets


@pytest.mark.parametrize("packets", [[], [SourceDescription.of(1, "a")], [Goodbye(sources=(1,)), RECEIVER]])
def test_only_compounds_that_begin_with_a_report_are_sent(packets):
    with pytest.raises(ValueError, match="begins with a report"):
        serialize(packets)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Report(ssrc=1 << 32),
        lambda: Report(ssrc=1, extension=b"abc"),
        lambda: SenderInfo(ntp=1 << 64, timestamp=0, packets=0, octets=0),
        lambda: ReportBlock(ssrc=0, fraction_lost=256, lost=0, highest_sequence=0, jitter=0, last_report=0, delay=0),
        lambda: ReportBlock(
            ssrc=0, fraction_lost=0, lost=1 << 23, highest_sequence=0, jitter=0, last_report=0, delay=0
        ),
        lambda: SourceDescription.of(1, "a" * 256),
        lambda: Goodbye(sources=(1,), reason=b"a" * 256),
        lambda: OtherPacket(kind=200, count=0, body=b""),
        lambda: OtherPacket(kind=205, count=32, body=b""),
    ],
)
def test_invalid_packets_cannot_be_built(make):
    with pytest.raises(ValueError, match="not an RTCP packet"):
        make()


def test_ntp_time_counts_from_1900_with_a_binary_fraction():
    assert ntp_time(0) == 2208988800 << 32
    assert ntp_time(0.5) & 0xFFFFFFFF == 1 << 31
    assert middle(0x0123456789ABCDEF) == 0x456789AB
    assert ntp_time(2**32) < 1 << 64  # after 2036


def about(last_report, delay):
    return ReportBlock(
        ssrc=1, fraction_lost=0, lost=0, highest_sequence=0, jitter=0, last_report=last_report, delay=delay
    )


def test_round_trip_is_the_example_of_the_rfc():
    """Figure 2 of section 6.4.1: 6.125 s at A = 0xb710:8000, DLSR 0x0005:4000, LSR 0xb705:2000."""
    assert round_trip_s(about(0xB7052000, 0x00054000), ntp=0xB710_8000 << 16) == 6.125


def test_round_trip_is_unknown_without_a_report_or_with_an_impossible_delay():
    assert round_trip_s(about(0, 0), ntp=ntp_time(1000)) is None
    assert round_trip_s(about(middle(ntp_time(1000)), 2 * 65536), ntp=ntp_time(1001)) is None


def test_round_trip_survives_the_wrap_of_its_clock():
    assert round_trip_s(about(0xFFFF8000, 0x4000), ntp=0x00008000 << 16) == pytest.approx(0.75)


@pytest.mark.parametrize(("initial", "least"), [(True, 2.5), (False, 5.0)])
def test_intervals_of_a_call_are_five_seconds_randomised(initial, least):
    ends = [transmission_interval_s(uniform=uniform, initial=initial) * 1.21828 for uniform in (0.0, 0.5, 1.0)]
    assert ends == pytest.approx([0.5 * least, least, 1.5 * least], rel=1e-4)


def test_intervals_grow_with_the_members_and_listeners_share_three_quarters():
    few, many = (transmission_interval_s(uniform=0.5, initial=False, members=n, senders=n) for n in (20, 2000))
    assert few * 1.21828 == pytest.approx(5, rel=1e-4)
    assert many * 1.21828 == pytest.approx(120 * 2000 / 1000, rel=1e-4)
    speaker = transmission_interval_s(uniform=0.5, initial=False, members=4000, senders=400)
    listener = transmission_interval_s(uniform=0.5, initial=False, members=4000, senders=400, we_sent=False)
    assert speaker * 1.21828 == pytest.approx(120 * 400 / 250, rel=1e-4)
    assert listener * 1.21828 == pytest.approx(120 * 3600 / 750, rel=1e-4)


def test_the_header_tells_the_length_in_words_less_one():
    datagram = serialize([RECEIVER])
    assert struct.unpack("!BBH", datagram[:4]) == (0x80, 201, 1)
