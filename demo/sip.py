"""SIP messages and client transactions of a phone (RFC 3261): bytes and time in, bytes out; no sockets here."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from hotline.errors import InvalidInputError, ProtocolError

T1, T2 = 0.5, 4.0
COMPACT = {
    "v": "via",
    "f": "from",
    "t": "to",
    "i": "call-id",
    "m": "contact",
    "l": "content-length",
    "c": "content-type",
}


@dataclass(frozen=True)
class SipUri:
    """`sip:user@host:port`; anything else of a URI is kept out of a phone's life."""

    user: str
    host: str
    port: int = 5060

    @classmethod
    def parse(cls, text: str) -> "SipUri":
        """Takes a URI alone or within a header such as `"Zhang" <sip:1@2:3;lr>;tag=4`."""
        found = re.search(r"sip:(?:([^@<>\s;]+)@)?([A-Za-z0-9.-]+)(?::(\d{1,5}))?(?=[>;?\s]|$)", text)
        if found is None or not 0 < int(found[3] or 5060) < 65536:
            raise InvalidInputError(f"not a SIP address: {text[:100]!r}", hint="for example sip:12345@127.0.0.1:5060")
        return cls(user=found[1] or "", host=found[2], port=int(found[3] or 5060))

    def __str__(self) -> str:
        return f"sip:{self.user}{'@' if self.user else ''}{self.host}:{self.port}"


@dataclass(frozen=True)
class SipMessage:
    """A request or a response: start line, headers in order, body."""

    start: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""

    @classmethod
    def parse(cls, data: bytes) -> "SipMessage":
        """Raises `ProtocolError` for what is no SIP message."""
        head, separator, body = data.partition(b"\r\n\r\n")
        lines = re.sub(r"\r\n[ \t]+", " ", head.decode("utf-8", "replace")).split("\r\n")
        headers = []
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon:
                raise ProtocolError(f"not a header: {line[:100]!r}")
            headers.append((COMPACT.get(name.strip().lower(), name.strip().lower()), value.strip()))
        if not separator or not re.match(r"SIP/2\.0 \d{3}( |$)|[A-Z]+ \S+ SIP/2\.0$", lines[0]):
            raise ProtocolError(f"not a SIP message: {lines[0][:100]!r}")
        message = cls(start=lines[0], headers=tuple(headers), body=body)
        for name in ("via", "from", "to", "call-id", "cseq"):
            message.header(name)
        if not re.match(r"\d+ [A-Z]+$", message.header("cseq")):
            raise ProtocolError(f"CSeq {message.header('cseq')!r}")
        return message

    def serialize(self) -> bytes:
        """The message on the wire; Content-Length is added here."""
        lines = [self.start, *(f"{name}: {value}" for name, value in self.headers), f"Content-Length: {len(self.body)}"]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body

    @property
    def status(self) -> int | None:
        """The status of a response, None for a request."""
        return int(self.start[8:11]) if self.start.startswith("SIP/2.0 ") else None

    @property
    def method(self) -> str:
        """The method, of a response that of its request."""
        return self.header("cseq").split()[1]

    @property
    def reason(self) -> str:
        return self.start[12:]

    @property
    def branch(self) -> str:
        """The transaction's name: the branch of the topmost Via."""
        found = re.search(r";\s*branch=([^;,\s]+)", self.header("via"))
        return found[1] if found else ""

    def all(self, name: str) -> Iterator[str]:
        return (value for key, value in self.headers if key.lower() == name)

    def header(self, name: str) -> str:
        """The first header of a name (lower case); raises `ProtocolError` when there is none."""
        value = next(self.all(name), None)
        if value is None:
            raise ProtocolError(f"no {name} in {self.start!r}")
        return value

    def reply(self, status: str, *, extra: tuple[tuple[str, str], ...] = (), body: bytes = b"") -> "SipMessage":
        """The response to this request within its dialog."""
        copied = [
            item for item in self.headers if item[0].lower() in ("via", "from", "to", "call-id", "cseq", "record-route")
        ]
        return SipMessage(start=f"SIP/2.0 {status}", headers=(*copied, *extra), body=body)


class TransactionState(Enum):
    """Calling covers Trying of a non-INVITE; Completed waits for repeated answers in the dialog, not here."""

    CALLING = auto()
    PROCEEDING = auto()
    COMPLETED = auto()
    TIMED_OUT = auto()


class ClientTransaction:
    """Repeats a request until it is answered (timers A, B, E and F of RFC 3261 section 17.1, UDP).

    | state | provisional | final | timer A/E | timer B/F |
    |---|---|---|---|---|
    | calling | proceeding | completed | resend, wait twice as long (non-INVITE: at most T2) | timed out |
    | proceeding | proceeding | completed | INVITE: none; others: every T2 | INVITE: waits on; others: timed out |
    """

    def __init__(self, request: SipMessage, *, now: float, t1: float = T1) -> None:
        self.request = request
        self.data = request.serialize()
        self.state = TransactionState.CALLING
        self._invite = request.start.startswith("INVITE")
        self._wait = t1
        self._t2 = T2 * t1 / T1
        self._resend_at: float | None = now + t1
        self._expire_at: float | None = now + 64 * t1

    @property
    def due(self) -> float | None:
        """When `on_time` wants to be called next; None when there is nothing to wait for."""
        times = [at for at in (self._resend_at, self._expire_at) if at is not None]
        return min(times) if times else None

    def on_time(self, now: float) -> bytes | None:
        """The bytes to send again, if it is time."""
        if self._expire_at is not None and now >= self._expire_at:
            self._finish(TransactionState.TIMED_OUT)
        elif self._resend_at is not None and now >= self._resend_at:
            self._wait = 2 * self._wait if self._invite else min(2 * self._wait, self._t2)
            self._resend_at = now + self._wait
            return self.data
        return None

    def on_response(self, status: int, now: float) -> None:
        """Tells of an answer."""
        if self.state not in (TransactionState.CALLING, TransactionState.PROCEEDING):
            return
        if status >= 200:
            self._finish(TransactionState.COMPLETED)
            return
        self.state = TransactionState.PROCEEDING
        if self._invite:
            self._resend_at = self._expire_at = None
        else:
            self._wait = self._t2
            self._resend_at = now + self._t2

    def _finish(self, state: TransactionState) -> None:
        self.state = state
        self._resend_at = self._expire_at = None
