"""Dialogs as the far end sees them, message by message: our SIP server in this process, the tests at a bare socket.

Longer than most: every case shares the bare socket and the server under test.
"""

import queue
import re
import secrets
import select
import socket
import subprocess
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from demo.media_process import HOST, free_port
from demo.sip import SipMessage
from hotline.errors import ForbiddenError, InvalidInputError, UnavailableError
from ivr.media.types import Codec
from ivr.sdp import Offer
from ivr.sip import (
    CallEnd,
    CallHandler,
    Dialog,
    Invitation,
    Replaces,
    SessionPolicy,
    SipServer,
    SipTarget,
    TransferTarget,
)

OUR_SDP = "v=0\r\no=h 1 1 IN IP4 127.0.0.1\r\ns=h\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 30000 RTP/AVP 8\r\n"
FAR_SDP = OUR_SDP.replace("30000", "40000")
WAIT_S = 3.0
SCENARIOS = Path(__file__).with_name("scenarios")
Event = tuple[str, Any]


class Handler:
    """A call layer that writes down what it is told; `refusal` is raised by the next decision asked of it."""

    def __init__(self) -> None:
        self.events: queue.Queue[Event] = queue.Queue()
        self.refusal: Exception | None = None
        self.sdp = OUR_SDP
        self.offer: Offer | None = None  # of the last re-INVITE

    def _told(self, name: str, value: Any = None) -> None:
        self.events.put((name, value))
        if self.refusal is not None:
            raise self.refusal

    def on_ringing(self, sdp: str | None) -> None:
        self._told("ringing", sdp)

    def on_answered(self, sdp: str) -> None:
        self._told("answered", sdp)

    def on_update(self, offer: Offer | None) -> str:
        self.offer = offer
        self._told("update", offer and offer.remote.address.port)
        return self.sdp

    def on_answer(self, sdp: str) -> None:
        self._told("answer", sdp)

    def on_digit(self, digit: str) -> None:
        self._told("digit", digit)

    def on_transfer(self, target: TransferTarget) -> None:
        self._told("transfer", target)

    def on_transfer_result(self, code: int) -> None:
        self._told("transfer_result", code)

    def on_ended(self, end: CallEnd) -> None:
        self.events.put(("ended", end))

    def next(self) -> Event:
        return self.events.get(timeout=WAIT_S)

    def is_told_nothing(self) -> bool:
        time.sleep(0.05)
        return self.events.empty()


@dataclass
class Office:
    """Our side: the server on its own thread, and the calls it got."""

    server: SipServer
    answers: bool = True
    refusal: Exception | None = None
    calls: queue.Queue[tuple[Invitation, Dialog, Handler]] = field(default_factory=queue.Queue)

    def answer(self, invitation: Invitation, dialog: Dialog) -> tuple[CallHandler, str | None]:
        if self.refusal is not None:
            raise self.refusal
        handler = Handler()
        self.calls.put((invitation, dialog, handler))
        return handler, OUR_SDP if self.answers else None

    def call(self) -> tuple[Invitation, Dialog, Handler]:
        return self.calls.get(timeout=WAIT_S)

    def do(self, action: Callable[[], Any]) -> Any:
        """Runs `action` on the SIP thread and waits for its result."""
        done: Future[Any] = Future()

        def run() -> None:
            try:
                done.set_result(action())
            except Exception as error:
                done.set_exception(error)

        self.server.post(run)
        return done.result(WAIT_S)

    def dial(
        self, far: "FarEnd", *, timeout_s: float = 5.0, privacy: bool = False, **target: Any
    ) -> tuple[Dialog, Handler]:
        handler = Handler()
        given = {"uri": f"sip:1001@{HOST}:{far.port}", **target}
        dialog = self.do(
            lambda: self.server.dial(
                SipTarget(**given),
                caller="12345",
                display_name="热线",
                sdp=OUR_SDP,
                handler=handler,
                timeout_s=timeout_s,
                privacy=privacy,
            )
        )
        return dialog, handler


class FarEnd:
    """A bare socket with one dialog's worth of memory."""

    def __init__(self, office_port: int, host: str = HOST) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, 0))
        self.host = host
        self.port = int(self._socket.getsockname()[1])
        self.office = (HOST, office_port)
        self.call_id = f"{secrets.token_hex(8)}@far"
        self.local = f"<sip:1001@{host}:{self.port}>;tag=far"
        self.remote = f"<sip:12345@{HOST}:{office_port}>"
        self.cseq = 0

    def close(self) -> None:
        self._socket.close()

    def send(self, message: SipMessage | bytes) -> None:
        self._socket.sendto(message if isinstance(message, bytes) else message.serialize(), self.office)

    def receive(self, timeout_s: float = WAIT_S) -> SipMessage | None:
        until = time.monotonic() + timeout_s
        while select.select([self._socket], [], [], max(0.0, until - time.monotonic()))[0]:
            data = self._socket.recv(65536)
            if data[:1] >= b"\x80":  # RTP for somebody who had this port before
                continue
            message = SipMessage.parse(data)
            if message.status != 100:
                return message
        return None

    def expect(self, start: str) -> SipMessage:
        """The next message, which begins so; repeated ones are passed over."""
        seen = []
        until = time.monotonic() + WAIT_S
        while (message := self.receive(max(0.0, until - time.monotonic()))) is not None:
            if message.start.startswith(start):
                return message
            seen.append(message.start)
        raise AssertionError(f"{start!r} awaited, not {seen}")

    def request(
        self,
        method: str,
        *extra: tuple[str, str],
        body: str | None = None,
        content_type: str = "application/sdp",
        cseq: int | None = None,
        branch: str = "",
    ) -> SipMessage:
        if cseq is None:
            self.cseq += 1
            cseq = self.cseq
        headers = [
            ("Via", f"SIP/2.0/UDP {self.host}:{self.port};rport;branch={branch or 'z9hG4bK' + secrets.token_hex(8)}"),
            ("Max-Forwards", "70"),
            ("From", self.local),
            ("To", self.remote),
            ("Call-ID", self.call_id),
            ("CSeq", f"{cseq} {method}"),
            ("Contact", f"<sip:1001@{self.host}:{self.port}>"),
            *extra,
        ]
        if body:
            headers.append(("Content-Type", content_type))
        uri = f"sip:12345@{self.office[0]}:{self.office[1]}"
        return SipMessage(f"{method} {uri} SIP/2.0", tuple(headers), (body or "").encode())

    def ask(self, method: str, *extra: tuple[str, str], **more: Any) -> SipMessage:
        """Sends a request within the dialog and returns its final answer."""
        request = self.request(method, *extra, **more)
        self.send(request)
        until = time.monotonic() + WAIT_S
        while (message := self.receive(max(0.0, until - time.monotonic()))) is not None:
            if (message.status or 0) >= 200 and message.branch == request.branch:
                if method == "INVITE":
                    self.remote = message.header("to") if message.status == 200 else self.remote
                    if (message.status or 0) >= 300:
                        self.ack(branch=request.branch)
                return message
        raise AssertionError(f"no answer to {method}")

    def ack(self, *, body: str | None = None, branch: str = "") -> None:
        self.send(self.request("ACK", body=body, cseq=self.cseq, branch=branch))

    def invite(self, *extra: tuple[str, str], body: str | None = FAR_SDP) -> SipMessage:
        """Places a call and acknowledges the answer."""
        answer = self.ask("INVITE", *extra, body=body)
        assert answer.status == 200, answer.start
        self.ack(body=None if body else FAR_SDP)
        return answer

    def ringing(self) -> SipMessage:
        """The INVITE of a call to this end; this end's requests then belong to that call."""
        invite = self.expect("INVITE ")
        self.call_id = invite.header("call-id")
        self.local, self.remote = f"{invite.header('to')};tag=far", invite.header("from")
        return invite

    def reply(self, request: SipMessage, status: str, *extra: tuple[str, str], body: str = "") -> None:
        response = request.reply(status, extra=extra, body=body.encode())
        headers = [(k, f"{v};tag=far" if k.lower() == "to" and "tag=" not in v else v) for k, v in response.headers]
        if body:
            headers.append(("Content-Type", "application/sdp"))
        self.send(SipMessage(response.start, tuple(headers), response.body))

    def take(self, invite: SipMessage, *extra: tuple[str, str], body: str = FAR_SDP) -> SipMessage:
        """Answers an INVITE with 200 and returns its ACK."""
        self.reply(invite, "200 OK", ("Contact", f"<sip:1001@{self.host}:{self.port}>"), *extra, body=body)
        return self.expect("ACK ")

    def hang_up(self) -> None:
        assert self.ask("BYE").status == 200


