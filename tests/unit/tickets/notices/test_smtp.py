"""E-mail, handed in at a real server."""

import smtplib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest
from mail_server import PASSWORD, USERNAME, run_mail_server

from console.certificates import CertificateFiles, ensure_certificates, server_context
from hotline.errors import ConfigurationError
from hotline.settings import Settings
from tickets.notices.channel import Message
from tickets.notices.delivery import DelayedError, RefusedError, UnsureError
from tickets.notices.smtp import SmtpChannel, SmtpServer, as_letter, message_id

AT = datetime(2026, 1, 5, 1, 30, tzinfo=UTC)
MESSAGE = Message(
    key="to_sign:YQ20260105000011:3:email:abc",
    kind="to_sign",
    recipient="town@example.cn",
    subject="新工单 YQ20260105000011 待签收（T3 一般）",
    text="第一行\n.\n.第三行以点开头\n" + "很长的一行" * 300 + "\n",
    values={},
    created_at=AT,
)


@pytest.fixture
def certificates(settings: Settings) -> CertificateFiles:
    return ensure_certificates(settings, now=datetime.now(UTC))


def channel(
    port: int,
    *,
    security: Literal["starttls", "tls", "none"] = "none",
    username: str = "",
    password: str = "",
    ca_file: Path | None = None,
    timeout_s: float = 5,
) -> SmtpChannel:
    return SmtpChannel(
        SmtpServer(
            host="127.0.0.1",
            port=port,
            security=security,
            username=username,
            password=password,
            sender="hotline@example.cn",
            sender_name="延庆区 12345 热线",
            ca_file=ca_file,
            timeout_s=timeout_s,
        )
    )


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_letter_goes_out_encrypted_and_signed_in(
    certificates: CertificateFiles, security: Literal["starttls", "tls"]
) -> None:
    with run_mail_server(tls=server_context(certificates), security=security, auth=True) as server:
        sender = channel(
            server.port, security=security, username=USERNAME, password=PASSWORD, ca_file=certificates.authority
        )
        sender.check()
        sender.deliver(MESSAGE)
        assert server.signed_in == [True]
        assert server.encrypted == [True] or security == "tls"
        [letter] = server.letters
    assert str(letter["From"]) == "延庆区 12345 热线 <hotline@example.cn>"
    assert letter["To"] == "town@example.cn"
    assert letter["Subject"] == MESSAGE.subject
    assert letter["Message-ID"] == message_id(MESSAGE.key, domain="example.cn")
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter.get_content().replace("\r\n", "\n") == MESSAGE.text


def test_a_wrong_password_or_an_unknown_authority_holds_all_letters_up(certificates: CertificateFiles) -> None:
    with run_mail_server(tls=server_context(certificates), security="starttls", auth=True) as server:
        wrong = channel(
            server.port, security="starttls", username=USERNAME, password="falsch", ca_file=certificates.authority
        )
        stranger = channel(server.port, security="starttls", username=USERNAME, password=PASSWORD)
        for sender, problem in ((wrong, "535"), (stranger, "certificate verify failed")):
            with pytest.raises(DelayedError, match=problem) as caught:
                sender.deliver(MESSAGE)
            assert caught.value.whole
            assert "falsch" not in caught.value.message
        assert server.letters == []


def test_a_server_without_starttls_gets_no_letter() -> None:
    with run_mail_server() as server:
        with pytest.raises(DelayedError, match="STARTTLS"):
            channel(server.port, security="starttls").deliver(MESSAGE)
        assert server.letters == []


def test_what_a_server_refuses_for_good_is_refused_and_what_it_refuses_now_comes_again() -> None:
    with run_mail_server() as server:
        sender = channel(server.port)
        server.rcpt = ["550 5.1.1 <town@example.cn>: user unknown", "451 4.7.1 greylisted"]
        with pytest.raises(RefusedError, match="收件地址被拒绝：550"):
            sender.deliver(MESSAGE)
        with pytest.raises(DelayedError, match="451") as caught:
            sender.deliver(MESSAGE)
        assert not caught.value.whole  # another recipient may be welcome
        server.data = ["554 5.7.1 spam", "452 4.3.1 disk full"]
        with pytest.raises(RefusedError, match="信件被拒绝：554"):
            sender.deliver(MESSAGE)
        with pytest.raises(DelayedError, match="452"):
            sender.deliver(MESSAGE)
        sender.deliver(MESSAGE)
        assert len(server.letters) == 1


def test_a_server_that_hangs_up_on_a_whole_letter_gets_it_again_under_the_same_identity() -> None:
    with run_mail_server() as server:
        server.drops = 1
        sender = channel(server.port)
        with pytest.raises(UnsureError, match="信已交出"):
            sender.deliver(MESSAGE)
        sender.deliver(MESSAGE)
        first, second = server.letters
        assert first["Message-ID"] == second["Message-ID"]
        assert first.as_bytes() == second.as_bytes()


@contextmanager
def scripted(*answers: bytes) -> Iterator[int]:
    """A server that greets and answers each line with the next of `answers`, and then says nothing more."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as lines:
            connection.sendall(b"220 x\r\n")
            for text in answers:
                lines.readline()
                connection.sendall(text)
            while lines.readline():
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


def test_a_server_that_goes_silent_after_the_letter_may_have_it_and_before_it_has_not() -> None:
    ready = (b"250 x\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n")
    with scripted(*ready) as port, pytest.raises(UnsureError, match="timed out"):
        channel(port, timeout_s=0.3).deliver(MESSAGE)
    with scripted(*ready[:2]) as port, pytest.raises(DelayedError, match="timed out"):
        channel(port, timeout_s=0.3).deliver(MESSAGE)
    with scripted(b"250 x\r\n", b"550 we do not know you\r\n", b"503 x\r\n") as port:
        with pytest.raises(DelayedError, match="寄件地址被拒绝：550") as caught:
            channel(port).deliver(MESSAGE)
        assert caught.value.whole


def test_a_server_that_is_away_holds_all_letters_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(DelayedError, match="refused") as caught:
        channel(port).check()
    assert caught.value.whole


def test_an_authority_file_that_is_not_there_is_the_sites_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"notices\.ca_file"):
        channel(1, ca_file=tmp_path / "none.pem").check()


def test_no_header_can_be_added_through_a_subject() -> None:
    with pytest.raises(ValueError):
        as_letter(
            Message(**{**vars(MESSAGE), "subject": "x\r\nBcc: y@z.cn"}),
            SmtpServer(
                host="h",
                port=1,
                security="none",
                username="",
                password="",
                sender="a@b.cn",
                sender_name="",
                ca_file=None,
                timeout_s=1,
            ),
        )
    assert issubclass(smtplib.SMTPDataError, smtplib.SMTPResponseException)
