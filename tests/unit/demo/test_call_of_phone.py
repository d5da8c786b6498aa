import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from demo.call import CallPlan, CallResult, Phone
from demo.g711 import Law, decode, encode
from demo.sdp import describe
from demo.sip import SipMessage, SipUri
from demo.useragent import CallRefusedError, UserAgent
from hotline.errors import UnavailableError

Script = Callable[["FarEnd", SipMessage], None]
AUDIO = encode(np.random.default_rng(5).integers(-8000, 8000, 1600).astype(np.int16), Law.PCMA)


class FarEnd(asyncio.DatagramProtocol):
    """A scripted server: told of every request, answers as the script says; its RTP port collects packets."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[SipMessage] = []
        self.rtp_port = 0
        self.peer = ("", 0)
        self.seen = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    @property
    def uri(self) -> SipUri:
        return SipUri("12345", "127.0.0.1", self.transport.get_extra_info("sockname")[1])

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.peer = addr
        message = SipMessage.parse(data)
        self.requests.append(message)
        self.seen.set()
        if message.status is None:
            self.script(self, message)

    def methods(self) -> list[str]:
        return [message.start.split()[0] for message in self.requests if message.status is None]

    def reply(self, request: SipMessage, status: str, *, law: Law | None = None) -> None:
        body = describe("127.0.0.1", self.rtp_port, law) if law else b""
        contact = ("Contact", f"<{self.uri};transport=udp>")
        self.transport.sendto(request.reply(status, extra=(contact,), body=body).serialize(), self.peer)

    def request(self, method: str, body: bytes = b"") -> None:
        invite = next(message for message in self.requests if message.start.startswith("INVITE"))
        headers = (
            ("Via", f"SIP/2.0/UDP 127.0.0.1:{self.uri.port};branch=z9hG4bKfar{method}{len(self.requests)}"),
            ("From", invite.header("to")),
            ("To", invite.header("from")),
            ("Call-ID", invite.header("call-id")),
            ("CSeq", f"{len(self.requests)} {method}"),
        )
        self.transport.sendto(SipMessage(f"{method} sip:1@x SIP/2.0", headers, body).serialize(), self.peer)

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self.seen.clear()
            await asyncio.wait_for(self.seen.wait(), 3)


class RtpSink(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.packets: list[bytes] = []
        self.arrived = asyncio.Event()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.packets.append(data)
        self.arrived.set()

    async def counted(self, count: int) -> None:
        while len(self.packets) < count:
            self.arrived.clear()
            await self.arrived.wait()


@asynccontextmanager
async def far_end(script: Script) -> AsyncIterator[tuple[FarEnd, RtpSink]]:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(lambda: FarEnd(script), local_addr=("127.0.0.1", 0))
    rtp, sink = await loop.create_datagram_endpoint(RtpSink, local_addr=("127.0.0.1", 0))
    server.rtp_port = rtp.get_extra_info("sockname")[1]
    try:
        yield server, sink
    finally:
        transport.close()
        rtp.close()


def answering(server: FarEnd, request: SipMessage) -> None:
    method = request.start.split()[0]
    if method == "INVITE":
        server.reply(request, "180 Ringing")
        server.reply(request, "200 OK", law=Law.PCMA)
    elif method == "BYE":
        server.reply(request, "200 OK")


def plan(server: FarEnd, **changes: Any) -> CallPlan:
    given: dict[str, Any] = {"to": server.uri, "caller": "1380", "start_after": 0.0, "press": "", "audio": AUDIO}
    return CallPlan(**{**given, "limit": 5, **changes})


async def call(server: FarEnd, **changes: Any) -> tuple[CallResult, list[str]]:
    events: list[str] = []
    result = await Phone(plan(server, **changes), lambda event, data: events.append(event)).run()
    return result, events


async def test_a_call_is_placed_spoken_and_ended() -> None:
    async with far_end(answering) as (server, sink):
        result, events = await call(server, press="#", hang_up_after=0.05)
    assert server.methods() == ["INVITE", "ACK", "BYE"]
    assert events == ["ringing", "answered", "speaking", "spoken", "digit", "ended"]
    assert (result.reason, result.status) == ("hung_up", 200)
    audio = b"".join(packet[12:] for packet in sink.packets if packet[1] & 0x7F == 8)
    assert AUDIO in audio
    assert any(packet[1] & 0x7F == 101 and packet[12] == 11 for packet in sink.packets)
    assert decode(AUDIO, Law.PCMA).tobytes() in result.sent.tobytes()


async def test_requests_within_the_call_go_to_the_contact_with_the_tag() -> None:
    def tagging(server: FarEnd, request: SipMessage) -> None:
        headers = tuple((n, f"{v};tag=far" if n == "to" and "tag=" not in v else v) for n, v in request.headers)
        answering(server, SipMessage(request.start, headers, request.body))

    async with far_end(tagging) as (server, _):
        await call(server, hang_up_after=0.0)
    acknowledgement, bye = server.requests[1:3]
    assert acknowledgement.start == f"ACK {server.uri};transport=udp SIP/2.0"
    assert bye.header("to").endswith(";tag=far")
    assert [message.header("cseq") for message in server.requests] == ["1 INVITE", "1 ACK", "2 BYE"]


async def test_a_lost_invite_is_sent_again() -> None:
    def deaf_once(server: FarEnd, request: SipMessage) -> None:
        if len(server.requests) > 1:
            answering(server, request)

    async with far_end(deaf_once) as (server, _):
        agent = await UserAgent.open(server.uri, "1", t1=0.01)
        await agent.invite(describe("127.0.0.1", 4000, Law.PCMA))
        await agent.hang_up()
        agent.close()
    assert server.methods()[:3] == ["INVITE", "INVITE", "ACK"]
    assert server.requests[0].serialize() == server.requests[1].serialize()


async def test_a_repeated_answer_is_acknowledged_again() -> None:
    async with far_end(answering) as (server, _):
        agent = await UserAgent.open(server.uri, "1")
        await agent.invite(describe("127.0.0.1", 4000, Law.PCMA))
        server.reply(server.requests[0], "200 OK", law=Law.PCMA)
        await server.until(lambda: server.methods().count("ACK") == 2)
        agent.close()
    assert server.requests[1].serialize() == server.requests[2].serialize()


@pytest.mark.parametrize("status", ["302 Moved", "404 Not Found", "486 Busy Here", "503 Service Unavailable", "603 No"])
async def test_a_refusal_is_acknowledged_in_its_transaction(status: str) -> None:
    def refusing(server: FarEnd, request: SipMessage) -> None:
        if request.start.startswith("INVITE"):
            server.reply(request, status)

    async with far_end(refusing) as (server, _):
        result, events = await call(server)
        await server.until(lambda: len(server.requests) == 2)
    assert (result.reason, result.status, result.answered) == ("refused", int(status[:3]), False)
    assert server.methods() == ["INVITE", "ACK"]
    assert server.requests[1].branch == server.requests[0].branch
    assert events == ["ended"]


async def test_a_far_end_that_never_answers_is_given_up() -> None:
    async with far_end(lambda server, request: None) as (server, _):
        agent = await UserAgent.open(server.uri, "1", t1=0.002)
        with pytest.raises(UnavailableError):
            await agent.invite(b"")
        agent.close()
    assert 2 <= server.methods().count("INVITE") <= 7


async def test_a_ringing_call_can_be_taken_back() -> None:
    def ringing(server: FarEnd, request: SipMessage) -> None:
        method = request.start.split()[0]
        if method == "INVITE":
            server.reply(request, "180 Ringing")
        elif method == "CANCEL":
            server.reply(request, "200 OK")
            server.reply(server.requests[0], "487 Request Terminated")

    async with far_end(ringing) as (server, _):
        result, events = await call(server, ring_limit=0.05)
        await server.until(lambda: len(server.requests) == 3)
    assert (result.reason, result.status) == ("cancelled", 487)
    assert server.methods() == ["INVITE", "CANCEL", "ACK"]
    assert server.requests[1].branch == server.requests[0].branch
    assert server.requests[1].header("cseq") == "1 CANCEL"
    assert events == ["ringing", "ended"]


async def test_the_far_end_may_hang_up_and_is_answered_each_time() -> None:
    def hanging_up(server: FarEnd, request: SipMessage) -> None:
        answering(server, request)
        if request.start.startswith("ACK"):
            server.request("BYE")
            server.request("BYE")

    async with far_end(hanging_up) as (server, _):
        result, _ = await call(server)
        await server.until(lambda: len(server.requests) >= 3)
    assert result.reason == "far_end_hung_up"
    assert "BYE" not in server.methods()
    assert {message.status for message in server.requests if message.method == "BYE"} == {200}


async def test_hold_and_resume_change_the_direction_and_stop_the_sound() -> None:
    async with far_end(answering) as (server, sink):
        phone = Phone(plan(server, audio=b""))
        running = asyncio.create_task(phone.run())
        await phone.answered
        await phone.hold("inactive")
        held = len(sink.packets)
        await phone.resume()
        offers = [m.body.decode() for m in server.requests if m.start.startswith("INVITE")]
        await asyncio.wait_for(sink.counted(held + 3), 3)
        await phone.hang_up()
        result = await running
    assert ["inactive" in offer for offer in offers] == [False, True, False]
    assert [offer.split()[3] for offer in offers] == ["1", "2", "3"], "each offer has a higher version"
    assert result.reason == "hung_up"


async def test_a_hold_of_the_far_end_is_answered() -> None:
    def holding(server: FarEnd, request: SipMessage) -> None:
        answering(server, request)
        if server.methods() == ["INVITE", "ACK"] and request.start.startswith("ACK"):
            server.request("INVITE", describe("127.0.0.1", server.rtp_port, Law.PCMA, direction="sendonly"))

    async with far_end(holding) as (server, _):
        phone = Phone(plan(server, audio=b""))
        running = asyncio.create_task(phone.run())
        await server.until(lambda: any(message.status == 200 for message in server.requests))
        await phone.hang_up()
        await running
    answer = next(message for message in server.requests if message.status == 200)
    assert b"a=recvonly" in answer.body


async def test_other_requests_of_the_far_end_are_answered() -> None:
    async with far_end(answering) as (server, _):
        agent = await UserAgent.open(server.uri, "1")
        await agent.invite(describe("127.0.0.1", 4000, Law.PCMA))
        server.request("OPTIONS")
        server.request("REFER")
        server.request("INVITE", b"nothing usable")
        server.transport.sendto(b"\xff\x00 junk", server.peer)
        await server.until(lambda: sum(message.status is not None for message in server.requests) == 3)
        agent.close()
    assert sorted(message.status for message in server.requests if message.status) == [200, 488, 501]


async def test_an_answer_without_usable_media_ends_the_call() -> None:
    def mute(server: FarEnd, request: SipMessage) -> None:
        server.reply(request, "200 OK")

    async with far_end(mute) as (server, _):
        result, _ = await call(server)
    assert result.reason == "bad_answer"
    assert server.methods() == ["INVITE", "ACK", "BYE"]


@pytest.mark.parametrize("contact", ["<sip:12345@127.0.0.1:70000>", "<tel:12345>", "nonsense"])
async def test_a_contact_one_can_not_reach_is_a_bad_answer(contact: str) -> None:
    def unreachable(server: FarEnd, request: SipMessage) -> None:
        if request.start.startswith("INVITE"):
            body = describe("127.0.0.1", server.rtp_port, Law.PCMA)
            answer = request.reply("200 OK", extra=(("Contact", contact),), body=body)
            server.transport.sendto(answer.serialize(), server.peer)
        elif request.start.startswith("BYE"):
            server.reply(request, "200 OK")

    async with far_end(unreachable) as (server, _):
        result, _ = await call(server)
    assert result.reason == "bad_answer"


async def test_a_call_ends_at_its_limit() -> None:
    async with far_end(answering) as (server, _):
        result, _ = await call(server, limit=0.05)
    assert result.reason == "limit"
    assert server.methods()[-1] == "BYE"


async def test_refusals_carry_their_status() -> None:
    assert CallRefusedError(486, "Busy Here").message == "486 Busy Here"


async def test_a_person_speaks_after_the_announcement() -> None:
    loud = encode(np.random.default_rng(1).integers(-8000, 8000, 160).astype(np.int16), Law.PCMA)

    def announcing(server: FarEnd, request: SipMessage) -> None:
        answering(server, request)
        if request.start.startswith("ACK"):
            invite = server.requests[0].body.decode()
            port = int(invite.split("m=audio ")[1].split()[0])
            for index in range(5):
                header = bytes([0x80, 8]) + index.to_bytes(2, "big") + (160 * index).to_bytes(4, "big") + b"abcd"
                server.transport.sendto(header + loud, ("127.0.0.1", port))

    async with far_end(announcing) as (server, _):
        result, events = await call(server, start_after=None, quiet=0.1, hang_up_after=0.0)
    assert events.index("heard") < events.index("speaking")
    assert result.received.received == 5


def test_the_summary_is_plain_data_and_names_what_was_sent() -> None:
    summary = CallResult(reason="hung_up", status=200, answer_ms=3.0, sent=np.arange(4, dtype=np.int16)).summary()
    assert json.loads(json.dumps(summary))["sent"] == {
        "samples": 4,
        "sha256": hashlib.sha256(b"\0\0\1\0\2\0\3\0").hexdigest(),
        "packets": 0,
        "late_p99_ms": 0.0,
    }
