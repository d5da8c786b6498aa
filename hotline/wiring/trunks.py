"""The site's carriers and where its calls can go, as the settings say."""

from hotline.bus import BackgroundPublisher
from hotline.clock import Clock
from hotline.settings import Settings
from hotline.settings_sections import TrunkSettings, as_networks
from ivr.access.limits import PeerLimits
from ivr.sip import SipServer
from ivr.sip.admission import CarrierAccess
from ivr.sip.registration import TrunkClient
from ivr.trunks.carriers import Carrier, NumberForm, Numbering, patterns
from ivr.trunks.directory import SiteDirectory
from ivr.trunks.lookup import LookupThread, Resolver

UNLIMITED = 1_000_000
EXPIRE_EVERY_S = 5.0
TELL_EVERY_S = 2.0
TOLD_TTL_S = 10


def numbering(settings: Settings) -> Numbering:
    """Where we are."""
    return Numbering(settings.dial_plan.region, settings.dial_plan.area_code)


def carriers(settings: Settings) -> tuple[Carrier, ...]:
    """Raises `ConfigurationError` for a pattern that cannot be read."""
    return tuple(map(_carrier, settings.trunks))


def carrier_accesses(settings: Settings) -> tuple[CarrierAccess, ...]:
    """How the carriers' calls come in."""
    return tuple(
        CarrierAccess(
            trunk.name,
            as_networks(trunk.networks),
            PeerLimits(calls_per_s=trunk.calls_per_s or UNLIMITED, calls=trunk.calls or UNLIMITED)
            if trunk.calls or trunk.calls_per_s
            else None,
        )
        for trunk in settings.trunks
    )


class Trunks:
    """The carriers at work, the directory of where calls can go, and the state `trunks` of this node on the bus."""

    def __init__(self, settings: Settings, server: SipServer, clock: Clock, publisher: BackgroundPublisher) -> None:
        own = carriers(settings)
        self._node = settings.node
        self._publisher = publisher
        resolver = Resolver(nameservers=settings.sip.dns_servers, ipv6=":" in settings.sip.address)
        self._lookup = LookupThread(resolver)
        self._server = server
        self.client = TrunkClient(server, own, lookup=self._lookup, clock=clock)
        self.directory = SiteDirectory(
            registrar=server.admission.registrar,
            now=clock.now,
            carriers=own,
            servers=self.client.servers,
            numbering=numbering(settings),
        )

    def start(self) -> None:
        """Begins to register, and to forget phones whose registration is over."""
        self._lookup.start()
        self._server.post(self.client.start)
        self._server.post(self._expire)
        self._server.post(self._tell)

    def leave(self) -> None:
        """Signs out at the carriers; `left` tells when they know."""
        self._server.post(self.client.stop)

    @property
    def left(self) -> bool:
        return self.client.stopped

    def close(self) -> None:
        """Looks nothing up any more."""
        self._lookup.stop()

    def _expire(self) -> None:
        self._server.call_later(EXPIRE_EVERY_S, self._expire)
        self._server.admission.expire()

    def _tell(self) -> None:
        self._server.call_later(TELL_EVERY_S, self._tell)
        told = [status.to_data() for status in self.client.status]
        self._publisher.put_state("trunks", self._node, {"trunks": told}, ttl_s=TOLD_TTL_S)


def _carrier(trunk: TrunkSettings) -> Carrier:
    return Carrier(
        name=trunk.name,
        domain=trunk.domain,
        servers=trunk.servers,
        username=trunk.username,
        password=trunk.password.get_secret_value(),
        registers=trunk.registers and bool(trunk.username),
        contact=trunk.contact,
        expires_s=trunk.expires_s,
        backoff_s=trunk.backoff_s,
        backoff_max_s=trunk.backoff_max_s,
        options_s=trunk.options_s,
        max_missed=trunk.max_missed,
        patience_s=trunk.patience_s,
        carries=patterns(trunk.patterns),
        number_form=NumberForm(trunk.number_form),
        strip=trunk.strip,
        prefix=trunk.prefix,
        caller_id=trunk.caller_id,
        asserted_identity=trunk.asserted_identity,
        transfers=trunk.transfer == "refer",
    )
