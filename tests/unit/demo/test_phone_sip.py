import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.sip import ClientTransaction, SipMessage, SipUri, TransactionState
from hotline.errors import InvalidInputError, ProtocolError

INVITE = SipMessage(
    start="INVITE sip:12345@127.0.0.1:5060 SIP/2.0",
    headers=(
        ("Via", "SIP/2.0/UDP 127.0.0.1:4000;rport;branch=z9hG4bKabc"),
        ("From", "<sip:1@127.0.0.1>;tag=a"),
        ("To", "<sip:12345@127.0.0.1>"),
        ("Call-ID", "x@y"),
        ("CSeq", "1 INVITE"),
    ),
    body=b"v=0\r\n",
)


def test_a_message_survives_the_wire() -> None:
    read = SipMessage.parse(INVITE.serialize())
    assert read.start == INVITE.start
    assert read.header("call-id") == "x@y"
    assert (read.branch, read.method, read.status) == ("z9hG4bKabc", "INVITE", None)
    assert read.body == b"v=0\r\n"


def test_compact_and_folded_headers_are_understood() -> None:
    data = b"SIP/2.0 200 OK\r\nv: SIP/2.0/UDP a;branch=b\r\nf: x\r\nt: y;\r\n  tag=z\r\ni: c\r\nCSeq: 7 BYE\r\n\r\n"
    message = SipMessage.parse(data)
    assert message.header("to") == "y; tag=z"
    assert (message.status, message.reason, message.method) == (200, "OK", "BYE")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        INVITE.serialize().replace(b"CSeq", b"CSek"),
        INVITE.serialize().replace(b"1 INVITE", b"one INVITE"),
        INVITE.serialize().replace(b"\r\n\r\n", b"\r\n"),
        INVITE.serialize().replace(b"Call-ID: ", b"Call-ID "),
    ],
)
def test_what_is_no_sip_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        SipMessage.parse(data)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_message_or_a_protocol_error(data: bytes) -> None:
    for candidate in (data, b"SIP/2.0 200 OK\r\n" + data + b"\r\n\r\n"):
        with contextlib.suppress(ProtocolError):
            SipMessage.parse(candidate)


def test_a_reply_repeats_what_names_the_transaction() -> None:
    reply = SipMessage.parse(INVITE.serialize()).reply("200 OK", extra=(("Contact", "<sip:me>"),))
    assert [name for name, _ in reply.headers] == ["via", "from", "to", "call-id", "cseq", "Contact"]


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("sip:12345@127.0.0.1:5070", SipUri("12345", "127.0.0.1", 5070)),
        ("sip:host", SipUri("", "host")),
        ('"张" <sip:1@h:9;lr>;tag=3', SipUri("1", "h", 9)),
    ],
)
def test_addresses_are_found_in_headers(text: str, uri: SipUri) -> None:
    assert SipUri.parse(text) == uri


@pytest.mark.parametrize("text", ["", "tel:12345", "sip:", "sip:1@h:0", "sip:1@h:70000", "sip:1@h:x"])
def test_wrong_addresses_are_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        SipUri.parse(text)


def times_of_resending(request: SipMessage, until: float, *, provisional_at: float | None = None) -> list[float]:
    transaction = ClientTransaction(request, now=0.0)
    times: list[float] = []
    while transaction.due is not None and transaction.due <= until:
        if provisional_at is not None and transaction.due >= provisional_at:
            transaction.on_response(180, provisional_at)
            provisional_at = None
            continue
        now = transaction.due
        if transaction.on_time(now) is not None:
            times.append(now)
    return times


def test_an_invite_is_repeated_with_doubling_pauses_until_timer_b() -> None:
    assert times_of_resending(INVITE, 40) == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]


def test_other_requests_are_repeated_at_most_every_four_seconds() -> None:
    bye = SipMessage(INVITE.start.replace("INVITE", "BYE"), INVITE.headers)
    assert times_of_resending(bye, 12) == [0.5, 1.5, 3.5, 7.5, 11.5]


def test_a_ringing_invite_is_not_repeated() -> None:
    assert times_of_resending(INVITE, 100, provisional_at=1.0) == [0.5]


def test_an_unanswered_request_times_out_once() -> None:
    transaction = ClientTransaction(INVITE, now=0.0)
    assert transaction.on_time(32.0) is None
    assert transaction.state is TransactionState.TIMED_OUT
    transaction.on_response(200, 33.0)
    assert transaction.state is TransactionState.TIMED_OUT


def test_a_final_answer_ends_all_timers() -> None:
    transaction = ClientTransaction(INVITE, now=0.0)
    transaction.on_response(200, 0.1)
    assert transaction.state is TransactionState.COMPLETED
    assert transaction.due is None
