"""Limits and bans: what a peer may ask, who is not heard, and that memory stays bounded."""

import re
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.access.limits import SCANNERS, BanList, PeerLimits, is_scanner, most_specific

TRUNK, STRANGER = "203.0.113.1", "198.51.100.7"


def test_a_burst_is_taken_then_the_rate_holds() -> None:
    limits = PeerLimits(calls_per_s=5, calls=100)
    assert [limits.admit(TRUNK, in_progress=0, now=0.0) for _ in range(7)] == [None] * 5 + [1, 1]
    assert [limits.admit(TRUNK, in_progress=0, now=0.4) for _ in range(3)] == [None, None, 1]
    assert limits.admit(STRANGER, in_progress=0, now=0.4) is None, "each peer has its own"


def test_calls_at_once_are_limited_and_cost_no_token() -> None:
    limits = PeerLimits(calls_per_s=1, calls=2)
    assert limits.admit(TRUNK, in_progress=2, now=0.0) == 5
    assert limits.admit(TRUNK, in_progress=1, now=0.0) is None


def test_a_slow_rate_says_when_to_come_again() -> None:
    limits = PeerLimits(calls_per_s=0.1, calls=10)
    assert limits.admit(TRUNK, in_progress=0, now=0.0) is None
    assert limits.admit(TRUNK, in_progress=0, now=1.0) == 9
    assert limits.admit(TRUNK, in_progress=0, now=10.5) is None


@given(st.lists(st.floats(0, 100), min_size=1, max_size=200))
def test_no_second_admits_more_than_a_burst_and_its_rate(times: list[float]) -> None:
    limits = PeerLimits(calls_per_s=10, calls=1000)
    admitted = [now for now in sorted(times) if limits.admit(TRUNK, in_progress=0, now=now) is None]
    for start in admitted:
        assert sum(start <= now < start + 1 for now in admitted) <= 20


def test_a_clock_that_stands_still_or_steps_back_gives_no_tokens() -> None:
    limits = PeerLimits(calls_per_s=1, calls=9)
    assert limits.admit(TRUNK, in_progress=0, now=10.0) is None
    assert limits.admit(TRUNK, in_progress=0, now=1.0) is not None


def test_peers_remembered_are_bounded() -> None:
    limits = PeerLimits(calls_per_s=1, calls=9, max_peers=10)
    for number in range(1000):
        limits.admit(f"10.0.0.{number}", in_progress=0, now=0.0)
    assert len(limits._buckets) == 10


def bans(**changes: int) -> BanList:
    given = {"offences": 3, "window_s": 60, "ban_s": 600} | changes
    return BanList(**given, exempt=lambda host: host == TRUNK)


def test_a_stranger_refused_again_and_again_is_banned_and_later_heard_again() -> None:
    list_ = bans()
    assert [list_.offence(STRANGER, now) for now in (0.0, 1.0, 2.0)] == [False, False, True]
    assert list_.banned(STRANGER, 601.9)
    assert not list_.banned(STRANGER, 602.0)
    assert list_.counters == {"offences": 3, "bans": 1, "ignored_banned": 1}


def test_a_person_who_mistypes_now_and_then_is_not_banned() -> None:
    list_ = bans()
    assert not any(list_.offence(STRANGER, now) for now in (0.0, 30.0, 61.0, 90.0, 125.0))


def test_a_scanner_is_banned_by_its_name() -> None:
    list_ = bans()
    assert list_.scanner(STRANGER, 0.0)
    assert list_.banned(STRANGER, 1.0)
    assert list_.hosts(100.0) == {STRANGER: 500.0}


def test_a_flood_with_the_trunks_address_never_bans_the_trunk() -> None:
    list_ = bans()
    assert not any(list_.offence(TRUNK, 0.0) or list_.scanner(TRUNK, 0.0) for _ in range(1000))
    assert not list_.banned(TRUNK, 0.0)


def test_a_ban_can_be_lifted() -> None:
    list_ = bans(offences=1)
    list_.offence(STRANGER, 0.0)
    list_.lift(STRANGER)
    assert not list_.banned(STRANGER, 0.0)


def test_a_flood_of_forged_addresses_does_not_fill_the_memory() -> None:
    list_ = bans(max_hosts=50)
    for number in range(2000):
        list_.offence(f"a{number}", 0.0)
        list_.scanner(f"b{number}", 0.0)
    assert (len(list_._suspects), len(list_.hosts(1.0))) == (50, 50)


@pytest.mark.parametrize(
    "name", ["friendly-scanner", "SIPVicious 0.3.4", "sipcli/v1.8", "VaxSIPUserAgent/3.1", "pplsip"]
)
def test_scanners_are_known_by_name(name: str) -> None:
    assert is_scanner(name)


@pytest.mark.parametrize("name", ["", "Yealink SIP-T46S 66.86.0.15", "baresip v1.1.0", "Asterisk PBX 20.2", "小米"])
def test_phones_are_no_scanners(name: str) -> None:
    assert not is_scanner(name)


def test_the_longest_prefix_decides() -> None:
    networks = (ip_network("10.0.0.0/8"), ip_network("10.1.0.0/16"), ip_network("fd00::/8"))
    assert [most_specific(host, networks) for host in ("10.1.2.3", "10.2.0.1", "[fd00::1]", "192.0.2.1", "host")] == [
        16,
        8,
        8,
        -1,
        -1,
    ]


def test_the_edge_knows_the_same_scanners() -> None:
    configuration = Path(__file__).parents[4] / "deploy/kamailio/kamailio.cfg"
    known = re.search(r'\$ua =~ "([^"]+)"', configuration.read_text("utf-8"))
    assert known is not None
    assert known[1].split("|") == SCANNERS.pattern.split("|")
