"""Where a carrier's servers are: DNS SRV (RFC 3263, RFC 2782) on a thread of its own; the SIP thread never waits.

Only UDP is spoken, so NAPTR has nothing to tell (RFC 3263 section 4.1): `_sip._udp` is asked for at once.
"""

import logging
import queue
import random
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import dns.exception
import dns.nameserver
import dns.rdatatype
import dns.resolver

from hotline.errors import UnavailableError
from ivr.access.limits import numeric_address

log = logging.getLogger(__name__)

Address = tuple[str, int]
DEFAULT_PORT = 5060
MAX_SERVERS = 16
LIFETIME_S = 5.0


@dataclass(frozen=True)
class Service:
    """One SRV record."""

    priority: int
    weight: int
    host: str
    port: int


@dataclass(frozen=True)
class Found:
    """Numeric addresses in the order to be tried (IPv6 in brackets), good for `ttl_s`; None: for ever."""

    addresses: tuple[Address, ...]
    ttl_s: float | None = None


def order(services: Sequence[Service], chance: Callable[[], float] = random.random) -> tuple[Service, ...]:
    """By priority, and within one at random by weight (RFC 2782, "Usage rules"). `chance`: from 0 to 1."""
    ordered: list[Service] = []
    for priority in sorted({service.priority for service in services}):
        left = sorted((each for each in services if each.priority == priority), key=lambda each: each.weight)
        while left:
            point, running = chance() * sum(each.weight for each in left), 0
            for each in left:
                running += each.weight
                if running >= point:
                    break
            left.remove(each)
            ordered.append(each)
    return tuple(ordered)


def split_port(text: str) -> tuple[str, int | None]:
    """HOST or HOST:PORT, an IPv6 address in brackets; the port None where there is none."""
    host, colon, port = text.rpartition(":")
    if colon and port.isdigit() and (host.endswith("]") or ":" not in host):
        return host, int(port)
    return text, None


class Resolver:
    """Asks `nameservers` (HOST or HOST:PORT; none: the system's). `ipv6`: whether such addresses are of use."""

    def __init__(self, *, nameservers: Sequence[str] = (), ipv6: bool = False) -> None:
        self._resolver = dns.resolver.Resolver(configure=not nameservers)
        self._resolver.lifetime = LIFETIME_S
        if nameservers:
            self._resolver.nameservers = [
                dns.nameserver.Do53Nameserver(host.strip("[]"), port or 53)
                for host, port in map(split_port, nameservers)
            ]
        self._ipv6 = ipv6

    def find(self, *, domain: str, servers: Sequence[str] = ()) -> Found:
        """The addresses of `servers`, or of `domain` as RFC 3263 section 4.2 says. Raises `UnavailableError`."""
        addresses: list[Address] = []
        ttls: list[float] = []
        for text in servers or (domain,):
            host, port = split_port(text)
            with_srv = not servers and port is None and numeric_address(host) is None
            services, srv_ttl = self._services(host) if with_srv else ((), None)
            for target, target_port in [(each.host, each.port) for each in services] or [(host, port or DEFAULT_PORT)]:
                found, ttl = self._addresses(target)
                addresses += [(address, target_port) for address in found]
                ttls += [each for each in (srv_ttl, ttl) if each is not None]
        if not addresses:
            raise UnavailableError(f"no address of {' '.join(servers) or domain} is found")
        return Found(tuple(dict.fromkeys(addresses))[:MAX_SERVERS], min(ttls, default=None))

    def _services(self, domain: str) -> tuple[tuple[Service, ...], float | None]:
        answer = self._ask(f"_sip._udp.{domain}", dns.rdatatype.SRV)
        if answer is None:
            return (), None
        records = [
            Service(record.priority, record.weight, record.target.to_text(omit_final_dot=True), record.port)
            for record in answer
        ]
        if [record.host for record in records] == ["."]:  # "decidedly not available" (RFC 2782)
            raise UnavailableError(f"{domain} says that it speaks no SIP by UDP")
        return order(records), _ttl(answer)

    def _addresses(self, host: str) -> tuple[list[str], float | None]:
        if (numeric := numeric_address(host)) is not None:
            if numeric.version == 4:
                return [str(numeric)], None
            return [f"[{numeric}]"] if self._ipv6 else [], None
        found: list[str] = []
        ttls = []
        for kind in (dns.rdatatype.AAAA, dns.rdatatype.A) if self._ipv6 else (dns.rdatatype.A,):
            answer = self._ask(host, kind)
            if answer is not None:
                found += [f"[{each.address}]" if kind is dns.rdatatype.AAAA else each.address for each in answer]
                ttls.append(_ttl(answer))
        return found, min(ttls, default=None)

    def _ask(self, name: str, kind: dns.rdatatype.RdataType) -> dns.resolver.Answer | None:
        """None where there is no such record; raises `UnavailableError` where nobody knows."""
        try:
            return self._resolver.resolve(name, kind, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return None
        except (dns.exception.DNSException, OSError) as error:
            raise UnavailableError(f"DNS does not tell {kind.name} of {name}: {type(error).__name__}") from error


def _ttl(answer: dns.resolver.Answer) -> float:
    return float(answer.rrset.ttl) if answer.rrset is not None else 0.0


class LookupThread:
    """Answers questions one after the other; `then` is called on this thread."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._questions: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._run, name="lookup", daemon=True)

    def start(self) -> None:
        """Begins to answer."""
        self._thread.start()

    def find(self, *, domain: str, servers: Sequence[str], then: Callable[[Found | UnavailableError], None]) -> None:
        """Returns at once."""

        def ask() -> None:
            try:
                found: Found | UnavailableError = self._resolver.find(domain=domain, servers=servers)
            except UnavailableError as error:
                found = error
            except Exception as error:  # whoever asked waits for an answer, and asks again
                log.exception("a look-up failed")
                found = UnavailableError(f"the look-up of {domain} failed: {type(error).__name__}")
            then(found)

        self._questions.put(ask)

    def stop(self) -> None:
        """Asks nothing more; a question under way is not waited for."""
        with suppress(queue.Empty):
            while True:
                self._questions.get_nowait()
        self._questions.put(None)

    def _run(self) -> None:
        while (ask := self._questions.get()) is not None:
            try:
                ask()
            except Exception:
                log.exception("a look-up failed")