@pytest.fixture(scope="module")
def running() -> Iterator[Office]:
    """The one SIP server that a process can have; its session timers count 2 s as enough."""
    port = free_port()
    office: list[Office] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # sippy drops a socket that it only asks for IPv6
        server = SipServer(
            address=HOST,
            port=port,
            advertised_address="",
            allowed_peers=(ip_network("127.0.0.1"),),
            max_calls=50,
            answer=lambda invitation, dialog: office[0].answer(invitation, dialog),
            session_policy=SessionPolicy(interval_s=1800, min_s=2),
        )
    office.append(Office(server))
    thread = threading.Thread(target=server.run, name="sip", daemon=True)
    thread.start()
    yield office[0]
    assert server.calls == 0, "every call came to its end"
    server.stop()
    thread.join(WAIT_S)
    assert not thread.is_alive()


@pytest.fixture
def office(running: Office) -> Office:
    running.answers, running.refusal, running.calls = True, None, queue.Queue()
    return running


@pytest.fixture
def another(running: Office) -> Iterator[Callable[..., FarEnd]]:
    """Makes further ends, at `host` where one is given."""
    ends: list[FarEnd] = []

    def make(host: str = HOST) -> FarEnd:
        ends.append(FarEnd(running.server.port, host))
        return ends[-1]

    yield make
    for end in ends:
        end.close()


@pytest.fixture
def far(another: Callable[..., FarEnd]) -> FarEnd:
    return another()


# --- calls that we place ---


def test_a_call_of_ours_rings_is_answered_and_hung_up(office: Office, far: FarEnd) -> None:
    dialog, handler = office.dial(far)
    invite = far.ringing()
    assert invite.start == f"INVITE sip:1001@{HOST}:{far.port} SIP/2.0"
    assert invite.header("from").startswith(f'"热线" <sip:12345@{HOST}>')
    assert invite.body.decode() == OUR_SDP
    far.reply(invite, "180 Ringing")
    assert handler.next() == ("ringing", None)
    far.reply(invite, "183 Session Progress", body=FAR_SDP)
    assert handler.next() == ("ringing", FAR_SDP)
    far.take(invite)
    assert handler.next() == ("answered", FAR_SDP)
    office.do(lambda: dialog.hang_up())
    bye = far.expect("BYE ")
    assert bye.header("reason") == 'Q.850;cause=16;text="Normal call clearing"'
    far.reply(bye, "200 OK")
    assert handler.is_told_nothing()


def test_the_far_end_hangs_up_and_says_why(office: Office, far: FarEnd) -> None:
    _, handler = office.dial(far)
    far.take(far.ringing())
    handler.next()
    assert far.ask("BYE", ("Reason", "SIP;cause=200"), ("Reason", "Q.850;cause=31")).status == 200
    assert handler.next() == ("ended", CallEnd("caller_hangup", 200, 31))


@pytest.mark.parametrize(
    ("status", "reason", "end"),
    [
        ("486 Busy Here", "", CallEnd("busy", 486, 17)),
        ("480 Temporarily Unavailable", "", CallEnd("no_answer", 480, 18)),
        ("480 Temporarily Unavailable", "Q.850;cause=17", CallEnd("busy", 480, 17)),
        ("603 Decline", "", CallEnd("rejected", 603, 21)),
        ("404 Not Found", "", CallEnd("unreachable", 404, 1)),
        ("503 Service Unavailable", "nonsense", CallEnd("unreachable", 503, 41)),
        ("302 Moved Temporarily", "", CallEnd("unreachable", 302, None)),
    ],
)
def test_a_call_of_ours_fails(office: Office, far: FarEnd, status: str, reason: str, end: CallEnd) -> None:
    _, handler = office.dial(far)
    invite = far.ringing()
    far.reply(invite, status, *([("Reason", reason)] if reason else []))
    ack = far.expect("ACK ")
    assert ack.branch == invite.branch
    assert handler.next() == ("ended", end)
    assert handler.is_told_nothing()


def test_a_call_that_nobody_answers_is_cancelled(office: Office, far: FarEnd) -> None:
    _, handler = office.dial(far, timeout_s=0.3)
    invite = far.ringing()
    far.reply(invite, "180 Ringing")
    cancel = far.expect("CANCEL ")
    assert cancel.branch == invite.branch
    assert cancel.header("reason") == "SIP;cause=408"
    far.reply(cancel, "200 OK")
    far.reply(invite, "487 Request Terminated")
    far.expect("ACK ")
    assert handler.next() == ("ringing", None)
    assert handler.next() == ("ended", CallEnd("no_answer", 408, 102))
    assert handler.is_told_nothing()


