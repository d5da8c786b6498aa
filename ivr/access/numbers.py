"""Telephone numbers in one form (E.164; libphonenumber's metadata), so that a caller is the same one every time. Pure.

Carriers write one caller in many ways: +8613800138000, 008613800138000, 8613800138000, 013800138000. What a network
sent is kept in `raw`; `canonical` is how one dials the number within the country, or +... abroad.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType

MAX_RAW = 64
_SEPARATORS = re.compile(r"[\s().\-/]")
_DIALLABLE = re.compile(r"\+?[0-9*#]{1,31}")
_WITHHELD = frozenset({"", "anonymous", "unavailable", "restricted", "private", "unknown", "withheld"})


class NumberKind(StrEnum):
    """`SHORT`: a service or an extension, not reachable from abroad. `OTHER`: dialable, but no number of the plan."""

    MOBILE = "mobile"
    LANDLINE = "landline"
    FOREIGN = "foreign"
    SHORT = "short"
    OTHER = "other"
    WITHHELD = "withheld"


@dataclass(frozen=True)
class TelephoneNumber:
    """`canonical` and `e164` are empty where there is no number to call back; `e164` also for short codes."""

    raw: str
    canonical: str
    kind: NumberKind
    e164: str = ""


@lru_cache(maxsize=4096)
def normalise(raw: str, *, region: str = "CN", area_code: str = "") -> TelephoneNumber:
    """`region`: ISO 3166 code of where we are; `area_code`: what a local number lacks, with its 0 ("010")."""
    raw = raw[:MAX_RAW]
    text = _SEPARATORS.sub("", raw)
    if text.casefold() in _WITHHELD or not _DIALLABLE.fullmatch(text):
        return TelephoneNumber(raw, "", NumberKind.WITHHELD)
    for candidate in _candidates(text, region, area_code):
        try:
            number = phonenumbers.parse(candidate, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            return _known(raw, number, region)
    short = len(text) <= 6 and text.isdigit()
    return TelephoneNumber(raw, text, NumberKind.SHORT if short else NumberKind.OTHER)


def _candidates(text: str, region: str, area_code: str) -> list[str]:
    """How `text` may be meant, the likeliest first."""
    country = str(phonenumbers.country_code_for_region(region))
    if text.startswith("+"):
        return [text]
    if len(text) <= 6:  # 12345, 110, an extension: never a subscriber's number
        return []
    local = [area_code + text] if area_code and not text.startswith("0") else []
    without_trunk_prefix = [text.removeprefix("0")] if text.startswith("0") else []
    international = [f"+{text}"] if text.startswith(country) else []
    return [text, *without_trunk_prefix, *local, *international]


def _known(raw: str, number: PhoneNumber, region: str) -> TelephoneNumber:
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    if number.country_code != phonenumbers.country_code_for_region(region):
        return TelephoneNumber(raw, e164, NumberKind.FOREIGN, e164)
    mobile = phonenumbers.number_type(number) == PhoneNumberType.MOBILE
    national = phonenumbers.national_significant_number(number)
    landline = phonenumbers.number_type(number) == PhoneNumberType.FIXED_LINE
    prefix = phonenumbers.ndd_prefix_for_region(region, True) or ""
    kind = NumberKind.MOBILE if mobile else NumberKind.LANDLINE if landline else NumberKind.OTHER
    return TelephoneNumber(raw, f"{prefix}{national}" if landline else national, kind, e164)
