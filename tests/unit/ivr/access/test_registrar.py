"""The registrar: RFC 3261 section 10.3 step by step."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.errors import InvalidInputError
from ivr.access.registrar import (
    Binding,
    Contact,
    IntervalTooBrief,
    OutOfOrder,
    Registered,
    Registrar,
    Registration,
    TooMany,
)

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
DESK, SOFT = "sip:8001@192.168.1.20:5060", "sip:8001@192.168.1.30:5062"


def request(*contacts: str, **changes: Any) -> Registration:
    given: dict[str, Any] = {"extension": "8001", "call_id": "a", "cseq": 1, "source": ("203.0.113.9", 40000)}
    return Registration(contacts=tuple(map(Contact, contacts)), **given | changes)


def reachable(registrar: Registrar, now: datetime = NOW) -> list[str]:
    return [binding.contact for binding in registrar.bindings("8001", now=now)]


def test_a_phone_is_reachable_where_it_says_and_the_way_back_is_where_it_spoke_from() -> None:
    registrar = Registrar()
    outcome = registrar.register(request(DESK, expires_s=600, path=("<sip:edge;lr>",)), now=NOW)
    assert outcome == Registered(registrar.bindings("8001", now=NOW))
    (binding,) = registrar.bindings("8001", now=NOW)
    assert (binding.contact, binding.source, binding.path) == (DESK, ("203.0.113.9", 40000), ("<sip:edge;lr>",))
    assert binding.expires_s(NOW + timedelta(seconds=100)) == 500
    assert registrar.sources(now=NOW) == {("203.0.113.9", 40000)}


def test_an_extension_has_several_phones() -> None:
    registrar = Registrar()
    registrar.register(request(DESK), now=NOW)
    registrar.register(request(SOFT, call_id="b"), now=NOW)
    assert reachable(registrar) == [DESK, SOFT]


def test_a_contact_without_an_expiry_takes_the_headers_and_else_an_hour() -> None:
    registrar = Registrar(max_s=7200)
    registrar.register(request(DESK), now=NOW)
    registrar.register(request(SOFT, expires_s=120, call_id="b"), now=NOW)
    assert [binding.expires_s(NOW) for binding in registrar.bindings("8001", now=NOW)] == [3600, 120]


def test_a_contacts_own_expiry_wins_and_a_long_one_is_cut() -> None:
    registrar = Registrar(max_s=1800)
    registrar.register(
        Registration("8001", (Contact(DESK, 99999), Contact(SOFT, 90)), "a", 1, ("h", 1), expires_s=600), now=NOW
    )
    assert [binding.expires_s(NOW) for binding in registrar.bindings("8001", now=NOW)] == [1800, 90]


def test_a_registration_is_over_in_time() -> None:
    registrar = Registrar()
    registrar.register(request(DESK, expires_s=60), now=NOW)
    later = NOW + timedelta(seconds=60)
    assert reachable(registrar, later) == []
    registrar.expire(now=later)
    assert registrar.counters["expired"] == 1
    assert registrar.sources(now=NOW) == frozenset()


def test_too_brief_an_interval_changes_nothing() -> None:
    registrar = Registrar(min_s=60)
    assert registrar.register(request(DESK, expires_s=59), now=NOW) == IntervalTooBrief(60)
    assert reachable(registrar) == []


def test_zero_removes_one_phone_and_a_star_all() -> None:
    registrar = Registrar()
    registrar.register(request(DESK, SOFT), now=NOW)
    registrar.register(request(DESK, expires_s=0, cseq=2), now=NOW)
    assert reachable(registrar) == [SOFT]
    registrar.register(request(DESK, cseq=3), now=NOW)
    assert registrar.register(request(everything=True, expires_s=0, cseq=4), now=NOW) == Registered(())
    assert reachable(registrar) == []


@pytest.mark.parametrize("changes", [{"expires_s": 60}, {"expires_s": None}])
def test_a_star_without_expiry_zero_is_an_error(changes: dict[str, Any]) -> None:
    registrar = Registrar()
    registrar.register(request(DESK), now=NOW)
    with pytest.raises(InvalidInputError):
        registrar.register(request(everything=True, cseq=2, **changes), now=NOW)
    with pytest.raises(InvalidInputError):
        registrar.register(request(SOFT, everything=True, cseq=2, expires_s=0), now=NOW)
    assert reachable(registrar) == [DESK]


def test_an_older_request_does_not_undo_a_newer_one() -> None:
    registrar = Registrar()
    registrar.register(request(DESK, cseq=5), now=NOW)
    assert registrar.register(request(DESK, cseq=5, expires_s=0), now=NOW) == OutOfOrder()
    assert registrar.register(request(cseq=4, everything=True, expires_s=0), now=NOW) == OutOfOrder()
    assert registrar.register(request(SOFT, DESK, cseq=4), now=NOW) == OutOfOrder()
    assert reachable(registrar) == [DESK]


def test_a_phone_that_started_anew_has_a_new_call_id_and_begins_at_one() -> None:
    registrar = Registrar()
    registrar.register(request(DESK, cseq=500), now=NOW)
    registrar.register(request(DESK, call_id="new", cseq=1, source=("203.0.113.9", 41000)), now=NOW)
    (binding,) = registrar.bindings("8001", now=NOW)
    assert (binding.call_id, binding.source[1]) == ("new", 41000)


def test_a_question_without_contact_only_tells() -> None:
    registrar = Registrar()
    registrar.register(request(DESK), now=NOW)
    outcome = registrar.register(request(call_id="q"), now=NOW)
    assert isinstance(outcome, Registered)
    assert [binding.contact for binding in outcome.bindings] == [DESK]


def test_one_phone_too_many_takes_the_place_of_the_one_unheard_of_for_longest() -> None:
    registrar = Registrar(max_contacts=2)
    registrar.register(request(DESK), now=NOW)
    registrar.register(request(SOFT, call_id="b"), now=NOW)
    registrar.register(request(DESK, cseq=2), now=NOW)
    registrar.register(request("sip:third@h", call_id="c"), now=NOW)
    assert reachable(registrar) == [DESK, "sip:third@h"]
    assert registrar.counters["evicted"] == 1


def test_a_request_with_more_phones_than_may_be_is_refused() -> None:
    registrar = Registrar(max_contacts=1)
    assert registrar.register(request(DESK, SOFT), now=NOW) == TooMany()
    assert reachable(registrar) == []


def test_it_is_told_when_the_first_phone_comes_and_when_the_last_is_gone() -> None:
    changes: list[tuple[str, bool]] = []
    registrar = Registrar(on_change=lambda extension, reachable: changes.append((extension, reachable)))
    registrar.register(request(DESK, expires_s=60), now=NOW)
    registrar.register(request(SOFT, call_id="b", expires_s=120), now=NOW)
    registrar.register(request(DESK, cseq=2, expires_s=0), now=NOW)
    assert changes == [("8001", True)]
    registrar.expire(now=NOW + timedelta(seconds=119))
    assert changes == [("8001", True)]
    registrar.expire(now=NOW + timedelta(seconds=120))
    assert changes == [("8001", True), ("8001", False)]
    registrar.register(request(DESK, cseq=3), now=NOW)
    registrar.forget("8001", now=NOW)
    assert changes[2:] == [("8001", True), ("8001", False)]
    registrar.register(request(DESK, cseq=4), now=NOW)
    registrar.register(request(everything=True, cseq=5, expires_s=0), now=NOW)
    assert changes[4:] == [("8001", True), ("8001", False)]


def test_a_removed_extension_rings_no_more() -> None:
    registrar = Registrar()
    registrar.register(request(DESK), now=NOW)
    registrar.forget("8001", now=NOW)
    assert reachable(registrar) == []


contacts = st.sampled_from([DESK, SOFT, "sip:c@h", "sip:d@h"])
requests = st.builds(
    lambda uris, call_id, cseq, expires_s: request(*uris, call_id=call_id, cseq=cseq, expires_s=expires_s),
    st.lists(contacts, max_size=3),
    st.sampled_from("ab"),
    st.integers(1, 9),
    st.sampled_from([None, 0, 30, 60, 600, 10**6]),
)


@given(st.lists(st.tuples(requests, st.integers(0, 300)), max_size=30))
def test_whatever_comes_bindings_are_few_unique_and_within_their_bounds(steps: list[tuple[Registration, int]]) -> None:
    registrar, now = Registrar(max_contacts=3), NOW
    for each, wait in steps:
        now += timedelta(seconds=wait)
        before = registrar.bindings("8001", now=now)
        outcome = registrar.register(each, now=now)
        after = registrar.bindings("8001", now=now)
        if not isinstance(outcome, Registered):
            assert after == before, "all or nothing"
        assert len({binding.contact for binding in after}) == len(after) <= 3
        assert all(0 < binding.expires_s(now) <= 3600 for binding in after)
        assert all(isinstance(binding, Binding) for binding in after)