def test_an_answer_that_crosses_our_cancel_is_acknowledged_and_hung_up(office: Office, far: FarEnd) -> None:
    dialog, handler = office.dial(far)
    invite = far.ringing()
    far.reply(invite, "180 Ringing")
    assert handler.next() == ("ringing", None)
    office.do(lambda: dialog.hang_up())
    cancel = far.expect("CANCEL ")
    far.reply(invite, "200 OK", ("Contact", f"<sip:1001@{HOST}:{far.port}>"), body=FAR_SDP)
    far.reply(cancel, "481 Call/Transaction Does Not Exist")
    seen = {message.method for message in (far.receive(), far.receive()) if message}
    assert seen == {"ACK", "BYE"}
    assert handler.is_told_nothing()


def test_one_that_says_nothing_at_all_is_unreachable(office: Office, far: FarEnd) -> None:
    _, handler = office.dial(far, timeout_s=0.2)
    assert handler.next() == ("ended", CallEnd("unreachable", 408, 102))


def test_a_fault_of_the_call_layer_ends_its_call_alone(
    office: Office, far: FarEnd, caplog: pytest.LogCaptureFixture, another: Callable[..., FarEnd]
) -> None:
    _, handler = office.dial(far)
    handler.refusal = RuntimeError("a fault of ours")
    far.take(far.ringing())
    far.reply(far.expect("BYE "), "200 OK")
    assert handler.next() == ("answered", FAR_SDP)
    assert handler.next() == ("ended", CallEnd("error", 500, 41))
    assert "a fault of ours" in caplog.text
    other = another()
    other.invite()
    other.hang_up()


def test_a_cancel_waits_for_the_first_provisional_answer(office: Office, far: FarEnd) -> None:
    dialog, handler = office.dial(far)
    invite = far.ringing()
    office.do(lambda: dialog.hang_up())
    again = far.receive(1.0)
    assert again is None or again.method == "INVITE", "RFC 3261 section 9.1"
    far.reply(invite, "180 Ringing")
    far.reply(far.expect("CANCEL "), "200 OK")
    far.reply(invite, "487 Request Terminated")
    far.expect("ACK ")
    assert handler.is_told_nothing()


@pytest.mark.parametrize(
    ("status", "challenge", "answer"),
    [
        ("401 Unauthorized", "WWW-Authenticate", "authorization"),
        ("407 Proxy Authentication Required", "Proxy-Authenticate", "proxy-authorization"),
    ],
)
def test_a_challenge_is_answered_once(office: Office, far: FarEnd, status: str, challenge: str, answer: str) -> None:
    digest = (challenge, 'Digest realm="trunk", nonce="abc", qop="auth", algorithm=MD5')
    dialog, handler = office.dial(far, username="hotline", password="secret")
    invite = far.ringing()
    far.reply(invite, status, digest)
    again = far.expect("INVITE ")
    while again.branch == invite.branch:
        again = far.expect("INVITE ")
    assert 'username="hotline"' in again.header(answer)
    far.take(again)
    assert handler.next() == ("answered", FAR_SDP)
    office.do(lambda: dialog.hang_up())
    bye = far.expect("BYE ")
    far.reply(bye, status, digest)
    again = far.expect("BYE ")
    assert again.branch != bye.branch
    assert 'uri="sip:1001@' in again.header(answer)
    far.reply(again, "200 OK")


def test_wrong_credentials_end_the_call(office: Office, far: FarEnd) -> None:
    digest = ("WWW-Authenticate", 'Digest realm="trunk", nonce="abc", algorithm=MD5')
    _, handler = office.dial(far, username="hotline", password="wrong")
    invite = far.ringing()
    far.reply(invite, "401 Unauthorized", digest)
    again = far.expect("INVITE ")
    far.reply(again, "401 Unauthorized", digest)
    assert handler.next() == ("ended", CallEnd("rejected", 401, 21))


def test_a_redirection_is_followed_to_an_allowed_address(
    office: Office, far: FarEnd, another: Callable[..., FarEnd]
) -> None:
    other = another()
    _, handler = office.dial(far)
    invite = far.ringing()
    far.reply(
        invite, "302 Moved Temporarily", ("Contact", f"<sip:x@example.org>, <sip:1002@{HOST}:{other.port};user=phone>")
    )
    assert far.expect("ACK ").start.startswith(f"ACK sip:1001@{HOST}:{far.port}"), "the ACK stays with the transaction"
    moved = other.ringing()
    assert moved.start.startswith(f"INVITE sip:1002@{HOST}:{other.port}")
    other.take(moved)
    assert handler.next() == ("answered", FAR_SDP)
    other.hang_up()


def test_the_credentials_do_not_follow_a_redirection_to_another_host(
    office: Office, far: FarEnd, monkeypatch: pytest.MonkeyPatch, another: Callable[..., FarEnd]
) -> None:
    monkeypatch.setattr(office.server.admission, "_trunks", (ip_network("127.0.0.0/8"),))
    other = another("127.0.0.8")
    _, handler = office.dial(far, username="hotline", password="secret")
    far.reply(far.ringing(), "302 Moved Temporarily", ("Contact", f"<sip:1002@127.0.0.8:{other.port}>"))
    digest = ("WWW-Authenticate", 'Digest realm="trunk", nonce="abc", algorithm=MD5')
    other.reply(other.ringing(), "401 Unauthorized", digest)
    assert other.expect("ACK ")
    assert handler.next() == ("ended", CallEnd("rejected", 401, 21))


@pytest.mark.parametrize("contact", ["sip:1002@example.org", "sip:1002@192.0.2.1", "mailto:a@b", "sip:1@[::1"])
def test_a_redirection_to_elsewhere_is_not_followed(office: Office, far: FarEnd, contact: str) -> None:
    _, handler = office.dial(far)
    far.reply(far.ringing(), "302 Moved Temporarily", ("Contact", f"<{contact}>"))
    name, end = handler.next()
    assert (name, end.reason, end.sip_code) == ("ended", "unreachable", 302)


def test_a_circle_of_redirections_is_left(office: Office, far: FarEnd) -> None:
    _, handler = office.dial(far)
    branches = set()
    while handler.events.empty():
        message = far.receive(0.5)
        if message is None:
            break
        if message.start.startswith("INVITE") and message.branch not in branches:
            branches.add(message.branch)
            far.reply(message, "302 Moved Temporarily", ("Contact", f"<sip:1001@{HOST}:{far.port}>"))
    assert handler.next() == ("ended", CallEnd("unreachable", 302, None))
    assert len(branches) == 4


