"""Signatures of webhooks as the Standard Webhooks specification 1.0.0 has them. Pure.

A subscription's secret is never stored: it is derived (HKDF-SHA256, RFC 5869) from the site's key and a random salt in
the subscription's row, so neither the database nor its backups can sign.
"""

import base64
import hashlib
import hmac
from datetime import datetime

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hotline.errors import InvalidInputError

SECRET_PREFIX = "whsec_"  # noqa: S105 - how a secret begins
SECRET_BYTES = 32
TOLERANCE_S = 300
_VERSION = "v1"


def derive_secret(key: bytes, salt: str) -> bytes:
    """The secret of a subscription."""
    return HKDF(SHA256(), SECRET_BYTES, bytes.fromhex(salt), b"hotline webhook\0").derive(key)


def format_secret(secret: bytes) -> str:
    """As the other system's developer gets it.

    >>> format_secret(bytes(24))
    'whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'
    """
    return SECRET_PREFIX + base64.b64encode(secret).decode()


def parse_secret(text: str) -> bytes:
    """The opposite; raises `InvalidInputError`."""
    try:
        return base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError as error:  # binascii.Error too
        raise InvalidInputError("not a webhook secret") from error


def message_id(key: str) -> str:
    """The identity of a delivery: the same at each attempt, and without a full stop."""
    return f"msg_{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def sign(secret: bytes, *, message: str, at: datetime, body: bytes) -> str:
    """One signature of an attempt at `at`."""
    signed = f"{message}.{int(at.timestamp())}.".encode() + body
    digest = hmac.new(secret, signed, hashlib.sha256).digest()
    return f"{_VERSION},{base64.b64encode(digest).decode()}"


def headers(secrets: list[bytes], *, message: str, at: datetime, body: bytes) -> dict[str, str]:
    """The headers of an attempt; several secrets while one replaces another."""
    return {
        "webhook-id": message,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(sign(secret, message=message, at=at, body=body) for secret in secrets),
    }


def verify(secret: bytes, *, message: str, timestamp: str, signatures: str, body: bytes, now: datetime) -> bool:
    """What a receiver does: whether one signature fits and the attempt is not older or newer than five minutes."""
    try:
        sent = datetime.fromtimestamp(int(timestamp), now.tzinfo)
    except (ValueError, OverflowError, OSError):
        return False
    if abs((now - sent).total_seconds()) > TOLERANCE_S:
        return False
    expected = sign(secret, message=message, at=sent, body=body).encode()
    return any(hmac.compare_digest(expected, given.encode()) for given in signatures.split(" "))
