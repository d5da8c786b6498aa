"""Both ends of a dialog: our SIP server with a call layer that notes what it is told, and a bare socket."""

import queue
import secrets
import select
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from sipp_rig import Sipp

from demo.media_process import HOST
from demo.sip import SipMessage
from ivr.sdp import Offer
from ivr.sip import CallEnd, CallHandler, Dialog, Invitation, SipServer, SipTarget, TransferTarget

OUR_SDP = "v=0\r\no=h 1 1 IN IP4 127.0.0.1\r\ns=h\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 30000 RTP/AVP 8\r\n"
FAR_SDP = OUR_SDP.replace("30000", "40000")
WAIT_S = 3.0
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
        self, far: "FarEnd | Sipp", *, timeout_s: float = 5.0, privacy: bool = False, **target: Any
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


SippDials = Callable[..., AbstractContextManager[tuple[Dialog, Handler]]]