def test_a_name_is_never_looked_up(office: Office, far: FarEnd) -> None:
    with pytest.raises(InvalidInputError, match="numeric"):
        office.dial(far, uri="sip:1001@localhost")
    dialog, handler = office.dial(far, uri="sip:1001@carrier.invalid", hop=(HOST, far.port))
    invite = far.ringing()
    assert invite.start == "INVITE sip:1001@carrier.invalid SIP/2.0"
    far.reply(invite, "200 OK", ("Contact", "<sip:1001@carrier.invalid>"), body=FAR_SDP)
    assert far.expect("ACK ").start == "ACK sip:1001@carrier.invalid SIP/2.0"
    assert handler.next() == ("answered", FAR_SDP)
    office.do(lambda: dialog.hang_up())
    far.reply(far.expect("BYE "), "200 OK")


def test_a_phone_sends_no_call_to_a_carrier(office: Office, far: FarEnd, another: Callable[..., FarEnd]) -> None:
    phone = another("127.0.0.9")
    _, handler = office.dial(phone, uri=f"sip:8001@127.0.0.9:{phone.port}")
    phone.reply(phone.ringing(), "302 Moved Temporarily", ("Contact", f"<sip:0044900@{HOST}:{far.port}>"))
    name, end = handler.next()
    assert (name, end.reason, end.sip_code) == ("ended", "unreachable", 302)
    assert far.receive(0.2) is None


def test_a_phone_behind_nat_is_spoken_to_where_it_spoke_from(
    office: Office, far: FarEnd, another: Callable[..., FarEnd]
) -> None:
    phone = another("127.0.0.9")
    dialog, handler = office.dial(phone, uri=f"sip:8001@{HOST}:{far.port}", hop=("127.0.0.9", phone.port))
    invite = phone.ringing()
    assert invite.start == f"INVITE sip:8001@{HOST}:{far.port} SIP/2.0"
    phone.reply(invite, "200 OK", ("Contact", f"<sip:8001@{HOST}:{far.port}>"), body=FAR_SDP)
    phone.expect("ACK ")
    assert handler.next() == ("answered", FAR_SDP)
    office.do(lambda: dialog.hang_up())
    phone.reply(phone.expect("BYE "), "200 OK")
    assert far.receive(0.1) is None


def test_a_phone_behind_an_edge_is_rung_by_its_route(office: Office, far: FarEnd) -> None:
    route = f"<sip:{HOST}:{far.port};lr;received=sip:203.0.113.9:40000>"
    dialog, handler = office.dial(
        far, uri="sip:8001@df7jal.invalid;transport=ws", routes=(route,), hop=(HOST, far.port)
    )
    invite = far.ringing()
    assert invite.start == "INVITE sip:8001@df7jal.invalid;transport=ws SIP/2.0"
    assert invite.header("route") == route
    recorded = f"<sip:{HOST}:{far.port};did=1;lr>"
    taken = (("Contact", "<sip:8001@df7jal.invalid;transport=ws>"), ("Record-Route", recorded))
    far.reply(invite, "200 OK", *taken, body=FAR_SDP)
    assert far.expect("ACK ").header("route") == recorded
    assert handler.next() == ("answered", FAR_SDP)
    office.do(lambda: dialog.hang_up())
    bye = far.expect("BYE ")
    assert list(bye.all("route")) == [recorded]
    far.reply(bye, "200 OK")


@pytest.mark.parametrize("asserted", [True, False])
@pytest.mark.parametrize("privacy", [True, False])
def test_who_calls_is_told_to_a_carrier_that_is_trusted_and_to_nobody_else(
    office: Office, far: FarEnd, *, asserted: bool, privacy: bool
) -> None:
    given = {"domain": "carrier.example", "caller_id": "01069100000", "asserted": asserted}
    _, handler = office.dial(far, privacy=privacy, **given)
    invite = far.ringing()
    identities = ["<sip:01069100000@carrier.example>"] if asserted else []
    assert list(invite.all("p-asserted-identity")) == identities
    assert list(invite.all("privacy")) == (["id"] if privacy else [])
    shown = "anonymous@anonymous.invalid" if privacy else "01069100000@carrier.example"
    assert f"<sip:{shown}>" in invite.header("from")
    if privacy:
        assert "热线" not in invite.header("from")
        assert "01069100000" not in invite.header("contact")
    far.reply(invite, "486 Busy Here")
    assert handler.next()[0] == "ended"


def test_a_carrier_that_says_nothing_is_left_soon_and_one_that_rings_is_not(office: Office, far: FarEnd) -> None:
    _, handler = office.dial(far, patience_s=0.2)
    invite = far.ringing()
    assert handler.next() == ("ended", CallEnd("unreachable", 408, 102))
    far.reply(invite, "486 Busy Here")
    far.expect("ACK ")
    dialog, handler = office.dial(far, patience_s=0.2)
    invite = far.ringing()
    far.reply(invite, "180 Ringing")
    assert handler.next() == ("ringing", None)
    time.sleep(0.3)
    assert handler.events.empty(), "it rings for as long as it takes"
    office.do(lambda: dialog.hang_up())
    far.reply(far.expect("CANCEL "), "200 OK")
    far.reply(invite, "487 Request Terminated")


def test_one_whom_we_call_is_heard_though_he_is_no_peer(office: Office, another: Callable[..., FarEnd]) -> None:
    stranger = another("127.0.0.9")
    stranger.send(stranger.request("OPTIONS").serialize().replace(b"OPTIONS", b"INVITE"))
    assert stranger.receive(0.3) is None
    _, handler = office.dial(stranger, uri=f"sip:1001@127.0.0.9:{stranger.port}")
    stranger.take(stranger.ringing())
    assert handler.next() == ("answered", FAR_SDP)
    stranger.hang_up()


@pytest.mark.parametrize("body", ["", "v=0\r\nnonsense"])
def test_an_answer_that_is_none_is_hung_up(office: Office, far: FarEnd, body: str) -> None:
    dialog, handler = office.dial(far)
    if body:
        handler.refusal = InvalidInputError("no SDP")
    far.take(far.ringing(), body=body)
    bye = far.expect("BYE ")
    assert bye.header("reason") == "SIP;cause=488"
    far.reply(bye, "200 OK")
    while (event := handler.next())[0] != "ended":
        pass
    assert event[1] == CallEnd("error", 488, 31)
    office.do(lambda: dialog.hang_up())


