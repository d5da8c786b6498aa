"""The SIP user agent: it answers and places calls and hands them to handlers.

sippy (RFC 3261 transactions, dialogs and timers) runs its own event loop; `SipServer.run` gives it the calling thread.
Everything a handler does happens on that thread: other threads cross over with `post`. What sippy leaves open is
closed here: only allowed peers are heard, headers a dialog needs are read before it is made, an exception while
handling a request becomes a 400 or 500 and never a leaked transaction, and requests of ours go to a numeric address
of an allowed peer or of the one we call.
"""

import errno
import logging
import socket
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from sippy.Core.EventDispatcher import ED2
from sippy.SipConf import SipConf
from sippy.Time.Timeout import Timeout
from sippy.Udp_server import Udp_server_opts

from hotline.errors import ConfigurationError, InvalidInputError, UnavailableError
from ivr.media.types import Codec
from ivr.sdp import DEFAULT_CODECS, Offer, parse_offer
from ivr.sip.admission import SILENCE, Admission, Admitted
from ivr.sip.dialog import SipDialog
from ivr.sip.economy import lighten_sippy
from ivr.sip.headers import (
    ALLOW,
    EXTENSIONS,
    METHODS,
    SUPPORTED,
    in_uri,
    log_refusal,
    quotable,
    respond,
    sdp_of,
    tokens,
    values,
)
from ivr.sip.incoming import RETRY_AFTER_S, IncomingDialog
from ivr.sip.keeper import ask
from ivr.sip.outgoing import OutgoingDialog, hop_of
from ivr.sip.session_timer import DEFAULT_SESSION, SessionPolicy, TooBrief
from ivr.sip.transactions import SilentLogger, TransactionManager, quieten_sippy
from ivr.sip.transfer import Replaces
from ivr.sip.types import AnswerCall, CallHandler, Dialog, Invitation, OutgoingHandler, SipTarget, Timer

log = logging.getLogger(__name__)

USER_AGENT = "hotline"
ELSEWHERE = {"0.0.0.0": "192.0.2.1", "::": "2001:db8::1"}  # noqa: S104 - an address beyond the default route, by family


