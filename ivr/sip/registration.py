"""Our side of the trunks, on sippy: REGISTER and OPTIONS to every carrier, and which of its servers can be called.

Everything here runs on the SIP thread; names are looked up on a thread of their own. The rules are in
`ivr.trunks.registration` and `ivr.trunks.keepalive`.
"""

import logging
import random
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from sippy.SipAddress import SipAddress
from sippy.SipCallId import SipCallId
from sippy.SipContact import SipContact
from sippy.SipFrom import SipFrom
from sippy.SipHeader import SipHeader
from sippy.SipRequest import SipRequest
from sippy.SipTo import SipTo
from sippy.SipURL import SipURL

from hotline.clock import Clock
from hotline.errors import UnavailableError
from ivr.sip.headers import values
from ivr.sip.types import Timer
from ivr.trunks.carriers import Carrier
from ivr.trunks.keepalive import Keepalive, KeepalivePolicy
from ivr.trunks.lookup import DEFAULT_PORT, Found, split_port
from ivr.trunks.registration import (
    Accepted,
    Challenged,
    Event,
    Phase,
    Refused,
    Registration,
    RegistrationPolicy,
    SendRegister,
    ServerDown,
    Servers,
    ServerUp,
    Stop,
    TimePassed,
    TooBrief,
    step,
)

if TYPE_CHECKING:
    from ivr.sip.server import SipServer

log = logging.getLogger(__name__)

Address = tuple[str, int]
LOOKUP_AGAIN_S = 15.0
TTL_S = (30.0, 3600.0)  # a name is looked up neither more often than the first nor more seldom than the second
MAX_EXPIRES_S = 86_400
CHALLENGES = {401: ("www-authenticate", "authorization"), 407: ("proxy-authenticate", "proxy-authorization")}


class Lookup(Protocol):
    """`ivr.trunks.lookup.LookupThread`."""

    def find(
        self, *, domain: str, servers: Sequence[str], then: Callable[[Found | UnavailableError], None]
    ) -> None: ...


