"""One dialog (RFC 3261 section 12) on sippy's UA."""

import logging
from typing import TYPE_CHECKING, Any

from sippy.CCEvents import CCEventConnect, CCEventDisconnect, CCEventFail, CCEventRing, CCEventTry, CCEventUpdate
from sippy.MsgBody import MsgBody
from sippy.SipAddress import SipAddress
from sippy.SipContact import SipContact
from sippy.SipHeader import SipHeader
from sippy.SipURL import SipURL
from sippy.UA import UA

from hotline.errors import InvalidInputError, UnavailableError
from ivr.sdp import Offer, parse_offer
from ivr.sip.headers import ALLOW, METHODS, asserted_number, log_refusal, number, printable, respond
from ivr.sip.types import CallHandler, Invitation

if TYPE_CHECKING:
    from ivr.sip.server import SipServer

log = logging.getLogger(__name__)

RETRY_AFTER_S = 5
LINGER_S = 32.0  # RFC 3261 timer B: a finished dialog still answers retransmissions for so long


class SipDialog:
    """One dialog on sippy's UA."""

    def __init__(self, server: "SipServer", global_config: dict[str, Any], offer: Offer, request: Any) -> None:
        self._server = server
        self._offer = offer
        self._handler: CallHandler | None = None
        self._peer = request.getSource()[0]
        self._source = request.getSource()
        self._local_host = server.local_host(self._peer)
        self._asserted = asserted_number(request)
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
            sip_call_id=printable(str(self._ua.cId))[:255],
            caller=self._asserted or number(from_user),
            called=number(to_user) or printable(str(to_user or ""))[:64],
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
            return respond(req, 405, "Method Not Allowed", Allow=ALLOW)
        try:
            return super().recvRequest(req, sip_t)
        except Exception as error:  # as in SipServer._request
            log_refusal(error)
            if sip_t.data is not None and not in_dialog:
                raise
            return respond(req, 500, "Server Internal Error")
