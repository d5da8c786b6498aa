"""What `hotline doctor` says of notices and webhooks."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from mail_server import run_mail_server

from hotline import doctor
from hotline.db import Database
from hotline.errors import ConfigurationError
from hotline.findings import Finding
from hotline.settings import Settings
from hotline.settings_notices import NoticeSettings, WebhookSettings
from tickets.notices.models import Notice, WebhookSubscription
from tickets.notices.subscriptions import Receiver, add_subscription, set_active, webhook_key_path


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    with closing(Database(settings.effective_database_url())) as opened:
        opened.migrate()
        yield opened


def mailing(settings: Settings, port: int) -> Settings:
    notices = NoticeSettings(
        smtp_host="127.0.0.1", smtp_port=port, smtp_security="none", smtp_sender="hotline@example.cn"
    )
    return settings.model_copy(update={"notices": notices})


def notices(settings: Settings) -> list[Finding]:
    return list(doctor._notices(settings))


def webhooks(settings: Settings) -> list[Finding]:
    return list(doctor._webhooks(settings))


def test_a_fresh_machine_has_nothing_to_say_and_gets_no_database(settings: Settings) -> None:
    assert notices(settings) == webhooks(settings) == []
    assert not (settings.data_dir / "hotline.db").exists()


def test_a_mail_server_is_asked_without_a_letter(settings: Settings, database: Database) -> None:
    with run_mail_server() as server:
        assert [item.level for item in notices(mailing(settings, server.port))] == ["ok"]
        assert server.letters == []
    [finding] = notices(mailing(settings, server.port))
    assert (finding.level, finding.subject) == ("error", "通知 邮件")
    assert "notices test" in finding.hint


def test_failed_and_waiting_notices_are_counted(settings: Settings, database: Database) -> None:
    long_ago = datetime.now(UTC) - timedelta(hours=2)
    with database.transaction() as session:
        for state in ("failed", "queued"):
            session.add(
                Notice(
                    key=state,
                    state=state,
                    due_at=long_ago,
                    expires_at=long_ago,
                    created_at=long_ago,
                    kind="test",
                    edition="1",
                    channel="sms",
                    recipient="1",
                    text="x",
                    values={},
                )
            )
    messages = [item.message for item in notices(settings)]
    assert messages[0] == "1 条发送失败"
    assert messages[1].startswith("有通知已等待 120 分钟")


def test_webhooks_that_fail_are_disabled_or_have_lost_their_key_are_named(
    settings: Settings, database: Database
) -> None:
    settings = settings.model_copy(update={"webhooks": WebhookSettings(allowed_hosts=("grid.example.cn",))})
    now = datetime.now(UTC)
    with database.transaction() as session:
        for name in ("a", "b", "c"):
            receiver = Receiver(name, "https://grid.example.cn/", ("ticket.closed",))
            add_subscription(session, receiver, settings=settings, by="x", now=now)
        set_active(session, "b", active=False, reason="换系统", now=now)
        session.query(WebhookSubscription).filter_by(name="c").one().failing_since = now
    assert [item.level for item in webhooks(settings)] == ["ok", "warning", "warning"]
    webhook_key_path(settings).write_text("2:" + "A" * 43 + "=\n")
    assert [item.level for item in webhooks(settings)] == ["error", "warning", "error"]
    webhook_key_path(settings).unlink()
    with pytest.raises(ConfigurationError, match=r"webhooks\.key_file"):
        webhooks(settings)
