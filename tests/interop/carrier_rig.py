"""Carriers that say what a test wants, and a DNS server that knows where they are; all on loopback."""

import hashlib
import re
import secrets
import select
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from demo.media_process import family_of
from demo.sip import SipMessage
from hotline.errors import ProtocolError
from ivr.sip.headers import in_uri

USER, SECRET, REALM = "01069101234", "a carrier's secret", "carrier"
Answer = tuple[str, tuple[tuple[str, str], ...]]
OK: Answer = ("200 OK", ())
SILENCE = None
Script = Callable[[SipMessage], Answer | None]


class Carrier:
    """A carrier's server: `script` decides what a REGISTER or INVITE gets; OPTIONS gets 200 while it is `awake`."""

    def __init__(self, host: str, script: Script) -> None:
        self.host = host
        self.script = script
        self.awake = True
        self.requests: list[SipMessage] = []
        self.times: list[float] = []
        self._socket = socket.socket(family_of(host), socket.SOCK_DGRAM)
        self._socket.bind((host, 0))
        self.port = int(self._socket.getsockname()[1])
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"{in_uri(self.host)}:{self.port}"

    def of(self, method: str) -> list[SipMessage]:
        """The requests of a method, each once however often it was repeated."""
        seen = {request.branch: request for request in self.requests if request.method == method}
        return list(seen.values())

    def moments(self, method: str) -> list[float]:
        """When they came, repeated ones included (monotonic seconds)."""
        both = zip(self.requests, self.times, strict=False)  # one may be coming in just now
        return [at for request, at in both if request.method == method]

    def wait(self, method: str, count: int, *, timeout_s: float = 8.0) -> list[SipMessage]:
        """Waits for so many requests of a method."""
        until = time.monotonic() + timeout_s
        while len(self.of(method)) < count:
            assert time.monotonic() < until, f"{count} {method} awaited, not {[r.start for r in self.requests]}"
            time.sleep(0.02)
        return self.of(method)

    def close(self) -> None:
        self._closed.set()
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        while not self._closed.is_set():
            if not select.select([self._socket], [], [], 0.05)[0]:
                continue
            data, source = self._socket.recvfrom(65536)
            with suppress(ProtocolError):
                self._heard(SipMessage.parse(data), source)

    def _heard(self, message: SipMessage, source: tuple[str, int]) -> None:
        if message.status is not None:
            return
        self.times.append(time.monotonic())
        self.requests.append(message)
        if not self.awake or message.method == "ACK":
            return
        answer = OK if message.method in ("OPTIONS", "CANCEL", "BYE") else self.script(message)
        if answer is not SILENCE:
            status, headers = answer
            self._socket.sendto(message.reply(status, extra=headers).serialize(), source)


def question(*, stale: bool = False, proxy: bool = False) -> Answer:
    """401 (or 407) with a fresh nonce."""
    status, name = ("407 Proxy", "Proxy-Authenticate") if proxy else ("401 Unauthorized", "WWW-Authenticate")
    value = f'Digest realm="{REALM}", nonce="{secrets.token_hex(8)}", algorithm=MD5, qop="auth"'
    return status, ((name, value + (", stale=true" if stale else "")),)


def granted(request: SipMessage, expires_s: int | None = None) -> Answer:
    """200 with the binding."""
    contact = request.header("contact")
    return "200 OK", (("Contact", contact if expires_s is None else re.sub(r"=\d+", f"={expires_s}", contact)),)


def is_signed(request: SipMessage, *, proxy: bool = False) -> bool:
    """Whether a request answers a question with the right password (RFC 2617 section 3.2.2, made here anew)."""
    text = next(request.all("proxy-authorization" if proxy else "authorization"), None)
    if text is None:
        return False
    given = {name: quoted or plain for name, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|([^",\s]+))', text)}
    first = hashlib.md5(f"{USER}:{REALM}:{SECRET}".encode()).hexdigest()
    second = hashlib.md5(f"{request.method}:{given['uri']}".encode()).hexdigest()
    middle = f"{given['nonce']}:{given['nc']}:{given['cnonce']}:{given['qop']}"
    return given["response"] == hashlib.md5(f"{first}:{middle}:{second}".encode()).hexdigest()


def asks_first(request: SipMessage) -> Answer:
    """A carrier as most are."""
    return granted(request) if is_signed(request) else question()


class NameServer:
    """DNS by UDP (RFC 1035): answers from `zone` ((name, type): values), else NXDOMAIN."""

    def __init__(self, zone: dict[tuple[str, str], Sequence[str]]) -> None:
        self.zone = zone
        self.questions: list[str] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        while not self._closed.is_set():
            if select.select([self._socket], [], [], 0.05)[0]:
                data, source = self._socket.recvfrom(4096)
                self._socket.sendto(self._answer(dns.message.from_wire(data)).to_wire(), source)

    def _answer(self, query: dns.message.Message) -> dns.message.Message:
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        (asked,) = query.question
        name, kind = asked.name.to_text(omit_final_dot=True), asked.rdtype.name
        self.questions.append(f"{name} {kind}")
        if (name, kind) in self.zone:
            answer.answer.append(dns.rrset.from_text(asked.name, 60, "IN", kind, *self.zone[name, kind]))
        elif not any(known == name for known, _ in self.zone):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer
