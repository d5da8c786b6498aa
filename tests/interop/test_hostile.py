"""Malformed and hostile messages: each is refused or dropped, and the next proper call is answered as ever."""

import random
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.call import CallResult
from demo.media_process import MediaProcess

REFUSED = range(400, 700)
MEDIA_SETTINGS = {"HOTLINE_MEDIA__RTP_TIMEOUT_S": "2"}  # ends what was taken for a call and can't be hung up


def without(header: str) -> Callable[[bytes], bytes]:
    return lambda good: re.sub(rb"(?m)^" + header.encode() + rb":.*\r\n", b"", good)


def with_header(header: str, value: bytes) -> Callable[[bytes], bytes]:
    return lambda good: re.sub(
        rb"(?m)^" + header.encode() + rb":.*\r$", lambda _: header.encode() + b": " + value + b"\r", good
    )


def with_start(line: bytes) -> Callable[[bytes], bytes]:
    return lambda good: line + good[good.index(b"\r\n") :]


def plus_headers(lines: bytes) -> Callable[[bytes], bytes]:
    return lambda good: good.replace(b"Max-Forwards: 70\r\n", b"Max-Forwards: 70\r\n" + lines)


def with_body(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    def build(good: bytes) -> bytes:
        head, _, body = good.partition(b"\r\n\r\n")
        body = change(body)
        return re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % len(body), head) + b"\r\n\r\n" + body

    return build


def body_line(start: bytes, line: bytes) -> Callable[[bytes], bytes]:
    return with_body(lambda body: re.sub(rb"(?m)^" + re.escape(start) + rb".*\r\n", lambda _: line, body))


