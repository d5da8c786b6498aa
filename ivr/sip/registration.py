"""Our side of the trunks, on sippy: REGISTER and OPTIONS to every carrier, and which of its servers can be called.

Everything here runs on the SIP thread; names are looked up on a thread of their own. The rules are in
`ivr.trunks.registration` and `ivr.trunks.keepalive`.
"""

import logging
import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from hotline.clock import Clock
from hotline.errors import UnavailableError
from ivr.sip.carrier_messages import (
    CHALLENGES,
    MAX_EXPIRES_S,
    CarrierMessages,
    Challenge,
    challenge_in,
    is_stale,
    number_in,
)
from ivr.sip.headers import in_uri
from ivr.sip.types import Timer
from ivr.trunks.carriers import Carrier
from ivr.trunks.keepalive import Keepalive, KeepalivePolicy
from ivr.trunks.lookup import Found
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
from ivr.trunks.status import Trouble, TrunkState, TrunkStatus

if TYPE_CHECKING:
    from ivr.sip.server import SipServer

log = logging.getLogger(__name__)

Address = tuple[str, int]
LOOKUP_AGAIN_S = 15.0
TTL_S = (30.0, 3600.0)  # a name is looked up neither more often than the first nor more seldom than the second


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
            carrier.name: _Trunk(carrier, server, lookup, clock, chance, self._on_change) for carrier in carriers
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

    @property
    def status(self) -> tuple[TrunkStatus, ...]:
        """How each trunk is."""
        return tuple(trunk.status for trunk in self._trunks.values())

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
        clock: Clock,
        chance: Callable[[], float],
        on_change: Callable[[], None],
    ) -> None:
        self._carrier = carrier
        self._server = server
        self._lookup = lookup
        self._elapsed = clock.monotonic
        self._now = clock.now
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
        self._messages = CarrierMessages(carrier)
        self._challenge: Challenge | None = None  # the last one
        self._state: TrunkState | None = None  # as was logged
        self._last_error: Trouble | None = None

    # --- what others ask ---

    @property
    def state(self) -> TrunkState:
        if not self._carrier.registers:
            return TrunkState.UP if self.usable() else TrunkState.DOWN
        if self._registration.at is not None:
            return TrunkState.REGISTERED
        return TrunkState.DOWN if self._registration.failures else TrunkState.REGISTERING

    @property
    def status(self) -> TrunkStatus:
        at = self._registration.at
        return TrunkStatus(
            self._carrier.name,
            self.state,
            servers=tuple(map(shown, self.servers)),
            silent=tuple(shown(address) for address in self.servers if not self._is_up(address)),
            registered_at="" if at is None else shown(at),
            last_error=self._last_error,
        )

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
            self._failed(found.message)
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
        before = self._registration
        self._registration, request = step(before, event, now=self._elapsed(), chance=self._chance())
        if isinstance(event, TimePassed) and before.phase is Phase.REGISTERING and before.asked is not None:
            after = self._registration
            if (after.phase, after.attempt) != (before.phase, before.attempt):
                self._failed(f"{shown(before.asked)} does not answer REGISTER")
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

    def _failed(self, text: str) -> None:
        log.warning("trunk %s: %s", self._carrier.name, text)
        self._last_error = Trouble(text, self._now())

    def _tell(self) -> None:
        if self.state is not self._state:
            self._state = self.state
            log.log(
                logging.WARNING if self._state is TrunkState.DOWN else logging.INFO,
                "trunk %s is %s",
                self._carrier.name,
                self._state,
            )

    # --- OPTIONS ---

    def _keep(self, address: Address, after: Keepalive) -> None:
        before = self._keepalives[address]
        self._keepalives[address] = after
        if before.up != after.up:
            if after.up:
                log.warning("trunk %s: %s answers again", self._carrier.name, shown(address))
            else:
                self._failed(f"{shown(address)} is silent")
            if self._carrier.registers:
                self._on_event(ServerUp(address) if after.up else ServerDown(address))

    def _ask(self, address: Address, attempt: int) -> None:
        request = self._messages.options(address, own=self._own(address))
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
        message = self._messages.register(request, own=self._own(request.server), challenge=self._challenge)
        self._pending = self._server.send_request(message, partial(self._on_register, request))

    def _on_register(self, request: SendRegister, response: Any) -> None:
        code, attempt = response.getSCode()[0], request.attempt
        if code < 200 or attempt != self._registration.attempt:
            return
        self._pending = None
        event: Event
        if code < 300:
            asked_s = self._registration.expires_s
            event = Accepted(
                attempt, self._messages.granted_s(response, own=self._own(request.server), asked_s=asked_s)
            )
        elif code in CHALLENGES and (given := challenge_in(response)) is not None:
            self._challenge = given
            event = Challenged(attempt, stale=is_stale(response))
        elif code == 423:
            event = TooBrief(attempt, min(number_in(response, "min-expires"), MAX_EXPIRES_S))
        else:
            event = Refused(attempt, code, float(number_in(response, "retry-after")))
        if code >= 300 and not (isinstance(event, Challenged) and self._registration.challenges == 0):
            self._failed(f"{shown(request.server)} answers REGISTER with {code}")
        self._on_event(event)

    def _own(self, server: Address) -> Address:
        return in_uri(self._server.local_host(server[0])), self._server.port


def shown(address: Address) -> str:
    """HOST:PORT."""
    return f"{address[0]}:{address[1]}"
