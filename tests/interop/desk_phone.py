"""A phone that signs in, calls, takes every call at once and hangs up; written without the product's code."""

import contextlib
import hashlib
import queue
import re
import secrets
import socket
import threading
from typing import Self

from demo.g711 import Law
from demo.media_process import HOST, MediaProcess
from demo.sdp import describe
from demo.sip import SipMessage
from hotline.errors import ProtocolError

TAG = "desk"
DIALOG_HEADERS = ("from", "to", "call-id", "cseq")


class DeskPhone:
    """A context manager; one socket for SIP and RTP, one call at a time. `packets`: RTP packets heard so far."""

    def __init__(self, media: MediaProcess | None, extension: str, secret: str, *, host: str = HOST) -> None:
        self._server = ("", 0) if media is None else media.address  # a carrier's phone only answers
        self._host = host
        self._extension = extension
        self._secret = secret
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, 0))
        self._port = int(self._socket.getsockname()[1])
        self._cseq = 0
        self._answers: queue.Queue[SipMessage] = queue.Queue()
        self._dialog = ("", "", self._server)  # To, Call-ID and the far end's address of the present call
        self.packets = 0
        self.ringing = threading.Event()
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._listen)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.sendto(b"", (self._host, self._port))  # ends the listening
        self._thread.join()
        self._socket.close()

    def sign_in(self) -> None:
        """Registers; the answer must be 200."""
        assert self._ask("REGISTER", f"sip:{HOST}", to=self._extension).status == 200

    def call(self, number: str) -> SipMessage:
        """Calls and acknowledges; the answer must be 200."""
        uri = f"sip:{number}@{HOST}"
        self.ended.clear()
        answer = self._ask("INVITE", uri, to=number, body=self._description())
        assert answer.status == 200, answer.start
        to, call_id, _ = self._dialog = answer.header("to"), answer.header("call-id"), self._server
        self._send(self._request("ACK", uri, to=to, call_id=call_id))
        return answer

    def hang_up(self) -> None:
        """Ends the present call."""
        self._cseq += 1
        to, call_id, far_end = self._dialog
        bye = self._request("BYE", f"sip:{HOST}", to=to, call_id=call_id)
        self._socket.sendto(bye.serialize(), far_end)
        assert self._final("BYE").status == 200
        self.ended.set()

    def _ask(self, method: str, uri: str, *, to: str, body: bytes = b"") -> SipMessage:
        call_id = secrets.token_hex(8)
        self._cseq += 1
        self._send(self._request(method, uri, to=f"<sip:{to}@{HOST}>", call_id=call_id, body=body))
        answer = self._final(method)
        if answer.status != 401:
            return answer
        if method == "INVITE":
            self._send(self._request("ACK", uri, to=answer.header("to"), call_id=call_id))
        self._cseq += 1
        signed = self._authorization(answer, method, uri)
        self._send(self._request(method, uri, to=f"<sip:{to}@{HOST}>", call_id=call_id, body=body, extra=signed))
        return self._final(method)

    def _final(self, method: str) -> SipMessage:
        while True:
            answer = self._answers.get(timeout=10)
            if (answer.status or 0) >= 200 and answer.header("cseq") == f"{self._cseq} {method}":
                return answer

    def _request(
        self,
        method: str,
        uri: str,
        *,
        to: str,
        call_id: str,
        body: bytes = b"",
        extra: tuple[tuple[str, str], ...] = (),
    ) -> SipMessage:
        headers = [
            ("Via", f"SIP/2.0/UDP {self._host}:{self._port};rport;branch=z9hG4bK{secrets.token_hex(8)}"),
            ("Max-Forwards", "70"),
            ("From", f"<sip:{self._extension}@{HOST}>;tag={TAG}"),
            ("To", to),
            ("Call-ID", call_id),
            ("CSeq", f"{self._cseq} {method}"),
            ("Contact", self._contact()),
            *extra,
            *((("Content-Type", "application/sdp"),) if body else ()),
        ]
        return SipMessage(start=f"{method} {uri} SIP/2.0", headers=tuple(headers), body=body)

    def _contact(self) -> str:
        return f"<sip:{self._extension}@{self._host}:{self._port}>"

    def _description(self) -> bytes:
        return describe(self._host, self._port, Law.PCMA)

    def _authorization(self, challenge: SipMessage, method: str, uri: str) -> tuple[tuple[str, str], ...]:
        """RFC 7616."""
        text = challenge.header("www-authenticate")
        found = dict(re.findall(r'(\w+)="?([^",]*)', text))
        name, realm, nonce = found.get("algorithm", "MD5"), found["realm"], found["nonce"]
        digest = hashlib.sha256 if name == "SHA-256" else hashlib.md5
        first = digest(f"{self._extension}:{realm}:{self._secret}".encode()).hexdigest()
        second = digest(f"{method}:{uri}".encode()).hexdigest()
        response = digest(f"{first}:{nonce}:00000001:xyz:auth:{second}".encode()).hexdigest()
        value = (
            f'Digest username="{self._extension}", realm="{realm}", nonce="{nonce}", uri="{uri}", '
            f'response="{response}", algorithm={name}, qop=auth, nc=00000001, cnonce="xyz"'
        )
        return (("Authorization", value),)

    def _listen(self) -> None:
        while True:
            data, source = self._socket.recvfrom(65536)
            if not data:
                return
            if data[0] >> 6 == 2:
                self._on_media(data)
                continue
            with contextlib.suppress(ProtocolError):
                message = SipMessage.parse(data)
                if message.status is None:
                    self._on_request(message, source)
                else:
                    self._answers.put(message)

    def _on_media(self, _packet: bytes) -> None:
        self.packets += 1

    def _on_request(self, request: SipMessage, source: tuple[str, int]) -> None:
        if request.method == "INVITE":
            self._dialog = request.header("from"), request.header("call-id"), source
            self.ended.clear()
            self.ringing.set()
            self._on_invite(request, source)
        elif request.method != "ACK":
            self._reply(request, source, "200 OK")
        if request.method == "BYE":
            self.ended.set()

    def _on_invite(self, request: SipMessage, source: tuple[str, int]) -> None:
        self._take(request, source)

    def _take(self, request: SipMessage, source: tuple[str, int]) -> None:
        self._reply(request, source, "200 OK", self._description())

    def _reply(self, request: SipMessage, source: tuple[str, int], status: str, body: bytes = b"") -> None:
        headers = [(name, value) for name, value in request.headers if name == "via"]
        headers += [(name, request.header(name)) for name in DIALOG_HEADERS]
        headers = [(n, f"{v};tag={TAG}" if n == "to" and "tag=" not in v else v) for n, v in headers]
        if body:
            headers += [("Contact", self._contact()), ("Content-Type", "application/sdp")]
        reply = SipMessage(start=f"SIP/2.0 {status}", headers=tuple(headers), body=body)
        self._socket.sendto(reply.serialize(), source)

    def _send(self, message: SipMessage) -> None:
        self._socket.sendto(message.serialize(), self._server)
