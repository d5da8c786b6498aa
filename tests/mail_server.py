"""A real mail server on loopback (aiosmtpd), with TLS and sign-in, that refuses what it is told to."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Literal

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

USERNAME, PASSWORD = "hotline", "geheim"


@dataclass
class MailServer:
    """`rcpt`, `data`: what the next such commands are answered; `drops`: it hangs up after so many whole letters."""

    port: int = 0
    letters: list[EmailMessage] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    signed_in: list[bool] = field(default_factory=list)
    rcpt: list[str] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    drops: int = 0

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802
        if self.rcpt:
            return self.rcpt.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.data:
            return self.data.pop(0)
        letter = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(letter, EmailMessage)
        self.letters.append(letter)
        self.encrypted.append(session.ssl is not None)
        self.signed_in.append(bool(session.authenticated))
        if self.drops:
            self.drops -= 1
            server.transport.abort()
        return "250 OK"


@contextmanager
def run_mail_server(
    *, tls: ssl.SSLContext | None = None, security: Literal["starttls", "tls", "none"] = "none", auth: bool = False
) -> Iterator[MailServer]:
    """Serves until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = MailServer(port=listener.getsockname()[1])

    def authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any) -> AuthResult:
        good = isinstance(given, LoginPassword) and (given.login, given.password) == (
            USERNAME.encode(),
            PASSWORD.encode(),
        )
        return AuthResult(success=good, handled=False)

    options: dict[str, Any] = {"hostname": "mail.example.cn"}
    if security == "starttls":
        options |= {"tls_context": tls, "require_starttls": True}
    if auth:
        options |= {
            "authenticator": authenticate,
            "auth_required": security == "starttls",
            "auth_require_tls": security == "starttls",  # it does not see TLS from the start
        }

    class OneServer(Controller):
        def factory(self) -> SMTP:
            return SMTP(self.handler, **options)

    context = tls if security == "tls" else None
    controller = OneServer(server, hostname="127.0.0.1", port=server.port, ssl_context=context)
    controller.start()
    try:
        yield server
    finally:
        controller.stop()
