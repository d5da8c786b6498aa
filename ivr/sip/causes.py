"""Why a call ended: SIP status codes, Q.850 causes and our own end reasons, each translated into the others. Pure.

Reason header: RFC 3326. Status to cause and back: RFC 3398 sections 8.2.6.1 and 7.2.4.1.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus


class EndReason(StrEnum):
    """Our names, as the journal and the events say them. `CALLER_HANGUP`: the far end hung up."""

    CALLER_HANGUP = "caller_hangup"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    REJECTED = "rejected"
    UNREACHABLE = "unreachable"
    CANCELLED = "cancelled"
    MEDIA_TIMEOUT = "media_timeout"
    SESSION_EXPIRED = "session_expired"
    ERROR = "error"


@dataclass(frozen=True)
class CallEnd:
    """How a call ended: `sip_code` the status that ended it, `q850` the cause that the far end gave or implied."""

    reason: str
    sip_code: int | None = None
    q850: int | None = None


@dataclass(frozen=True)
class Reason:
    """One value of a Reason header (RFC 3326): `protocol` is SIP or Q.850."""

    protocol: str
    cause: int
    text: str = ""

    @classmethod
    def parse(cls, value: str) -> "Reason | None":
        """None where it is no reason: the header never decides whether a message is heard."""
        protocol, _, parameters = value.partition(";")
        cause = re.search(r"(?:^|;)\s*cause\s*=\s*(\d{1,3})\s*(?:;|$)", parameters, re.IGNORECASE)
        text = re.search(r'(?:^|;)\s*text\s*=\s*"((?:[^"\\]|\\.)*)"', parameters, re.IGNORECASE)
        if cause is None or not re.fullmatch(r"[A-Za-z0-9.!%*_+`'~-]+", protocol.strip()):
            return None
        return cls(protocol.strip().upper(), int(cause[1]), re.sub(r"\\(.)", r"\1", text[1]) if text else "")

    def serialize(self) -> str:
        text = re.sub(r'(["\\])', r"\\\1", self.text)
        return f"{self.protocol};cause={self.cause}" + (f';text="{text}"' if text else "")


Q850_TEXTS = {
    16: "Normal call clearing",
    17: "User busy",
    18: "No user responding",
    19: "No answer from user",
    21: "Call rejected",
    31: "Normal, unspecified",
    34: "No circuit available",
    41: "Temporary failure",
    102: "Recovery on timer expiry",
    111: "Protocol error",
    127: "Interworking, unspecified",
}
SIP_TO_Q850 = {  # RFC 3398 section 8.2.6.1
    400: 41,
    401: 21,
    402: 21,
    403: 21,
    404: 1,
    405: 63,
    406: 79,
    407: 21,
    408: 102,
    410: 22,
    413: 127,
    414: 127,
    415: 79,
    416: 127,
    420: 127,
    421: 127,
    423: 127,
    480: 18,
    481: 41,
    482: 25,
    483: 25,
    484: 28,
    485: 1,
    486: 17,
    488: 31,
    500: 41,
    501: 79,
    502: 38,
    503: 41,
    504: 102,
    505: 127,
    513: 127,
    600: 17,
    603: 21,
    604: 1,
    606: 31,
}
Q850_TO_SIP = {  # RFC 3398 section 7.2.4.1
    1: 404,
    2: 404,
    3: 404,
    17: 486,
    18: 408,
    19: 480,
    20: 480,
    21: 403,
    22: 410,
    23: 410,
    26: 404,
    27: 502,
    28: 484,
    29: 501,
    31: 480,
    34: 503,
    38: 503,
    41: 503,
    42: 503,
    47: 503,
    55: 403,
    57: 403,
    58: 503,
    65: 488,
    70: 488,
    79: 501,
    87: 403,
    88: 503,
    102: 504,
    111: 500,
    127: 500,
}
PHRASES = {
    180: "Ringing",
    183: "Session Progress",
    422: "Session Interval Too Small",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    491: "Request Pending",
    500: "Server Internal Error",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
}
FAILURES = {  # a call that was never answered: status code to our reason; other codes by their class
    401: EndReason.REJECTED,
    402: EndReason.REJECTED,
    403: EndReason.REJECTED,
    404: EndReason.UNREACHABLE,
    407: EndReason.REJECTED,
    408: EndReason.NO_ANSWER,
    410: EndReason.UNREACHABLE,
    480: EndReason.NO_ANSWER,
    484: EndReason.UNREACHABLE,
    485: EndReason.UNREACHABLE,
    486: EndReason.BUSY,
    487: EndReason.CANCELLED,
    600: EndReason.BUSY,
    603: EndReason.REJECTED,
    604: EndReason.UNREACHABLE,
}
CLASSES = {
    3: EndReason.UNREACHABLE,
    4: EndReason.REJECTED,
    5: EndReason.UNREACHABLE,
    6: EndReason.REJECTED,
}


def failed(code: int, reasons: Iterable[str] = ()) -> CallEnd:
    """The end of a call that got the final status `code` (300 to 699); a Q.850 cause in its Reason knows better."""
    told = _q850(reasons)
    effective = Q850_TO_SIP.get(told, code) if told is not None else code
    reason = FAILURES.get(effective) or CLASSES.get(effective // 100, EndReason.ERROR)
    return CallEnd(reason, code, told if told is not None else SIP_TO_Q850.get(code))


def hung_up(reasons: Iterable[str] = ()) -> CallEnd:
    """The end of a call by the far end's BYE, with the Q.850 cause its Reason header gives."""
    return CallEnd(EndReason.CALLER_HANGUP, 200, _q850(reasons))


def reason_value(*, code: int, q850: int | None) -> str | None:
    """What our BYE or CANCEL says in its Reason header; None where there is nothing to say."""
    if q850 is not None:
        return Reason("Q.850", q850, Q850_TEXTS.get(q850, "")).serialize()
    return Reason("SIP", code).serialize() if code >= 300 else None


def phrase(code: int) -> str:
    """The reason phrase of a status code (RFC 3261 section 21)."""
    if code in PHRASES:
        return PHRASES[code]
    try:
        return "Trying" if code == 100 else HTTPStatus(code).phrase
    except ValueError:
        return "Unspecified"


def _q850(reasons: Iterable[str]) -> int | None:
    parsed = (Reason.parse(value) for value in reasons)
    return next((item.cause for item in parsed if item and item.protocol == "Q.850" and item.cause <= 127), None)
