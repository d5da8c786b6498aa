"""A call that we place: ringing, early media, answer, redirection, credentials, time-out and CANCEL."""

import ipaddress
import logging
import random
from typing import TYPE_CHECKING, Any

from sippy.CCEvents import CCEventConnect, CCEventRedirect, CCEventRing, CCEventTry
from sippy.MsgBody import MsgBody
from sippy.SipAddress import SipAddress
from sippy.SipFrom import SipFrom
from sippy.SipRoute import SipRoute
from sippy.SipTo import SipTo
from sippy.SipURL import SipURL

from hotline.errors import InvalidInputError
from ivr.sip.causes import CallEnd, EndReason, failed
from ivr.sip.dialog import SipDialog
from ivr.sip.headers import ALLOW, display_name, header, in_uri, printable, reasons, tokens
from ivr.sip.transfer import SIP_URI
from ivr.sip.types import OutgoingHandler, SipTarget, Timer
from ivr.sip.ua import Address
from ivr.trunks.lookup import split_port

if TYPE_CHECKING:
    from ivr.sip.server import SipServer

log = logging.getLogger(__name__)

ANONYMOUS = "anonymous"
MAX_REDIRECTS = 3
MAX_URI = 1024


class OutgoingDialog(SipDialog):
    """A call that we place to `target`; `handler` hears how it goes."""

    def __init__(
        self,
        server: "SipServer",
        target: SipTarget,
        *,
        caller: str,
        name: str,
        sdp: str,
        handler: OutgoingHandler,
        privacy: bool = False,
    ) -> None:
        self._hop = hop_of(target)
        super().__init__(server, peer=self._hop, codec=None, trunk=target.trunk)
        self._target = target
        self._uri = target.uri
        self._routes = tuple(SipRoute(route) for route in target.routes)
        self._caller = printable(target.caller_id or caller)
        self._name = display_name(name)
        self._privacy = privacy
        self._local_sdp = sdp
        self._handler = self._placed_by = handler
        self._redirects = 0
        self._limit: Timer | None = None
        self._patience: Timer | None = None
        self._heard = False  # anything at all, also to an earlier INVITE of this call

    def dial(self, *, timeout_s: float) -> None:
        """Sends the INVITE; unanswered after `timeout_s` it is cancelled."""
        self._limit = self._server.call_later(timeout_s, self._no_answer)
        if 0 < self._target.patience_s < timeout_s:
            self._patience = self._server.call_later(self._target.patience_s, self._no_word)
        self._invite()

    def _invite(self) -> None:
        trusted = self._peer[0] == self._hop[0]  # credentials are for the one they were set for
        self.ua = self.open_ua(
            hop=self._peer,
            username=self._target.username if trusted else "",
            password=self._target.password if trusted else "",
        )
        host = self._peer[0]
        self._server.expect(host)
        self.ua.dead_cbs = (lambda _ua: self._server.expect_no_more(host),)
        contact = ANONYMOUS if self._privacy else self._caller or ANONYMOUS
        event = CCEventTry((None, contact, None, MsgBody(self._local_sdp), None, self._name))
        event.onUacSetupComplete = self._address
        event.extra_headers = (*self._keeper.request_headers(), header("Allow", ALLOW), *self._identity_headers())
        self.ua.recvEvent(event)

    def _address(self, ua: Any) -> None:
        """Who calls whom: sippy would write the hop and its own address."""
        ua.rTarget = SipURL(self._uri)
        ua.routes = [route.getCopy() for route in self._routes] if self._peer == self._hop else []
        to = SipURL(self._uri)
        to.other, to.transport, to.headers = [], None, None
        ua.rUri = SipTo(address=SipAddress(url=to, hadbrace=True))
        ua.lUri = SipFrom(address=self._sender())
        ua.lUri.setTag(ua.lTag)

    def _sender(self) -> Any:
        """Who From says that calls; nobody (RFC 3323 section 4.1.1.3) where that is not to be shown."""
        if self._privacy:
            url = SipURL(username=ANONYMOUS, host="anonymous.invalid")
            return _NamedAddress(url=url, hadbrace=True, name="Anonymous")
        url = SipURL(username=self._caller or ANONYMOUS, host=self._domain)
        return _NamedAddress(url=url, hadbrace=True, name=self._name or None)

    @property
    def _domain(self) -> str:
        return split_port(self._target.domain)[0] if self._target.domain else in_uri(self._local_host)

    def _identity_headers(self) -> tuple[Any, ...]:
        """RFC 3325 section 9.1 for a carrier that is trusted, and that the identity is for it alone."""
        asserted = self._target.asserted and self._caller and self._peer[0] == self._hop[0]
        identity = (header("P-Asserted-Identity", f"<sip:{self._caller}@{self._domain}>"),) if asserted else ()
        return (*identity, *((header("Privacy", "id"),) if self._privacy else ()))

    # --- how it goes ---

    def _on_setup(self, event: Any) -> None:
        if self._over:
            return
        self._heard = self._heard or self.ua.response.source is not None
        if isinstance(event, CCEventRing):
            code, _reason, body = event.getData()
            if code > 100:
                self._placed_by.on_ringing(None if body is None else str(body))
        elif isinstance(event, CCEventConnect):
            self._answered(event.getData()[2])
        elif isinstance(event, CCEventRedirect):
            self._redirected(event)
        elif event.getData()[0] == 422 and self._keeper.on_too_brief(self.ua.response):
            self._invite()
        elif self.ua.response.source is None:  # sippy's own 408: nothing ever came
            self._end(CallEnd(EndReason.UNREACHABLE, 408, 102))
        else:
            self._end(failed(event.getData()[0], reasons(self.ua.response)))

    def _answered(self, body: Any) -> None:
        self._established = True
        self._far_allows = tokens(self.ua.response, "allow")
        self._keeper.on_accepted(self.ua.response)
        self._stop_limit()
        if body is None:
            raise InvalidInputError("the far end answered without SDP")
        self.keep_codec(str(body))
        self._placed_by.on_answered(str(body))

    def _redirected(self, event: Any) -> None:
        """3xx (RFC 3261 section 8.1.3.4): followed a few times, only to numeric addresses of the one who said it, or of
        trunks where a trunk said it: a phone sends no call to a carrier past the dial plan."""
        self._redirects += 1
        contacts = self.ua.response.getHFBodys("contact")  # sippy's event has the first alone
        for contact in contacts if self._redirects <= MAX_REDIRECTS else ():
            host, port = contact.getUrl().getAddr()
            address = (str(host), int(port))
            by_trunk = self._server.allows(self._hop[0]) and self._server.allows(address[0])
            if by_trunk or address[0] == self._hop[0]:
                self._peer, self._uri = address, str(contact.getUrl())
                self._invite()
                return
        log.info("call redirected to where it may not go")
        self._end(CallEnd(EndReason.UNREACHABLE, event.getData()[0]))

    def _no_word(self) -> None:
        """The hop has not even said 100: another one may."""
        self._patience = None
        if self.ua.response is None and not self._heard and not self._over:
            self._hang_up_with(CallEnd(EndReason.UNREACHABLE, 408, 102))

    def _no_answer(self) -> None:
        self._limit = None
        reason = EndReason.UNREACHABLE if self.ua.response is None else EndReason.NO_ANSWER
        self._hang_up_with(CallEnd(reason, 408, 102))

    def _finish(self) -> None:
        self._stop_limit()
        super()._finish()

    def _stop_limit(self) -> None:
        for timer in (self._limit, self._patience):
            if timer is not None:
                timer.cancel()
        self._limit = self._patience = None

    def _glare_wait_s(self) -> float:
        return random.randint(210, 400) / 100  # noqa: S311 - no secret


class _NamedAddress(SipAddress):  # type: ignore[misc] # sippy is untyped
    """A name in quotes (RFC 3261 section 25.1): sippy takes Chinese for a token, which needs none."""

    name: str | None

    def localStr(self, local_addr: Any = None) -> str:  # noqa: N802 - sippy's name
        name, self.name = self.name, None
        address = str(super().localStr(local_addr))
        self.name = name
        return f'"{name}" {address}' if name else address


def hop_of(target: SipTarget) -> Address:
    """The numeric address an INVITE goes to; raises `InvalidInputError`: names are not looked up on the SIP thread."""
    found = SIP_URI.fullmatch(target.uri)
    if found is None or len(target.uri) > MAX_URI or not target.uri.isascii():
        raise InvalidInputError("not a SIP address to call")
    host, port = target.hop or (found["host"], int(found["port"] or 5060))
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError as error:
        raise InvalidInputError(f"no numeric address to call: {host[:80]!r}") from error
    if not 1 <= port <= 65535:
        raise InvalidInputError(f"no port to call: {port}")
    return (str(address) if address.version == 4 else f"[{address}]", port)