def test_a_call_that_does_not_fit_is_not_placed(office: Office, far: FarEnd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(office.server, "_max_calls", 0)
    with pytest.raises(UnavailableError):
        office.dial(far)
    assert far.receive(0.2) is None


SippDials = Callable[..., AbstractContextManager[tuple[Dialog, Handler]]]


@pytest.fixture
def sipp(office: Office, program: Callable[[str, str], str], tmp_path: Path) -> SippDials:
    """Calls SIPp, which plays a scenario; in the end it must have gone as it is written."""
    name = program("sipp", "sip-tester")

    @contextmanager
    def dial(scenario: str, **keys: str) -> Iterator[tuple[Dialog, Handler]]:
        port = free_port()
        text = (SCENARIOS / f"{scenario}.xml").read_text(encoding="utf-8")
        for key, value in keys.items():
            text = text.replace(f"[{key}]", value)
        (tmp_path / f"{port}.xml").write_text(text, encoding="utf-8")
        options = ["-i", HOST, "-p", str(port), "-m", "1", "-timeout", "10s", "-timeout_error", "-nostdin"]
        with subprocess.Popen(
            [name, "-sf", f"{port}.xml", *options], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as process:
            target = SipTarget(f"sip:1001@{HOST}:{port}", username="hotline", password="secret")
            handler = Handler()
            try:
                dialog = office.do(
                    lambda: office.server.dial(target, caller="12345", sdp=OUR_SDP, handler=handler, timeout_s=5)
                )
                assert handler.next() == ("ringing", None)
                assert handler.next()[0] == "answered"
                yield dialog, handler
                office.do(dialog.hang_up)
                _, errors = process.communicate(timeout=5)
                assert process.returncode == 0, errors
            finally:
                process.kill()

    return dial


def test_sipp_takes_a_call_of_ours_for_the_right_password(sipp: SippDials) -> None:
    with sipp("challenge"):
        pass


@pytest.mark.parametrize("attended", [False, True])
def test_sipp_is_asked_to_call_somebody_else(office: Office, far: FarEnd, sipp: SippDials, attended: bool) -> None:
    other, _ = office.dial(far)
    far.take(far.ringing())
    wanted = "Replaces=" if attended else "&lt;sip:1002@127.0.0.1&gt;"
    with sipp("referred", wanted=wanted) as (dialog, handler):
        office.do(lambda: dialog.refer("sip:1002@127.0.0.1", replaces=other if attended else None))
        assert handler.next() == ("transfer_result", 200)
    far.hang_up()


# --- calls to us ---


def test_a_call_is_answered_when_the_handler_wants(office: Office, far: FarEnd) -> None:
    office.answers = False
    invite = far.request("INVITE", body=FAR_SDP)
    far.send(invite)
    invitation, dialog, handler = office.call()
    assert far.receive(0.1) is None
    office.do(lambda: dialog.ring())
    assert far.expect("SIP/2.0 180").body == b""
    office.do(lambda: dialog.ring(OUR_SDP))
    assert far.expect("SIP/2.0 183").body.decode() == OUR_SDP
    office.do(lambda: dialog.answer(OUR_SDP))
    far.remote = far.expect("SIP/2.0 200").header("to")
    far.ack()
    assert invitation.sip_call_id == dialog.sip_call_id == far.call_id
    far.hang_up()
    assert handler.next() == ("ended", CallEnd("caller_hangup", 200, None))


def test_a_caller_gives_up_while_it_rings(office: Office, far: FarEnd) -> None:
    office.answers = False
    invite = far.request("INVITE", body=FAR_SDP)
    far.send(invite)
    _, dialog, handler = office.call()
    office.do(lambda: dialog.ring())
    far.send(far.request("CANCEL", ("Reason", "Q.850;cause=26"), cseq=far.cseq, branch=invite.branch))
    far.expect("SIP/2.0 487")
    far.ack(branch=invite.branch)
    assert handler.next() == ("ended", CallEnd("cancelled", 487, 26))
    office.do(lambda: dialog.answer(OUR_SDP))
    assert handler.is_told_nothing()


def test_a_cancel_after_the_answer_changes_nothing(office: Office, far: FarEnd) -> None:
    before = far.remote
    assert far.ask("INVITE", body=FAR_SDP, branch="z9hG4bKlate").status == 200
    far.ack()
    dialog, far.remote = far.remote, before
    late = far.ask("CANCEL", branch="z9hG4bKlate", cseq=1)
    assert late.status in (200, 481)
    assert ";tag=" in late.header("to"), "RFC 3261 section 8.2.6.2"
    far.remote = dialog
    assert office.call()[2].is_told_nothing()
    far.hang_up()


def test_a_call_is_refused_with_a_time_to_come_back(office: Office, far: FarEnd) -> None:
    office.answers = False
    far.send(far.request("INVITE", body=FAR_SDP))
    _, dialog, handler = office.call()
    office.do(lambda: dialog.reject(480, retry_after_s=30))
    assert far.expect("SIP/2.0 480").header("retry-after") == "30"
    office.do(lambda: dialog.answer(OUR_SDP))
    assert handler.is_told_nothing()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UnavailableError("full"), 503),
        (InvalidInputError("codec"), 488),
        (ForbiddenError("no"), 403),
        (KeyError(), 500),
    ],
)
def test_a_refusal_of_the_call_layer_is_a_status(office: Office, far: FarEnd, error: Exception, status: int) -> None:
    office.refusal = error
    answer = far.ask("INVITE", body=FAR_SDP)
    assert answer.status == status
    assert (status == 503) == any(answer.all("retry-after"))


def test_hanging_up_an_unanswered_call_refuses_it(office: Office, far: FarEnd) -> None:
    office.answers = False
    far.send(far.request("INVITE", body=FAR_SDP))
    _, dialog, _ = office.call()
    office.do(lambda: dialog.hang_up(q850=17))
    refused = far.expect("SIP/2.0 486")
    assert refused.header("reason") == 'Q.850;cause=17;text="User busy"'


def test_an_invitation_without_sdp_gets_our_offer_and_is_answered_in_the_ack(office: Office, far: FarEnd) -> None:
    answer = far.ask("INVITE")
    assert answer.body.decode() == OUR_SDP
    invitation, _, handler = office.call()
    assert invitation.offer is None
    assert handler.is_told_nothing()
    far.ack(body=FAR_SDP)
    assert handler.next() == ("answer", FAR_SDP)
    far.hang_up()


def test_a_late_offer_that_is_never_answered_ends_the_call(office: Office, far: FarEnd) -> None:
    far.ask("INVITE")
    far.ack()
    assert far.expect("BYE ").header("reason") == "SIP;cause=488"
    assert office.call()[2].next() == ("ended", CallEnd("error", 488, 31))


def test_a_bye_of_ours_waits_for_the_ack(office: Office, far: FarEnd) -> None:
    far.ask("INVITE", body=FAR_SDP)
    _, dialog, _ = office.call()
    office.do(lambda: dialog.hang_up())
    early = far.receive(0.2)
    assert early is None or early.status == 200, "RFC 3261 section 15"
    far.ack()
    far.reply(far.expect("BYE "), "200 OK")


