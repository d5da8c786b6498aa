import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.g711 import Law
from demo.sdp import Media, answer_direction, describe, parse
from hotline.errors import ProtocolError


@given(st.sampled_from(["127.0.0.2", "::1"]), st.integers(1, 65535), st.sampled_from(Law))
def test_what_is_described_can_be_read_back(host: str, port: int, law: Law) -> None:
    assert parse(describe(host, port, law)) == Media(host, port, law, 101, "sendrecv")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"v=0\r\nc=IN IP4 127.0.0.1\r\n",
        describe("127.0.0.1", 4000, Law.PCMA).replace(b"4000", b"0"),
        describe("127.0.0.1", 4000, Law.PCMA).replace(b"4000", b"70000"),
        describe("127.0.0.1", 4000, Law.PCMA).replace(b"127.0.0.1", b"example.org"),
        describe("127.0.0.1", 4000, Law.PCMA).replace(b"AVP 8 101", b"AVP 18 101"),
    ],
)
def test_an_answer_one_can_not_talk_to_is_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse(body)


def test_digits_need_a_payload_type_that_is_accepted() -> None:
    body = describe("127.0.0.1", 4000, Law.PCMA).replace(b"AVP 8 101", b"AVP 8")
    assert parse(body).events is None


def test_a_hold_is_answered_with_the_other_half() -> None:
    assert answer_direction("sendonly") == "recvonly"
    assert answer_direction("inactive") == "inactive"
    assert answer_direction("sendrecv") == "sendrecv"


@given(st.binary(max_size=300))
def test_any_bytes_give_media_or_a_protocol_error(body: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        parse(b"m=audio 9 RTP/AVP 8\r\nc=IN IP4 " + body)
