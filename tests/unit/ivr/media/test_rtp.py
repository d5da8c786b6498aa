import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.errors import ProtocolError
from ivr.media.rtp import RtpExtension, RtpPacket

WORD = st.integers(0, 0xFFFFFFFF)
EXTENSIONS = st.builds(
    RtpExtension,
    profile=st.integers(0, 0xFFFF),
    data=st.integers(0, 8).flatmap(lambda words: st.binary(min_size=4 * words, max_size=4 * words)),
)
PACKETS = st.builds(
    RtpPacket,
    payload_type=st.integers(0, 127),
    sequence=st.integers(0, 0xFFFF),
    timestamp=WORD,
    ssrc=WORD,
    payload=st.binary(max_size=400),
    marker=st.booleans(),
    csrc=st.lists(WORD, max_size=15).map(tuple),
    extension=st.none() | EXTENSIONS,
    padding=st.integers(0, 255),
)


@given(PACKETS)
def test_a_packet_survives_the_line(packet):
    assert RtpPacket.parse(packet.serialize()) == packet


@given(st.binary(max_size=200))
def test_garbage_is_a_packet_or_a_protocol_error(data):
    try:
        packet = RtpPacket.parse(data)
    except ProtocolError:
        return
    # Only the octets of padding, whose values mean nothing, may differ.
    assert RtpPacket.parse(packet.serialize()) == packet
    assert len(packet.serialize()) == len(data)


@given(PACKETS, st.data())
def test_a_packet_cut_within_its_header_is_refused(packet, data):
    header = 12 + 4 * len(packet.csrc) + (4 + len(packet.extension.data) if packet.extension else 0)
    with pytest.raises(ProtocolError):
        RtpPacket.parse(packet.serialize()[: data.draw(st.integers(0, header - 1))])


@pytest.mark.parametrize("padding", [0, 5])
def test_padding_that_does_not_fit_is_refused(padding):
    with pytest.raises(ProtocolError, match="padding"):
        RtpPacket.parse(bytes([0xA0, 8]) + bytes(10) + bytes([0, 0, 0, padding]))


def test_the_header_is_laid_out_as_the_rfc_draws_it():
    packet = RtpPacket(payload_type=8, sequence=0x1234, timestamp=0xA0, ssrc=0xDEADBEEF, payload=b"x", marker=True)
    assert packet.serialize() == bytes.fromhex("80 88 1234 000000a0 deadbeef 78")


@pytest.mark.parametrize(
    "fields", [{"payload_type": 128}, {"sequence": -1}, {"timestamp": 1 << 32}, {"csrc": (0,) * 16}, {"padding": 256}]
)
def test_an_impossible_packet_cannot_be_built(fields):
    with pytest.raises(ValueError, match="not an RTP packet"):
        RtpPacket(**{"payload_type": 0, "sequence": 0, "timestamp": 0, "ssrc": 0, "payload": b""} | fields)


def test_an_extension_of_broken_words_cannot_be_built():
    with pytest.raises(ValueError, match="extension"):
        RtpExtension(profile=0, data=b"abc")
