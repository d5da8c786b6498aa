from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.errors import InvalidInputError, UnavailableError
from tickets.numbering import NumberParts, damm_digit, format_number, parse_number

PARTS = st.builds(
    NumberParts,
    prefix=st.from_regex(r"[A-Z]{2}", fullmatch=True),
    day=st.dates(date(2020, 1, 1), date(2099, 12, 31)),
    serial=st.integers(1, 99_999),
)


def test_check_digit_of_the_published_example() -> None:
    assert damm_digit("572") == "4"
    assert damm_digit("5724") == "0"


def test_number_has_prefix_day_serial_and_check_digit() -> None:
    number = format_number(NumberParts("YQ", date(2026, 1, 5), 17))
    assert number.startswith("YQ2026010500017")
    assert len(number) == 16


@given(parts=PARTS)
def test_number_reads_back(parts: NumberParts) -> None:
    assert parse_number(format_number(parts)) == parts


@given(parts=PARTS)
def test_blanks_hyphens_and_case_do_not_matter(parts: NumberParts) -> None:
    number = format_number(parts)
    assert parse_number(f" {number[:2].lower()} {number[2:10]}-{number[10:]}\n") == parts


@given(parts=PARTS, data=st.data())
def test_every_single_wrong_digit_is_found(parts: NumberParts, data: st.DataObject) -> None:
    number = format_number(parts)
    at = data.draw(st.integers(2, 15))
    wrong = data.draw(st.sampled_from([digit for digit in "0123456789" if digit != number[at]]))
    with pytest.raises(InvalidInputError):
        parse_number(number[:at] + wrong + number[at + 1 :])


@given(parts=PARTS, at=st.integers(2, 14))
def test_every_swap_of_neighbours_is_found(parts: NumberParts, at: int) -> None:
    number = format_number(parts)
    swapped = number[:at] + number[at + 1] + number[at] + number[at + 2 :]
    if swapped != number:
        with pytest.raises(InvalidInputError):
            parse_number(swapped)


@given(text=st.text(max_size=30))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="工单号"):
        parse_number(text)


def test_day_that_does_not_exist_is_refused() -> None:
    digits = "2026023000001"
    with pytest.raises(InvalidInputError, match="日期不存在"):
        parse_number("YQ" + digits + damm_digit(digits))


@pytest.mark.parametrize("serial", [0, -1, 100_000])
def test_serial_out_of_range_has_no_number(serial: int) -> None:
    with pytest.raises(UnavailableError, match="no ticket number left"):
        format_number(NumberParts("YQ", date(2026, 1, 5), serial))
