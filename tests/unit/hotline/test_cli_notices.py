"""`hotline notices` and `hotline webhooks` on a database."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from http_receiver import answer, run_receiver
from mail_server import run_mail_server
from sqlalchemy import select
from typer.testing import CliRunner

from console.models import AuditEntry
from hotline.cli import app
from hotline.db import Database
from hotline.errors import (
    ConfigurationError,
    ConflictError,
    ForbiddenError,
    HotlineError,
    InvalidInputError,
)
from hotline.settings import Settings, load_settings
from tickets.notices.delivery import DelayedError
from tickets.notices.kinds import Channel, Recipient
from tickets.notices.models import Notice
from tickets.notices.outbox import notify
from tickets.notices.plan import load_plan
from tickets.notices.signing import parse_secret

NUMBER = "YQ20260105000011"


@pytest.fixture
def database(settings: Settings, site_database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setenv("HOTLINE_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("COLUMNS", "300")
    with closing(Database(site_database_url)) as opened:
        yield opened


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, arguments)
    if isinstance(result.exception, HotlineError):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def mail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTLINE_NOTICES__SMTP_HOST", "127.0.0.1")
    monkeypatch.setenv("HOTLINE_NOTICES__SMTP_SENDER", "hotline@example.cn")
    monkeypatch.setenv("HOTLINE_NOTICES__SMTP_SECURITY", "none")


def tell(database: Database, address: str = "town@example.cn") -> int:
    values = {"number": NUMBER, "reason": "没有附照片"}
    with database.transaction() as session:
        notice = notify(
            session,
            "sent_back",
            Recipient(Channel.EMAIL, address),
            values,
            key="k",
            now=datetime.now(UTC),
            plan=load_plan(load_settings()),
            ticket=NUMBER,
        )
        assert notice is not None
        return notice.id


def test_notices_are_listed_masked_and_sent_again(database: Database, mail: None) -> None:
    number = tell(database)
    assert "t***@example.cn" in run("notices", "list")
    [listed] = json.loads(run("notices", "list", "--ticket", NUMBER.lower(), "--json"))["notices"]
    assert (listed["recipient"], listed["state"], listed["ticket"]) == ("t***@example.cn", "queued", NUMBER)
    assert json.loads(run("notices", "list", "--state", "failed", "--json")) == {"notices": []}
    with pytest.raises(ConflictError):
        run("notices", "retry", str(number))
    with database.transaction() as session:
        session.scalars(select(Notice)).one().state = "failed"
    assert "1 条" in run("notices", "retry", "--failed")
    assert json.loads(run("notices", "list", "--state", "queued", "--json"))["notices"][0]["id"] == number
    with pytest.raises(InvalidInputError, match="没有 eaten"):
        run("notices", "list", "--state", "eaten")


def test_a_test_letter_is_sent_at_once_or_its_failure_told(
    database: Database, mail: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with run_mail_server() as server:
        monkeypatch.setenv("HOTLINE_NOTICES__SMTP_PORT", str(server.port))
        assert "邮件已被接收：t***@example.cn" in run("notices", "test", "email", "town@example.cn")
        assert len(server.letters) == 1
    with pytest.raises(DelayedError, match="refused"):
        run("notices", "test", "email", "town@example.cn")
    with pytest.raises(ConfigurationError, match="没有设置短信"):
        run("notices", "test", "sms", "13800138000")
    with pytest.raises(InvalidInputError, match="不是邮件的收件地址"):
        run("notices", "test", "email", "town")


def test_an_sms_goes_through_the_gateways_file_with_secrets_from_a_file(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with run_receiver() as receiver:
        receiver.answers = [answer(200, b"{}")]
        gateway, secrets = tmp_path / "gateway.yaml", tmp_path / "secrets.toml"
        gateway.write_text(
            f"version: 1\nurl: '{receiver.url}/{{secret.path}}'\njson: {{to: '{{recipient}}', text: '{{text}}'}}\n"
        )
        secrets.write_text('[sms_secrets]\npath = "geheim"\n')
        secrets.chmod(0o600)
        monkeypatch.setenv("HOTLINE_NOTICES__SMS_GATEWAY", str(gateway))
        with pytest.raises(ConfigurationError, match=r"secret.path\} is not among the secrets"):
            run("notices", "test", "sms", "13800138000")
        monkeypatch.setenv("HOTLINE_NOTICES__SECRETS_FILE", str(secrets))
        assert "138****8000" in run("notices", "test", "sms", "13800138000")
        assert receiver.received[0].target == "/geheim"
        secrets.chmod(0o644)
        with pytest.raises(ConfigurationError, match="open to every account"):
            run("notices", "test", "sms", "13800138000")
        monkeypatch.delenv("HOTLINE_NOTICES__SECRETS_FILE")
        monkeypatch.setenv("HOTLINE_NOTICES__SMS_SECRETS", '{"path": "geheim"}')
        assert "138****8000" in run("notices", "test", "sms", "13800138000")
        assert "geheim" not in run("config")
        assert hash(load_settings().notices)
        monkeypatch.setenv("HOTLINE_NOTICES__SECRETS_FILE", str(secrets))
        secrets.chmod(0o600)
        secrets.write_text("[sms_secrets]\npath = ['geheim']\n")
        with pytest.raises(ConfigurationError) as caught:
            run("notices", "test", "sms", "13800138000")
        assert "geheim" not in caught.value.message + caught.value.hint


def test_texts_are_shown_with_the_messages_they_become(settings: Settings) -> None:
    shown = run("notices", "templates")
    assert "received" in shown
    assert "≤1" in shown


def test_an_address_opts_out_and_in(database: Database) -> None:
    assert "已退订" in run("notices", "opt-out", "sms", "13800138000")
    assert "本来就已退订" in run("notices", "opt-out", "sms", "13800138000")
    assert "已恢复" in run("notices", "opt-in", "sms", "13800138000")
    assert "没有退订" in run("notices", "opt-in", "sms", "13800138000")


def test_a_webhooks_life(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ForbiddenError, match="不允许发往"):
        run("webhooks", "add", "grid", "https://grid.example.cn/hook")
    monkeypatch.setenv("HOTLINE_WEBHOOKS__ALLOWED_HOSTS", '["grid.example.cn"]')
    added = run("webhooks", "add", "grid", "https://grid.example.cn/hook", "--event", "ticket.closed", "--personal")
    secret = next(word for word in added.split() if word.startswith("whsec_"))
    assert len(parse_secret(secret)) == 32
    [listed] = json.loads(run("webhooks", "list", "--json"))["webhooks"]
    assert (listed["events"], listed["personal"], listed["active"]) == (["ticket.closed"], True, True)
    run("webhooks", "test", "grid")
    assert "webhook.test" in run("webhooks", "deliveries", "grid")
    with pytest.raises(ConflictError):
        run("webhooks", "retry", "1")
    assert secret not in run("webhooks", "rotate", "grid")
    run("webhooks", "disable", "grid", "--reason", "换系统")
    assert "停用：换系统" in run("webhooks", "list")
    run("webhooks", "enable", "grid")
    assert "正常" in run("webhooks", "list")
    with database.reading() as session:
        assert session.scalars(select(AuditEntry.action)).all() == ["webhook_personal"]


def test_settings_that_would_send_twice_or_in_the_clear_are_refused(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    for name, value, problem in (
        ("HOTLINE_NOTICES__LEASE_S", "60", "lease_s is less than five times"),
        ("HOTLINE_NOTICES__CALLER_HOURS", "8-21", "caller_hours"),
        ("HOTLINE_NOTICES__SMTP_HOST", "mail", "smtp_sender is needed"),
        ("HOTLINE_NOTICES__OPERATORS", '["ops"]', "e-mail addresses"),
        ("HOTLINE_WEBHOOKS__PRIVATE_NETWORKS", '["10.0.0.0/99"]', "private_networks"),
    ):
        monkeypatch.setenv(name, value)
        with pytest.raises(ConfigurationError, match=problem):
            load_settings()
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOTLINE_NOTICES__OPERATORS", '["ops@local"]')
    with pytest.raises(ConfigurationError, match=r"notices\.operators"):
        load_plan(load_settings())
    monkeypatch.delenv("HOTLINE_NOTICES__OPERATORS")
    monkeypatch.setenv("HOTLINE_NOTICES__MOBILE_PATTERN", "(")
    with pytest.raises(ConfigurationError, match="mobile_pattern"):
        load_plan(load_settings())
    assert timedelta(hours=72) == load_plan(settings).max_age
