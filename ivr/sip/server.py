"""The SIP user agent: it answers a trunk without registering and hands calls to a handler.

sippy (RFC 3261 transactions, dialogs and timers) runs its own event loop; `SipServer.run` gives it the calling thread.
Everything a handler does happens on that thread: other threads cross over with `post`. What sippy leaves open is
closed here: only allowed peers are heard, headers a dialog needs are read before it is made, an exception while
handling a request becomes a 400 or 500 and never a leaked transaction, and requests inside a dialog go to a numeric
address of an allowed peer.
"""

import ipaddress
import logging
import socket
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from sippy.Core.EventDispatcher import ED2
from sippy.SipConf import SipConf
from sippy.Time.Timeout import Timeout
from sippy.Udp_server import Udp_server_opts

from hotline.errors import ConfigurationError, InvalidInputError
from ivr.sdp import parse_offer
from ivr.sip.dialog import RETRY_AFTER_S, SipDialog
from ivr.sip.headers import ALLOW, METHODS, log_refusal, quotable, respond
from ivr.sip.transactions import SilentLogger, TransactionManager, quieten_sippy
from ivr.sip.types import AnswerCall, CallHandler, Invitation, Timer

log = logging.getLogger(__name__)

USER_AGENT = "hotline"
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


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
        quieten_sippy(self.counters)
        SipConf.my_uaname = USER_AGENT
        SipConf.autoconvert_tel_url = True
        own = advertised_address or (address if address != "0.0.0.0" else _outbound_address("192.0.2.1"))  # noqa: S104
        self._own = own
        SipConf.my_address = own
        SipConf.my_port = port
        self._global = {
            "_sip_address": address,
            "_sip_port": port,
            "_sip_logger": SilentLogger(),
            "nh_addr": (own, port),
        }
        Udp_server_opts.flags = 0  # SO_REUSEPORT would let a second hotline take this one's calls
        Udp_server_opts.nworkers = 1  # several sippy threads on one socket put messages out of order
        try:
            self._global["_sip_tm"] = TransactionManager(self._global, self._request, self)
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
            log_refusal(error)
            return respond(request, 400, "Bad Request")

    def _dispatch(self, method: str, request: Any, transaction: Any) -> Any:
        if request.getHFBody("to").getTag() is not None:
            return respond(request, 481, "Call Leg/Transaction Does Not Exist")
        if method == "OPTIONS":
            return respond(request, 200, "OK", Allow=ALLOW, Accept="application/sdp")
        if method != "INVITE":
            return respond(request, 405, "Method Not Allowed", Allow=ALLOW)
        if request.countHFs("require") > 0:
            needed = ", ".join(str(body) for body in request.getHFBodys("require"))
            return respond(request, 420, "Bad Extension", Unsupported=needed)
        if not self._accepting or len(self._calls) >= self._max_calls:
            self.counters["refused_busy"] += 1
            return respond(request, 503, "Service Unavailable", Retry_After=str(RETRY_AFTER_S))
        if request.countHFs("contact") == 0:
            return respond(request, 400, "Missing Contact")
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
        return respond(request, 488, "Not Acceptable Here", Warning=f'305 hotline "{quotable(error.message)}"')

    def answer_call(self, dialog: "SipDialog", invitation: Invitation) -> tuple[CallHandler, str]:
        """Asks the product for a handler and keeps count."""
        handler, answer = self._answer(invitation, dialog)
        self._calls.add(dialog)
        return handler, answer

    def forget(self, dialog: "SipDialog") -> None:
        """A dialog is over."""
        self._calls.discard(dialog)


def _logged(function: Callable[[], None]) -> Callable[[], None]:
    """sippy hides what a callback raises; our own faults belong in the log."""

    def run() -> None:
        try:
            function()
        except Exception:
            log.exception("a task of the SIP thread failed")

    return run


def _outbound_address(peer: str) -> str:
    """Our address on the way to `peer`; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((peer, 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
