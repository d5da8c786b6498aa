"""Digits in SIP INFO: application/dtmf-relay and application/dtmf, as trunks and phones send them. Pure."""

import re

from hotline.errors import InvalidInputError

DIGIT_TYPES = ("application/dtmf-relay", "application/dtmf")
EVENTS = {str(number): digit for number, digit in enumerate("0123456789*#ABCD")}


def parse_digit(content_type: str, body: str) -> str:
    """The digit (0-9, *, #, A-D) of an INFO body; raises `InvalidInputError` where there is none.

    dtmf-relay says `Signal=5` among other lines, dtmf the digit alone; 10 to 15 are the event numbers of RFC 4733.
    """
    if content_type == "application/dtmf-relay":
        found = re.search(r"^\s*signal\s*=\s*(\S+)\s*$", body[:256], re.IGNORECASE | re.MULTILINE)
        signal = found[1] if found else ""
    elif content_type == "application/dtmf":
        signal = re.sub(r"^signal\s*=\s*", "", body[:256].strip(), flags=re.IGNORECASE)
    else:
        raise InvalidInputError(f"INFO of type {content_type[:80]!r}")
    digit = EVENTS.get(signal, signal.upper())
    if digit not in EVENTS.values():
        raise InvalidInputError("INFO without a digit")
    return digit
