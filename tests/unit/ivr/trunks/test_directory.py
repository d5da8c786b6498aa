"""Where calls go: to every phone of an extension the way it can be reached, and to carriers in order."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ivr.access.registrar import Contact, Registrar, Registration
from ivr.sip import SipTarget
from ivr.trunks.carriers import Carrier, NumberForm, Numbering, patterns
from ivr.trunks.directory import SiteDirectory

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
SERVERS: dict[str, Sequence[tuple[str, int]]] = {
    "city": (("203.0.113.10", 5060), ("203.0.113.11", 5070)),
    "spare": (("198.51.100.1", 5060),),
}


def with_phone(contact: str, source: tuple[str, int], *path: str) -> SiteDirectory:
    registrar = Registrar()
    registrar.register(Registration("8001", (Contact(contact),), "a", 1, source, path=path), now=NOW)
    return SiteDirectory(registrar=registrar, now=lambda: NOW)


def carrier(name: str, *carried: str, **given: Any) -> Carrier:
    return Carrier(name, f"{name}.example", carries=patterns(carried), **given)


def site(*carriers: Carrier) -> SiteDirectory:
    return SiteDirectory(
        registrar=Registrar(),
        now=lambda: NOW,
        carriers=carriers,
        servers=lambda name: SERVERS.get(name, ()),
        numbering=Numbering(area_code="010"),
    )


@pytest.mark.parametrize(
    ("contact", "source", "hop"),
    [
        ("sip:8001@192.168.1.20:5062", ("192.168.1.20", 5062), ("192.168.1.20", 5062)),
        ("sip:8001@192.168.1.20", ("192.168.1.20", 40000), ("192.168.1.20", 5060)),
        ("sip:8001@192.168.1.20:5060", ("203.0.113.9", 40000), ("203.0.113.9", 40000)),
        ("sip:8001@phone.local:5060", ("192.168.1.20", 5060), ("192.168.1.20", 5060)),
        ("sip:8001@[2001:db8::1]:5062", ("[2001:db8:0::1]", 5062), ("[2001:db8:0::1]", 5062)),
        ("sip:8001@192.168.1.20:99999", ("192.168.1.20", 5060), ("192.168.1.20", 5060)),
    ],
)
def test_a_phone_is_rung_where_it_can_be_reached(contact: str, source: tuple[str, int], hop: tuple[str, int]) -> None:
    assert with_phone(contact, source).extension("8001") == (SipTarget(contact, hop=hop),)


def test_a_phone_behind_an_edge_is_rung_by_its_path() -> None:
    path = "<sip:10.0.0.5:5080;lr;received=sip:203.0.113.9:40000%3Btransport%3Dws>"
    (target,) = with_phone("sip:8001@df7jal23ls0d.invalid;transport=ws", ("10.0.0.6", 5080), path).extension("8001")
    assert (target.hop, target.routes) == (("10.0.0.5", 5080), (path,))


@pytest.mark.parametrize("path", ["<sip:edge.example;lr>", "nonsense", "<sip:10.0.0.5:99999;lr>"])
def test_a_path_that_leads_nowhere_rings_nothing(path: str) -> None:
    assert with_phone("sip:8001@192.168.1.20", ("10.0.0.5", 5080), path).extension("8001") == ()


def test_all_phones_of_an_extension_ring_and_none_of_another_or_of_one_that_is_gone() -> None:
    registrar, now = Registrar(), [NOW]
    directory = SiteDirectory(registrar=registrar, now=lambda: now[0])
    for number in range(2):
        contact = Contact(f"sip:8001@192.168.1.{number}", 60 + 60 * number)
        registrar.register(Registration("8001", (contact,), f"{number}", 1, (f"192.168.1.{number}", 5060)), now=NOW)
    assert len(directory.extension("8001")) == 2
    assert directory.extension("8002") == ()
    now[0] += timedelta(seconds=90)
    assert [target.hop for target in directory.extension("8001")] == [("192.168.1.1", 5060)]


def test_carriers_that_carry_a_number_are_asked_in_order_each_by_all_its_servers() -> None:
    directory = site(
        carrier("city", "!"), carrier("other", "400."), carrier("spare", "1.", username="us", password="x")
    )
    targets = directory.outside("008613800138000")
    assert [(target.trunk, target.hop, target.uri) for target in targets] == [
        ("city", ("203.0.113.10", 5060), "sip:13800138000@city.example"),
        ("city", ("203.0.113.11", 5070), "sip:13800138000@city.example"),
        ("spare", ("198.51.100.1", 5060), "sip:13800138000@spare.example"),
    ]
    assert (targets[-1].username, targets[-1].password) == ("us", "x")
    assert directory.outside("4001234567")[-1].trunk == "city", "a carrier without a server that answers is passed over"


@pytest.mark.parametrize(
    ("dialled", "form", "wanted"),
    [
        ("69101234", NumberForm.NATIONAL, "01069101234"),
        ("69101234", NumberForm.E164, "+861069101234"),
        ("69101234", NumberForm.DIALLED, "69101234"),
        ("+442079460958", NumberForm.NATIONAL, "00442079460958"),
        ("00442079460958", NumberForm.E164, "+442079460958"),
        ("12345", NumberForm.E164, "12345"),
        ("110", NumberForm.NATIONAL, "110"),
        ("*98#", NumberForm.NATIONAL, "*98#"),
    ],
)
def test_a_number_is_written_as_the_carrier_wants_it(dialled: str, form: NumberForm, wanted: str) -> None:
    (target, *_) = site(carrier("city", "!", number_form=form)).outside(dialled)
    assert target.uri == f"sip:{wanted}@city.example"


def test_a_prefix_is_put_before_what_is_left() -> None:
    (target, *_) = site(carrier("city", "0.", strip=1, prefix="9")).outside("01069101234")
    assert target.uri == "sip:91069101234@city.example"


def test_what_no_carrier_carries_and_what_is_no_number_goes_nowhere() -> None:
    directory = site(carrier("city", "1."))
    assert directory.outside("01069101234") == ()
    assert directory.outside("13800138000@elsewhere.example") == ()
    assert directory.outside("") == ()


def test_a_call_shows_what_its_carrier_is_set_to_show() -> None:
    directory = site(carrier("city", "1.", caller_id="01069100000"), carrier("spare", "!"))
    assert directory.caller_id("13800138000") == "01069100000"
    assert directory.caller_id("01069101234") == ""
    assert directory.outside("13800138000")[0].caller_id == "01069100000"


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(carrier("city", password="secret"))


def test_a_caller_is_referred_only_to_a_number_that_his_own_carrier_carries_and_puts_through() -> None:
    directory = site(
        carrier("city", "1[3-9]XXXXXXXXX", transfers=True, number_form=NumberForm.E164), carrier("spare", "!")
    )
    assert directory.referral("city", "13800138000") == "sip:+8613800138000@city.example"
    assert directory.referral("city", "01069101234") == ""
    assert directory.referral("spare", "13800138000") == ""
    assert directory.referral("", "13800138000") == ""
