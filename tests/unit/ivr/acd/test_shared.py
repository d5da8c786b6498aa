"""The shared distributor without a broker: what an integration test is not needed for."""

from unittest.mock import Mock

from hotline.bus import MemoryBus
from hotline.clock import ManualClock
from hotline.election import MemoryElection
from ivr.acd.node import LEASE_S
from ivr.acd.rule import QueueRule
from ivr.acd.shared import SharedAcd


def test_one_that_never_started_can_be_closed() -> None:
    clock = ManualClock()
    acd = SharedAcd(
        "n1",
        [QueueRule("operator")],
        bus=MemoryBus(),
        election=MemoryElection(clock, lease_s=LEASE_S),
        loop=Mock(),
        clock=clock,
        handle=Mock(),
    )
    acd.close()
