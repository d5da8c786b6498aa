"""SIP: the only module that knows sippy. It answers a trunk without registering and hands calls to a handler.

sippy (RFC 3261 transactions, dialogs and timers) runs its own event loop; `SipServer.run` gives it the calling thread.
Everything a handler does happens on that thread: other threads cross over with `post`. What sippy leaves open is
closed here: only allowed peers are heard, headers a dialog needs are read before it is made, an exception while
handling a request becomes a 400 or 500 and never a leaked transaction, and requests inside a dialog go to a numeric
address of an allowed peer.
"""

import contextlib
import ipaddress
import logging
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import sippy.Core.EventDispatcher
import sippy.Network_server
import sippy.SipTransactionManager
import sippy.Udp_server
from sippy.CCEvents import CCEventConnect, CCEventDisconnect, CCEventFail, CCEventRing, CCEventTry, CCEventUpdate
from sippy.Core.EventDispatcher import ED2
from sippy.MsgBody import MsgBody
from sippy.SipAddress import SipAddress
from sippy.SipConf import SipConf
from sippy.SipContact import SipContact
from sippy.SipHeader import SipHeader
from sippy.SipTransactionManager import SipTransactionManager
from sippy.SipURL import SipURL
from sippy.Time.Timeout import Timeout
from sippy.UA import UA
from sippy.Udp_server import Udp_server_opts

from hotline.errors import ConfigurationError, InvalidInputError, UnavailableError
from ivr.sdp import Offer, parse_offer

log = logging.getLogger(__name__)

METHODS = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO")
ALLOW = ", ".join(METHODS)
USER_AGENT = "hotline"
RETRY_AFTER_S = 5
LINGER_S = 32.0  # RFC 3261 timer B: a finished dialog still answers retransmissions for so long
ASCII_ONLY = bytes(range(128)) + b"?" * 128
NUMBER = re.compile(r"\+?[0-9*#]{1,31}")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Invitation:
    """An INVITE that may become a call. `caller` is empty where the number is withheld or no number."""

    sip_call_id: str
    caller: str
    called: str
    peer: str
    local_host: str
    offer: Offer


class CallHandler(Protocol):
    """A call, as signalling sees it. Called on the SIP thread."""

    def on_update(self, offer: Offer) -> str:
        """A re-INVITE; returns the SDP answer or raises `InvalidInputError` (488, the call stays as it was)."""
        ...

    def on_ended(self) -> None:
        """The far end hung up, or never acknowledged."""
        ...


class Dialog(Protocol):
    """Our end of the signalling."""

    def hang_up(self) -> None: ...


class Timer(Protocol):
    """A pending call_later."""

    def cancel(self) -> None: ...


AnswerCall = Callable[[Invitation, Dialog], tuple[CallHandler, str]]


