"""Which trunk an address belongs to, and how many calls a trunk may have."""

from ipaddress import ip_network

import pytest

from hotline.errors import UnavailableError
from ivr.access.limits import PeerLimits
from ivr.sip.admission import Admission, CarrierAccess


def admission(elapsed: list[float]) -> Admission:
    return Admission(
        trunks=(ip_network("10.0.0.0/8"),),
        carriers=(
            CarrierAccess("city", (ip_network("203.0.113.0/24"),), PeerLimits(calls_per_s=1.0, calls=2)),
            CarrierAccess("spare", (ip_network("203.0.113.128/25"),)),
        ),
        elapsed=lambda: elapsed[0],
    )


def test_the_longest_network_names_the_trunk_and_a_server_by_address_before_it() -> None:
    known = admission([0.0])
    known.set_carriers({"203.0.113.7": "spare", "198.51.100.1": "spare"})
    names = {host: known.trunk_name(host) for host in ("203.0.113.1", "203.0.113.200", "203.0.113.7", "10.1.2.3")}
    assert names == {"203.0.113.1": "city", "203.0.113.200": "spare", "203.0.113.7": "spare", "10.1.2.3": ""}
    assert all(map(known.is_trunk, (*names, "198.51.100.1")))
    known.set_carriers({})
    assert not known.is_trunk("198.51.100.1")


def test_calls_of_ours_keep_to_the_limits_of_their_trunk() -> None:
    elapsed = [0.0]
    known = admission(elapsed)
    known.admit_outgoing("city", in_progress=0)
    with pytest.raises(UnavailableError, match="city"):
        known.admit_outgoing("city", in_progress=1)
    elapsed[0] = 1.0
    with pytest.raises(UnavailableError):
        known.admit_outgoing("city", in_progress=2)
    known.admit_outgoing("city", in_progress=1)
    for _ in range(10):
        known.admit_outgoing("spare", in_progress=1000)
    assert known.counters["outgoing_limit"] == 2


def test_a_callers_number_has_one_form_and_what_is_none_stays() -> None:
    known = admission([0.0])
    assert [known.canonical(each) for each in ("+8613800138000", "8001", "", "anonymous")] == [
        "13800138000",
        "8001",
        "",
        "anonymous",
    ]
