"""sippy's UA with what it leaves open closed: every request answered, every request of ours to a numeric address."""

import copy
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from sippy.SipHeader import SipHeader
from sippy.UA import UA
from sippy.UacStateCancelling import UacStateCancelling
from sippy.UacStateUpdating import UacStateUpdating

from ivr.sip.headers import ALLOW, METHODS, log_refusal, respond

LINGER_S = 32.0  # RFC 3261 timer B: a finished dialog still answers retransmissions for so long
Address = tuple[str, int]
OnRequest = Callable[[Any, Any], Any]


class GuardedUA(UA):  # type: ignore[misc] # sippy is untyped
    """One dialog's state.

    Requests within an established dialog but BYE go to `on_request` (request, transaction), which returns what sippy's
    callbacks do; `route` turns the address a request would go to into one it may go to.
    """

    godead_timeout = LINGER_S
    rCSeq: int | None  # noqa: N815 - sippy's name
    rAddr: Any  # noqa: N815 - sippy's name

    def __init__(
        self,
        global_config: dict[str, Any],
        *,
        on_event: Callable[[Any, Any], None],
        on_request: OnRequest,
        on_acknowledged: Callable[[Any], None],
        route: Callable[[Address], Address],
        hop: Address | None = None,
        username: str = "",
        password: str = "",
    ) -> None:
        super().__init__(global_config, on_event, username or None, password or None, hop)
        self._on_request = on_request
        self._on_acknowledged = on_acknowledged
        self._route = route
        self.request: Any = None  # the last BYE or CANCEL
        self.response: Any = None  # the last one
        self.unacknowledged = False

    @property
    def updating(self) -> bool:
        """Whether a re-INVITE of ours is under way."""
        return isinstance(self.state, UacStateUpdating)

    def recvRequest(self, req: Any, sip_t: Any) -> Any:  # noqa: N802 - sippy's name
        method = req.getMethod()
        in_dialog = self.state is not None
        if in_dialog and method not in METHODS:
            return respond(req, 405, Allow=ALLOW)
        try:
            if self.isConnected() and method != "BYE":
                return self._within(req, sip_t)
            self.request = req
            result = super().recvRequest(req, sip_t)
        except Exception as error:  # as in SipServer._request
            log_refusal(error)
            if sip_t.data is not None and not in_dialog:
                raise
            return respond(req, 500)
        if result is None and sip_t.data is None:
            return respond(req, 481)
        return result

    def _within(self, req: Any, sip_t: Any) -> Any:
        sequence = req.getHFBody("cseq").getCSeqNum()
        if self.rCSeq is not None and sequence <= self.rCSeq:
            return respond(req, 500)  # RFC 3261 section 12.2.2
        self.rCSeq = sequence
        return self._on_request(req, sip_t)

    def recvACK(self, req: Any) -> None:  # noqa: N802 - sippy's name
        if self.isConnected():
            self._on_acknowledged(req)

    def recvResponse(self, resp: Any, tr: Any) -> None:  # noqa: N802 - sippy's name
        self.response = resp
        super().recvResponse(resp, tr)

    def processChallenge(self, *arguments: Any) -> bool:  # noqa: N802 - sippy's name
        """A call that we gave up is not placed anew."""
        return not isinstance(self.state, UacStateCancelling) and bool(super().processChallenge(*arguments))

    def disconnect(self, *arguments: Any, **options: Any) -> None:
        """sippy's way to tell that no ACK came."""
        self.unacknowledged = True
        super().disconnect(*arguments, **options)

    def genRequest(self, *arguments: Any, **options: Any) -> Any:  # noqa: N802 - sippy's name
        self.rAddr = (self._route(self.rAddr[0]), "udp")
        return super().genRequest(*arguments, **options)

    def newTransaction(self, req: Any, **options: Any) -> Any:  # noqa: N802 - sippy's name
        if self.username is not None and req.getMethod() not in ("INVITE", "ACK", "CANCEL"):
            options |= {"resp_cb": partial(self._answered, req, options.get("resp_cb")), "cb_ifver": 1}
        return super().newTransaction(req, **options)

    def send(
        self,
        method: str,
        *,
        headers: Iterable[Any] = (),
        body: Any = None,
        on_response: Callable[[Any], None] | None = None,
    ) -> None:
        """A request within the dialog that is no INVITE."""
        self.newTransaction(self.genRequest(method, body, extra_headers=tuple(headers)), resp_cb=on_response)

    def _answered(self, request: Any, on_response: Callable[[Any], None] | None, response: Any) -> None:
        """A challenge to a request within the dialog is answered once; sippy only answers that of an INVITE."""
        code = response.getSCode()[0]
        names = {401: ("www-authenticate", "authorization"), 407: ("proxy-authenticate", "proxy-authorization")}
        if code in names and not request.countHFs(names[code][1]):
            for challenge in response.getHFBodys(names[code][0]):
                supported, qop = challenge.supportedAlgorithm()
                if supported:
                    super().newTransaction(self._authorized(request, challenge, qop), resp_cb=on_response)
                    return
        if on_response is not None:
            on_response(response)

    def _authorized(self, request: Any, challenge: Any, qop: Any) -> Any:
        again = copy.copy(request)
        again.headers = [item.getCopy() for item in request.headers]
        again.getHFBody("cseq").cseq = self.lCSeq
        self.lCSeq += 1
        again.getHFBody("via").genBranch()
        body = None if request.getBody() is None else str(request.getBody())
        digest = challenge.genAuthHF(self.username, self.password, request.method, str(request.ruri), body, qop)
        again.appendHeader(SipHeader(body=digest))
        return again