class SipServer:
    """A UDP user-agent server. One a process: sippy's loop is a singleton.

    `answer` makes a handler and the SDP answer of an invitation; it raises `UnavailableError` (503 with Retry-After)
    or `InvalidInputError` (488).
    """

    def __init__(
        self,
        *,
        address: str,
        port: int,
        advertised_address: str,
        allowed_peers: tuple[Network, ...],
        max_calls: int,
        answer: AnswerCall,
    ) -> None:
        self._address = address
        self._advertised = advertised_address
        self._allowed = allowed_peers
        self._max_calls = max_calls
        self._answer = answer
        self._calls: set[SipDialog] = set()
        self._accepting = True
        self._port = port
        self.counters: Counter[str] = Counter()
        _quieten_sippy(self.counters)
        SipConf.my_uaname = USER_AGENT
        SipConf.autoconvert_tel_url = True
        own = advertised_address or (address if address != "0.0.0.0" else _outbound_address("192.0.2.1"))  # noqa: S104
        self._own = own
        SipConf.my_address = own
        SipConf.my_port = port
        self._global = {
            "_sip_address": address,
            "_sip_port": port,
            "_sip_logger": _SilentLogger(),
            "nh_addr": (own, port),
        }
        Udp_server_opts.flags = 0  # SO_REUSEPORT would let a second hotline take this one's calls
        Udp_server_opts.nworkers = 1  # several sippy threads on one socket put messages out of order
        try:
            self._global["_sip_tm"] = _TransactionManager(self._global, self._request, self)
        except OSError as error:
            raise ConfigurationError(
                f"SIP port {address}:{port} cannot be opened: {error.strerror}",
                hint="another program holds it; choose another with HOTLINE_SIP__PORT",
            ) from error

    def run(self) -> None:
        """Serves until `stop`; the calling thread becomes the SIP thread."""
        ED2.my_ident = threading.get_ident()
        ED2.loop()

    def stop(self) -> None:
        """Ends `run`; callable from any thread or a signal handler."""
        ED2.callFromThread(ED2.breakLoop)

    def refuse_new_calls(self) -> None:
        """From now on every INVITE gets 503."""
        self._accepting = False

    def post(self, function: Callable[[], None]) -> None:
        """Runs `function` soon on the SIP thread."""
        ED2.callFromThread(_logged(function))

    def call_later(self, seconds: float, function: Callable[[], None]) -> Timer:
        """Runs `function` after `seconds`; only from the SIP thread."""
        timer: Timer = Timeout(_logged(function), max(seconds, 0.0), 1)
        return timer

    @property
    def calls(self) -> int:
        """Calls in progress."""
        return len(self._calls)

    def allows(self, host: str) -> bool:
        """Whether `host` is a numeric address of an allowed peer."""
        try:
            address = ipaddress.ip_address(host.strip("[]"))
        except ValueError:
            return False
        return any(address in network for network in self._allowed)

    def probed_by(self, host: str, data: bytes) -> bool:
        """Whether this machine asks itself if it answers: allowed whoever the peers are."""
        return data.startswith(b"OPTIONS ") and (host in (self._address, self._own) or host.startswith("127."))

    def local_host(self, peer: str) -> str:
        """Our address as `peer` reaches it."""
        if self._advertised:
            return self._advertised
        return self._address if self._address != "0.0.0.0" else _outbound_address(peer)  # noqa: S104

    def _request(self, request: Any, transaction: Any) -> Any:
        """sippy's callback for requests outside a dialog; returns (response, cancel callback, no-ACK callback)."""
        method = request.getMethod()
        self.counters[f"request_{method.lower()}" if method in METHODS else "request_other"] += 1
        try:
            return self._dispatch(method, request, transaction)
        except Exception as error:  # a hostile request must neither stop the loop nor leave its transaction behind
            self.counters["malformed"] += 1
            _log_refusal(error)
            return _respond(request, 400, "Bad Request")

    def _dispatch(self, method: str, request: Any, transaction: Any) -> Any:
        if request.getHFBody("to").getTag() is not None:
            return _respond(request, 481, "Call Leg/Transaction Does Not Exist")
        if method == "OPTIONS":
            return _respond(request, 200, "OK", Allow=ALLOW, Accept="application/sdp")
        if method != "INVITE":
            return _respond(request, 405, "Method Not Allowed", Allow=ALLOW)
        if request.countHFs("require") > 0:
            needed = ", ".join(str(body) for body in request.getHFBodys("require"))
            return _respond(request, 420, "Bad Extension", Unsupported=needed)
        if not self._accepting or len(self._calls) >= self._max_calls:
            self.counters["refused_busy"] += 1
            return _respond(request, 503, "Service Unavailable", Retry_After=str(RETRY_AFTER_S))
        if request.countHFs("contact") == 0:
            return _respond(request, 400, "Missing Contact")
        for header in ("contact", "from", "to", "cseq", "call-id", "via"):
            request.getHFBody(header)  # raises where it is malformed
        body = request.getBody()
        try:
            offer = parse_offer("" if body is None else str(body))
        except InvalidInputError as error:
            return self._not_acceptable(request, error)
        return SipDialog(self, self._global, offer, request).receive(request, transaction)

    def _not_acceptable(self, request: Any, error: InvalidInputError) -> Any:
        self.counters["refused_sdp"] += 1
        log.info("INVITE refused: %s", error)
        return _respond(request, 488, "Not Acceptable Here", Warning=f'305 hotline "{_quotable(error.message)}"')

    def answer_call(self, dialog: "SipDialog", invitation: Invitation) -> tuple[CallHandler, str]:
        """Asks the product for a handler and keeps count."""
        handler, answer = self._answer(invitation, dialog)
        self._calls.add(dialog)
        return handler, answer

    def forget(self, dialog: "SipDialog") -> None:
        """A dialog is over."""
        self._calls.discard(dialog)