def test_a_call_that_is_never_acknowledged_ends(office: Office, far: FarEnd) -> None:
    far.ask("INVITE", body=FAR_SDP)
    _, dialog, handler = office.call()
    office.do(lambda: dialog.ua.disconnect())  # type: ignore[attr-defined] # as sippy does after 32 s
    far.expect("BYE ")
    assert handler.next() == ("ended", CallEnd("unreachable", 408, 102))


# --- within a call ---


def test_a_re_invite_and_an_update_change_the_media(office: Office, far: FarEnd) -> None:
    far.invite()
    _, _, handler = office.call()
    for method in ("INVITE", "UPDATE"):
        answer = far.ask(method, body=FAR_SDP.replace("40000", "40002"))
        assert (answer.status, answer.body.decode()) == (200, OUR_SDP)
        assert answer.header("contact")
        if method == "INVITE":
            far.ack()
        assert handler.next() == ("update", 40002)
    far.hang_up()


def test_a_re_invite_that_says_the_same_is_answered_all_the_same(office: Office, far: FarEnd) -> None:
    far.invite()
    assert far.ask("INVITE", body=FAR_SDP).status == 200
    far.ack()
    assert office.call()[2].next() == ("update", 40000)
    far.hang_up()


@pytest.mark.parametrize("ours", [True, False], ids=["our call", "late offer"])
def test_a_re_invite_that_lists_more_codecs_keeps_the_one_in_use(office: Office, far: FarEnd, ours: bool) -> None:
    if ours:
        _, handler = office.dial(far)
        far.take(far.ringing())
        assert handler.next()[0] == "answered"
    else:
        far.invite(body=None)
        handler = office.call()[2]
        assert handler.next()[0] == "answer"
    assert far.ask("INVITE", body=FAR_SDP.replace("RTP/AVP 8", "RTP/AVP 0 8")).status == 200
    far.ack()
    assert handler.next()[0] == "update"
    assert handler.offer is not None
    assert handler.offer.remote.codec is Codec.PCMA
    far.hang_up()


def test_an_update_without_sdp_only_refreshes(office: Office, far: FarEnd) -> None:
    far.invite()
    answer = far.ask("UPDATE")
    assert (answer.status, answer.body) == (200, b"")
    assert office.call()[2].is_told_nothing()
    far.hang_up()


def test_a_re_invite_without_sdp_gets_our_offer(office: Office, far: FarEnd) -> None:
    far.invite()
    _, _, handler = office.call()
    answer = far.ask("INVITE")
    assert answer.body.decode() == OUR_SDP
    assert handler.next() == ("update", None)
    assert far.ask("UPDATE", body=FAR_SDP).status == 491, "our offer is open"
    far.ack(body=FAR_SDP)
    far.send(far.request("ACK", body=FAR_SDP, cseq=far.cseq - 1))
    assert handler.next() == ("answer", FAR_SDP)
    far.hang_up()


def test_an_unacceptable_re_invite_leaves_the_call_as_it_was(office: Office, far: FarEnd) -> None:
    far.invite()
    _, _, handler = office.call()
    handler.refusal = InvalidInputError("codec")
    assert far.ask("INVITE", body=FAR_SDP).status == 488
    handler.refusal = RuntimeError("a fault of ours")
    assert far.ask("UPDATE", body=FAR_SDP).status == 500
    assert far.ask("UPDATE", body="v=0", content_type="application/sdp").status == 488
    assert far.ask("INVITE", body="hello", content_type="text/plain").status == 415
    handler.refusal = None
    assert far.ask("UPDATE", body=FAR_SDP).status == 200
    far.hang_up()


def test_our_re_invite_is_answered(office: Office, far: FarEnd) -> None:
    far.invite()
    _, dialog, handler = office.call()
    office.do(lambda: dialog.update(OUR_SDP.replace("30000", "30002")))
    invite = far.expect("INVITE ")
    assert b"30002" in invite.body
    far.reply(invite, "183 Session Progress")
    far.take(invite)
    assert handler.next() == ("answer", FAR_SDP)
    far.hang_up()


def test_a_re_invite_waits_for_the_acknowledgement_of_the_last_one(office: Office, far: FarEnd) -> None:
    far.ask("INVITE", body=FAR_SDP)
    _, dialog, handler = office.call()
    office.do(lambda: dialog.update(OUR_SDP))
    early = far.receive(0.3)
    assert early is None or early.status == 200
    far.ack()
    far.take(far.expect("INVITE "))
    assert handler.next() == ("answer", FAR_SDP)
    far.hang_up()


def test_crossing_re_invites_are_refused_and_ours_is_tried_again(office: Office, far: FarEnd) -> None:
    far.invite()
    _, dialog, handler = office.call()
    office.do(lambda: dialog.update(OUR_SDP))
    ours = far.expect("INVITE ")
    assert far.ask("INVITE", body=FAR_SDP).status == 491
    far.reply(ours, "491 Request Pending")
    far.expect("ACK ")
    again = far.expect("INVITE ")  # within 2 s, as the far end made the Call-ID
    assert again.branch != ours.branch
    far.take(again)
    assert handler.next() == ("answer", FAR_SDP)
    far.hang_up()


def test_in_a_call_of_ours_we_wait_longer_after_crossing(office: Office, far: FarEnd) -> None:
    dialog, handler = office.dial(far)
    far.take(far.ringing())
    handler.next()
    office.do(lambda: dialog.update(OUR_SDP))
    ours = far.expect("INVITE ")
    far.reply(ours, "491 Request Pending")
    refused = time.monotonic()
    far.expect("ACK ")
    until = time.monotonic() + 5
    while (again := far.receive(until - time.monotonic())) and again.method != "INVITE":
        pass
    assert again is not None
    assert 2.0 < time.monotonic() - refused < 4.5
    far.take(again)
    assert handler.next() == ("answer", FAR_SDP)
    far.hang_up()


def test_a_refused_re_invite_leaves_the_call_as_it_was(office: Office, far: FarEnd) -> None:
    far.invite()
    _, dialog, handler = office.call()
    office.do(lambda: dialog.update(OUR_SDP))
    far.reply(far.expect("INVITE "), "488 Not Acceptable Here")
    far.expect("ACK ")
    assert handler.is_told_nothing()
    assert far.ask("OPTIONS").status == 200
    far.hang_up()


def test_a_re_invite_that_the_far_end_knows_nothing_of_ends_the_call(office: Office, far: FarEnd) -> None:
    far.invite()
    _, dialog, handler = office.call()
    office.do(lambda: dialog.update(OUR_SDP))
    far.reply(far.expect("INVITE "), "481 Call/Transaction Does Not Exist")
    far.expect("BYE ")
    assert handler.next() == ("ended", CallEnd("unreachable", 481, 41))


