"""A SIP user agent for one call over UDP: asyncio around the transactions of `demo.sip`."""

import asyncio
import contextlib
import re
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass

from demo.sip import T1, ClientTransaction, SipMessage, SipUri, TransactionState
from hotline.errors import HotlineError, InvalidInputError, ProtocolError, UnavailableError

AGENT = "demo-phone"
CANCEL_KEEPS = ("Via", "From", "To", "Call-ID", "Max-Forwards", "Route")
REFUSAL_ACK_KEEPS = ("Via", "From", "Call-ID", "Max-Forwards", "Route")
ALLOW = ("Allow", "INVITE, ACK, BYE, CANCEL, OPTIONS")


class CallRefusedError(HotlineError):
    """The far end answered with 300-699."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status


@dataclass(frozen=True)
class Dialog:
    """What both ends agreed on (RFC 3261 section 12)."""

    remote: str  # the To header with the far end's tag
    target: str  # the far end's Contact URI
    routes: tuple[str, ...]


class UserAgent(asyncio.DatagramProtocol):
    """Places one call, keeps it and ends it. Build it with `open`; `ended` resolves when the far end hangs up."""

    def __init__(self, to: SipUri, caller: str, address: tuple[str, int], *, t1: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.DatagramTransport | None = None
        self._to, self._caller, self._address, self._t1 = to, caller, address, t1
        self._call_id = f"{secrets.token_hex(8)}@phone"
        self._tag = secrets.token_hex(4)
        self._sequence = 0
        self._transactions: dict[tuple[str, str], tuple[ClientTransaction, asyncio.Future[SipMessage]]] = {}
        self._timers: set[asyncio.TimerHandle] = set()
        self._acknowledgements: dict[str, bytes] = {}
        self._invite: SipMessage | None = None
        self._dialog: Dialog | None = None
        self.on_provisional: Callable[[int], None] | None = None
        self.on_offer: Callable[[bytes], bytes | None] | None = None
        self.ended: asyncio.Future[str] = self._loop.create_future()

    @classmethod
    async def open(cls, to: SipUri, caller: str, *, bind: str = "", t1: float = T1) -> "UserAgent":
        """Binds a port of `bind`, or of the address that faces the far end. `t1` is RFC 3261's T1 in seconds."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(to.host, to.port, type=socket.SOCK_DGRAM)
            address = found[0][4][:2]
            _, agent = await loop.create_datagram_endpoint(
                lambda: cls(to, caller, (str(address[0]), int(address[1])), t1=t1),
                local_addr=(bind or _facing(str(address[0]), int(address[1])), 0),
            )
        except OSError as error:
            raise UnavailableError(f"{to}: {error}") from error
        return agent

    @property
    def local(self) -> tuple[str, int]:
        assert self._transport is not None
        host, port = self._transport.get_extra_info("sockname")[:2]
        return str(host), int(port)

    async def invite(self, offer: bytes) -> SipMessage:
        """Places the call, or offers new media within it; returns the 200 (already acknowledged).

        Raises `CallRefusedError`, `UnavailableError` when nobody answers, `ProtocolError` for an unusable 200.
        """
        request = self._request("INVITE", offer, extra=(ALLOW, ("Content-Type", "application/sdp")))
        self._invite = request
        response = await self._transact(request)
        assert response.status is not None
        if response.status >= 300:
            raise CallRefusedError(response.status, response.reason)
        if self._dialog is None:
            routes = [route.strip() for value in response.all("record-route") for route in value.split(",")]
            self._dialog = Dialog(
                remote=response.header("to"),
                target=_contact(response.header("contact")),
                routes=tuple(reversed(routes)),
            )
            self._address = await self._resolve((*routes[::-1], self._dialog.target)[0])
        acknowledgement = self._request("ACK").serialize()
        self._acknowledgements[response.header("cseq")] = acknowledgement
        self._send(acknowledgement)
        return response

    async def cancel(self) -> None:
        """Takes back an INVITE that was not finally answered; `invite` then raises 487."""
        assert self._invite is not None
        kept = tuple(item for item in self._invite.headers if item[0] in CANCEL_KEEPS)
        sequence = self._invite.header("cseq").split()[0]
        target = self._invite.start.split()[1]
        headers = (*kept, ("CSeq", f"{sequence} CANCEL"))
        with contextlib.suppress(UnavailableError):
            await self._transact(SipMessage(start=f"CANCEL {target} SIP/2.0", headers=headers))

    async def hang_up(self) -> int:
        """Sends BYE; returns the status of its answer, 408 when none came."""
        try:
            response = await self._transact(self._request("BYE"))
        except UnavailableError:
            return 408
        return response.status or 0

    def close(self) -> None:
        """Closes the socket and forgets all transactions; idempotent."""
        for timer in self._timers:
            timer.cancel()
        for _, answer in self._transactions.values():
            answer.cancel()
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there: the timers find out."""

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        try:
            message = SipMessage.parse(data)
            if message.header("call-id") != self._call_id:
                return
            if message.status is None:
                self._on_request(message, addr)
            else:
                self._on_response(message, message.status)
        except ProtocolError:
            return  # a real phone drops what it can't read

    # requests of ours

    def _request(self, method: str, body: bytes = b"", *, extra: tuple[tuple[str, str], ...] = ()) -> SipMessage:
        if method != "ACK":
            self._sequence += 1
        host, port = self.local
        dialog = self._dialog
        headers = [
            ("Via", f"SIP/2.0/UDP {host}:{port};rport;branch=z9hG4bK{secrets.token_hex(8)}"),
            ("Max-Forwards", "70"),
            ("From", f"<sip:{self._caller}@{host}:{port}>;tag={self._tag}"),
            ("To", dialog.remote if dialog else f"<{self._to}>"),
            ("Call-ID", self._call_id),
            ("CSeq", f"{self._sequence} {method}"),
            ("Contact", f"<sip:{self._caller}@{host}:{port}>"),
            ("User-Agent", AGENT),
            *(("Route", route) for route in (dialog.routes if dialog else ())),
            *extra,
        ]
        target = dialog.target if dialog else str(self._to)
        return SipMessage(start=f"{method} {target} SIP/2.0", headers=tuple(headers), body=body)

    async def _transact(self, request: SipMessage) -> SipMessage:
        transaction = ClientTransaction(request, now=self._loop.time(), t1=self._t1)
        key = (request.branch, request.method)
        answer: asyncio.Future[SipMessage] = self._loop.create_future()
        self._transactions[key] = transaction, answer
        self._send(transaction.data)
        self._wake(transaction, answer)
        return await answer

    def _wake(self, transaction: ClientTransaction, answer: asyncio.Future[SipMessage]) -> None:
        """Sets a timer for what the transaction wants to do next."""

        def on_time() -> None:
            self._timers.discard(handle)
            if transaction.state is TransactionState.COMPLETED or answer.done():
                return
            again = transaction.on_time(self._loop.time())
            if again is not None:
                self._send(again)
            if transaction.state is TransactionState.TIMED_OUT:
                answer.set_exception(UnavailableError(f"{self._to}: no answer"))
            else:
                self._wake(transaction, answer)

        if transaction.due is not None:
            handle = self._loop.call_at(transaction.due, on_time)
            self._timers.add(handle)

    def _on_response(self, response: SipMessage, status: int) -> None:
        transaction, answer = self._transactions.get((response.branch, response.method), (None, None))
        if transaction is None or answer is None:
            return
        transaction.on_response(status, self._loop.time())
        if status < 200:
            if self.on_provisional is not None and response.method == "INVITE":
                self.on_provisional(status)
            return
        if response.method == "INVITE" and status >= 300:
            self._send(self._acknowledge_refusal(transaction.request, response))
        elif response.header("cseq") in self._acknowledgements:
            self._send(self._acknowledgements[response.header("cseq")])  # our ACK was lost
        if not answer.done():
            answer.set_result(response)

    def _acknowledge_refusal(self, invite: SipMessage, response: SipMessage) -> bytes:
        """The ACK of 300-699 belongs to the INVITE's transaction (RFC 3261 section 17.1.1.3)."""
        kept = tuple(item for item in invite.headers if item[0] in REFUSAL_ACK_KEEPS)
        sequence = response.header("cseq").split()[0]
        headers = (*kept, ("To", response.header("to")), ("CSeq", f"{sequence} ACK"))
        return SipMessage(start=f"ACK {invite.start.split()[1]} SIP/2.0", headers=headers).serialize()

    # requests of the far end

    def _on_request(self, request: SipMessage, addr: tuple[str, int]) -> None:
        method = request.start.split()[0]
        if method == "ACK":
            return
        if method == "BYE":
            reply = request.reply("200 OK")
            if not self.ended.done():
                self.ended.set_result("far_end_hung_up")
        elif method == "INVITE":
            answer = self.on_offer(request.body) if self.on_offer is not None else None
            contact = ("Contact", f"<sip:{self._caller}@{self.local[0]}:{self.local[1]}>")
            if answer is None:
                reply = request.reply("488 Not Acceptable Here")
            else:
                reply = request.reply("200 OK", extra=(contact, ("Content-Type", "application/sdp")), body=answer)
        elif method == "OPTIONS":
            reply = request.reply("200 OK", extra=(ALLOW,))
        else:
            reply = request.reply("501 Not Implemented")
        self._send(reply.serialize(), addr)

    def _send(self, data: bytes, address: tuple[str, int] | None = None) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data, address or self._address)

    async def _resolve(self, header: str) -> tuple[str, int]:
        try:
            uri = SipUri.parse(header)
            found = await self._loop.getaddrinfo(uri.host, uri.port, type=socket.SOCK_DGRAM)
        except (InvalidInputError, OSError) as error:
            raise ProtocolError(f"no way to {header!r}: {error}") from error
        return str(found[0][4][0]), int(found[0][4][1])


def _contact(header: str) -> str:
    """The URI of a Contact or Route header, as it was written."""
    found = re.search(r"<([^>]+)>", header)
    return found[1] if found else header.partition(";")[0].strip()


def _facing(host: str, port: int) -> str:
    """Our address on the way to `host`."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, port))
        return str(probe.getsockname()[0])
