"""Mutations of good messages, and noise at every socket: the hotline lives, and the next call is recorded exactly.

The examples are the same in each run (derandomized), few, and sent to one process as fast as it takes them.
"""

import asyncio
import re
import secrets
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from demo.call import CallPlan, CallResult, Phone
from demo.compare import caller_channel_matches
from demo.g711 import Law, encode
from demo.media_process import HOST, MediaProcess
from demo.sdp import describe
from demo.sip import SipUri
from ivr.media import rtcp

ELSEWHERE = "127.0.0.9"
MEDIA_SETTINGS = {
    "HOTLINE_MEDIA__RTP_TIMEOUT_S": "3",  # ends what was taken for a call and can't be hung up
    "HOTLINE_LIMITS__CALLS_PER_S": "100000",
}
METHODS = ("INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "INFO", "UPDATE", "REFER", "NOTIFY", "SUBSCRIBE")
PIECES = (
    *(
        b"\r\n",
        b"\r\n\r\n",
        b"\r\n ",
        b"\n",
        b"\r",
        b"\0",
        b'"',
        b"<",
        b">",
        b";",
        b",",
        b":",
        b"=",
        b" ",
        b"%00",
        b"@",
    ),
    *(b"SIP/2.0", b"Via: ", b"To: ", b";tag=", b";rport", b"-1", b"9" * 30, b"4294967296", "张".encode(), b"\xff\xfe"),
    *(
        b"v=0\r\n",
        b"m=audio 0 RTP/AVP 8\r\n",
        b"m=video 5 RTP/AVP 96\r\n",
        b"c=IN IP6 ::\r\n",
        b"a=rtpmap:",
        b"a=ptime:0",
    ),
)
edits = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 40), st.sampled_from(PIECES) | st.binary(max_size=20)),
    min_size=1,
    max_size=4,
)


def bounded(examples: int) -> settings:
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def mutated(data: bytes, changes: list[tuple[float, int, bytes]]) -> bytes:
    """Some stretches of `data` replaced: (where, as a share of its length; how many octets; by what)."""
    message = bytearray(data)
    for where, length, piece in changes:
        start = int(where * len(message))
        message[start : start + length] = piece
    return bytes(message)


@pytest.fixture(autouse=True)
def well(media: MediaProcess) -> Iterator[None]:
    """After each test the process answers and has no more threads than before."""
    threads = len(list(Path(f"/proc/{media.pid}/task").iterdir()))
    yield
    assert media.running, media.log()[-3000:]
    assert media.answers(timeout_s=5)
    assert len(list(Path(f"/proc/{media.pid}/task").iterdir())) <= threads + 2


def hang_up(line: Any, answer: Any) -> None:
    """Acknowledges the answer to INVITE and, where it is a call, ends it."""
    sequence = int(answer.header("cseq").split()[0])
    line.call_id = answer.header("call-id")
    line.send(line.request("ACK", cseq=sequence, to=answer.header("to")))
    if answer.status < 300:
        line.send(line.request("BYE", cseq=sequence + 1, to=answer.header("to")))


def settle(line: Any, wait_s: float) -> None:
    """Hangs up what was taken for a call until nothing has come for `wait_s`."""
    while (message := line.receive(wait_s)) is not None:
        if (message.status or 0) >= 200 and message.method == "INVITE":
            hang_up(line, message)


@pytest.fixture
def caller_line(line: Any) -> Iterator[Any]:
    """A line that leaves no call open."""
    yield line
    settle(line, 0.3)


@bounded(500)
@given(method=st.sampled_from(METHODS), changes=edits)
def test_mutated_requests_do_no_harm(
    media: MediaProcess, caller_line: Any, method: str, changes: list[tuple[float, int, bytes]]
) -> None:
    caller_line.call_id = f"{secrets.token_hex(8)}@fuzz"
    caller_line.send(mutated(caller_line.request(method).serialize(), changes))
    settle(caller_line, 0.001)
    assert media.running


@bounded(100)
@given(changes=edits)
def test_mutated_answers_do_no_harm(media: MediaProcess, line: Any, changes: list[tuple[float, int, bytes]]) -> None:
    answer = line.request("INVITE").reply("200 OK", body=describe(HOST, line.port, Law.PCMA))
    line.send(mutated(answer.serialize(), changes))
    assert media.running


@bounded(200)
@given(changes=edits)
def test_every_mutated_offer_is_answered(line: Any, changes: list[tuple[float, int, bytes]]) -> None:
    line.call_id = f"{secrets.token_hex(8)}@fuzz"
    line.send(line.request("INVITE", body=mutated(describe(HOST, line.port, Law.PCMA), changes)))
    answer = line.final()
    assert answer.status in (200, 415, 488)
    hang_up(line, answer)
    if answer.status == 200:
        assert line.final("BYE").status == 200


# --- media ---

