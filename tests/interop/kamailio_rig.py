"""Callers that reach the edge by UDP, TCP, TLS and WebSocket."""

import re
import secrets
import select
import socket
import ssl
import struct
import time
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType

from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from demo.edge import OUTSIDE, TRUNK, Edge
from demo.g711 import Law
from demo.sdp import describe, parse
from demo.sip import SipMessage

PACKET_S = 0.02
Address = tuple[str, int]


class Connection:
    """SIP messages to and from the edge by one transport."""

    def __init__(self, edge: Edge, transport: str, *, host: str = TRUNK, trust: ssl.SSLContext | None = None) -> None:
        self.transport = transport
        self._buffer = b""
        self._open = ExitStack()
        self._web: ClientConnection | None = None
        port = {"UDP": edge.port, "TCP": edge.port, "TLS": edge.tls_port, "WSS": edge.wss_port}[transport]
        self.remote = (OUTSIDE, port)
        if transport == "UDP":
            self._socket = socket.socket(type=socket.SOCK_DGRAM)
            self._socket.bind((host, 0))
            self._socket.connect(self.remote)
        else:
            self._socket = socket.create_connection(self.remote, timeout=3, source_address=(host, 0))
        self.local: Address = self._socket.getsockname()
        if transport == "TLS":
            assert trust is not None
            self._socket = trust.wrap_socket(self._socket, server_hostname=OUTSIDE)
        elif transport == "WSS":
            sip = Subprotocol("sip")
            address = f"wss://{OUTSIDE}:{port}/"
            opening = connect(address, sock=self._socket, ssl=trust, subprotocols=[sip], proxy=None)
            self._web = self._open.enter_context(opening)
            assert self._web.subprotocol == "sip"

    def close(self) -> None:
        self._open.close()
        self._socket.close()

    def send(self, data: bytes) -> None:
        if self._web is not None:
            self._web.send(data)
        else:
            self._socket.sendall(data)

    def receive(self, timeout_s: float) -> SipMessage | None:
        """The next message, None where the time is over."""
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            if (data := self._next(left)) is not None:
                return SipMessage.parse(data)
        return None

    def _next(self, timeout_s: float) -> bytes | None:
        if self._web is not None:
            try:
                received = self._web.recv(timeout_s)
            except TimeoutError:
                return None
            return received if isinstance(received, bytes) else received.encode()
        if (whole := self._whole_message()) is not None:
            return whole
        self._socket.settimeout(timeout_s)
        try:
            received = self._socket.recv(65536)
        except (TimeoutError, ConnectionError):
            return None
        if self.transport == "UDP":
            return received
        self._buffer += received
        return self._whole_message()

    def _whole_message(self) -> bytes | None:
        """The first message of a stream, once all of it is there (RFC 3261 section 18.3)."""
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)^content-length:\s*(\d+)", head, re.MULTILINE)
        if not end or length is None or len(rest) < int(length[1]):
            return None
        self._buffer = rest[int(length[1]) :]
        return head + end + rest[: int(length[1])]


