"""What we say to a carrier outside of calls (REGISTER, OPTIONS) and how its answers are read, on sippy's messages."""

import re
from dataclasses import dataclass
from typing import Any

from sippy.SipAddress import SipAddress
from sippy.SipCallId import SipCallId
from sippy.SipContact import SipContact
from sippy.SipFrom import SipFrom
from sippy.SipHeader import SipHeader
from sippy.SipRequest import SipRequest
from sippy.SipTo import SipTo
from sippy.SipURL import SipURL

from ivr.sip.headers import values
from ivr.trunks.carriers import Carrier
from ivr.trunks.lookup import DEFAULT_PORT, split_port
from ivr.trunks.registration import SendRegister

Address = tuple[str, int]
MAX_EXPIRES_S = 86_400
CHALLENGES = {401: ("www-authenticate", "authorization"), 407: ("proxy-authenticate", "proxy-authorization")}


@dataclass(frozen=True)
class Challenge:
    """A question for the password: the header of the answer, sippy's challenge and its qop."""

    answered_by: str
    challenge: Any
    qop: str


class CarrierMessages:
    """The requests to one carrier, numbered: one Call-ID for each of its servers."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier
        self._call_ids: dict[Address, Any] = {}
        self._cseq = 0

    def options(self, address: Address, *, own: Address) -> Any:
        """`own`: our address as the server reaches it."""
        request = self._request("OPTIONS", address, own, call_id=SipCallId(), cseq=1)
        request.appendHeader(SipHeader("Accept: application/sdp"))
        return request

    def register(self, wanted: SendRegister, *, own: Address, challenge: Challenge | None) -> Any:
        """`challenge`: the last one, answered where the request is to be signed."""
        self._cseq += 1
        call_id = self._call_ids.setdefault(wanted.server, SipCallId())
        request = self._request("REGISTER", wanted.server, own, call_id=call_id.getCopy(), cseq=self._cseq)
        request.appendHeader(SipHeader(name="contact", body=self._contact(wanted.expires_s, own)))
        if wanted.signed and challenge is not None:
            answer = challenge.challenge.genAuthHF(
                self._carrier.username, self._carrier.password, "REGISTER", str(request.ruri), None, challenge.qop
            )
            request.appendHeader(SipHeader(name=challenge.answered_by, body=answer))
        return request

    def granted_s(self, response: Any, *, own: Address, asked_s: int) -> int:
        """The time granted to our contact: its `expires`, else the Expires header, else what we asked for.

        Others may be registered with the same account; a carrier that writes our contact anew leaves its user.
        """
        user = self._carrier.username
        contacts = [item for item in response.getHFBodys("contact") if not item.asterisk]
        named = [(item.getUrl(), item.getUri().params) for item in contacts if item.getUrl().username == user]
        for _, params in sorted(named, key=lambda each: each[0].getAddr() != self._contact_address(own)):
            told = {name.lower(): value for name, value in params.items()}.get("expires") or ""
            if told.isascii() and told.isdigit():
                return min(int(told[:9]), MAX_EXPIRES_S)
        return min(number_in(response, "expires", asked_s), MAX_EXPIRES_S)

    def _contact_address(self, own: Address) -> Address:
        """Where the carrier shall call us."""
        if not self._carrier.contact:
            return own
        host, port = split_port(self._carrier.contact)
        return host, port or DEFAULT_PORT

    def _contact(self, expires_s: int, own: Address) -> Any:
        host, port = self._contact_address(own)
        address = SipAddress(url=SipURL(username=self._carrier.username, host=host, port=port), hadbrace=True)
        address.params, address.params_order = {"expires": str(expires_s)}, ["expires"]
        return SipContact(address=address)

    def _request(self, method: str, address: Address, own: Address, *, call_id: Any, cseq: int) -> Any:
        user = self._carrier.username or None
        host, port = split_port(self._carrier.domain)
        sender = SipFrom(address=SipAddress(url=_url(user or "hotline", host if user else own[0]), hadbrace=True))
        sender.genTag()
        to = _url(user if method == "REGISTER" else None, host)
        return SipRequest(
            method=method,
            ruri=SipURL(host=host, port=port),
            to=SipTo(address=SipAddress(url=to, hadbrace=True)),
            fr0m=sender,
            callid=call_id,
            cseq=cseq,
            target=(address, "udp"),
        )


def challenge_in(response: Any) -> Challenge | None:
    """The first challenge of a 401 or 407 that we can answer."""
    asked, answered_by = CHALLENGES[response.getSCode()[0]]
    for challenge in response.getHFBodys(asked):
        supported, qop = challenge.supportedAlgorithm()
        if supported:
            return Challenge(answered_by, challenge, qop)
    return None


def is_stale(response: Any) -> bool:
    """Whether a 401 or 407 says that the password was right and only the nonce too old."""
    asked, _ = CHALLENGES[response.getSCode()[0]]
    return any(re.search(r'\bstale\s*=\s*"?true', value, re.IGNORECASE) for value in values(response, asked))


def number_in(response: Any, name: str, default: int = 0) -> int:
    """The number that a header such as Retry-After begins with."""
    text = next(iter(values(response, name)), "").partition(";")[0].partition("(")[0].strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else default


def _url(user: str | None, host: str) -> Any:
    url = SipURL(username=user, host=host, port=None)
    url.transport = None
    return url
