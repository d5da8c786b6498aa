"""A call to us, from its INVITE to our answer."""

import logging
from typing import TYPE_CHECKING, Any

from sippy.CCEvents import CCEventPreConnect, CCEventRing, CCEventTry
from sippy.MsgBody import MsgBody

from hotline.errors import ForbiddenError, InvalidInputError, NotFoundError, UnavailableError
from ivr.sdp import Offer
from ivr.sip.admission import Admitted
from ivr.sip.causes import Q850_TO_SIP, phrase, reason_value
from ivr.sip.dialog import SipDialog, failure, session_headers
from ivr.sip.headers import asserted_identity, display_name, header, number, printable, tokens, wants_privacy
from ivr.sip.session_timer import Negotiation
from ivr.sip.transfer import Replaces
from ivr.sip.types import Invitation

if TYPE_CHECKING:
    from ivr.sip.server import SipServer

log = logging.getLogger(__name__)

RETRY_AFTER_S = 5


class IncomingDialog(SipDialog):
    """A call that somebody places to us."""

    def __init__(
        self,
        server: "SipServer",
        request: Any,
        *,
        offer: Offer | None,
        replaces: Replaces | None,
        negotiation: Negotiation,
        admitted: Admitted,
    ) -> None:
        super().__init__(
            server,
            peer=request.getSource(),
            codec=offer.remote.codec if offer else None,
            trunk=admitted.trunk or "",
        )
        self._offer = offer
        self._replaces = replaces
        self._negotiation = negotiation
        self._admitted = admitted
        # an identity is believed from a trunk only (RFC 3325 section 8)
        self._asserted = asserted_identity(request) if admitted.extension is None else ("", "")
        self._privacy = wants_privacy(request)
        self._far_allows = tokens(request, "allow")
        self.ua = self.open_ua()

    def receive(self, request: Any, transaction: Any) -> Any:
        """The INVITE that makes the dialog."""
        return self.ua.recvRequest(request, transaction)

    def _on_setup(self, event: Any) -> None:
        if isinstance(event, CCEventTry):
            self._invite(event)

    def _invite(self, event: Any) -> None:
        _call_id, from_user, to_user, _body, _auth, from_name = event.getData()
        invitation = Invitation(
            sip_call_id=printable(self.sip_call_id)[:255],
            caller=self._admitted.extension or self._server.admission.canonical(self._asserted[0] or number(from_user)),
            called=number(to_user) or printable(str(to_user or ""))[:64],
            peer=self._peer[0],
            local_host=self._local_host,
            offer=self._offer,
            extension=self._admitted.extension,
            trunk=self._admitted.trunk,
            route=self._admitted.route,
            privacy=self._privacy,
            display_name=self._asserted[1] or display_name(from_name),
            replaces=self._replaces,
        )
        try:
            self._handler, sdp = self._server.answer_call(self, invitation)
        except UnavailableError as error:
            log.warning("call refused: %s", error)
            self.reject(503, retry_after_s=RETRY_AFTER_S)
        except InvalidInputError as error:
            log.info("call refused: %s", error)
            self.reject(488)
        except ForbiddenError as error:
            log.info("call refused: %s", error)
            self.reject(403)
        except NotFoundError as error:
            log.info("call refused: %s", error)
            self.reject(480)
        except Exception:
            log.exception("call not answered")
            self.reject(500)
        else:
            if self._over:  # rejected by the handler itself
                self._handler = None
                return
            self._server.keep(self)
            if sdp is not None:
                self.ring()
                self.answer(sdp)

    def ring(self, sdp: str | None = None) -> None:
        if not self._over and not self._established:
            code = 180 if sdp is None else 183
            body = None if sdp is None else MsgBody(sdp)
            self.ua.recvEvent(CCEventRing((code, phrase(code), body)))

    def answer(self, sdp: str) -> None:
        if self._over or self._established:
            return
        self._established = self._unacknowledged = True
        self._offer_out = self._offer is None
        self._local_sdp = sdp
        event = CCEventPreConnect((200, "OK", MsgBody(sdp)))
        event.extra_headers = session_headers(self._negotiation)
        self.ua.recvEvent(event)
        self._keeper.start(self._negotiation)

    def reject(self, code: int, *, retry_after_s: int | None = None) -> None:
        if not self._over and not self._established:
            self._finish()
            extra = () if retry_after_s is None else (header("Retry-After", str(retry_after_s)),)
            self.ua.recvEvent(failure(code, *extra))

    def _fail_setup(self, code: int, q850: int | None) -> bool:
        status = code if code >= 300 else Q850_TO_SIP.get(q850 or 0, 480)
        value = reason_value(code=code, q850=q850)
        self.ua.recvEvent(failure(status, *((header("Reason", value),) if value else ())))
        return True
