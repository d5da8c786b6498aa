"""Digest authentication, server side (RFC 7616, RFC 8760 for SIP; RFC 2617 for phones that know MD5 alone). Pure.

A nonce holds its time and a MAC, so nothing is kept of a challenge; only a nonce with which somebody has signed in is
remembered, with its highest `nc`, so that no message works twice. The check takes the same way, and the same time,
whether the name exists or not: whoever guesses learns nothing.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum

from hotline.errors import InvalidInputError

MAC_BYTES = 16
MAX_VALUE = 1024
_PARAMETER = re.compile(r'\s*([\w!%*.+`\'~-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))\s*(?:,|$)')


class Algorithm(StrEnum):
    """How passwords are hashed. MD5 is for phones that know no other."""

    SHA256 = "SHA-256"
    MD5 = "MD5"

    def digest(self, *parts: str) -> str:
        """H(parts joined by colons), in hexadecimal."""
        text = ":".join(parts).encode()
        return hashlib.sha256(text).hexdigest() if self is Algorithm.SHA256 else hashlib.md5(text).hexdigest()  # noqa: S324


def ha1(algorithm: Algorithm, *, username: str, realm: str, password: str) -> str:
    """What is stored of a password (RFC 7616 section 3.4.2): as good as the password itself within the realm."""
    return algorithm.digest(username, realm, password)


@dataclass(frozen=True)
class Credentials:
    """An Authorization header. `qop` None: the form of RFC 2069, which has no counter."""

    username: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: Algorithm = Algorithm.MD5
    qop: str | None = None
    nc: str = ""
    cnonce: str = ""

    @classmethod
    def parse(cls, value: str) -> "Credentials":
        """Raises `InvalidInputError`."""
        scheme, _, rest = value.strip().partition(" ")
        if scheme.lower() != "digest":
            raise InvalidInputError("the Authorization header is no digest")
        given: dict[str, str] = {}
        position = 0
        while position < len(rest):
            found = _PARAMETER.match(rest, position)
            if found is None or found[1].lower() in given:
                raise InvalidInputError("the Authorization header cannot be read")
            plain = found[3] if found[2] is None else re.sub(r"\\(.)", r"\1", found[2])
            if len(plain) > MAX_VALUE:
                raise InvalidInputError("the Authorization header is too long")
            given[found[1].lower()] = plain
            position = found.end()
        qop = given.get("qop")
        wanted = ["username", "realm", "nonce", "uri", "response"] + (["nc", "cnonce"] if qop is not None else [])
        if missing := [name for name in wanted if not given.get(name)]:
            raise InvalidInputError(f"the Authorization header lacks {', '.join(missing)}")
        if qop not in (None, "auth"):
            raise InvalidInputError("the Authorization header has an unknown qop")
        if qop is not None and not re.fullmatch("[0-9a-fA-F]{8}", given["nc"]):
            raise InvalidInputError("the Authorization header has a bad nc")
        algorithm = next((each for each in Algorithm if each.lower() == given.get("algorithm", "MD5").lower()), None)
        if algorithm is None:
            raise InvalidInputError("the Authorization header has an unknown algorithm")
        return cls(
            username=given["username"],
            realm=given["realm"],
            nonce=given["nonce"],
            uri=given["uri"],
            response=given["response"].lower(),
            algorithm=algorithm,
            qop=qop,
            nc=given.get("nc", ""),
            cnonce=given.get("cnonce", ""),
        )

    def expected(self, secret: str, *, method: str) -> str:
        """The right `response` for the stored HA1 `secret` (RFC 7616 section 3.4.1)."""
        counted = (self.nc, self.cnonce, self.qop) if self.qop is not None else ()
        ha2 = self.algorithm.digest(method, self.uri)
        return self.algorithm.digest(secret, self.nonce, *counted, ha2)


class Verdict(Enum):
    """`STALE`: the secret was right, the nonce is too old or used; the phone tries anew without asking anybody."""

    GRANTED = "granted"
    STALE = "stale"
    REFUSED = "refused"


class DigestAuthenticator:
    """Challenges, and checks what comes back.

    `secret`: key of the nonces, at least 16 random bytes. `lifetime_s`: how long a nonce may be used. `max_nonces`: how
    many nonces in use are remembered; when there are more, the oldest are stale before their time.
    """

    def __init__(
        self,
        *,
        realm: str,
        secret: bytes,
        algorithms: tuple[Algorithm, ...] = tuple(Algorithm),
        lifetime_s: float = 300.0,
        max_nonces: int = 10_000,
    ) -> None:
        if len(secret) < MAC_BYTES:
            raise ValueError("the secret of nonces is too short")
        self.realm = realm
        self._secret = secret
        self._algorithms = algorithms
        self._lifetime_s = lifetime_s
        self._max_nonces = max_nonces
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()  # nonce: issued, highest nc
        self._floor = 0.0  # nonces issued before are stale

    def challenges(self, now: datetime, *, stale: bool = False) -> tuple[str, ...]:
        """The WWW-Authenticate headers, the best algorithm first (RFC 8760 section 2.4)."""
        nonce = self._nonce(now)
        return tuple(
            f'Digest realm="{self.realm}", nonce="{nonce}", algorithm={algorithm}, qop="auth"'
            + (", stale=true" if stale else "")
            for algorithm in self._algorithms
        )

    def verify(
        self, credentials: Credentials, *, method: str, secrets: Mapping[Algorithm, str] | None, now: datetime
    ) -> Verdict:
        """`secrets`: HA1 of the user by algorithm, None where there is no such user."""
        algorithm = credentials.algorithm
        known = (secrets or {}).get(algorithm)
        # an unknown user has a secret like any other, only nobody knows it
        nobody = hmac.new(self._secret, f"{algorithm}:{credentials.username}".encode(), hashlib.sha256).hexdigest()
        right = hmac.compare_digest(
            credentials.expected(known or nobody, method=method).encode(), credentials.response.encode()
        )
        issued = self._issued(credentials.nonce)
        if issued is None or credentials.realm != self.realm or algorithm not in self._algorithms or known is None:
            # a nonce of another process or before a restart: as good as an old one, where the rest is right
            foreign = known is not None and right and credentials.realm == self.realm
            return Verdict.STALE if foreign and algorithm in self._algorithms else Verdict.REFUSED
        if not right:
            return Verdict.REFUSED
        return Verdict.GRANTED if self._count(credentials, issued, now.timestamp()) else Verdict.STALE

    def _nonce(self, now: datetime) -> str:
        stamp = int(now.timestamp() * 1_000_000).to_bytes(8)
        return base64.urlsafe_b64encode(stamp + self._mac(stamp)).decode()

    def _mac(self, stamp: bytes) -> bytes:
        return hmac.new(self._secret, stamp + self.realm.encode(), hashlib.sha256).digest()[:MAC_BYTES]

    def _issued(self, nonce: str) -> float | None:
        """When we made the nonce (seconds since the epoch), None where we did not."""
        try:
            plain = base64.b64decode(nonce.encode(), altchars=b"-_", validate=True)
        except (binascii.Error, UnicodeEncodeError):
            return None
        stamp, mac = plain[:8], plain[8:]
        return int.from_bytes(stamp) / 1_000_000 if hmac.compare_digest(mac, self._mac(stamp)) else None

    def _count(self, credentials: Credentials, issued: float, now: float) -> bool:
        """Whether the nonce is young and was not yet used with this `nc` or a higher one; without qop: not at all."""
        while self._counts and next(iter(self._counts.values()))[0] < now - self._lifetime_s:
            self._counts.popitem(last=False)
        if not now - self._lifetime_s <= issued <= now + 1 or issued <= self._floor:
            return False
        nc = int(credentials.nc, 16) if credentials.qop is not None else 1
        _, highest = self._counts.get(credentials.nonce, (issued, 0))
        if nc <= highest:
            return False
        self._counts[credentials.nonce] = (issued, nc if credentials.qop is not None else 1 << 32)
        if len(self._counts) > self._max_nonces:
            _, (oldest, _) = self._counts.popitem(last=False)
            self._floor = max(self._floor, oldest)
        return True