MALFORMED: dict[str, Callable[[bytes], bytes]] = {
    # not SIP at all
    "nothing": lambda good: b"",
    "keep-alive": lambda good: b"\r\n\r\n",
    "one zero byte": lambda good: b"\0",
    "noise": lambda good: random.Random(1).randbytes(1400),
    "http": lambda good: b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "largest datagram of noise": lambda good: random.Random(2).randbytes(65507),
    # cut off
    "start line cut": lambda good: good[:20],
    "headers cut": lambda good: good[:150],
    "body cut": lambda good: good[:-60],
    "no blank line": lambda good: good.partition(b"\r\n\r\n")[0],
    "bare line feeds": lambda good: good.replace(b"\r\n", b"\n"),
    # headers missing
    "no CSeq": without("CSeq"),
    "no Call-ID": without("Call-ID"),
    "no From": without("From"),
    "no To": without("To"),
    "no Via": without("Via"),
    "no Contact": without("Contact"),
    "no tag in From": lambda good: good.replace(b";tag=line", b""),
    # headers wrong
    "Via nonsense": with_header("Via", b"nonsense"),
    "Via without branch": lambda good: re.sub(rb";branch=\w+", b"", good),
    "Via port 99999": lambda good: re.sub(rb"(UDP [\d.]+):\d+", rb"\1:99999", good),
    "Via port negative": lambda good: re.sub(rb"(UDP [\d.]+):\d+", rb"\1:-5", good),
    "Via host unknown": lambda good: re.sub(rb"UDP [\d.]+:\d+", b"UDP no.such.host.invalid", good),
    "CSeq a word": with_header("CSeq", b"one INVITE"),
    "CSeq negative": with_header("CSeq", b"-1 INVITE"),
    "CSeq huge": with_header("CSeq", b"9" * 40 + b" INVITE"),
    "CSeq of another method": with_header("CSeq", b"1 BYE"),
    "CSeq empty": with_header("CSeq", b""),
    "Content-Length negative": with_header("Content-Length", b"-1"),
    "Content-Length too large": with_header("Content-Length", b"999999"),
    "Content-Length a word": with_header("Content-Length", b"many"),
    "Content-Length zero with body": with_header("Content-Length", b"0"),
    "Max-Forwards a word": with_header("Max-Forwards", b"seventy"),
    "Max-Forwards negative": with_header("Max-Forwards", b"-1"),
    "Contact of brackets": with_header("Contact", b"<<<<<>>>>"),
    "Contact star": with_header("Contact", b"*"),
    "Contact port 70000": with_header("Contact", b"<sip:1@127.0.0.1:70000>"),
    "Contact at a host unknown": with_header("Contact", b"<sip:1@no.such.host.invalid>"),
    "From nested": with_header("From", b'"' + b"<" * 400 + b"sip:1@1" + b">" * 400 + b";tag=x"),
    "From quote open": with_header("From", b'"open <sip:1@127.0.0.1>;tag=x'),
    "To empty": with_header("To", b""),
    "header without colon": plus_headers(b"this is no header\r\n"),
    "header without name": plus_headers(b": value\r\n"),
    "zero bytes in a header": plus_headers(b"X-Zero: \0\0\0\r\n"),
    "invalid UTF-8 in From": with_header("From", b'"\xff\xfe\xfd" <sip:1@127.0.0.1>;tag=x'),
    "header of 60,000 bytes": plus_headers(b"X-Long: " + b"a" * 60000 + b"\r\n"),
    "3,000 headers": plus_headers(b"X-Many: 1\r\n" * 3000),
    "200 Vias": plus_headers(b"Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKx\r\n" * 200),
    "Record-Route junk": plus_headers(b"Record-Route: " + b"<sip:" * 100 + b"\r\n"),
    "Route junk": plus_headers(b"Route: <sip:;;;=,,,>\r\n"),
    "P-Asserted-Identity junk": plus_headers(b"P-Asserted-Identity: <tel:\x7f;;>\r\n"),
    "Expires negative": plus_headers(b"Expires: -1\r\n"),
    "body of another type": with_header("Content-Type", b"text/plain"),
    "body of 50,000 bytes": body_line(b"m=", b"m=audio 4000 RTP/AVP 8\r\n" * 2000),
    # start lines
    "URI empty": with_start(b"INVITE sip: SIP/2.0"),
    "URI with broken escapes": with_start(b"INVITE sip:%%%00%zz@127.0.0.1 SIP/2.0"),
    "URI of 8,000 bytes": with_start(b"INVITE sip:" + b"1" * 8000 + b"@127.0.0.1 SIP/2.0"),
    "URI port 99999": with_start(b"INVITE sip:12345@127.0.0.1:99999 SIP/2.0"),
    "no URI": with_start(b"INVITE SIP/2.0"),
    "version 3": with_start(b"INVITE sip:12345@127.0.0.1 SIP/3.0"),
    "spaces everywhere": with_start(b"  INVITE    sip:12345@127.0.0.1   SIP/2.0  "),
    "status line with letters": with_start(b"SIP/2.0 abc Fine"),
    "status 9999": with_start(b"SIP/2.0 9999 Fine"),
    "answer to nothing": with_start(b"SIP/2.0 200 OK"),
}
# Well-formed SIP whose meaning is refused: the status that must come back.
REFUSALS: dict[str, tuple[Callable[[bytes], bytes], range | tuple[int, ...]]] = {
    "SDP port 0": (body_line(b"m=audio", b"m=audio 0 RTP/AVP 8\r\n"), (488,)),
    "SDP port 70000": (body_line(b"m=audio", b"m=audio 70000 RTP/AVP 8\r\n"), (488,)),
    "SDP port negative": (body_line(b"m=audio", b"m=audio -1 RTP/AVP 8\r\n"), (488,)),
    "SDP port a word": (body_line(b"m=audio", b"m=audio port RTP/AVP 8\r\n"), (488,)),
    "SDP without port": (body_line(b"m=audio", b"m=audio\r\n"), (488,)),
    "SDP address a name": (body_line(b"c=", b"c=IN IP4 localhost\r\n"), (488,)),
    "SDP address impossible": (body_line(b"c=", b"c=IN IP4 999.1.1.1\r\n"), (488,)),
    "SDP address multicast": (body_line(b"c=", b"c=IN IP4 224.1.1.1\r\n"), (488,)),
    "SDP without address": (body_line(b"c=", b""), (488,)),
    "SDP without media": (body_line(b"m=", b""), (488,)),
    "SDP with video alone": (body_line(b"m=", b"m=video 4000 RTP/AVP 31\r\n"), (488,)),
    "SDP with foreign codecs": (body_line(b"m=", b"m=audio 4000 RTP/AVP 3 18\r\n"), (488,)),
    "SDP with encryption": (body_line(b"m=", b"m=audio 4000 RTP/SAVP 8\r\n"), (488,)),
    "SDP payload types wrong": (body_line(b"m=", b"m=audio 4000 RTP/AVP 8 999 -3 x\r\n"), (488,)),
    "SDP of 250 media": (body_line(b"m=", b"m=audio 4000 RTP/AVP 8\r\n" * 250), (488,)),
    "SDP rtpmap junk": (body_line(b"a=rtpmap", b"a=rtpmap:abc \xe5\xbc\xa0\r\n"), (488,)),
    "SDP noise": (with_body(lambda body: b"\x01\x02" * 200), REFUSED),
    "SDP of one long line": (with_body(lambda body: b"v=" + b"0" * 6000), (488,)),
    "unknown dialog": (lambda good: re.sub(rb"(?m)^(To: [^\r]*)", rb"\1;tag=nobody", good), (481,)),
    "unknown method": (
        lambda good: good.replace(b"INVITE sip", b"FROBNICATE sip").replace(b"1 INVITE", b"1 FROBNICATE"),
        (405, 501),
    ),
}