class Caller:
    """A phone at the edge that says exactly what a test wants, and can be in one call."""

    def __init__(
        self,
        edge: Edge,
        transport: str = "UDP",
        *,
        host: str = TRUNK,
        trust: ssl.SSLContext | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        self._connection = Connection(edge, transport, host=host, trust=trust)
        self._headers = tuple(headers)
        self._rtp = socket.socket(type=socket.SOCK_DGRAM)
        self._rtp.bind((host, 0))
        self.host = host
        self.number = f"136{secrets.randbelow(10**8):08d}"
        self.call_id = f"{secrets.token_hex(8)}@caller"
        self._sequence = 0
        self.target = f"sip:12345@{OUTSIDE}:{self._connection.remote[1]}"
        self.routes: tuple[str, ...] = ()
        self.to = f"<{self.target}>"
        self.answer: SipMessage | None = None

    def __enter__(self) -> "Caller":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._connection.close()
        self._rtp.close()

    def request(self, method: str, *, direction: str = "sendrecv") -> SipMessage:
        """The next request, of the dialog where there is one."""
        if method != "ACK":
            self._sequence += 1
        own = "{}:{}".format(*self._connection.local)
        contact = f"sip:{self.number}@{own};transport={self._connection.transport.lower()}"
        if self._connection.transport == "WSS":
            contact = f"sip:{self.number}@{secrets.token_hex(4)}.invalid;transport=ws"  # RFC 7118 section 5.2
        elif self._connection.transport == "UDP":
            contact = contact.partition(";")[0]
        branch = f"z9hG4bK{secrets.token_hex(8)}"
        headers = [
            ("Via", f"SIP/2.0/{self._connection.transport} {own};rport;branch={branch}"),
            ("Max-Forwards", "70"),
            *(("Route", route) for route in self.routes),
            ("From", f"<sip:{self.number}@{self.host}>;tag=caller"),
            ("To", self.to),
            ("Call-ID", self.call_id),
            ("CSeq", f"{self._sequence} {method}"),
            ("Contact", f"<{contact}>"),
            *self._headers,
        ]
        body = b""
        if method == "INVITE":
            port = int(self._rtp.getsockname()[1])
            body = describe(self.host, port, Law.PCMA, direction=direction, version=self._sequence)  # type: ignore[arg-type]
            headers.append(("Content-Type", "application/sdp"))
        return SipMessage(start=f"{method} {self.target} SIP/2.0", headers=tuple(headers), body=body)

    def send(self, message: SipMessage | bytes) -> None:
        self._connection.send(message if isinstance(message, bytes) else message.serialize())

    def receive(self, timeout_s: float = 3.0) -> SipMessage | None:
        return self._connection.receive(timeout_s)

    def final(self, method: str, timeout_s: float = 3.0) -> SipMessage | None:
        """The next final answer to a request of ours, None where none comes."""
        deadline = time.monotonic() + timeout_s
        while (message := self.receive(deadline - time.monotonic())) is not None:
            if (message.status or 0) >= 200 and message.method == method:
                return message
        return None

    def call(self, *, timeout_s: float = 8.0, t1: float = 0.5) -> SipMessage | None:
        """Places the call, repeating the INVITE as RFC 3261 section 17.1.1.2 asks by UDP; acknowledges a 200."""
        invite = self.request("INVITE")
        deadline, wait = time.monotonic() + timeout_s, t1
        self.send(invite)
        answer = None
        while answer is None and time.monotonic() < deadline:
            message = self.receive(min(wait, deadline - time.monotonic()))
            if message is None and self._connection.transport == "UDP":
                self.send(invite)
                wait *= 2
            elif message is not None and (message.status or 0) >= 200:
                answer = message
        if answer is not None and answer.status == 200:
            self.answer = answer
            routes = [route.strip() for value in answer.all("record-route") for route in value.split(",")]
            self.routes = tuple(reversed(routes))
            self.to = answer.header("to")
            contact = re.search(r"<([^>]+)>", answer.header("contact"))
            assert contact is not None
            self.target = contact[1]
            self.send(self.request("ACK"))
        return answer

    def say(self, payload: bytes) -> None:
        """Sends A-law as RTP (RFC 3550) straight to where the answer's SDP asks, 20 ms a packet."""
        assert self.answer is not None
        media = parse(self.answer.body)
        began = time.monotonic()
        for index in range(len(payload) // 160):
            header = struct.pack("!BBHII", 0x80, Law.PCMA.value, index, 160 * index, 12345)
            self._rtp.sendto(header + payload[160 * index :][:160], (media.host, media.port))
            time.sleep(max(0.0, began + (index + 1) * PACKET_S - time.monotonic()))

    def heard(self, timeout_s: float = 1.0) -> Address | None:
        """Whence the next RTP packet comes."""
        if not select.select([self._rtp], [], [], timeout_s)[0]:
            return None
        address: Address = self._rtp.recvfrom(2048)[1]
        return address

    def hang_up(self) -> int | None:
        """The status of the answer to our BYE."""
        self.send(self.request("BYE"))
        answer = self.final("BYE")
        return None if answer is None else answer.status

    def await_bye(self, timeout_s: float) -> SipMessage | None:
        """The far end's BYE, which is answered; None where none comes."""
        deadline = time.monotonic() + timeout_s
        while (message := self.receive(deadline - time.monotonic())) is not None:
            if message.status is None and message.method == "BYE":
                self.send(message.reply("200 OK"))
                return message
        return None
