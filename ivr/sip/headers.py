"""Reading and writing header fields of sippy's messages."""

import contextlib
import logging
import re
from collections.abc import Iterable
from typing import Any

from sippy.SipHeader import SipHeader

from hotline.errors import InvalidInputError
from ivr.sip.causes import phrase

log = logging.getLogger(__name__)

METHODS = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE", "REFER", "NOTIFY")
ALLOW = ", ".join(METHODS)
EXTENSIONS = ("timer", "replaces")
SUPPORTED = ", ".join(EXTENSIONS)
NUMBER = re.compile(r"\+?[0-9*#]{1,31}")
SDP_TYPE = "application/sdp"
LONG_NAMES = {"session-expires": "x", "supported": "k", "event": "o", "refer-to": "r", "referred-by": "b"}


def respond(request: Any, code: int, reason: str = "", **headers: str) -> tuple[Any, None, None]:
    """What sippy wants of a request's callback: the response, no cancel callback, no no-ACK callback."""
    response = request.genResponse(code, reason or phrase(code))
    response.appendHeaders([header(name.replace("_", "-"), value) for name, value in headers.items()])
    return response, None, None


def header(name: str, value: str) -> Any:
    """A header field for sippy, its value one line."""
    return SipHeader(f"{name}: {re.sub(r'[^ -~]', '?', value)}")


def values(message: Any, name: str) -> list[str]:
    """The values of a header field (lower case), also in its compact form, as they stand in the message."""
    names = (name, LONG_NAMES.get(name, name))
    return [str(item.body) for item in message.headers if item.name in names]


def tokens(message: Any, name: str) -> set[str]:
    """The members of a list header such as Supported, in lower case."""
    return {token.strip().lower() for value in values(message, name) for token in value.split(",") if token.strip()}


def sdp_of(message: Any) -> str | None:
    """The SDP of a message, None where it has no body; raises `InvalidInputError` for a body of another type."""
    body = message.getBody()
    if body is None:
        return None
    if body.getType() != SDP_TYPE:
        raise InvalidInputError(f"body of type {printable(str(body.getType()))[:80]!r}")
    return str(body)


def in_uri(host: str) -> str:
    """A numeric address as it stands in SIP: an IPv6 address in brackets, unlike in SDP."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def printable(text: str) -> str:
    """Without control characters and line separators."""
    return "".join(character for character in text if character.isprintable())


def log_refusal(error: Exception) -> None:
    """What sippy says of a request may quote callers' numbers: only at level debug."""
    log.info("request refused: %s", type(error).__name__)
    log.debug("request refused: %s", str(error)[:200])


def asserted_identity(request: Any) -> tuple[str, str]:
    """The number and name of P-Asserted-Identity (RFC 3325; the peer is trusted), empty where there are none."""
    with contextlib.suppress(Exception):  # an unreadable identity is no identity
        for identity in request.getHFBodys("p-asserted-identity"):
            if found := number(identity.getUrl().username):
                return found, display_name(identity.getUri().name)
    return "", ""


def wants_privacy(request: Any) -> bool:
    """Whether the caller's identity must not be shown on (RFC 3323 section 4.2, RFC 3325 section 9.3)."""
    asked = {word.strip().lower() for value in values(request, "privacy") for word in re.split("[;,]", value)}
    return bool(asked & {"id", "user", "header"}) or request.getHFBody("from").getUrl().host == "anonymous.invalid"


def display_name(name: str | None) -> str:
    """A display name for people: one line of at most 64 characters, without quotes."""
    return re.sub(r'["\\]', "", printable(name or "")).strip()[:64]


def number(user: str | None) -> str:
    """A telephone number without separators, empty where `user` is none."""
    digits = re.sub(r"[\s().-]", "", user or "")
    return digits if NUMBER.fullmatch(digits) else ""


def quotable(text: str) -> str:
    """For a quoted string in a header."""
    return re.sub(r'[^ -~]|["\\]', "?", text)[:120]


def reasons(message: Any | None) -> Iterable[str]:
    """The Reason header's values (RFC 3326)."""
    return [value for text in values(message, "reason") for value in text.split(",")] if message is not None else []
