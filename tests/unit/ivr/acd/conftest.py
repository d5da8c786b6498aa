"""What the tests of shared distributors share."""

import pytest
from cluster_rig import Cluster

from ivr.acd.node import OPENING_S


@pytest.fixture
def cluster() -> Cluster:
    started = Cluster("a", "b", "c")
    started.run(OPENING_S + 2)
    return started
