"""One caller, one number, however the network writes it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.access.numbers import NumberKind, normalise


@pytest.mark.parametrize(
    "raw",
    [
        "13800138000",
        "+8613800138000",
        "+86 138-0013-8000",
        "008613800138000",
        "8613800138000",
        "013800138000",
    ],
)
def test_a_mobile_number_is_the_same_however_it_is_written(raw: str) -> None:
    number = normalise(raw)
    assert (number.canonical, number.kind, number.e164) == ("13800138000", NumberKind.MOBILE, "+8613800138000")
    assert number.raw == raw


@pytest.mark.parametrize(
    "raw", ["01069101234", "+861069101234", "00861069101234", "861069101234", "(010) 6910-1234", "69101234"]
)
def test_a_landline_has_its_area_code(raw: str) -> None:
    number = normalise(raw, area_code="010")
    assert (number.canonical, number.kind, number.e164) == ("01069101234", NumberKind.LANDLINE, "+861069101234")


def test_a_local_number_without_a_known_area_is_left_as_it_is() -> None:
    number = normalise("69101234")
    assert (number.canonical, number.kind, number.e164) == ("69101234", NumberKind.OTHER, "")


@pytest.mark.parametrize("raw", ["12345", "110", "8001", "96116"])
def test_a_short_code_is_no_subscriber(raw: str) -> None:
    number = normalise(raw, area_code="010")
    assert (number.canonical, number.kind, number.e164) == (raw, NumberKind.SHORT, "")


@pytest.mark.parametrize("raw", ["", "anonymous", "Anonymous", "unavailable", "王小明", "sip:x", "+", "a" * 500])
def test_what_is_no_number_is_withheld(raw: str) -> None:
    number = normalise(raw)
    assert (number.canonical, number.kind) == ("", NumberKind.WITHHELD)
    assert len(number.raw) <= 64


@pytest.mark.parametrize("raw", ["+4930901820", "004930901820"])
def test_a_number_from_abroad_keeps_its_country(raw: str) -> None:
    number = normalise(raw)
    assert (number.canonical, number.kind, number.e164) == ("+4930901820", NumberKind.FOREIGN, "+4930901820")


def test_a_service_number_is_dialled_as_it_is() -> None:
    assert normalise("4008123123").canonical == "4008123123"


def test_a_number_that_nobody_has_is_kept() -> None:
    number = normalise("99999999999999")
    assert (number.canonical, number.kind) == ("99999999999999", NumberKind.OTHER)


@given(st.text(max_size=80), st.sampled_from(["", "010", "0571"]))
def test_any_text_is_normalised_and_a_canonical_number_stays_itself(raw: str, area_code: str) -> None:
    number = normalise(raw, area_code=area_code)
    if number.kind in (NumberKind.MOBILE, NumberKind.LANDLINE, NumberKind.FOREIGN, NumberKind.SHORT):
        assert normalise(number.canonical, area_code=area_code).canonical == number.canonical
