"""Reading and writing header fields of sippy's messages."""

import contextlib
import logging
import re
from typing import Any

from sippy.SipHeader import SipHeader

log = logging.getLogger(__name__)

METHODS = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO")
ALLOW = ", ".join(METHODS)
NUMBER = re.compile(r"\+?[0-9*#]{1,31}")


def respond(request: Any, code: int, reason: str, **headers: str) -> tuple[Any, None, None]:
    response = request.genResponse(code, reason)
    for name, value in headers.items():
        response.appendHeader(SipHeader(f"{name.replace('_', '-')}: {value}"))
    return response, None, None


def printable(text: str) -> str:
    return "".join(character for character in text if character.isprintable())


def log_refusal(error: Exception) -> None:
    """What sippy says of a request may quote callers' numbers: only at level debug."""
    log.info("request refused: %s", type(error).__name__)
    log.debug("request refused: %s", str(error)[:200])


def asserted_number(request: Any) -> str:
    """The number of P-Asserted-Identity (RFC 3325; the peer is trusted), empty where there is none."""
    with contextlib.suppress(Exception):  # an unreadable identity is no identity
        if request.countHFs("p-asserted-identity"):
            return number(request.getHFBody("p-asserted-identity").getUrl().username)
    return ""


def number(user: str | None) -> str:
    """A telephone number without separators, empty where `user` is none."""
    digits = re.sub(r"[\s().-]", "", user or "")
    return digits if NUMBER.fullmatch(digits) else ""


def quotable(text: str) -> str:
    return re.sub(r'[^ -~]|["\\]', "?", text)[:120]