@pytest.mark.parametrize(
    ("content_type", "body", "status", "digit"),
    [
        ("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n", 200, "5"),
        ("application/dtmf-relay", "Signal= *\r\nDuration= 250", 200, "*"),
        ("application/dtmf", "#", 200, "#"),
        ("application/dtmf", "11", 200, "#"),
        ("application/dtmf-relay", "Duration=160\r\n", 400, None),
        ("application/dtmf", "99", 400, None),
        ("text/plain", "5", 415, None),
    ],
)
def test_a_digit_in_info(
    office: Office, far: FarEnd, content_type: str, body: str, status: int, digit: str | None
) -> None:
    far.invite()
    _, _, handler = office.call()
    assert far.ask("INFO", body=body, content_type=content_type).status == status
    if digit:
        assert handler.next() == ("digit", digit)
    assert handler.is_told_nothing()
    assert far.ask("INFO").status == 200, "an empty one only asks whether we are there"
    far.hang_up()


def test_an_old_request_within_the_call_is_refused(office: Office, far: FarEnd) -> None:
    far.invite()
    far.cseq = 10
    assert far.ask("OPTIONS").status == 200
    assert far.ask("INFO", cseq=5).status == 500
    assert far.ask("PUBLISH").status == 405
    assert far.ask("MESSAGE").status == 405
    far.hang_up()
    office.call()


# --- session timers (RFC 4028) ---


def test_a_session_too_brief_is_refused_with_our_least(far: FarEnd, office: Office) -> None:
    answer = far.ask("INVITE", ("Supported", "timer"), ("Session-Expires", "1"), body=FAR_SDP)
    assert (answer.status, answer.header("min-se")) == (422, "2")
    assert office.calls.empty()


def test_a_session_that_nobody_refreshes_is_hung_up(office: Office, far: FarEnd) -> None:
    answer = far.invite(("Supported", "timer"), ("Session-Expires", "2;refresher=uac"))
    assert answer.header("session-expires") == "2;refresher=uac"
    assert answer.header("require") == "timer"
    _, _, handler = office.call()
    bye = far.expect("BYE ")
    assert bye.header("reason") == "SIP;cause=408"
    assert handler.next() == ("ended", CallEnd("session_expired", 408, 102))


def test_a_refreshed_session_lives_on(office: Office, far: FarEnd) -> None:
    timer = (("Supported", "timer"), ("Session-Expires", "3;refresher=uac"))
    far.invite(*timer)
    for _ in range(3):
        assert far.receive(1.0) is None
        assert far.ask("UPDATE", *timer).header("session-expires") == "3;refresher=uac"
    far.hang_up()
    office.call()


@pytest.mark.parametrize(("allow", "method"), [("INVITE, ACK, BYE, UPDATE", "UPDATE"), ("INVITE, ACK, BYE", "INVITE")])
def test_we_refresh_a_session_at_half_its_time(office: Office, far: FarEnd, allow: str, method: str) -> None:
    far.invite(("Supported", "timer"), ("Session-Expires", "2;refresher=uas"), ("Allow", allow))
    began = time.monotonic()
    refresh = far.expect(f"{method} ")
    assert 0.9 < time.monotonic() - began < 1.5
    assert refresh.header("session-expires") == "2;refresher=uac"
    timer = ("Session-Expires", "2;refresher=uac")
    if method == "INVITE":
        assert refresh.body.decode() == OUR_SDP
        far.take(refresh, timer)
    else:
        assert refresh.body == b""
        far.reply(refresh, "200 OK", timer)
    again = far.expect(f"{method} ")
    assert again.branch != refresh.branch
    if method == "INVITE":
        far.take(again, timer)
    else:
        far.reply(again, "200 OK", timer)
    far.hang_up()
    office.call()


def test_a_call_of_ours_takes_the_longer_session_that_the_far_end_wants(office: Office, far: FarEnd) -> None:
    _, handler = office.dial(far)
    invite = far.ringing()
    assert invite.header("session-expires") == "1800"
    far.reply(invite, "422 Session Interval Too Small", ("Min-SE", "3600"))
    longer = far.expect("INVITE ")
    while longer.branch == invite.branch:
        longer = far.expect("INVITE ")
    assert (longer.header("session-expires"), longer.header("min-se")) == ("3600", "3600")
    far.call_id, far.remote = longer.header("call-id"), longer.header("from")
    far.take(longer, ("Session-Expires", "3600;refresher=uas"))
    assert handler.next() == ("answered", FAR_SDP)
    far.hang_up()


# --- transfers ---


def test_a_blind_transfer_is_told_and_its_progress_notified(office: Office, far: FarEnd) -> None:
    far.invite()
    _, dialog, handler = office.call()
    assert far.ask("REFER", ("Refer-To", "<sip:1002@127.0.0.1>"), ("Referred-By", "<sip:1001@127.0.0.1>")).status == 202
    name, target = handler.next()
    assert (name, target.user, target.replaces) == ("transfer", "1002", None)
    assert target.referred_by == "<sip:1001@127.0.0.1>"
    notify = far.expect("NOTIFY ")
    assert notify.body == b"SIP/2.0 100 Trying\r\n"
    assert notify.header("event") == f"refer;id={far.cseq}"
    assert notify.header("subscription-state").startswith("active")
    assert notify.header("content-type").startswith("message/sipfrag")
    far.reply(notify, "200 OK")
    office.do(lambda: dialog.transfer_progress(200))
    notify = far.expect("NOTIFY ")
    assert notify.body == b"SIP/2.0 200 OK\r\n"
    assert notify.header("subscription-state") == "terminated;reason=noresource"
    far.reply(notify, "200 OK")
    office.do(lambda: dialog.transfer_progress(200))
    assert far.receive(0.3) is None, "the subscription is over"
    far.hang_up()


@pytest.mark.parametrize("at_once", [True, False])
def test_who_transfers_hears_how_it_went_before_he_is_hung_up(office: Office, far: FarEnd, at_once: bool) -> None:
    far.invite()
    _, dialog, handler = office.call()

    def done() -> None:
        dialog.transfer_progress(200)
        dialog.hang_up()

    handler.on_transfer = lambda _target: done() if at_once else None  # type: ignore[method-assign]
    assert far.ask("REFER", ("Refer-To", "<sip:1002@127.0.0.1>")).status == 202
    if not at_once:
        far.reply(far.expect("NOTIFY "), "200 OK")
        office.do(done)
    told = []
    while (message := far.receive()) is not None and message.method == "NOTIFY":
        told.append(message.body)
        far.reply(message, "200 OK")
    assert told[-1] == b"SIP/2.0 200 OK\r\n"
    assert message is not None
    assert message.method == "BYE"
    far.reply(message, "200 OK")