class TrunkClient:
    """All carriers of the site. Only on the SIP thread, but for its construction."""

    def __init__(
        self,
        server: "SipServer",
        carriers: Sequence[Carrier],
        *,
        lookup: Lookup,
        clock: Clock,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._server = server
        self._trunks = {
            carrier.name: _Trunk(carrier, server, lookup, clock.monotonic, chance, self._on_change)
            for carrier in carriers
        }

    def start(self) -> None:
        """Looks the carriers up, and registers where we should."""
        for trunk in self._trunks.values():
            trunk.start()

    def stop(self) -> None:
        """Unregisters. What is sent is not waited for: `stopped` tells."""
        for trunk in self._trunks.values():
            trunk.stop()

    @property
    def stopped(self) -> bool:
        """Whether every carrier knows that we left, or had its time to answer."""
        return all(trunk.stopped for trunk in self._trunks.values())

    def servers(self, trunk: str) -> tuple[Address, ...]:
        """The servers of a trunk that can be called now, the preferred one first."""
        return self._trunks[trunk].usable()

    def _on_change(self) -> None:
        addresses = {host: name for name, trunk in self._trunks.items() for host, _ in trunk.servers}
        self._server.admission.set_carriers(addresses)


class _Trunk:
    """One carrier: its registration, and a keepalive for each of its servers."""

    def __init__(
        self,
        carrier: Carrier,
        server: "SipServer",
        lookup: Lookup,
        elapsed: Callable[[], float],
        chance: Callable[[], float],
        on_change: Callable[[], None],
    ) -> None:
        self._carrier = carrier
        self._server = server
        self._lookup = lookup
        self._elapsed = elapsed
        self._chance = chance
        self._on_change = on_change
        self.servers: tuple[Address, ...] = ()
        policy = RegistrationPolicy(
            expires_s=carrier.expires_s,
            patience_s=carrier.patience_s,
            backoff_s=carrier.backoff_s,
            backoff_max_s=carrier.backoff_max_s,
        )
        self._registration = Registration(policy)
        self._keepalives: dict[Address, Keepalive] = {}
        self._timer: Timer | None = None
        self._lookup_timer: Timer | None = None
        self._pending: Any = None  # sippy's transaction of the REGISTER under way
        self._call_ids: dict[Address, Any] = {}
        self._cseq = 0
        self._challenge: tuple[str, Any, str] | None = None  # header to answer with, challenge, qop
        self._state = ""

    # --- what others ask ---

    @property
    def state(self) -> str:
        """`registered`, `registering`, `up` (without registration) or `down`."""
        if not self._carrier.registers:
            return "up" if self.usable() else "down"
        if self._registration.at is not None:
            return "registered"
        return "down" if self._registration.failures else "registering"

    @property
    def stopped(self) -> bool:
        return not self._carrier.registers or self._registration.phase is Phase.STOPPED

    def usable(self) -> tuple[Address, ...]:
        up = tuple(address for address in self.servers if self._is_up(address))
        if not self._carrier.registers:
            return up
        at = self._registration.at
        return () if at is None else (at, *(address for address in up if address != at))

    def _is_up(self, address: Address) -> bool:
        known = self._keepalives.get(address)
        return known is None or known.up

    # --- life ---

    def start(self) -> None:
        self._lookup_timer = None
        self._lookup.find(domain=self._carrier.domain, servers=self._carrier.servers, then=self._found)

    def stop(self) -> None:
        self._keepalives.clear()
        if self._lookup_timer is not None:
            self._lookup_timer.cancel()
        if self._carrier.registers:
            self._on_event(Stop())

    def _found(self, found: Found | UnavailableError) -> None:
        """On the look-up thread."""
        self._server.post(partial(self._on_found, found))

    def _on_found(self, found: Found | UnavailableError) -> None:
        if self._registration.phase is Phase.STOPPED:
            return
        if isinstance(found, Found):
            if set(found.addresses) != set(self.servers):
                self._serve(found.addresses)
            again_s = None if found.ttl_s is None else min(max(found.ttl_s, TTL_S[0]), TTL_S[1])
        else:  # what was known stays
            log.warning("trunk %s: %s", self._carrier.name, found)
            again_s = LOOKUP_AGAIN_S
        if again_s is not None:
            self._lookup_timer = self._server.call_later(again_s, self.start)

    def _serve(self, addresses: tuple[Address, ...]) -> None:
        """The carrier's servers are these."""
        self.servers = addresses
        self._on_change()
        if self._carrier.options_s > 0:
            policy = KeepalivePolicy(self._carrier.options_s, self._carrier.patience_s, self._carrier.max_missed)
            now = self._elapsed()
            self._keepalives = {
                address: self._keepalives.get(address) or Keepalive(policy, deadline=now) for address in addresses
            }
        if self._carrier.registers:
            self._on_event(Servers(addresses))
        else:
            self._on_time()

    def _on_event(self, event: Event) -> None:
        self._registration, request = step(self._registration, event, now=self._elapsed(), chance=self._chance())
        self._tell()
        if request is not None:
            self._send(request)
        self._set_timer()

    def _on_time(self) -> None:
        """Whatever is due: the registration, and the keepalives."""
        self._timer = None
        now = self._elapsed()
        for address, known in list(self._keepalives.items()):
            after, ask = known.on_time(now)
            self._keep(address, after)
            if ask:
                self._ask(address, after.attempt)
        if self._carrier.registers:
            self._on_event(TimePassed())
        else:
            self._tell()
            self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        times = [each.deadline for each in self._keepalives.values()]
        if self._carrier.registers and self._registration.wake is not None:
            times.append(self._registration.wake)
        wake = min(times, default=None)
        self._timer = None if wake is None else self._server.call_later(wake - self._elapsed(), self._on_time)

    def _tell(self) -> None:
        if self.state != self._state:
            self._state = self.state
            log.log(
                logging.WARNING if self._state == "down" else logging.INFO,
                "trunk %s is %s",
                self._carrier.name,
                self._state,
            )

    # --- OPTIONS ---

    def _keep(self, address: Address, after: Keepalive) -> None:
        before = self._keepalives[address]
        self._keepalives[address] = after
        if before.up != after.up:
            log.warning(
                "trunk %s: %s:%d %s", self._carrier.name, *address, "answers again" if after.up else "is silent"
            )
            if self._carrier.registers:
                self._on_event(ServerUp(address) if after.up else ServerDown(address))

    def _ask(self, address: Address, attempt: int) -> None:
        request = self._request("OPTIONS", address, call_id=SipCallId(), cseq=1)
        request.appendHeader(SipHeader("Accept: application/sdp"))
        self._server.send_request(request, lambda response: self._on_options(address, attempt, response))

    def _on_options(self, address: Address, attempt: int, response: Any) -> None:
        code = response.getSCode()[0]
        known = self._keepalives.get(address)
        if code < 200 or known is None or response.source is None:  # sippy's own 408: we count ourselves
            return
        self._keep(address, known.on_answer(attempt, self._elapsed(), well=code != 503))
        self._tell()
        self._set_timer()

    # --- REGISTER ---

    def _send(self, request: SendRegister) -> None:
        if self._pending is not None:  # a server that said nothing is asked no more
            self._server.abandon(self._pending)
        self._cseq += 1
        call_id = self._call_ids.setdefault(request.server, SipCallId())
        message = self._request("REGISTER", request.server, call_id=call_id.getCopy(), cseq=self._cseq)
        message.appendHeader(SipHeader(name="contact", body=self._contact(request)))
        if request.signed and self._challenge is not None:
            name, challenge, qop = self._challenge
            answer = challenge.genAuthHF(
                self._carrier.username, self._carrier.password, "REGISTER", str(message.ruri), None, qop
            )
            message.appendHeader(SipHeader(name=name, body=answer))
        self._pending = self._server.send_request(message, partial(self._on_register, request.attempt))

    def _contact(self, request: SendRegister) -> Any:
        host, port = split_port(self._carrier.contact) if self._carrier.contact else (None, None)
        url = SipURL(
            username=self._carrier.username,
            host=host or self._server.local_host(request.server[0]),
            port=(port or DEFAULT_PORT) if host else self._server.port,
        )
        address = SipAddress(url=url, hadbrace=True)
        address.params, address.params_order = {"expires": str(request.expires_s)}, ["expires"]
        return SipContact(address=address)

    def _on_register(self, attempt: int, response: Any) -> None:
        code = response.getSCode()[0]
        if code < 200 or attempt != self._registration.attempt:
            return
        self._pending = None
        event: Event
        if code < 300:
            event = Accepted(attempt, self._granted(response))
        elif code in CHALLENGES and (given := _challenge(response)) is not None:
            self._challenge = given
            event = Challenged(attempt, stale=_is_stale(response))
        elif code == 423:
            event = TooBrief(attempt, min(_number(response, "min-expires"), MAX_EXPIRES_S))
        else:
            event = Refused(attempt, code, float(_number(response, "retry-after")))
        if code >= 300 and not (isinstance(event, Challenged) and self._registration.challenges == 0):
            log.warning("trunk %s: REGISTER answered with %d", self._carrier.name, code)
        self._on_event(event)

    def _granted(self, response: Any) -> int:
        """The time granted to our contact: its `expires`, else the Expires header, else what we asked for."""
        for item in response.getHFBodys("contact"):
            if not item.asterisk and item.getUrl().username == self._carrier.username:
                told = {name.lower(): value for name, value in item.getUri().params.items()}.get("expires") or ""
                if told.isascii() and told.isdigit():
                    return min(int(told[:9]), MAX_EXPIRES_S)
        return min(_number(response, "expires", self._registration.expires_s), MAX_EXPIRES_S)

    # --- messages ---

    def _request(self, method: str, address: Address, *, call_id: Any, cseq: int) -> Any:
        user = self._carrier.username or None
        own = self._server.local_host(address[0])
        host, port = split_port(self._carrier.domain)
        sender = SipFrom(address=SipAddress(url=_url(user or "hotline", host if user else own), hadbrace=True))
        sender.genTag()
        to = _url(user if method == "REGISTER" else None, host)
        ruri = SipURL(host=host, port=port)
        return SipRequest(
            method=method,
            ruri=ruri,
            to=SipTo(address=SipAddress(url=to, hadbrace=True)),
            fr0m=sender,
            callid=call_id,
            cseq=cseq,
            target=(address, "udp"),
        )


def _url(user: str | None, host: str) -> Any:
    url = SipURL(username=user, host=host, port=None)
    url.transport = None
    return url


def _challenge(response: Any) -> tuple[str, Any, str] | None:
    """The first challenge that we can answer, as the header for the answer, sippy's challenge and its qop."""
    asked, answered = CHALLENGES[response.getSCode()[0]]
    for challenge in response.getHFBodys(asked):
        supported, qop = challenge.supportedAlgorithm()
        if supported:
            return answered, challenge, qop
    return None


def _is_stale(response: Any) -> bool:
    asked, _ = CHALLENGES[response.getSCode()[0]]
    return any(re.search(r'\bstale\s*=\s*"?true', value, re.IGNORECASE) for value in values(response, asked))


def _number(response: Any, name: str, default: int = 0) -> int:
    text = next(iter(values(response, name)), "").partition(";")[0].partition("(")[0].strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else default
