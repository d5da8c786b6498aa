"""Ticket numbers: two letters, the local day, a serial of the day and a check digit (`YQ20260105000017`).

The check digit is Damm's (H. M. Damm, "Total anti-symmetrische Quasigruppen", Marburg 2004): it finds every single
wrong digit and every swap of two neighbours, the two mistakes people make when they read a number over the telephone.
"""

import re
from dataclasses import dataclass
from datetime import date

from hotline.errors import InvalidInputError, UnavailableError

MAX_SERIAL = 99_999
LOOKUP_DIGITS = 6
_NUMBER = re.compile(r"([A-Z]{2})([0-9]{8})([0-9]{5})([0-9])")
_DAMM = (  # the quasigroup of order 10 in the thesis's appendix; row: interim digit, column: next digit
    "0317598642",
    "7092154863",
    "4206871359",
    "1750983426",
    "6123045978",
    "3674209581",
    "5869720134",
    "8945362017",
    "9438617205",
    "2581436790",
)


@dataclass(frozen=True)
class NumberParts:
    """What a ticket number says."""

    prefix: str
    day: date
    serial: int


def damm_digit(digits: str) -> str:
    """The check digit of a string of decimal digits; "0" for a string that ends in its own."""
    interim = "0"
    for digit in digits:
        interim = _DAMM[int(interim)][int(digit)]
    return interim


def day_text(day: date) -> str:
    """A day as it stands in a number: yyyymmdd."""
    return day.isoformat().replace("-", "")


def format_number(parts: NumberParts) -> str:
    """The number, 16 characters. Raises `UnavailableError` when the day has no serial left."""
    if not 1 <= parts.serial <= MAX_SERIAL:
        raise UnavailableError(f"no ticket number left on {parts.day}: serial {parts.serial}")
    digits = f"{day_text(parts.day)}{parts.serial:05}"
    return f"{parts.prefix}{digits}{damm_digit(digits)}"


def parse_number(text: str) -> NumberParts:
    """The inverse of `format_number`, blanks and case aside; raises `InvalidInputError` for what is none."""
    compact = re.sub(r"[\s-]", "", text).upper()
    match = _NUMBER.fullmatch(compact)
    if match is None:
        raise InvalidInputError(f"不是工单号：{text[:40]}", hint="工单号是两个字母加十四位数字")
    prefix, day, serial, check = match.groups()
    if damm_digit(day + serial) != check:
        raise InvalidInputError(f"工单号校验不符：{text[:40]}", hint="请核对号码，可能有一位写错或相邻两位写反")
    try:
        return NumberParts(prefix, date(int(day[:4]), int(day[4:6]), int(day[6:])), int(serial))
    except ValueError:
        raise InvalidInputError(f"工单号里的日期不存在：{text[:40]}") from None
