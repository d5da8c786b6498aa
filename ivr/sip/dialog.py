"""One dialog (RFC 3261 section 12) on sippy's UA: what calls to us and calls of ours have in common."""

import logging
import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sippy.CCEvents import CCEventConnect, CCEventDisconnect, CCEventFail, CCEventRing
from sippy.MsgBody import MsgBody
from sippy.SipAddress import SipAddress
from sippy.SipContact import SipContact
from sippy.SipHeader import SipHeader
from sippy.SipURL import SipURL

from hotline.errors import InvalidInputError
from ivr.media.types import Codec
from ivr.sdp import parse_answer, parse_offer
from ivr.sip.causes import SIP_TO_Q850, CallEnd, EndReason, failed, hung_up, phrase, reason_value
from ivr.sip.headers import ALLOW, SUPPORTED, header, in_uri, reasons, respond, sdp_of, tokens
from ivr.sip.info import DIGIT_TYPES, parse_digit
from ivr.sip.keeper import SessionKeeper
from ivr.sip.refer import Transfers
from ivr.sip.session_timer import TooBrief
from ivr.sip.transfer import Replaces
from ivr.sip.types import CallHandler, Dialog
from ivr.sip.ua import Address, GuardedUA

if TYPE_CHECKING:
    from ivr.sip.server import SipServer

log = logging.getLogger(__name__)

UPDATE_RETRY_S = 5.0