@pytest.fixture(scope="module")
def threads_at_start(media: MediaProcess) -> Iterator[int]:
    """Threads of the process before; in the end no call may have left one behind."""
    before = thread_count(media)
    yield before
    assert thread_count(media) <= before + 2


def thread_count(media: MediaProcess) -> int:
    return len(list(Path(f"/proc/{media.pid}/task").iterdir()))


def new_call(line: Any) -> None:
    line.call_id = f"{secrets.token_hex(8)}@line"


def finals(line: Any) -> list[int]:
    """The final statuses that came back, all of them: messages are taken in order, so what had not come when an OPTIONS
    sent now is answered won't come. A call that was answered all the same is properly ended."""
    probe = line.request("OPTIONS")
    new_call(line)
    line.send(probe.serialize().replace(probe.header("call-id").encode(), line.call_id.encode()))
    found: list[int] = []
    while (message := line.receive()) is not None and message.branch != probe.branch:
        if message.status is not None and message.status >= 200:
            found.append(message.status)
            if message.method == "INVITE":
                line.call_id = message.header("call-id")
                sequence = int(message.header("cseq").split()[0])
                line.send(line.request("ACK", cseq=sequence, to=message.header("to")))
                if message.status < 300:
                    line.send(line.request("BYE", cseq=sequence + 1, to=message.header("to")))
    assert message is not None, "OPTIONS is answered as before"
    return found


def assert_well(media: MediaProcess, line: Any) -> None:
    """The next call is answered, acknowledged and ended as ever."""
    assert media.running, media.log()[-3000:]
    new_call(line)
    line.send(line.request("INVITE"))
    while (answer := line.final()).header("call-id") != line.call_id:
        pass  # of the call before
    assert answer.status == 200
    line.send(line.request("ACK", to=answer.header("to")))
    line.send(line.request("BYE", cseq=2, to=answer.header("to")))
    while (answer := line.final("BYE")).header("call-id") != line.call_id:
        pass
    assert answer.status == 200


@pytest.mark.usefixtures("threads_at_start")
@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_message_does_no_harm(media: MediaProcess, line: Any, name: str) -> None:
    line.send(MALFORMED[name](line.request("INVITE").serialize()))
    finals(line)
    assert_well(media, line)


@pytest.mark.usefixtures("threads_at_start")
@pytest.mark.parametrize("name", REFUSALS)
def test_an_unacceptable_invitation_is_refused(media: MediaProcess, line: Any, name: str) -> None:
    change, expected = REFUSALS[name]
    line.send(change(line.request("INVITE").serialize()))
    found = finals(line)
    assert found, "an answer"
    assert found[0] in expected
    assert_well(media, line)


def test_after_all_of_it_a_call_has_sound(proper_call: Callable[[], CallResult]) -> None:
    result = proper_call()
    assert (result.reason, result.status) == ("hung_up", 200)
    assert result.received.received > 0