class SipDialog:
    """One dialog on sippy's UA."""

    def __init__(self, server: SipServer, global_config: dict[str, Any], offer: Offer, request: Any) -> None:
        self._server = server
        self._offer = offer
        self._handler: CallHandler | None = None
        self._peer = request.getSource()[0]
        self._source = request.getSource()
        self._local_host = server.local_host(self._peer)
        self._asserted = _asserted_number(request)
        self._ua = _GuardedUA(global_config, self._on_event)
        self._ua.godead_timeout = LINGER_S
        contact = SipURL(host=self._local_host, port=global_config["_sip_port"])
        self._ua.lContact = SipContact(address=SipAddress(url=contact))

    def receive(self, request: Any, transaction: Any) -> Any:
        """The INVITE that makes the dialog."""
        return self._ua.recvRequest(request, transaction)

    def hang_up(self) -> None:
        """Sends BYE (or a failure where the call is not yet answered)."""
        if self._handler is not None:
            self._handler = None
            self._server.forget(self)
            self._ua.recvEvent(CCEventDisconnect())

    def _on_event(self, event: Any, _ua: Any) -> None:
        if isinstance(event, CCEventTry):
            self._try(event)
        elif isinstance(event, CCEventUpdate):
            self._update(event)
        elif isinstance(event, CCEventDisconnect | CCEventFail):
            self._server.forget(self)
            handler, self._handler = self._handler, None
            if handler is not None:
                handler.on_ended()

    def _try(self, event: Any) -> None:
        self._route_to_peer()
        _call_id, from_user, to_user, _body, _auth, _name = event.getData()
        invitation = Invitation(
            sip_call_id=_printable(str(self._ua.cId))[:255],
            caller=self._asserted or _number(from_user),
            called=_number(to_user) or _printable(str(to_user or ""))[:64],
            peer=self._peer,
            local_host=self._local_host,
            offer=self._offer,
        )
        try:
            self._handler, answer = self._server.answer_call(self, invitation)
        except UnavailableError as error:
            log.warning("call refused: %s", error)
            failure = CCEventFail((503, "Service Unavailable"))
            failure.extra_headers = (SipHeader(f"Retry-After: {RETRY_AFTER_S}"),)
            self._ua.recvEvent(failure)
        except InvalidInputError as error:
            log.info("call refused: %s", error)
            self._ua.recvEvent(CCEventFail((488, "Not Acceptable Here")))
        except Exception:
            log.exception("call not answered")
            self._ua.recvEvent(CCEventFail((500, "Server Internal Error")))
        else:
            self._ua.recvEvent(CCEventRing((180, "Ringing", None)))
            self._ua.recvEvent(CCEventConnect((200, "OK", MsgBody(answer))))

    def _update(self, event: Any) -> None:
        body = event.getData()
        try:
            if self._handler is None:
                raise InvalidInputError("the call is over")
            answer = self._handler.on_update(parse_offer(str(body), keep=self._offer.remote.codec))
        except InvalidInputError as error:
            log.info("re-INVITE refused: %s", error)
            self._ua.recvEvent(CCEventFail((488, "Not Acceptable Here")))
        else:
            self._ua.recvEvent(CCEventConnect((200, "OK", MsgBody(answer))))

    def _route_to_peer(self) -> None:
        """Our requests follow the route set or Contact where that is an allowed numeric peer, else go to the source."""
        (host, port), _transport = self._ua.rAddr
        asked = self._server.allows(str(host)) and 1 <= int(port) <= 65535
        self._ua.rAddr = ((host, port) if asked else self._source, "udp")


