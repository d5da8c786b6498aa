"""SDP policing and answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.errors import InvalidInputError
from ivr.media.types import Codec, RtpAddress
from ivr.sdp import Direction, parse_offer, write_answer

OFFER = """\
v=0
o=- 1 1 IN IP4 127.0.0.2
s=-
c=IN IP4 127.0.0.2
t=0 0
m=audio 4000 RTP/AVP 8 0 101
a=rtpmap:101 telephone-event/8000
a=sendrecv
""".replace("\n", "\r\n")


def test_an_a_law_offer_is_understood() -> None:
    offer = parse_offer(OFFER)
    assert offer.remote.address == RtpAddress("127.0.0.2", 4000)
    assert offer.remote.codec is Codec.PCMA
    assert offer.remote.telephone_event == 101
    assert offer.remote.send
    assert offer.remote.receive


def test_the_offerer_s_first_codec_wins() -> None:
    assert parse_offer(OFFER.replace("8 0 101", "0 8 101")).remote.codec is Codec.PCMU
    assert parse_offer(OFFER.replace("8 0 101", "9 18 0 101")).remote.codec is Codec.PCMU


def test_a_call_in_progress_keeps_its_codec_wherever_it_is_listed() -> None:
    reordered = OFFER.replace("8 0 101", "0 8 101")
    assert parse_offer(reordered, keep=Codec.PCMA).remote.codec is Codec.PCMA
    assert parse_offer(OFFER.replace("8 0 101", "0 101"), keep=Codec.PCMA).remote.codec is Codec.PCMU


def test_the_media_section_s_address_wins() -> None:
    offer = parse_offer(OFFER + "c=IN IP4 127.0.0.9\r\n")
    assert offer.remote.address.host == "127.0.0.9"


@pytest.mark.parametrize(
    ("attribute", "send", "receive", "answered"),
    [
        ("sendonly", False, True, "recvonly"),
        ("recvonly", True, False, "sendonly"),
        ("inactive", False, False, "inactive"),
        ("sendrecv", True, True, "sendrecv"),
    ],
)
def test_directions_are_answered(attribute: str, send: bool, receive: bool, answered: str) -> None:
    offer = parse_offer(OFFER.replace("sendrecv", attribute))
    assert (offer.remote.send, offer.remote.receive) == (send, receive)
    assert f"a={answered}\r\n" in write_answer(offer, host="127.0.0.1", port=20000, session_id=1, version=1)


def test_a_zero_address_is_a_hold() -> None:
    assert parse_offer(OFFER.replace("c=IN IP4 127.0.0.2", "c=IN IP4 0.0.0.0")).direction is Direction.INACTIVE


def test_other_media_lines_are_answered_with_port_zero_in_order() -> None:
    text = OFFER.replace("m=audio", "m=video 5000 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\nm=audio")
    answer = write_answer(parse_offer(text), host="127.0.0.1", port=20000, session_id=1, version=1)
    lines = [line for line in answer.split("\r\n") if line.startswith("m=")]
    assert lines == ["m=video 0 RTP/AVP 96", "m=audio 20000 RTP/AVP 8 101"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("m=audio 4000", "m=audio 0"),
        ("m=audio 4000", "m=audio 70000"),
        ("m=audio 4000", "m=audio -1"),
        ("m=audio 4000", "m=audio 9999999999999999999999"),
        ("m=audio 4000", "m=audio ４０００"),
        ("RTP/AVP", "RTP/SAVP"),
        ("8 0 101", "18 9 101"),
        ("8 0 101", "8 0 x"),
        ("8 0 101", ""),
        ("c=IN IP4 127.0.0.2", "c=IN IP4 pbx.example.com"),
        ("c=IN IP4 127.0.0.2", "c=IN IP4 999.1.1.1"),
        ("c=IN IP4 127.0.0.2", "c=IN IP4 224.0.0.1"),
        ("c=IN IP4 127.0.0.2", "c=IN"),
        ("c=IN IP4 127.0.0.2\r\n", ""),
        ("m=audio 4000 RTP/AVP 8 0 101", "k=none"),
        ("v=0\r\n", ""),
        ("s=-", "nonsense"),
        ("a=rtpmap:101", "a=rtpmap:1000"),
    ],
)
def test_what_cannot_work_is_refused(old: str, new: str) -> None:
    assert old in OFFER
    with pytest.raises(InvalidInputError):
        parse_offer(OFFER.replace(old, new, 1))


def test_an_endless_offer_is_refused() -> None:
    with pytest.raises(InvalidInputError):
        parse_offer(OFFER + "a=x\r\n" * 300)
    with pytest.raises(InvalidInputError):
        parse_offer(OFFER + "a=" + "x" * 9000)


@given(st.text(max_size=300))
def test_garbage_is_refused_and_nothing_else(text: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_offer(text)


@given(
    st.lists(st.sampled_from([*OFFER.split("\r\n"), "m=audio 1 RTP/AVP 0", "a=rtpmap:", "c=IN IP6 ::1"]), max_size=20)
)
def test_shuffled_lines_are_understood_or_refused(lines: list[str]) -> None:
    try:
        offer = parse_offer("\r\n".join(lines))
    except InvalidInputError:
        return
    assert offer.lines[offer.audio_index].kind == "audio"


@given(st.integers(1, 65535), st.integers(0, 2**31), st.integers(1, 1000))
def test_our_answer_is_itself_an_acceptable_offer(port: int, session: int, version: int) -> None:
    answer = write_answer(parse_offer(OFFER), host="127.0.0.7", port=port, session_id=session, version=version)
    assert parse_offer(answer).remote.address == RtpAddress("127.0.0.7", port)
    assert parse_offer(answer).remote.telephone_event == 101
