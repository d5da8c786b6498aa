"""HTTP ranges of a file (RFC 9110 section 14)."""

import re

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class UnsatisfiableRangeError(ValueError):
    """The range lies behind the end: 416."""


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The first and last byte asked for, inside a file of `size` bytes; None asks for all of it.

    Several ranges, other units and nonsense are ignored, as section 14.2 allows.
    """
    match = _RANGE.fullmatch((header or "").strip().replace(" ", ""))
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size - 1
    else:
        start, end = int(first), min(int(last), size - 1) if last else size - 1
        if last and int(last) < start:
            return None
    if start >= size or not size:
        raise UnsatisfiableRangeError(f"{header} of {size} bytes")
    return start, end
