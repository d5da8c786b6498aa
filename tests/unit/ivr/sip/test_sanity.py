"""Messages made fit for the stack, or refused by name."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.sip.sanity import Refusal, check

SOURCE = ("192.0.2.9", 40000)
GOOD = """\
INVITE sip:12345@192.0.2.1 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.9:5062;rport;branch=z9hG4bKx
Max-Forwards: 70
From: "Zhang" <sip:135@192.0.2.9>;tag=a
To: <sip:12345@192.0.2.1>
Call-ID: c@192.0.2.9
CSeq: 1 INVITE
Contact: <sip:135@192.0.2.9:5062>
Content-Type: application/sdp
Content-Length: 5

v=0
""".replace("\n", "\r\n").encode()


def changed(old: str, new: str) -> bytes:
    message = GOOD.replace(old.encode(), new.encode(), 1)
    assert message != GOOD, old
    return message


def fit(datagram: bytes) -> bytes:
    message = check(datagram, source=SOURCE)
    assert isinstance(message, bytes), message
    return message


def refused(datagram: bytes) -> Refusal:
    refusal = check(datagram, source=SOURCE)
    assert isinstance(refusal, Refusal), refusal
    return refusal


def test_a_good_message_keeps_its_meaning() -> None:
    message = fit(GOOD)
    assert message.startswith(b"INVITE sip:12345@192.0.2.1 SIP/2.0\r\nvia: SIP/2.0/UDP 192.0.2.9:5062;rport;branch=")
    assert b'from: "Zhang" <sip:135@192.0.2.9>;tag=a\r\n' in message
    assert message.endswith(b"content-length: 5\r\n\r\nv=0\r\n")
    assert fit(message) == message


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("INVITE sip", "INVITE   sip", b"INVITE sip:12345@192.0.2.1 SIP/2.0\r\n"),
        ("INVITE sip", "\r\n\r\nINVITE sip", b"INVITE sip:12345@192.0.2.1 SIP/2.0\r\n"),
        ("SIP/2.0\r\n", "sip/2.0  \r\n", b"INVITE sip:12345@192.0.2.1 SIP/2.0\r\n"),
        ("Via: SIP/2.0/UDP", "v : SIP /\r\n 2.0 / UDP ", b"via: SIP/2.0/UDP 192.0.2.9:5062;rport;branch=z9hG4bKx\r\n"),
        ("9:5062;rport", "9 ; a = b , SIP/2.0/TCP h", b"via: SIP/2.0/UDP 192.0.2.9;a=b\r\nvia: SIP/2.0/TCP h;branch"),
        ("To: <sip:12345@192.0.2.1>", "t:sip:12345@h;x", b"to: <sip:12345@h>;x\r\n"),
        ("To: <", "To: 张三<", "to: 张三 <sip:12345@192.0.2.1>\r\n".encode()),
        (";tag=a", ' ;\r\n\ttag = "a;,b"', b'<sip:135@192.0.2.9>;tag="a;,b"\r\n'),
        ('"Zhang"', r'"Z\"<,>\\"', rb'from: "Z\"<,>\\" <sip:135@'),
        ("Contact: <sip:135@192.0.2.9:5062>", "m: *", b"contact: *\r\n"),
        (":5062>\r\n", ">;q=1, <tel:1>\r\n", b"contact: <sip:135@192.0.2.9>;q=1, <tel:1>\r\n"),
        ("Max-Forwards: 70\r\n", "", b"from: "),
        ("Max-Forwards: 70", "Max-Forwards: 0", b"max-forwards: 0\r\n"),
        ("Max-Forwards: 70", "Accept: a/b\r\nAccept: c/d, Application/SDP;v=1", b"accept: a/b\r\n"),
        ("application/sdp", "Application / SDP ; charset = UTF-8", b"content-type: Application / SDP ; charset"),
        ("Content-Length: 5", "l: 3", b"content-length: 3\r\n\r\nv=0"),
        ("Content-Length: 5", "l: 7", b"content-length: 5\r\n\r\nv=0\r\n"),
        ("Content-Length: 5\r\n", "", b"content-length: 5\r\n\r\nv=0\r\n"),
        ("v=0", "v=张", b"\r\n\r\nv=???"),
        ("v=0", "v=0\r\n\r\nx", b"v=0\r\n"),
    ],
)
def test_liberties_are_put_in_order(old: str, new: str, expected: bytes) -> None:
    message = fit(changed(old, new))
    assert expected in message
    assert fit(message) == message


@pytest.mark.parametrize(
    ("old", "new", "reason", "status"),
    [
        ("SIP/2.0\r\n", "SIP/3.0\r\n", "version", 505),
        ("INVITE sip:", "INVITE soap:", "uri_scheme", 416),
        ("INVITE sip:", "INVITE ", "request_uri", 400),
        ("INVITE sip:", "INVITE <sip:", "request_uri", 400),
        ("192.0.2.1 SIP", "192.0.2.1; lr SIP", "request_uri", 400),
        ("192.0.2.1 SIP", "192.0.2.1:0 SIP", "request_uri", 400),
        ("192.0.2.1 SIP", "192.0.2.1:65536 SIP", "request_uri", 400),
        ("12345@192.0.2.1 SIP", " SIP", "request_uri", 400),
        ("Max-Forwards: 70", "Max-Forwards: 256", "max_forwards", 400),
        ("Max-Forwards: 70", "Max-Forwards: -1", "max_forwards", 400),
        ("1 INVITE", "1 BYE", "cseq", 400),
        ("1 INVITE", "2147483648 INVITE", "cseq", 400),
        ("1 INVITE", "INVITE", "cseq", 400),
        ("Call-ID: c@192.0.2.9", "Call-ID:", "call_id", 400),
        ("Call-ID: c@192.0.2.9", "Call-ID: a b", "call_id", 400),
        ("Call-ID: c@192.0.2.9\r\n", "", "missing_header", 400),
        ("Max-Forwards: 70", "To: <sip:1@2>", "repeated_header", 400),
        ("Max-Forwards: 70", "l: 5", "repeated_header", 400),
        ("Max-Forwards: 70", "no header", "header_line", 400),
        ("Max-Forwards: 70", ": nameless", "header_line", 400),
        ("Max-Forwards: 70", "Expires: soon", "expires", 400),
        ("Max-Forwards: 70", "Expires: 4294967296", "expires", 400),
        ("application/sdp", "application/sdp;x", "content_type", 400),
        ("application/sdp", "sdp", "content_type", 400),
        ("INVITE sip:", "INVITE sip:\u3000", "request_uri", 400),
        ("SIP/2.0/UDP 192.0.2.9:5062;rport;branch=z9hG4bKx", "", "via", 400),
        ("Max-Forwards: 70", "X: a\u2028Via: b", "control_character", 400),
        ("Max-Forwards: 70", "X: a\rVia: b", "control_character", 400),
        ("INVITE sip:", "INVITE sip:\x85", "control_character", 400),
        ("Content-Length: 5", "Content-Length: 8", "content_length", 400),
        ("Content-Length: 5", "Content-Length: -5", "content_length", 400),
        ("Content-Length: 5", "Content-Length: 5e0", "content_length", 400),
        ("9:5062;rport", "9:99999;rport", "via", 400),
        ("9:5062;rport", "9:5062;;,;", "via", 400),
        ("UDP 192", "UDP192", "via", 400),
        ('"Zhang"', '"Zhang', "from", 400),
        ('"Zhang"', "Zhang, San", "from", 400),
        ("<sip:135@192.0.2.9>", "< sip:135@192.0.2.9 >", "from", 400),
        ("<sip:135@192.0.2.9>", "<mailto:z@example.org>", "from", 400),
        ("To: <sip:12345@192.0.2.1>", "To:", "to", 400),
        ("<sip:135@192.0.2.9:5062>", "<sip:135@192.0.2.9:5062>;;", "contact", 400),
        ("<sip:135@192.0.2.9:5062>", "sip:135@192.0.2.9?Route=x", "contact", 400),
        ("<sip:135@192.0.2.9:5062>", "<sip:135@192.0.2.9:70000>", "contact", 400),
        ("Max-Forwards: 70", "Accept: text/plain", "accept", 406),
    ],
)
def test_what_is_not_fit_is_refused_by_name(old: str, new: str, reason: str, status: int) -> None:
    refusal = refused(changed(old, new))
    assert refusal.reason == reason
    assert refusal.response.startswith(b"SIP/2.0 %d " % status)


@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (b"", "no_sip"),
        (b"\r\n\r\n", "no_sip"),
        (b"\0", "no_sip"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "no_sip"),
        (b"SIP/2.0 abc Fine\r\n\r\n", "status_line"),
        (b"SIP/2.0 4294967301 better not\r\n\r\n", "status_line"),
        (
            GOOD.replace(b"INVITE sip:12345@192.0.2.1 SIP/2.0", b"SIP/2.0 200 OK").replace(b"Via", b"X"),
            "missing_header",
        ),
        (changed("Max-Forwards: 70", "no header").replace(b"INVITE", b"ACK"), "header_line"),
    ],
    ids=["nothing", "keep-alive", "zero", "http", "letters", "status too large", "an answer", "an ACK"],
)
def test_noise_answers_and_acknowledgements_are_refused_in_silence(datagram: bytes, reason: str) -> None:
    assert refused(datagram) == Refusal(reason)


def test_a_message_cut_off_or_in_another_character_set_is_refused() -> None:
    assert refused(GOOD[: GOOD.index(b"\r\n\r\n")]).reason == "cut_off"
    gbk = refused(GOOD.replace(b'"Zhang"', '"张三"'.encode("gbk")))
    assert gbk.reason == "no_utf8"
    assert b'from: "\xd5\xc5\xc8\xfd" <sip:135@192.0.2.9>;tag=a\r\n' in gbk.response
    assert refused(GOOD.replace(b"sip:12345", b"sip:\xff")).reason == "no_utf8"


def test_a_refusal_is_a_response_of_the_same_transaction_each_time() -> None:
    bad = changed("1 INVITE", "1 BYE")
    response = refused(bad).response.decode()
    assert "via: SIP/2.0/UDP 192.0.2.9:5062;rport=40000;branch=z9hG4bKx;received=192.0.2.9\r\n" in response
    assert re.search(r"to: <sip:12345@192.0.2.1>;tag=[0-9a-f]{16}\r\n", response)
    assert 'from: "Zhang" <sip:135@192.0.2.9>;tag=a\r\n' in response
    assert "cseq: 1 BYE\r\n" in response
    assert response.endswith("\r\nContent-Length: 0\r\n\r\n")
    assert refused(bad).response.decode() == response
    assert refused(bad.replace(b"c@192", b"d@192")).response.decode().replace("d@192", "c@192") != response


@pytest.mark.parametrize(
    ("old", "new", "port"),
    [
        ("1 INVITE", "1 BYE", 40000),
        (";rport", "", 5062),
        (":5062;rport", "", 5060),
        ("192.0.2.9:5062;rport", "[2001:db8::1]:5064", 5064),
        (":5062;rport", ":nothing", 40000),
    ],
    ids=["rport", "port", "default", "IPv6", "unreadable"],
)
def test_a_refusal_goes_where_the_via_wants_it(old: str, new: str, port: int) -> None:
    assert refused(changed(old, new).replace(b"1 INVITE", b"1 BYE")).port == port


@given(st.binary(max_size=400))
def test_garbage_is_refused(data: bytes) -> None:
    assert isinstance(check(data, source=SOURCE), Refusal)


@given(st.data())
def test_a_damaged_message_is_put_in_order_or_refused(data: st.DataObject) -> None:
    message = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(message)))
        end = data.draw(st.integers(start, min(len(message), start + 30)))
        message[start:end] = data.draw(
            st.binary(max_size=12) | st.sampled_from([b"\r\n ", b'"', b"<", b";", b",", b":"])
        )
    checked = check(bytes(message), source=SOURCE)
    if isinstance(checked, bytes):
        assert check(checked, source=SOURCE) == checked
        assert b"\n " not in checked.partition(b"\r\n\r\n")[0]


@pytest.mark.parametrize(
    "value",
    [b'"', b"<", b"<<>>", b" ", b";", b"a;", b",", b"\\", b'"\\', b"= ", b" ;a = ", b"SIP / ", b'"",'],
    ids=repr,
)
@pytest.mark.parametrize("name", [b"From", b"Contact", b"Via", b"CSeq", b"X"])
def test_a_hostile_header_takes_no_time(name: bytes, value: bytes) -> None:
    hostile = value * (8000 // len(value))
    check(re.sub(rb"(?m)^" + name + rb":.*\r$", lambda _: name + b": " + hostile + b"\r", GOOD), source=SOURCE)
    check(GOOD.replace(b"12345@192.0.2.1 SIP", hostile + b" SIP"), source=SOURCE)