words, halves, octets = st.integers(0, 2**32 - 1), st.integers(0, 2**16 - 1), st.integers(0, 255)
rtp_packets = st.builds(
    lambda flags, kind, sequence, timestamp, source, payload: (
        struct.pack("!BBHII", flags, kind, sequence, timestamp, source) + payload
    ),
    st.sampled_from([0x80, 0x90, 0xA0, 0x8F, 0xBF, 0x00, 0xC0]) | octets,
    st.sampled_from([8, 0, 9, 13, 101, 101 | 0x80, 8 | 0x80]) | octets,
    halves,
    st.sampled_from([0, 160, 2**31, 2**32 - 1]) | words,
    st.sampled_from([1, 2]) | words,
    st.binary(max_size=12) | st.integers(0, 1400).map(bytes),
)
event_packets = st.builds(
    lambda event, flags, duration, timestamp, rest: (
        struct.pack("!BBHIIBBH", 0x80, 101, 1, timestamp, 1, event, flags, duration) + rest
    ),
    octets,
    octets,
    halves,
    words,
    st.binary(max_size=8),
)
reports = st.lists(
    st.builds(
        lambda flags, kind, length, body: struct.pack("!BBH", flags, kind, length) + body,
        st.sampled_from([0x80, 0x81, 0x9F, 0xA1]) | octets,
        st.integers(192, 213) | octets,
        st.integers(0, 20) | halves,
        st.binary(max_size=80),
    ),
    min_size=1,
    max_size=4,
).map(b"".join)
COMPOUND = rtcp.serialize(
    [
        rtcp.Report(
            ssrc=1,
            sender=rtcp.SenderInfo(ntp=1 << 63, timestamp=160, packets=1, octets=160),
            blocks=(rtcp.ReportBlock(2, 25, 100, 65536, 40, 1 << 20, 1 << 16),),
        ),
        rtcp.SourceDescription.of(1, "phone@192.0.2.1"),
        rtcp.Goodbye(sources=(1,), reason=b"gone"),
    ]
)
mutated_reports = st.builds(mutated, st.just(COMPOUND), edits)
packets = rtp_packets | event_packets | reports | mutated_reports | st.binary(max_size=200)


@pytest.fixture
def caller(line: Any) -> Iterator[tuple[socket.socket, int]]:
    """The RTP socket of a caller and the port of the hotline's; the call is hung up afterwards."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind((HOST, 0))
        line.send(line.request("INVITE", body=describe(HOST, own.getsockname()[1], Law.PCMA)))
        answer = line.final()
        line.send(line.request("ACK", to=answer.header("to")))
        found = re.search(rb"m=audio (\d+)", answer.body)
        assert found
        yield own, int(found[1])
        line.send(line.request("BYE", cseq=2, to=answer.header("to")))
        assert line.final("BYE").status == 200


@bounded(600)
@given(packet=packets, report=st.booleans())
def test_hostile_packets_do_not_end_a_call(
    media: MediaProcess, caller: tuple[socket.socket, int], packet: bytes, report: bool
) -> None:
    own, port = caller
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind((ELSEWHERE, 0))
        stranger.sendto(packet, (HOST, port + report))
    own.sendto(packet, (HOST, port + report))
    assert media.running


def udp_ports(pid: int) -> set[int]:
    """The local ports of all UDP sockets of a process (proc(5))."""
    links = [entry.readlink().name for entry in Path(f"/proc/{pid}/fd").iterdir() if entry.is_symlink()]
    inodes = {link.removeprefix("socket:[").rstrip("]") for link in links if link.startswith("socket:")}
    rows = [line.split() for line in Path(f"/proc/{pid}/net/udp").read_text(encoding="ascii").splitlines()[1:]]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if row[9] in inodes}


async def test_noise_at_every_socket_leaves_the_recording_exact(
    media: MediaProcess, utterance: NDArray[np.int16]
) -> None:
    call = CallPlan(
        to=SipUri("12345", HOST, media.sip_port),
        caller="13600000013",
        audio=encode(utterance, Law.PCMA),
        start_after=0.3,
        press="",
        hang_up_after=0.3,
        limit=20.0,
    )
    phone = Phone(call)
    running = asyncio.create_task(phone.run())
    await phone.answered
    await asyncio.sleep(0.5)
    ports = udp_ports(media.pid)
    assert media.sip_port in ports
    assert len(ports) >= 2, "SIP and RTP at least"
    random = np.random.default_rng(3)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for size in random.integers(0, 1500, 400).tolist():
            for port in ports:
                noise = random.bytes(size)
                stranger.sendto(b"\x80\x08" + noise if size % 2 else noise, (HOST, port))
            await asyncio.sleep(0.005)
    result: CallResult = await running
    assert result.reason == "hung_up"
    calls = await asyncio.to_thread(media.wait_for_calls, len(media.calls()))
    (recorded,) = [item for item in calls if item.first("opened")["caller"] == call.caller]
    assert caller_channel_matches(recorded.channels()[:, 0], result.sent).exact