class SipServer:
    """A UDP user-agent server. One a process: sippy's loop is a singleton.

    `admission` says who comes in. `answer` makes a handler and the SDP answer of an invitation; it raises
    `UnavailableError` (503, Retry-After), `ForbiddenError` (403), `NotFoundError` (480) or `InvalidInputError` (488).
    """

    def __init__(
        self,
        *,
        address: str,
        port: int,
        advertised_address: str,
        admission: Admission,
        max_calls: int,
        answer: AnswerCall,
        session_policy: SessionPolicy = DEFAULT_SESSION,
        codecs: Sequence[Codec] = DEFAULT_CODECS,
    ) -> None:
        self._address = address
        self._advertised = advertised_address
        self.admission = admission
        self._max_calls = max_calls
        self._answer = answer
        self.codecs = codecs
        self._calls: dict[SipDialog, str] = {}  # with the far end's address when the call began
        self._calls_by_host: Counter[str] = Counter()
        self._accepting = True
        self._expected: Counter[str] = Counter()
        self.port = port
        self.session_policy = session_policy
        self.counters: Counter[str] = Counter()
        quieten_sippy(self.counters)
        lighten_sippy()
        SipConf.my_uaname = USER_AGENT
        SipConf.autoconvert_tel_url = True
        self._own = own = advertised_address or (_outbound_address(ELSEWHERE[address]) if self._anywhere else address)
        SipConf.my_address = in_uri(own)
        SipConf.my_port = port
        self.global_config: dict[str, Any] = {
            "_sip_address": in_uri(address),
            "_sip_port": port,
            "_sip_logger": SilentLogger(),
            "nh_addr": (in_uri(own), port),
        }
        Udp_server_opts.flags = 0  # SO_REUSEPORT would let a second hotline take this one's calls
        Udp_server_opts.nworkers = 1  # several sippy threads on one socket put messages out of order
        try:
            self.global_config["_sip_tm"] = TransactionManager(self.global_config, self._request, self)
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            raise ConfigurationError(
                f"SIP port {in_uri(address)}:{port} cannot be opened: {error.strerror}",
                hint="another program holds it; choose another with HOTLINE_SIP__PORT"
                if taken
                else "choose an address of this machine with HOTLINE_SIP__ADDRESS",
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

    def dial(
        self,
        target: SipTarget,
        *,
        caller: str,
        display_name: str = "",
        sdp: str,
        handler: OutgoingHandler,
        timeout_s: float,
        privacy: bool = False,
    ) -> Dialog:
        """Places a call with the offer `sdp`; only from the SIP thread. `timeout_s`: until it is answered.

        `privacy`: who calls is not shown (RFC 3323); a carrier that is trusted with it is told (RFC 3325). Raises
        `InvalidInputError` for a target without a numeric address, `UnavailableError` where there are too many calls
        already.
        """
        if not self._accepting or len(self._calls) >= self._max_calls:
            raise UnavailableError("no more calls can be placed")
        hop_of(target)
        if target.trunk:
            self.admission.admit_outgoing(target.trunk, in_progress=self.calls_of_trunk(target.trunk))
        dialog = OutgoingDialog(
            self, target, caller=caller, name=display_name, sdp=sdp, handler=handler, privacy=privacy
        )
        self.keep(dialog)
        dialog.dial(timeout_s=timeout_s)
        return dialog

    @property
    def calls(self) -> int:
        """Calls in progress."""
        return len(self._calls)

    def allows(self, host: str) -> bool:
        """Whether `host` is a numeric address of an allowed peer."""
        return self.admission.is_trunk(host)

    def hears(self, host: str) -> bool:
        """Whether messages of `host` are for us: an allowed peer, a phone, or one whom we call."""
        return host in self._expected or self.admission.is_trunk(host) or self.admission.is_phone(host)

    def probed_by(self, host: str, data: bytes) -> bool:
        """Whether this machine asks itself if it answers: allowed whoever the peers are."""
        return data.startswith(b"OPTIONS ") and self._is_here(host)

    @property
    def _anywhere(self) -> bool:
        """Whether we listen at all addresses of a family."""
        return self._address in ELSEWHERE

    def _is_here(self, host: str) -> bool:
        return host.strip("[]") in (self._address, self._own, "127.0.0.1", "::1")

    def host_towards(self, target: SipTarget) -> str:
        """Our address as `target` reaches it; raises `InvalidInputError` where it has no numeric address."""
        return self.local_host(hop_of(target)[0])

    def local_host(self, peer: str) -> str:
        """Our address as `peer` reaches it, as it stands in SDP (without brackets)."""
        return self._advertised or (_outbound_address(peer) if self._anywhere else self._address)

    def _request(self, request: Any, transaction: Any) -> Any:
        """sippy's callback for requests outside a dialog; returns (response, cancel callback, no-ACK callback)."""
        method = request.getMethod()
        self.counters[f"request_{method.lower()}" if method in METHODS else "request_other"] += 1
        try:
            return self._dispatch(method, request, transaction)
        except Exception as error:  # a hostile request must neither stop the loop nor leave its transaction behind
            self.counters["malformed"] += 1
            self.admission.offended(request.getSource()[0])
            log_refusal(error)
            return respond(request, 400, "Bad Request")

    def _dispatch(self, method: str, request: Any, transaction: Any) -> Any:
        if request.getHFBody("to").getTag() is not None:
            return respond(request, 481)
        if method == "REGISTER":
            return self.admission.register(request)
        if missing := tokens(request, "require") - set(EXTENSIONS):
            return respond(request, 420, "Bad Extension", Unsupported=", ".join(sorted(missing)))
        if method == "OPTIONS":
            host = request.getSource()[0]
            if not self._is_here(host) and not self.admission.answers_options(host):
                return SILENCE
            return respond(request, 200, Allow=ALLOW, Accept="application/sdp", Supported=SUPPORTED)
        if method != "INVITE":
            return respond(request, 405, Allow=ALLOW)
        admitted = self.admission.admit(request, in_progress=self._calls_of, in_trunk=self.calls_of_trunk)
        if not isinstance(admitted, Admitted):
            return admitted
        if not self._accepting or len(self._calls) >= self._max_calls:
            self.counters["refused_busy"] += 1
            return respond(request, 503, Retry_After=str(RETRY_AFTER_S))
        if request.countHFs("contact") == 0:
            return respond(request, 400, "Missing Contact")
        for name in ("contact", "from", "to", "cseq", "call-id", "via"):
            request.getHFBody(name)  # raises where it is malformed
        return self._invited(request, transaction, admitted)

    def _calls_of(self, host: str) -> int:
        return self._calls_by_host[host]

    def calls_of_trunk(self, name: str) -> int:
        """Calls in progress by a trunk, in both directions."""
        return sum(call.trunk == name for call in self._calls)

    def _invited(self, request: Any, transaction: Any, admitted: Admitted) -> Any:
        """An INVITE that is in order and may come in: its session timer, SDP and Replaces."""
        negotiation = ask(self.session_policy, request)
        if isinstance(negotiation, TooBrief):
            return respond(request, 422, Min_SE=str(negotiation.min_s))
        try:
            sdp = sdp_of(request)
        except InvalidInputError:
            self.counters["refused_sdp"] += 1
            return respond(request, 415, Accept="application/sdp")
        try:
            offer: Offer | None = None if sdp is None else parse_offer(sdp, codecs=self.codecs)
        except InvalidInputError as error:
            return self._not_acceptable(request, error)
        replaces: Replaces | None = None
        if given := values(request, "replaces"):
            try:
                replaces = Replaces.parse(", ".join(given))
            except InvalidInputError as error:
                return respond(request, 400, error.message)
            named = next((call for call in self._calls if call.is_named(replaces)), None)
            if named is None:
                return respond(request, 481)
            if named.established and replaces.early_only:
                return respond(request, 486)
        dialog = IncomingDialog(
            self, request, offer=offer, replaces=replaces, negotiation=negotiation, admitted=admitted
        )
        return dialog.receive(request, transaction)

    def _not_acceptable(self, request: Any, error: InvalidInputError) -> Any:
        self.counters["refused_sdp"] += 1
        log.info("INVITE refused: %s", error)
        return respond(request, 488, Warning=f'305 hotline "{quotable(error.message)}"')

    # --- for dialogs ---

    def answer_call(self, dialog: SipDialog, invitation: Invitation) -> tuple[CallHandler, str | None]:
        """Asks the product for a handler and its SDP answer."""
        return self._answer(invitation, dialog)

    def keep(self, dialog: SipDialog) -> None:
        """A dialog is a call in progress."""
        if dialog not in self._calls:
            self._calls[dialog] = dialog.peer_host
            self._calls_by_host[dialog.peer_host] += 1

    def forget(self, dialog: SipDialog) -> None:
        """A dialog is over."""
        if (host := self._calls.pop(dialog, None)) is not None:
            self._calls_by_host[host] -= 1
            if not self._calls_by_host[host]:
                del self._calls_by_host[host]

    def send_response(
        self, response: Any, transaction: Any, *, on_ack: Callable[[Any], None], on_no_ack: Callable[[], None]
    ) -> None:
        """Answers an INVITE within a dialog with a 2xx."""
        self.global_config["_sip_tm"].answer(response, transaction, on_ack=on_ack, on_no_ack=on_no_ack)

    def send_request(self, request: Any, on_response: Callable[[Any], None]) -> Any:
        """Sends a request that makes no dialog; returns sippy's transaction. Answers, also provisional ones, come to
        `on_response`; sippy's own 408 has no source."""
        return self.global_config["_sip_tm"].newTransaction(
            request, resp_cb=lambda response: _logged(lambda: on_response(response))()
        )

    def abandon(self, transaction: Any) -> None:
        """Repeats a request of `send_request` no more."""
        self.global_config["_sip_tm"].abandon(transaction)

    def expect(self, host: str) -> None:
        """`host` is called: what it says is heard until `expect_no_more`."""
        self._expected[host] += 1

    def expect_no_more(self, host: str) -> None:
        """A dialog with `host` is done with."""
        self._expected[host] -= 1
        if self._expected[host] <= 0:
            del self._expected[host]


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
    peer = peer.strip("[]")
    family, here = (socket.AF_INET6, "::1") if ":" in peer else (socket.AF_INET, "127.0.0.1")
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((peer, 9))
        except OSError:
            return here
        return str(probe.getsockname()[0])