class _GuardedUA(UA):  # type: ignore[misc] # sippy is untyped
    """sippy's UA with every request answered: unknown methods with 405, failures inside a dialog with 500."""

    def recvRequest(self, req: Any, sip_t: Any) -> Any:  # noqa: N802 - sippy's name
        method = req.getMethod()
        in_dialog = self.state is not None
        if in_dialog and method not in METHODS:
            return _respond(req, 405, "Method Not Allowed", Allow=ALLOW)
        try:
            return super().recvRequest(req, sip_t)
        except Exception as error:  # as in SipServer._request
            _log_refusal(error)
            if sip_t.data is not None and not in_dialog:
                raise
            return _respond(req, 500, "Server Internal Error")


class _TransactionManager(SipTransactionManager):  # type: ignore[misc] # sippy is untyped
    """sippy's transactions behind a door that only allowed peers pass."""

    def __init__(self, global_config: dict[str, Any], callback: Any, server: SipServer) -> None:
        self._door = server
        super().__init__(global_config, callback)

    def handleIncoming(self, data_in: bytes, ra: Any, server: Any, rtime: Any) -> None:  # noqa: N802 - sippy's name
        if not self._door.allows(ra.address[0]) and not self._door.probed_by(ra.address[0], data_in):
            self._door.counters["refused_peer"] += 1
            return
        head, gap, body = data_in.partition(b"\r\n\r\n")
        try:
            head.decode()
        except UnicodeDecodeError:
            self._door.counters["malformed"] += 1
            return
        # sippy counts Content-Length in characters; of an SDP we need nothing beyond ASCII
        super().handleIncoming(head + gap + body.translate(ASCII_ONLY), ra, server, rtime)


class _SilentLogger:
    """Messages hold callers' numbers: they are not logged."""

    def write(self, *_arguments: Any, **_options: Any) -> None:
        """Drops the message."""

    def shutdown(self) -> None:
        """Nothing is open."""


def _respond(request: Any, code: int, reason: str, **headers: str) -> tuple[Any, None, None]:
    response = request.genResponse(code, reason)
    for name, value in headers.items():
        response.appendHeader(SipHeader(f"{name.replace('_', '-')}: {value}"))
    return response, None, None


def _logged(function: Callable[[], None]) -> Callable[[], None]:
    """sippy hides what a callback raises; our own faults belong in the log."""

    def run() -> None:
        try:
            function()
        except Exception:
            log.exception("a task of the SIP thread failed")

    return run


def _printable(text: str) -> str:
    return "".join(character for character in text if character.isprintable())


def _log_refusal(error: Exception) -> None:
    """What sippy says of a request may quote callers' numbers: only at level debug."""
    log.info("request refused: %s", type(error).__name__)
    log.debug("request refused: %s", str(error)[:200])


def _asserted_number(request: Any) -> str:
    """The number of P-Asserted-Identity (RFC 3325; the peer is trusted), empty where there is none."""
    with contextlib.suppress(Exception):  # an unreadable identity is no identity
        if request.countHFs("p-asserted-identity"):
            return _number(request.getHFBody("p-asserted-identity").getUrl().username)
    return ""


def _number(user: str | None) -> str:
    """A telephone number without separators, empty where `user` is none."""
    digits = re.sub(r"[\s().-]", "", user or "")
    return digits if NUMBER.fullmatch(digits) else ""


def _quotable(text: str) -> str:
    return re.sub(r'[^ -~]|["\\]', "?", text)[:120]


def _outbound_address(peer: str) -> str:
    """Our address on the way to `peer`; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((peer, 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def _quieten_sippy(counters: Counter[str]) -> None:
    """sippy prints exceptions with the whole message to standard output; here they are counted and named."""

    def dump(message: str, f: Any = None, extra: Any = None) -> None:
        counters["sippy_exception"] += 1
        log.info("%s", message[:200], exc_info=log.isEnabledFor(logging.DEBUG))

    for module in (
        sippy.SipTransactionManager,
        sippy.Network_server,
        sippy.Udp_server,
        sippy.Core.EventDispatcher,
    ):
        module.dump_exception = dump