class SipDialog(ABC):
    """A `Dialog`; `IncomingDialog` and `OutgoingDialog` set it up."""

    ua: GuardedUA

    def __init__(self, server: "SipServer", *, peer: Address, codec: Codec | None, trunk: str = "") -> None:
        self._server = server
        self._peer = peer
        self._codec = codec
        self.trunk = trunk
        self._local_host = server.local_host(peer[0])
        self._handler: CallHandler | None = None
        self._over = False
        self._established = False
        self._unacknowledged = False  # our 2xx to an INVITE waits for its ACK
        self._offer_out = False  # that 2xx holds an offer
        self._farewell: Any = None  # BYE waits for the ACK (RFC 3261 section 15)
        self._local_sdp = ""
        self._wanted_sdp: str | None = None  # a re-INVITE of ours that waits for its turn
        self._far_allows: set[str] = set()
        self._transfers = Transfers(self)
        self._keeper = SessionKeeper(
            server.session_policy, call_later=server.call_later, refresh=self._refresh, expire=self._expire
        )

    def open_ua(self, **options: Any) -> GuardedUA:
        """A UA that tells this dialog of everything."""
        ua = GuardedUA(
            self._server.global_config,
            on_event=self._on_event,
            on_request=self._on_request,
            on_acknowledged=self._on_acknowledged,
            route=self._route,
            **options,
        )
        contact = SipURL(host=in_uri(self._local_host), port=self._server.port)
        ua.lContact = SipContact(address=SipAddress(url=contact))
        return ua

    # --- what the call layer sees ---

    @property
    def sip_call_id(self) -> str:
        return str(self.ua.cId)

    @property
    def peer_host(self) -> str:
        """The numeric address of the far end."""
        return self._peer[0]

    @property
    def handler(self) -> CallHandler:
        """Raises `InvalidInputError` when the call is over."""
        if self._handler is None:
            raise InvalidInputError("the call is over")
        return self._handler

    def answer(self, sdp: str) -> None:
        """Only an inbound call is answered."""
        log.warning("only an inbound call is answered")

    def ring(self, sdp: str | None = None) -> None:
        """Only an inbound call rings here."""
        log.warning("only an inbound call rings here")

    def reject(self, code: int, *, retry_after_s: int | None = None) -> None:
        """Only an inbound call is rejected."""
        log.warning("only an inbound call is rejected")

    def hang_up(self, *, code: int = 200, q850: int | None = None) -> None:
        if self._over:
            return
        self._finish()
        if q850 is None and code == 200:
            q850 = 16  # normal call clearing
        if self._established or not self._fail_setup(code, q850):
            event = CCEventDisconnect()
            value = reason_value(code=code, q850=q850)
            event.extra_headers = (header("Reason", value),) if value else ()
            if self._unacknowledged:
                self._farewell = event
            else:
                self._transfers.after_answer(lambda: self.ua.recvEvent(event))

    def update(self, sdp: str) -> None:
        if self._established and not self._over:
            self._wanted_sdp = sdp
            self._send_update()

    def refer(self, target: str, *, replaces: Dialog | None = None) -> None:
        if self._established and not self._over:
            self._transfers.refer(target, replaces.identity if isinstance(replaces, SipDialog) else None)

    def transfer_progress(self, code: int) -> None:
        self._transfers.progress(code)

    @property
    def identity(self) -> Replaces:
        """This dialog as its far end names it in Replaces (RFC 3891 section 3): `to_tag` is the far end's own."""
        return Replaces(self.sip_call_id, str(self.ua.rUri.getTag()), self.ua.lTag)

    def is_named(self, replaces: Replaces) -> bool:
        """Whether a Replaces that came to us names this dialog."""
        named = (str(self.ua.cId), self.ua.lTag, self.ua.rUri.getTag() if self.ua.rUri is not None else None)
        return (replaces.sip_call_id, replaces.to_tag, replaces.from_tag) == named

    @property
    def established(self) -> bool:
        """Whether there was a 2xx, so that a Replaces with early-only must not take it over."""
        return self._established

    # --- for the parts of a dialog ---

    def later(self, function: Callable[[], None]) -> None:
        """Runs `function` on this thread when the present message is dealt with."""
        self._server.post(function)

    def tell(self, message: Callable[[CallHandler], None]) -> None:
        """Tells the handler while there is one."""
        if self._handler is not None:
            message(self._handler)

    def take_answer(self, sdp: str | None) -> None:
        """The far end's SDP answer to an offer of ours; a bad one ends the call."""
        try:
            if sdp is None:
                raise InvalidInputError("an offer was not answered")
            self.keep_codec(sdp)
            self.tell(lambda handler: handler.on_answer(sdp))
        except Exception as error:
            self._give_up(error)

    def keep_codec(self, answer: str) -> None:
        """What the far end chose stays, however many codecs it lists later; raises `InvalidInputError`."""
        if self._codec is None:
            self._codec = parse_answer(answer, offered=tuple(Codec)).codec

    def _give_up(self, error: Exception) -> None:
        """What the far end sent is unusable, or a fault of ours: the call can't go on."""
        if isinstance(error, InvalidInputError):
            log.info("call ended: %s", error)
        else:
            log.error("call ended by a fault", exc_info=error)
        code = 488 if isinstance(error, InvalidInputError) else 500
        self._hang_up_with(CallEnd(EndReason.ERROR, code, SIP_TO_Q850[code]))

    def _hang_up_with(self, end: CallEnd) -> None:
        """Hangs up for a reason of signalling's own, of which the handler hears."""
        handler = self._handler
        self.hang_up(code=end.sip_code or 500)
        if handler is not None:
            handler.on_ended(end)

    def _fail_setup(self, code: int, q850: int | None) -> bool:
        """Refuses a call to us; false for one of ours: sippy cancels it, and ends it where a 2xx comes too late."""
        return False

    def _finish(self) -> None:
        self._over = True
        self._handler = None
        self._keeper.stop()
        self._server.forget(self)

    def _end(self, end: CallEnd) -> None:
        handler = self._handler
        if not self._over:
            self._finish()
        if handler is not None:
            handler.on_ended(end)

    def _expire(self) -> None:
        """Nobody refreshed the session."""
        self._hang_up_with(CallEnd(EndReason.SESSION_EXPIRED, 408, 102))

    # --- sippy's events ---

    def _on_event(self, event: Any, ua: Any) -> None:
        if ua is not self.ua:  # one that was redirected
            return
        try:
            self._on_own_event(event)
        except Exception as error:  # sippy would leave its transaction half done
            self._give_up(error)

    def _on_own_event(self, event: Any) -> None:
        if isinstance(event, CCEventDisconnect):
            if self.ua.unacknowledged:
                self._end(CallEnd(EndReason.UNREACHABLE, 408, 102))
            elif self._established:
                self._end(hung_up(reasons(self.ua.request)))
            else:
                told = [] if event.reason_rfc3326 is None else [str(event.reason_rfc3326)]
                self._end(CallEnd(EndReason.CANCELLED, 487, hung_up(told).q850))
        elif not self._established:
            self._on_setup(event)
        elif isinstance(event, CCEventRing):
            pass  # a re-INVITE of ours is being thought over
        elif isinstance(event, CCEventConnect):
            self._update_accepted(event)
        elif self.ua.isConnected():
            self._update_refused(event.getData()[0])
        else:  # 408 or 481: sippy has sent BYE
            code = event.getData()[0] if isinstance(event, CCEventFail) else 500
            self._end(CallEnd(EndReason.UNREACHABLE, code, failed(code).q850))

    @abstractmethod
    def _on_setup(self, event: Any) -> None:
        """An event of a call that is not answered yet."""

    # --- re-INVITE and UPDATE of ours ---

    def _send_update(self) -> None:
        """Sends what is wanted, once no other INVITE is under way in either direction (RFC 3261 section 14.1)."""
        if self._over or self._wanted_sdp is None or self._unacknowledged or self.ua.updating:
            return
        self._local_sdp, self._wanted_sdp = self._wanted_sdp, None
        ua, body = self.ua, MsgBody(self._local_sdp)
        ua.lSDP = body
        extra = (*self._keeper.request_headers(), header("Allow", ALLOW))
        ua.newUacTransaction(ua.genRequest("INVITE", body, extra_headers=extra), req_extra_headers=extra)
        ua.changeState((ua.UacStateUpdating,))

    def _update_accepted(self, event: Any) -> None:
        self._keeper.on_accepted(self.ua.response)
        body = event.getData()[2]
        self.take_answer(None if body is None else str(body))
        self._send_update()

    def _update_refused(self, code: int) -> None:
        sdp = self._local_sdp if self._wanted_sdp is None else self._wanted_sdp
        if code == 491:
            self._retry_update(sdp, self._glare_wait_s())
        elif code == 422 and self._keeper.on_too_brief(self.ua.response):
            self._retry_update(sdp, 0.0)
        else:
            log.info("re-INVITE refused with %d", code)
            self._keeper.on_refresh_failed(retry_s=UPDATE_RETRY_S)
            self._send_update()

    def _retry_update(self, sdp: str, wait_s: float) -> None:
        self._wanted_sdp = sdp
        self._server.call_later(wait_s, self._send_update)

    def _glare_wait_s(self) -> float:
        """RFC 3261 section 14.1: the one that made the Call-ID waits longer, in steps of 10 ms."""
        return random.randint(0, 200) / 100  # noqa: S311 - no secret

    def _refresh(self) -> None:
        """The session timer wants a refresh: UPDATE where the far end knows it (RFC 4028 section 7.4)."""
        if self._over:
            return
        if "update" in self._far_allows:
            contact = SipHeader(name="contact", body=self.ua.lContact)
            self.ua.send(
                "UPDATE", headers=(*self._keeper.request_headers(), contact), on_response=self._on_refresh_answered
            )
        else:
            self.update(self._wanted_sdp or self._local_sdp)

    def _on_refresh_answered(self, response: Any) -> None:
        code = response.getSCode()[0]
        if self._over or code < 200:
            return
        if code < 300:
            self._keeper.on_accepted(response)
        elif code in (408, 481):
            self._expire()
        elif code in (405, 501):
            self._far_allows.discard("update")
            self.update(self._wanted_sdp or self._local_sdp)
        else:
            again = code == 422 and self._keeper.on_too_brief(response)
            self._keeper.on_refresh_failed(retry_s=0.0 if again else UPDATE_RETRY_S)

    # --- requests of the far end within the dialog ---

    def _on_request(self, request: Any, transaction: Any) -> Any:
        match request.getMethod():
            case "INVITE" | "UPDATE":
                return self._renegotiate(request, transaction)
            case "INFO":
                return self._on_info(request)
            case "REFER":
                return self._transfers.on_refer(request) if self._handler is not None else respond(request, 481)
            case "NOTIFY":
                return self._transfers.on_notify(request)
            case "OPTIONS":
                return respond(request, 200, Allow=ALLOW, Accept="application/sdp", Supported=SUPPORTED)
            case _:
                return respond(request, 405, Allow=ALLOW)

    def _renegotiate(self, request: Any, transaction: Any) -> Any:
        """A re-INVITE (RFC 3261 section 14.2) or UPDATE (RFC 3311): new media, a refresh, or both."""
        invite = request.getMethod() == "INVITE"
        negotiation = self._keeper.answer(request)
        if isinstance(negotiation, TooBrief):
            return respond(request, 422, Min_SE=str(negotiation.min_s))
        try:
            offer = sdp_of(request)
        except InvalidInputError:
            return respond(request, 415, Accept="application/sdp")
        if (invite or offer is not None) and (self.ua.updating or self._offer_out):
            return respond(request, 491)
        try:
            sdp = self._answer_to(offer) if invite or offer is not None else None
        except InvalidInputError as error:
            log.info("%s refused: %s", request.getMethod(), error)
            return respond(request, 488)
        self._far_allows = tokens(request, "allow") or self._far_allows
        self._retarget(request)
        response = request.genResponse(200, "OK")
        response.appendHeaders([SipHeader(name="contact", body=self.ua.lContact), *session_headers(negotiation)])
        if sdp is not None:
            response.setBody(MsgBody(sdp))
        self._keeper.start(negotiation)
        if not invite:
            return response, None, None
        self._unacknowledged = True
        self._offer_out = offer is None
        self._server.send_response(response, transaction, on_ack=self.ua.recvACK, on_no_ack=self.ua.disconnect)
        return None

    def _answer_to(self, offer: str | None) -> str:
        parsed = None if offer is None else parse_offer(offer, keep=self._codec, codecs=self._server.codecs)
        self._local_sdp = self.handler.on_update(parsed)
        return self._local_sdp

    def _on_acknowledged(self, ack: Any) -> None:
        self._unacknowledged = False
        if self._farewell is not None:
            event, self._farewell = self._farewell, None
            self.ua.recvEvent(event)
        elif self._offer_out:
            self._offer_out = False
            body = ack.getBody()
            self.take_answer(None if body is None else str(body))
        self._send_update()

    def _on_info(self, request: Any) -> Any:
        body = request.getBody()
        if body is None:
            return respond(request, 200)
        if body.getType() not in DIGIT_TYPES:
            return respond(request, 415, Accept=", ".join(DIGIT_TYPES))
        try:
            digit = parse_digit(body.getType(), str(body))
        except InvalidInputError as error:
            return respond(request, 400, error.message)
        self.tell(lambda handler: handler.on_digit(digit))
        return respond(request, 200)

    def _retarget(self, request: Any) -> None:
        """A Contact moves the far end (RFC 3261 section 12.2.2); with a route set the next hop stays."""
        if request.countHFs("contact"):
            self.ua.rTarget = request.getHFBody("contact").getUrl().getCopy()
            if not self.ua.routes:
                self.ua.rAddr = self.ua.rTarget.getTAddr()

    def _route(self, asked: Address) -> Address:
        """Where a request of ours may go: to the peer, or by a trunk to another address of trunks. A phone behind NAT
        says where it thinks it is."""
        host, port = str(asked[0]), int(asked[1])
        by_trunk = self._server.allows(self._peer[0]) and self._server.allows(host)
        return (host, port) if 1 <= port <= 65535 and (host == self._peer[0] or by_trunk) else self._peer


def session_headers(negotiation: Any) -> tuple[Any, ...]:
    """What a 2xx to an INVITE or UPDATE says besides its SDP."""
    required = (header("Require", "timer"),) if negotiation.require else ()
    return (
        header("Session-Expires", negotiation.expires.serialize()),
        header("Supported", SUPPORTED),
        header("Allow", ALLOW),
        *required,
    )


def failure(code: int, *headers: Any) -> Any:
    """sippy's event that refuses a call."""
    event = CCEventFail((code, phrase(code)))
    event.extra_headers = headers
    return event
