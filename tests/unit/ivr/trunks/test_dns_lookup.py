"""SRV order, and look-ups on a thread of their own (the DNS itself: tests/interop)."""

import threading
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.errors import UnavailableError
from ivr.trunks.lookup import Found, LookupThread, Resolver, Service, order, split_port

services = st.builds(Service, st.integers(0, 3), st.integers(0, 100), st.sampled_from("abcdef"), st.just(5060))


@given(st.lists(services, max_size=8), st.randoms(use_true_random=False))
def test_every_server_is_tried_once_and_lower_priorities_first(given_: list[Service], random: Any) -> None:
    ordered = order(given_, random.random)
    assert Counter(ordered) == Counter(given_)
    assert [each.priority for each in ordered] == sorted(each.priority for each in given_)


def test_weights_share_out_within_a_priority() -> None:
    heavy, light, never = Service(1, 90, "heavy", 1), Service(1, 10, "light", 1), Service(1, 0, "never", 1)
    first = Counter(order([light, never, heavy], lambda at=at: at / 1000)[0].host for at in range(1, 1000))  # type: ignore[misc]
    assert first["never"] == 0
    assert first["heavy"] == pytest.approx(900, abs=5)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("203.0.113.1", ("203.0.113.1", None)),
        ("203.0.113.1:5070", ("203.0.113.1", 5070)),
        ("pbx.example:5070", ("pbx.example", 5070)),
        ("[2001:db8::1]:5070", ("[2001:db8::1]", 5070)),
        ("[2001:db8::1]", ("[2001:db8::1]", None)),
        ("2001:db8::1", ("2001:db8::1", None)),
    ],
)
def test_a_port_is_told_from_an_address(text: str, parts: tuple[str, int | None]) -> None:
    assert split_port(text) == parts


def test_a_numeric_address_needs_no_dns_and_never_changes() -> None:
    resolver = Resolver(nameservers=["127.0.0.1:1"])
    assert resolver.find(domain="carrier", servers=["203.0.113.1", "203.0.113.2:5070", "203.0.113.1"]) == Found(
        (("203.0.113.1", 5060), ("203.0.113.2", 5070))
    )
    assert resolver.find(domain="203.0.113.9") == Found((("203.0.113.9", 5060),))


def test_an_ipv6_address_is_of_use_only_where_we_speak_it() -> None:
    assert Resolver(nameservers=["127.0.0.1:1"], ipv6=True).find(domain="[2001:db8::1]:5070").addresses == (
        ("[2001:db8::1]", 5070),
    )
    with pytest.raises(UnavailableError):
        Resolver(nameservers=["127.0.0.1:1"]).find(domain="[2001:db8::1]:5070")


class Broken(Resolver):
    def __init__(self) -> None:
        """Asks nobody."""

    def find(self, *, domain: str, servers: Any = ()) -> Found:
        if domain == "fault":
            raise RuntimeError("a fault")
        raise UnavailableError("nobody knows")


def test_what_cannot_be_looked_up_is_told_and_a_fault_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    thread, told, done = LookupThread(Broken()), [], threading.Event()

    def then(found: Found | UnavailableError) -> None:
        told.append(found)
        if len(told) == 2:
            done.set()

    thread.start()
    thread.find(domain="fault", servers=(), then=then)
    thread.find(domain="carrier", servers=(), then=then)
    assert done.wait(5)
    thread.stop()
    assert "fault" in str(told[0]), "whoever waits for it would never ask again"
    assert str(told[1]) == "nobody knows"
    assert "a look-up failed" in caplog.text
