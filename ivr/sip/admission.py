"""Who comes in: trunks by their address, phones by their secret, nobody else. sippy's messages meet the rules here.

Strangers learn nothing: whatever they ask for, a question for the password (401) is all that they get, the same for an
extension that exists and one that does not; scanners and the banned get no answer at all.
"""

import logging
import re
import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hotline.clock import Clock, SystemClock
from hotline.errors import ConfigurationError, InvalidInputError, UnavailableError
from ivr.access.dialplan import DialPlan, Extension, Origin, Refusal, Route, Trunk
from ivr.access.digest import Algorithm, Credentials, DigestAuthenticator, Verdict
from ivr.access.extensions import ExtensionFile
from ivr.access.limits import BanList, Network, PeerLimits, is_scanner, most_specific, numeric_address
from ivr.access.registrar import (
    Contact,
    IntervalTooBrief,
    OutOfOrder,
    Registered,
    Registrar,
    Registration,
    TooMany,
)
from ivr.sip.headers import header, printable, respond, tokens, values
from ivr.trunks.carriers import Numbering

log = logging.getLogger(__name__)

SILENCE = None
"""What sippy's callback returns so that a request gets no answer."""
UNANSWERED = 0.1  # a question for the password is what every phone meets first: many without an answer are a scan
_USER_AGENT = re.compile(rb"^user-agent[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Admitted:
    """An INVITE that may come in: who placed it, and where the plan lets it go."""

    origin: Origin
    route: Route

    @property
    def extension(self) -> str | None:
        return self.origin.name if isinstance(self.origin, Extension) else None

    @property
    def trunk(self) -> str | None:
        return (self.origin.name or None) if isinstance(self.origin, Trunk) else None


@dataclass(frozen=True)
class CarrierAccess:
    """How a trunk's calls come in: from which further networks, and how many."""

    name: str
    networks: tuple[Network, ...] = ()
    limits: PeerLimits | None = None


class Admission:
    """Only on the SIP thread. `trunks`: networks that call without a secret; `phones`: networks whose phones sign in.

    The longest prefix decides; where both are as long, a secret is asked for.
    """

    def __init__(
        self,
        *,
        trunks: tuple[Network, ...],
        phones: tuple[Network, ...] = (),
        ban_exempt: tuple[Network, ...] = (),
        extensions: ExtensionFile | None = None,
        realm: str = "hotline",
        algorithms: tuple[Algorithm, ...] = tuple(Algorithm),
        registrar: Registrar | None = None,
        plan: DialPlan | None = None,
        limits: PeerLimits | None = None,
        carriers: Sequence[CarrierAccess] = (),
        numbering: Numbering | None = None,
        offences: int = 10,
        offence_window_s: float = 60.0,
        ban_s: float = 600.0,
        clock: Clock | None = None,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._named = tuple((network, carrier.name) for carrier in carriers for network in carrier.networks)
        self._trunk_limits = {carrier.name: carrier.limits for carrier in carriers if carrier.limits is not None}
        self._trunks = (*trunks, *(network for network, _ in self._named))
        self._phones = phones if extensions is not None else ()
        self._ban_exempt = ban_exempt
        self._extensions = extensions
        self._digest = DigestAuthenticator(realm=realm, secret=secrets.token_bytes(32), algorithms=algorithms)
        self.registrar = registrar or Registrar()
        self._plan = plan or DialPlan()
        self._limits = limits or PeerLimits(calls_per_s=100.0, calls=10_000)
        self._numbering = numbering or Numbering()
        self.bans = BanList(offences=offences, window_s=offence_window_s, ban_s=ban_s, exempt=self._is_exempt)
        self._now = (clock or SystemClock()).now
        self._elapsed = elapsed
        self._carriers: dict[str, str] = {}
        self._broken = False  # the file of extensions, as far as was told
        self.counters: Counter[str] = Counter()

    # --- who is who ---

    def is_trunk(self, host: str) -> bool:
        """Whether `host` is a numeric address that calls without a secret."""
        if host in self._carriers:
            return True
        longest = most_specific(host, self._trunks)
        return longest >= 0 and longest > most_specific(host, self._phones)

    def is_phone(self, host: str) -> bool:
        """Whether `host` may sign in."""
        return not self.is_trunk(host) and most_specific(host, self._phones) >= 0

    def set_carriers(self, carriers: dict[str, str]) -> None:
        """The addresses of the carriers' servers, each with the trunk's name."""
        self._carriers = carriers

    def trunk_name(self, host: str) -> str:
        """Which trunk `host` belongs to, empty where it is allowed by its address alone."""
        if host in self._carriers:
            return self._carriers[host]
        address = numeric_address(host)
        holding = [
            (network.prefixlen, name) for network, name in self._named if address is not None and address in network
        ]
        return max(holding, default=(0, ""))[1]

    def ignores(self, host: str, data: bytes) -> bool:
        """Whether a message of a stranger is not even read: a banned one, a scanner."""
        if not self.is_phone(host):
            return False
        if self.bans.banned(host, self._elapsed()):
            return True
        found = _USER_AGENT.search(data)
        if found is None or not is_scanner(found[1].decode("ascii", "replace")):
            return False
        if self.bans.scanner(host, self._elapsed()):
            log.warning("%s is a scanner: banned", host)
        return True

    def offended(self, host: str, *, weight: float = 1.0) -> None:
        """A request of `host` was refused. Trunks cannot offend."""
        if self.is_phone(host) and self.bans.offence(host, self._elapsed(), weight=weight):
            log.warning("%s was refused again and again: banned", host)

    def _is_exempt(self, host: str) -> bool:
        return most_specific(host, self._ban_exempt) >= 0

    # --- requests ---

    def answers_options(self, host: str) -> bool:
        """A stranger who only asks whether we are there is told nothing; a registered phone is."""
        if not self.is_phone(host) or any(source[0] == host for source in self.registrar.sources(now=self._now())):
            return True
        self.counters["refused_options"] += 1
        self.offended(host)
        return False

    def admit(
        self, request: Any, *, in_progress: Callable[[str], int], in_trunk: Callable[[str], int] = lambda _name: 0
    ) -> Any:
        """`Admitted`, or what sippy's callback returns to refuse the INVITE. `in_progress`: calls of an address now,
        `in_trunk`: of a trunk."""
        host = request.getSource()[0]
        if self.is_trunk(host):
            origin: Origin = Trunk(self.trunk_name(host))
        elif self.is_phone(host):
            name = self._signed_in(request, user=request.getHFBody("from").getUrl().username)
            if not isinstance(name, str):
                return name
            if not self.registrar.bindings(name, now=self._now()):
                return self._forbidden(request, "not_registered")
            origin = Extension(name)
        else:
            self.counters["refused_peer"] += 1
            return SILENCE
        route = self._plan.decide(origin, request.getRURI().username or "")
        if isinstance(route, Refusal):
            return self._forbidden(request, route.reason)
        retry_after_s = self._limits.admit(host, in_progress=in_progress(host), now=self._elapsed())
        if retry_after_s is None and isinstance(origin, Trunk) and origin.name in self._trunk_limits:
            limits = self._trunk_limits[origin.name]
            retry_after_s = limits.admit(origin.name, in_progress=in_trunk(origin.name), now=self._elapsed())
        if retry_after_s is not None:
            self.counters["refused_limit"] += 1
            return respond(request, 503, Retry_After=str(retry_after_s))
        return Admitted(origin, route)

    def admit_outgoing(self, trunk: str, *, in_progress: int) -> None:
        """One more call of ours by a trunk with so many; raises `UnavailableError` where it may have no more."""
        limits = self._trunk_limits.get(trunk)
        if limits is not None and limits.admit(trunk, in_progress=in_progress, now=self._elapsed()) is not None:
            self.counters["outgoing_limit"] += 1
            raise UnavailableError(f"trunk {trunk} has as many calls as it may have")

    def canonical(self, number: str) -> str:
        """A caller's number in its one form; what is no number stays as it is."""
        return self._numbering.canonical(number)

    def register(self, request: Any) -> Any:
        """What sippy's callback returns for a REGISTER."""
        if not self.is_phone(request.getSource()[0]):
            return self._forbidden(request, "register")
        name = self._signed_in(request, user=request.getHFBody("to").getUrl().username)
        if not isinstance(name, str):
            return name
        try:
            outcome = self.registrar.register(_registration(request, name), now=self._now())
        except InvalidInputError as error:
            return respond(request, 400, error.message)
        match outcome:
            case Registered(bindings):
                answer = respond(request, 200)
                for binding in bindings:
                    expires = binding.expires_s(self._now())
                    answer[0].appendHeader(header("Contact", f"<{binding.contact}>;expires={expires}"))
                if "path" in tokens(request, "supported"):
                    answer[0].appendHeaders([header("Path", path) for path in values(request, "path")])
                return answer
            case IntervalTooBrief(min_s):
                return respond(request, 423, "Interval Too Brief", Min_Expires=str(min_s))
            case OutOfOrder():
                return respond(request, 500)
            case TooMany():
                return self._forbidden(request, "contacts")

    def expire(self) -> None:
        """Drops registrations that are over; from time to time."""
        self.registrar.expire(now=self._now())

    def _signed_in(self, request: Any, *, user: str | None) -> Any:
        """The extension whose secret the request proves and whose address `user` is, or the refusal."""
        host = request.getSource()[0]
        given = values(request, "authorization")
        if not given:
            self.offended(host, weight=UNANSWERED)
            return self._challenge(request)
        now = self._now()
        try:
            credentials = Credentials.parse(given[0])
            record = self._known().get(credentials.username)
            verdict = self._digest.verify(
                credentials, method=request.getMethod(), secrets=None if record is None else record.secrets, now=now
            )
        except InvalidInputError:
            verdict = Verdict.REFUSED
        if verdict is Verdict.STALE:
            self.counters["stale_nonce"] += 1
            return self._challenge(request, stale=True)
        if verdict is Verdict.REFUSED:
            self.counters["refused_secret"] += 1
            self.offended(host)
            return self._challenge(request)
        if credentials.username != user:
            return self._forbidden(request, "other_extension")
        self.bans.lift(host)
        return credentials.username

    def _known(self) -> ExtensionFile:
        if self._extensions is None:  # then there are no phones
            raise InvalidInputError("there are no extensions")
        try:
            for name in self._extensions.refresh():
                self.registrar.forget(name, now=self._now())
            self._broken = False
        except ConfigurationError as error:
            if not self._broken:
                log.error("extensions are as they were: %s", error)
            self._broken = True
        return self._extensions

    def _challenge(self, request: Any, *, stale: bool = False) -> Any:
        answer = respond(request, 401)
        challenges = self._digest.challenges(self._now(), stale=stale)
        answer[0].appendHeaders([header("WWW-Authenticate", challenge) for challenge in challenges])
        return answer

    def _forbidden(self, request: Any, reason: str) -> Any:
        self.counters[f"refused_{reason}"] += 1
        log.info("%s from %s refused: %s", request.getMethod(), request.getSource()[0], reason)
        return respond(request, 403)


def _registration(request: Any, extension: str) -> Registration:
    """A REGISTER for the registrar; raises `InvalidInputError`."""
    contacts, everything = [], False
    for item in request.getHFBodys("contact"):
        if item.asterisk:
            everything = True
            continue
        uri = item.getUri()
        contacts.append(Contact(str(uri.url), _seconds(uri.params.get("expires"))))
    return Registration(
        extension=extension,
        contacts=tuple(contacts),
        call_id=str(request.getHFBody("call-id"))[:255],
        cseq=request.getHFBody("cseq").getCSeqNum(),
        source=(str(request.getSource()[0]), int(request.getSource()[1])),
        everything=everything,
        expires_s=_seconds(next(iter(values(request, "expires")), None)),
        path=tuple(values(request, "path")),
        user_agent=printable(next(iter(values(request, "user-agent")), "")),
    )


def _seconds(text: str | None) -> int | None:
    """RFC 3261 section 10.2.1.1: what is no number counts as not given. At most 2**32 - 1."""
    digits = (text or "").strip()
    return min(int(digits), 2**32 - 1) if digits.isascii() and digits.isdigit() and len(digits) <= 20 else None
