"""Digits in SIP INFO."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.errors import InvalidInputError
from ivr.sip.info import DIGIT_TYPES, EVENTS, parse_digit


@pytest.mark.parametrize("digit", EVENTS.values())
def test_every_digit_is_read_in_each_form(digit: str) -> None:
    assert parse_digit("application/dtmf-relay", f"Signal={digit.lower()}\r\nDuration=160\r\n") == digit
    assert parse_digit("application/dtmf-relay", f"Duration=160\nsignal = {digit} ") == digit
    assert parse_digit("application/dtmf", f"{digit}\r\n") == digit
    assert parse_digit("application/dtmf", f"Signal={digit}") == digit


def test_an_event_number_is_a_digit() -> None:
    assert [parse_digit("application/dtmf", str(number)) for number in (10, 11, 12, 15)] == ["*", "#", "A", "D"]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/dtmf-relay", ""),
        ("application/dtmf-relay", "5"),
        ("application/dtmf-relay", "Signal=16"),
        ("application/dtmf", "55"),
        ("application/dtmf", "flash"),
        ("text/plain", "5"),
    ],
)
def test_what_is_no_digit_is_refused(content_type: str, body: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_digit(content_type, body)


@given(st.sampled_from(DIGIT_TYPES), st.text())
def test_nothing_else_is_raised(content_type: str, body: str) -> None:
    try:
        assert parse_digit(content_type, body) in EVENTS.values()
    except InvalidInputError:
        return
