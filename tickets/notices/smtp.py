"""Notices by e-mail: one letter a connection, over TLS, with an identity that stays the same at each attempt.

A server that falls silent after it had the whole letter may have taken it; it gets it again under the same Message-ID
(RFC 5322, 3.6.4), by which mail stores know a second copy.
"""

import hashlib
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path
from typing import Literal

from hotline.errors import ConfigurationError
from tickets.notices.channel import Message
from tickets.notices.delivery import DelayedError, RefusedError, UnsureError

TEMPORARY, PERMANENT = 400, 500  # and above (RFC 5321, 4.2.1)


@dataclass(frozen=True, kw_only=True)
class SmtpServer:
    """Where letters are handed in. `security`: STARTTLS that must succeed, TLS from the start, or none at all."""

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    username: str
    password: str = field(repr=False)
    sender: str
    sender_name: str
    ca_file: Path | None
    timeout_s: float


class SmtpChannel:
    """The adapter."""

    repeats = True

    def __init__(self, server: SmtpServer) -> None:
        self._server = server

    def deliver(self, message: Message) -> None:
        letter = as_letter(message, self._server).as_bytes()
        with self._session() as smtp:
            try:
                sender, recipient = smtp.mail(self._server.sender), smtp.rcpt(message.recipient)
            except (smtplib.SMTPException, OSError) as error:
                raise self._delayed(error) from error
            self._judge("寄件地址", sender, ours=True)
            self._judge("收件地址", recipient)
            try:
                answer = smtp.data(letter)
            except smtplib.SMTPDataError as error:  # refused before the letter
                answer = error.smtp_code, _octets(error.smtp_error)
            except (smtplib.SMTPException, OSError) as error:
                raise UnsureError(f"{self._server.host}: 信已交出，没有等到答复：{_reason(error)}") from error
            self._judge("信件", answer)

    def check(self) -> None:
        with self._session() as smtp:
            try:
                smtp.noop()
            except (smtplib.SMTPException, OSError) as error:
                raise self._delayed(error) from error

    @contextmanager
    def _session(self) -> Iterator[smtplib.SMTP]:
        """A signed-in connection. Whatever is wrong with the server or our account holds every letter up."""
        server = self._server
        try:
            context = ssl.create_default_context(cafile=str(server.ca_file) if server.ca_file else None)
        except OSError as error:
            raise ConfigurationError(f"notices.ca_file {server.ca_file}: {error.strerror or error}") from error
        smtp: smtplib.SMTP | None = None
        try:
            if server.security == "tls":
                smtp = smtplib.SMTP_SSL(server.host, server.port, timeout=server.timeout_s, context=context)
            else:
                smtp = smtplib.SMTP(server.host, server.port, timeout=server.timeout_s)
            if server.security == "starttls":
                smtp.starttls(context=context)
            smtp.ehlo_or_helo_if_needed()
            if server.username:
                smtp.login(server.username, server.password)
        except (smtplib.SMTPException, OSError) as error:
            if smtp is not None:
                smtp.close()
            raise self._delayed(error) from error
        try:
            yield smtp
            with suppress(smtplib.SMTPException, OSError):  # how they part does not matter
                smtp.quit()
        finally:
            smtp.close()

    def _judge(self, what: str, answer: tuple[int, bytes], *, ours: bool = False) -> None:
        """Raises where `answer` refuses; what is refused because of us (`ours`) is refused for every letter."""
        code, text = answer
        if code < TEMPORARY:
            return
        problem = f"{self._server.host}: {what}被拒绝：{code} {text.decode('utf-8', 'replace')}"
        if code >= PERMANENT and not ours:
            raise RefusedError(problem)
        raise DelayedError(problem, whole=ours)

    def _delayed(self, error: Exception) -> DelayedError:
        return DelayedError(f"{self._server.host}: {_reason(error)}", whole=True)


def as_letter(message: Message, server: SmtpServer) -> EmailMessage:
    """The same octets at each attempt."""
    letter = EmailMessage(policy=policy.SMTP)
    letter["From"] = Address(display_name=server.sender_name, addr_spec=server.sender)
    letter["To"] = Address(addr_spec=message.recipient)
    letter["Subject"] = message.subject
    letter["Date"] = message.created_at
    letter["Message-ID"] = message_id(message.key, domain=server.sender.rpartition("@")[2])
    letter["Auto-Submitted"] = "auto-generated"  # RFC 3834: no automatic answer, please
    letter.set_content(message.text, cte="base64")
    return letter


def message_id(key: str, *, domain: str) -> str:
    """The identity of the letter for that key."""
    return f"<{hashlib.sha256(key.encode()).hexdigest()[:40]}@{domain}>"


def _reason(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_octets(error.smtp_error).decode('utf-8', 'replace')}"
    return str(error) or type(error).__name__


def _octets(text: bytes | str) -> bytes:
    return text.encode() if isinstance(text, str) else text