def test_an_attended_transfer_names_the_dialog(office: Office, far: FarEnd) -> None:
    far.invite()
    _, _, handler = office.call()
    refer_to = "<sip:1002@127.0.0.1?Replaces=abc%40x%3Bto-tag%3D1%3Bfrom-tag%3D2>"
    assert far.ask("REFER", ("Refer-To", refer_to)).status == 202
    assert handler.next()[1].replaces == Replaces("abc@x", "1", "2")
    far.reply(far.expect("NOTIFY "), "200 OK")
    assert far.ask("REFER", ("Refer-To", refer_to)).status == 491, "one at a time"
    far.hang_up()


@pytest.mark.parametrize(
    ("error", "status"),
    [(ForbiddenError("no"), 403), (UnavailableError("full"), 503), (InvalidInputError("what"), 400)],
)
def test_a_transfer_is_refused(office: Office, far: FarEnd, error: Exception, status: int) -> None:
    far.invite()
    _, _, handler = office.call()
    handler.refusal = error
    assert far.ask("REFER", ("Refer-To", "<sip:1002@127.0.0.1>")).status == status
    assert far.receive(0.2) is None, "no subscription"
    assert far.ask("REFER").status == 400
    assert far.ask("REFER", ("Refer-To", "<tel:110>")).status == 400
    far.hang_up()


def test_our_refer_is_told_how_it_went(office: Office, far: FarEnd, another: Callable[..., FarEnd]) -> None:
    other = another()
    far.invite()
    other.invite()
    _, dialog, handler = office.call()
    _, consulted, _ = office.call()
    office.do(lambda: dialog.refer("sip:1002@127.0.0.1", replaces=consulted))
    refer = far.expect("REFER ")
    tag = re.search("tag=(.*)", other.remote)
    assert tag is not None
    expected = f"{other.call_id};to-tag=far;from-tag={tag[1]}"
    assert refer.header("refer-to").startswith("<sip:1002@127.0.0.1?Replaces=")
    assert TransferTarget.parse(refer.header("refer-to")).replaces == Replaces.parse(expected)
    far.reply(refer, "202 Accepted")

    def notify(fragment: str, state: str = "active") -> int | None:
        extra = (("Event", "refer"), ("Subscription-State", state))
        return far.ask("NOTIFY", *extra, body=fragment, content_type="message/sipfrag").status

    assert notify("SIP/2.0 100 Trying") == 200
    assert handler.is_told_nothing()
    assert notify("nonsense") == 400
    assert notify("SIP/2.0 486 Busy Here", "terminated;reason=noresource") == 200
    assert handler.next() == ("transfer_result", 486)
    assert notify("SIP/2.0 200 OK") == 481, "it is over"
    assert far.ask("NOTIFY", ("Event", "dialog")).status == 489
    far.hang_up()
    other.hang_up()


def test_a_refused_refer_is_told(office: Office, far: FarEnd) -> None:
    far.invite()
    _, dialog, handler = office.call()
    office.do(lambda: dialog.refer("sip:1002@127.0.0.1"))
    far.reply(far.expect("REFER "), "603 Decline")
    assert handler.next() == ("transfer_result", 603)
    far.hang_up()


def test_an_invitation_that_replaces_a_call_names_it(
    office: Office, far: FarEnd, another: Callable[..., FarEnd]
) -> None:
    far.invite()
    office.call()
    tag = re.search("tag=(.*)", far.remote)
    assert tag is not None
    other = another()
    other.invite(("Replaces", f"{far.call_id};to-tag={tag[1]};from-tag=far"), ("Require", "replaces"))
    invitation, _, _ = office.call()
    assert invitation.replaces == Replaces(far.call_id, tag[1], "far")
    other.hang_up()
    for replaces, status in (
        (f"{far.call_id};to-tag={tag[1]};from-tag=other", 481),
        (f"nobody;to-tag={tag[1]};from-tag=far", 481),
        (f"{far.call_id};to-tag={tag[1]};from-tag=far;early-only", 486),
        ("nonsense", 400),
    ):
        other.remote, other.call_id = f"<sip:12345@{HOST}>", secrets.token_hex(8)
        assert other.ask("INVITE", ("Replaces", replaces), body=FAR_SDP).status == status
    far.hang_up()


# --- who calls, and what is no request ---


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ((), ("1001", "", False)),
        ((("P-Asserted-Identity", '"Zhang San" <sip:+8613800138000@trunk>'),), ("13800138000", "Zhang San", False)),
        (
            (("P-Asserted-Identity", "<tel:13800138000>, <sip:x@trunk>"), ("Privacy", "id;critical")),
            ("13800138000", "", True),
        ),
        ((("P-Asserted-Identity", "nonsense"), ("Privacy", "none")), ("1001", "", False)),
    ],
)
def test_the_callers_identity(office: Office, far: FarEnd, headers: Any, expected: tuple[str, str, bool]) -> None:
    far.invite(*headers)
    invitation, _, _ = office.call()
    assert (invitation.caller, invitation.display_name, invitation.privacy) == expected
    far.hang_up()


def test_an_anonymous_caller_wants_privacy(office: Office, far: FarEnd) -> None:
    far.local = '"Anonymous" <sip:anonymous@anonymous.invalid>;tag=far'
    far.invite()
    invitation, _, _ = office.call()
    assert (invitation.caller, invitation.privacy) == ("", True)
    far.hang_up()


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b"application/sdp", b"text/plain", 415),
        (b"1 INVITE", b"1 OPTIONS", 400),
        (b"1 INVITE", b"-1 INVITE", 400),
        (b"1 INVITE", b"2147483648 INVITE", 400),
        (b"SIP/2.0\r\n", b"SIP/3.0\r\n", 505),
        (b"Contact:", b"Require: 100rel\r\nContact:", 420),
    ],
)
def test_what_is_no_invitation_is_refused(office: Office, far: FarEnd, old: bytes, new: bytes, status: int) -> None:
    data = far.request("INVITE", body=FAR_SDP).serialize()
    assert old in data
    far.send(data.replace(old, new, 1))
    reply = far._socket.recv(65536) if select.select([far._socket], [], [], WAIT_S)[0] else b""
    assert reply.startswith(f"SIP/2.0 {status} ".encode()), reply[:200]
    assert office.calls.empty()


def test_a_datagram_too_large_is_counted(office: Office, far: FarEnd) -> None:
    before = office.server.counters["too_large"]
    far.send(far.request("INVITE", body=FAR_SDP + "a=" + "x" * 9000).serialize())
    assert far.receive(0.3) is None
    assert office.server.counters["too_large"] == before + 1
