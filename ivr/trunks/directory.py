"""Where a call can go: the phones of an extension, the carriers that take a number outside. Pure but for the clock."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from ivr.access.limits import numeric_address
from ivr.access.numbers import TelephoneNumber
from ivr.access.registrar import Binding, Registrar
from ivr.sip.transfer import SIP_URI
from ivr.sip.types import SipTarget
from ivr.trunks.carriers import Carrier, Numbering

Address = tuple[str, int]
DEFAULT_PORT = 5060
_DIALLABLE = re.compile(r"\+?[0-9*#]{1,31}")


class Directory(Protocol):
    """Whom to ring for an extension or a number."""

    def extension(self, name: str) -> tuple[SipTarget, ...]:
        """All phones of it, to be rung at once; none where no phone is registered."""
        ...

    def outside(self, number: str) -> tuple[SipTarget, ...]:
        """Carriers in order of preference, the next one where one fails; none where no trunk carries the number."""
        ...

    def caller_id(self, number: str) -> str:
        """What a call to `number` shows, empty where the carrier takes any."""
        ...

    def referral(self, trunk: str, number: str) -> str:
        """The URI for a REFER that has `trunk` put its caller through to `number`; empty where it is not to do that."""
        ...


class SiteDirectory:
    """The registrar's bindings and the site's carriers.

    `servers` tells the numeric addresses of a carrier that answer now, the preferred one first. Only on the SIP thread.
    """

    def __init__(
        self,
        *,
        registrar: Registrar,
        now: Callable[[], datetime],
        carriers: Sequence[Carrier] = (),
        servers: Callable[[str], Sequence[Address]] = lambda _trunk: (),
        numbering: Numbering | None = None,
    ) -> None:
        self._registrar = registrar
        self._now = now
        self._carriers = tuple(carriers)
        self._servers = servers
        self._numbering = numbering or Numbering()

    def extension(self, name: str) -> tuple[SipTarget, ...]:
        targets = (phone(binding) for binding in self._registrar.bindings(name, now=self._now()))
        return tuple(target for target in targets if target is not None)

    def outside(self, number: str) -> tuple[SipTarget, ...]:
        if not _DIALLABLE.fullmatch(number):
            return ()
        called = self._numbering.parse(number)
        return tuple(
            SipTarget(
                _uri(carrier, called),
                hop=address,
                username=carrier.username,
                password=carrier.password,
                trunk=carrier.name,
                domain=carrier.domain if carrier.username else "",
                caller_id=carrier.shown,
                asserted=carrier.asserted_identity,
                patience_s=carrier.patience_s,
            )
            for carrier in self._carriers
            if carrier.carries_number(called)
            for address in self._servers(carrier.name)
        )

    def caller_id(self, number: str) -> str:
        called = self._numbering.parse(number)
        return next((carrier.shown for carrier in self._carriers if carrier.carries_number(called)), "")

    def referral(self, trunk: str, number: str) -> str:
        called = self._numbering.parse(number)
        carriers = (each for each in self._carriers if each.name == trunk and each.transfers)
        return next((_uri(each, called) for each in carriers if each.carries_number(called)), "")


def _uri(carrier: Carrier, called: TelephoneNumber) -> str:
    return f"sip:{carrier.dialled(called)}@{carrier.domain}"


def phone(binding: Binding) -> SipTarget | None:
    """How a registered phone is reached: by its Path (RFC 3327), the way it spoke to us where it stands behind a NAT
    (its Contact is another address than it spoke from), else where its Contact says. None: a Path of names."""
    contact = SIP_URI.fullmatch(binding.contact)
    if contact is None:
        return None
    if binding.path:
        hop = _route_address(binding.path[0])
        return None if hop is None else SipTarget(binding.contact, hop=hop, routes=binding.path)
    said, spoke_from = numeric_address(contact["host"]), numeric_address(binding.source[0])
    port = int(contact["port"] or DEFAULT_PORT)
    behind_nat = said is None or said != spoke_from or not 0 < port < 65536
    return SipTarget(binding.contact, hop=binding.source if behind_nat else (binding.source[0], port))


def _route_address(route: str) -> Address | None:
    """The numeric address of the first hop of a Path value."""
    found = re.search(r"<([^<>]*)>", route)
    uri = SIP_URI.fullmatch(found[1] if found else route.strip())
    if uri is None or numeric_address(uri["host"]) is None:
        return None
    port = int(uri["port"] or DEFAULT_PORT)
    return (uri["host"], port) if 0 < port < 65536 else None
