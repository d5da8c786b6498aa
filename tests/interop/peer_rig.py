"""A SIP peer that says what a test wants: a phone that signs in, a trunk, a stranger."""

import hashlib
import re
import secrets
import socket
import time

from demo.g711 import Law
from demo.media_process import HOST, MediaProcess
from demo.sdp import describe
from demo.sip import SipMessage
from hotline.errors import ProtocolError

SECRET = "a secret of 8001"


class Peer:
    """A SIP peer of a media process (or of an edge at that address), itself at any loopback address; each request is a
    transaction of its own."""

    def __init__(self, media: MediaProcess | tuple[str, int], host: str = HOST) -> None:
        self._server = media if isinstance(media, tuple) else media.address
        self.host = host
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, 0))
        self._socket.settimeout(2.0)
        self.port = int(self._socket.getsockname()[1])
        self.call_id = secrets.token_hex(8)
        self.cseq = 0

    def close(self) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendto(data, self._server)

    def ask(
        self,
        method: str,
        *extra: tuple[str, str],
        user: str = "8001",
        called: str = "12345",
        to: str = "",
        agent: str = "a phone",
        patience_s: float = 2.0,
    ) -> SipMessage | None:
        """The final answer to a new request, None where there is none."""
        self.cseq += 1
        uri = f"sip:{self._server[0]}" if method == "REGISTER" else f"sip:{called}@{self._server[0]}"
        body = describe(self.host, self.port, Law.PCMA) if method == "INVITE" else b""
        headers = [
            ("Via", f"SIP/2.0/UDP {self.host}:{self.port};rport;branch=z9hG4bK{secrets.token_hex(8)}"),
            ("Max-Forwards", "70"),
            ("From", f"<sip:{user}@{self._server[0]}>;tag=peer"),
            ("To", to or f"<sip:{user if method == 'REGISTER' else called}@{self._server[0]}>"),
            ("Call-ID", self.call_id),
            ("CSeq", f"{self.cseq} {method}"),
            ("Contact", f"<sip:{user}@{self.host}:{self.port}>"),
            ("User-Agent", agent),
            *extra,
        ]
        if body:
            headers.append(("Content-Type", "application/sdp"))
        self.send(SipMessage(start=f"{method} {uri} SIP/2.0", headers=tuple(headers), body=body).serialize())
        return self.final(method, patience_s)

    def final(self, method: str, patience_s: float) -> SipMessage | None:
        until = time.monotonic() + patience_s
        while (left := until - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                break
            if not data.startswith(b"SIP/2.0 "):
                continue  # RTP
            try:
                message = SipMessage.parse(data)
            except ProtocolError:
                continue  # the answer to nonsense
            if (message.status or 0) >= 200 and message.header("cseq") == f"{self.cseq} {method}":
                if method == "INVITE" and (message.status or 0) >= 300:
                    self.acknowledge(message)
                return message
        return None

    def acknowledge(self, answer: SipMessage, *, called: str = "12345") -> None:
        names = ("via", "from", "to", "call-id")
        headers = [(name, answer.header(name)) for name in names] + [("CSeq", f"{self.cseq} ACK")]
        uri = f"sip:{called}@{self._server[0]}"
        self.send(SipMessage(start=f"ACK {uri} SIP/2.0", headers=tuple(headers), body=b"").serialize())

    def hang_up(self, answer: SipMessage, *, user: str = "8001", called: str = "12345") -> None:
        self.acknowledge(answer, called=called)
        bye = self.ask("BYE", user=user, called=called, to=answer.header("to"))
        assert bye is not None
        assert bye.status == 200

    def signed(
        self, challenge: SipMessage, method: str, *, secret: str = SECRET, user: str = "8001", nc: int = 1
    ) -> tuple[str, str]:
        """An Authorization header as RFC 7616 says, made here without the product's code."""
        text = challenge.header("www-authenticate")
        nonce, realm = (re.search(rf'{name}="([^"]*)"', text)[1] for name in ("nonce", "realm"))  # type: ignore[index]
        name = re.search(r"algorithm=([\w-]+)", text)[1]  # type: ignore[index]
        digest = hashlib.sha256 if name == "SHA-256" else hashlib.md5
        uri = f"sip:{self._server[0]}" if method == "REGISTER" else f"sip:12345@{self._server[0]}"
        first = digest(f"{user}:{realm}:{secret}".encode()).hexdigest()
        second = digest(f"{method}:{uri}".encode()).hexdigest()
        response = digest(f"{first}:{nonce}:{nc:08x}:xyz:auth:{second}".encode()).hexdigest()
        return (
            "Authorization",
            f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}", response="{response}", '
            f'algorithm={name}, qop=auth, nc={nc:08x}, cnonce="xyz"',
        )

    def sign_in(self, *extra: tuple[str, str], user: str = "8001", secret: str = SECRET) -> SipMessage:
        challenge = self.ask("REGISTER", user=user)
        assert challenge is not None
        assert challenge.status == 401
        answer = self.ask("REGISTER", self.signed(challenge, "REGISTER", user=user, secret=secret), *extra, user=user)
        assert answer is not None
        return answer
