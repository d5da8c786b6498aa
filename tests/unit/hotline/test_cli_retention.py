import json
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from console_seed import seed_heating_call
from sqlalchemy import select
from typer.testing import CliRunner

from console.models import AuditEntry
from hotline.cli import app
from hotline.db import Database
from hotline.errors import HotlineError, NotFoundError
from hotline.settings import Settings
from recordings.store import RecordingStore

NUMBER = "YQ20260105000011"


@pytest.fixture
def database(settings: Settings, site_database_url: str, monkeypatch: pytest.MonkeyPatch):
    """A closed ticket whose recording is three years old."""
    monkeypatch.setenv("HOTLINE_DATA_DIR", str(settings.data_dir))
    with closing(Database(site_database_url)) as opened:
        store = RecordingStore(settings.effective_recordings_url())
        with opened.transaction() as session:
            seed_heating_call(session, store, now=datetime.now(UTC) - timedelta(days=1100)).state = "closed"
        yield opened


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, arguments)
    if isinstance(result.exception, HotlineError):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


def test_a_hold_a_dry_run_a_run_and_its_certificate(database: Database) -> None:
    run("hold", "add", NUMBER, "--reason", "诉讼取证")
    assert "c0ffee" in run("hold", "list")
    assert json.loads(run("retention", "run", "--dry-run", "--json")) == {"due": [], "certificates": []}
    run("hold", "release", NUMBER, "--reason", "已结案")
    assert "c0ffee" not in run("hold", "list")
    assert "c0ffee" in run("hold", "list", "--all")
    dry = json.loads(run("retention", "run", "--dry-run", "--json"))
    assert [(item["call_id"], item["ticket"]) for item in dry["due"]] == [("c0ffee", NUMBER)]
    assert "1 张" in run("retention", "run")
    assert "1 张证书首尾相接" in run("retention", "certificates")
    assert "删除证书 第 1 号" in run("retention", "certificates", "1")
    with pytest.raises(NotFoundError):
        run("retention", "certificates", "2")
    with database.reading() as session:
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
    assert [(item.action, item.subject, item.reason) for item in entries] == [
        ("hold", "c0ffee", "诉讼取证"),
        ("release_hold", "c0ffee", "已结案"),
    ]


def test_a_changed_certificate_is_told(database: Database) -> None:
    run("retention", "run")
    with database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE deletion_certificates SET rule = 'audio 1d'")
    assert json.loads(run("retention", "certificates", "--json", code=1))["faults"] == [[1, "its row was changed"]]
