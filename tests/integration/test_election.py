"""Who leads: the same rules in Valkey and in memory."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from hotline.clock import ManualClock
from hotline.election import Election, Leadership, MemoryElection, ValkeyElection
from hotline.errors import UnavailableError

LEASE_S = 0.5
Pass = Callable[[float], None]


@pytest.fixture(params=["valkey", "memory"])
def election(request: pytest.FixtureRequest) -> Iterator[tuple[Election, Pass]]:
    """An election, and how time passes in it."""
    if request.param == "memory":
        clock = ManualClock()
        yield MemoryElection(clock, lease_s=LEASE_S), clock.advance
    else:
        with closing(ValkeyElection(request.getfixturevalue("valkey"), "test", lease_s=LEASE_S)) as real:
            yield real, time.sleep


def test_the_first_who_asks_leads_and_keeps_its_lease_by_asking(election: tuple[Election, Pass]) -> None:
    who, let_pass = election
    assert who.ask("a") == Leadership("a", 1)
    for _ in range(4):
        let_pass(LEASE_S / 2)
        assert who.ask("a") == who.ask("b") == Leadership("a", 1)


def test_a_lease_that_is_not_renewed_ends_and_another_term_begins(election: tuple[Election, Pass]) -> None:
    who, let_pass = election
    who.ask("a")
    let_pass(LEASE_S / 2)
    assert who.ask("b").holder == "a"  # asking renews nothing for others
    let_pass(LEASE_S / 2 + 0.05)
    assert who.ask("b") == Leadership("b", 2)
    assert who.ask("a") == Leadership("b", 2)


def test_a_lease_given_back_is_free_at_once(election: tuple[Election, Pass]) -> None:
    who, _ = election
    who.ask("a")
    who.resign("b")  # not its own
    assert who.ask("b") == Leadership("a", 1)
    who.resign("a")
    assert who.ask("b") == Leadership("b", 2)


def test_without_a_broker_nobody_is_named() -> None:
    with closing(ValkeyElection("redis://127.0.0.1:1", "test", lease_s=1.0)) as nowhere:
        for question in (nowhere.ask, nowhere.resign):
            with pytest.raises(UnavailableError):
                question("a")
