"""SIP status codes, Q.850 causes and our end reasons."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.sip.causes import (
    Q850_TO_SIP,
    SIP_TO_Q850,
    CallEnd,
    EndReason,
    Reason,
    failed,
    hung_up,
    phrase,
    reason_value,
)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("Q.850;cause=16", Reason("Q.850", 16)),
        ('q.850 ; cause = 17 ; text="User \\"busy\\""', Reason("Q.850", 17, 'User "busy"')),
        ('SIP;text="Call; completed elsewhere";cause=200', Reason("SIP", 200, "Call; completed elsewhere")),
        ("SIP", None),
        ("SIP;cause=busy", None),
        ("SIP;cause=12345", None),
        (";cause=16", None),
        ("", None),
    ],
)
def test_a_reason_is_read(value: str, reason: Reason | None) -> None:
    assert Reason.parse(value) == reason


@given(st.sampled_from(["SIP", "Q.850", "X"]), st.integers(0, 999), st.text(st.characters(codec="ascii"), max_size=20))
def test_a_reason_survives_the_header(protocol: str, cause: int, text: str) -> None:
    reason = Reason(protocol, cause, text)
    assert Reason.parse(reason.serialize()) == reason


@given(st.text())
def test_no_reason_is_an_error(value: str) -> None:
    Reason.parse(value)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (302, "unreachable"),
        (403, "rejected"),
        (404, "unreachable"),
        (407, "rejected"),
        (408, "no_answer"),
        (480, "no_answer"),
        (486, "busy"),
        (487, "cancelled"),
        (488, "rejected"),
        (500, "unreachable"),
        (503, "unreachable"),
        (600, "busy"),
        (603, "rejected"),
        (799, "error"),
    ],
)
def test_a_failed_call_has_a_reason(code: int, reason: str) -> None:
    assert failed(code) == CallEnd(reason, code, SIP_TO_Q850.get(code))


def test_the_cause_of_the_telephone_network_knows_better_than_the_status() -> None:
    assert failed(500, ["SIP;cause=500", "Q.850;cause=17"]) == CallEnd("busy", 500, 17)
    assert failed(480, ["Q.850;cause=21"]) == CallEnd("rejected", 480, 21)
    assert failed(486, ["Q.850;cause=126"]) == CallEnd("busy", 486, 126), "an unknown cause decides nothing"
    assert failed(486, ["Q.850;cause=200"]) == CallEnd("busy", 486, 17), "no cause at all"


def test_a_hang_up_tells_its_cause() -> None:
    assert hung_up() == CallEnd("caller_hangup", 200, None)
    assert hung_up(["nonsense", "SIP;cause=200", "Q.850;cause=31"]) == CallEnd("caller_hangup", 200, 31)


def test_what_our_bye_says() -> None:
    assert reason_value(code=200, q850=16) == 'Q.850;cause=16;text="Normal call clearing"'
    assert reason_value(code=488, q850=None) == "SIP;cause=488"
    assert reason_value(code=200, q850=None) is None
    assert reason_value(code=200, q850=77) == "Q.850;cause=77"


def test_every_status_and_cause_leads_to_a_reason_and_a_phrase() -> None:
    for code in range(300, 700):
        assert failed(code).reason in set(EndReason)
        assert phrase(code)
    assert all(300 <= code < 700 for code in Q850_TO_SIP.values())
    assert phrase(100) == "Trying"
