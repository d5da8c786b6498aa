"""The call distributor of a media process: its own, or one that it shares with the others of the site."""

from collections.abc import Callable, Mapping

from hotline.bus import Bus
from hotline.clock import Clock
from hotline.election import ValkeyElection
from hotline.settings import Settings
from ivr.acd.distributor import Distributor
from ivr.acd.events import QueueCommand
from ivr.acd.local import Acd, AcdLoop, LocalAcd
from ivr.acd.rule import QueueRule
from ivr.acd.shared import ELECTION, LEASE_S, SharedAcd


def build_acd(
    settings: Settings,
    queues: Mapping[str, QueueRule],
    handle: Callable[[QueueCommand], None],
    *,
    bus: Bus,
    loop: AcdLoop,
    clock: Clock,
) -> Acd:
    """Shared where phones are shared: a seat that all processes can ring is one that all their callers wait for."""
    rules = tuple(queues.values())
    if not settings.extensions.shared:
        return LocalAcd(Distributor(rules), loop=loop, clock=clock, handle=handle)
    election = ValkeyElection(settings.effective_valkey_url(), ELECTION, lease_s=LEASE_S)
    return SharedAcd(settings.node, rules, bus=bus, election=election, loop=loop, clock=clock, handle=handle)
