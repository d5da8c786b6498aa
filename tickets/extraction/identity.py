"""Identity numbers (GB 11643) and unified social credit codes (GB 32100), told like other numbers. Pure.

Their check signs tell whether all was heard right; one that fails is not given.
"""

import re
from datetime import date

from asr.personal import Kind, kind_of
from tickets.extraction.finding import Finding
from tickets.extraction.telling import resolve, tellings
from tickets.speech import Speech

CERTAIN = 0.97
_CROSS = re.compile(r"艾克斯|埃克斯|爱克斯|叉号?|[×xX]")
_CODE_SIGNS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_CODE = re.compile(rf"[{_CODE_SIGNS}]{{2}}[0-9]{{6}}[{_CODE_SIGNS}]{{10}}")


def find_identity(speech: Speech) -> list[Finding]:
    """`id_number` and `credit_code`, as far as they were said whole and their check signs hold."""
    text = _CROSS.sub(lambda match: "X".ljust(len(match.group()), " "), speech.text)
    found: dict[str, Finding] = {}
    for parts in tellings(text, letters=True):
        for field, fits in (("id_number", is_identity), ("credit_code", is_credit_code)):
            for told in resolve(parts, fits)[-1:]:
                span = speech.span(told.start, told.end)
                found[field] = Finding(field, told.digits, "transcript", CERTAIN * (0.9 if told.guessed else 1.0), span)
    return list(found.values())


def is_identity(digits: str) -> bool:
    """With a check sign that holds and a day of birth that there was."""
    if kind_of(digits) is not Kind.IDENTITY:
        return False
    try:
        born = date(int(digits[6:10]), int(digits[10:12]), int(digits[12:14]))
    except ValueError:
        return False
    return born.year >= 1900


def is_credit_code(signs: str) -> bool:
    """With a check sign that holds (GB 32100, modulo 31)."""
    return bool(_CODE.fullmatch(signs)) and not is_identity(signs) and credit_check(signs[:17]) == signs[17]


def credit_check(signs: str) -> str:
    """The sign that follows 17 of a code."""
    total = sum(_CODE_SIGNS.index(sign) * pow(3, place, 31) for place, sign in enumerate(signs))
    return _CODE_SIGNS[-total % 31]
