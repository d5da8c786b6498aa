"""The parts of the demonstration that need no call."""

import contextlib
import io
import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from hotline.db import Database
from hotline.demo import Demo, _came_to_nothing, _demo_settings, _log_on_failure, _ports_to_itself
from hotline.errors import UnavailableError
from hotline.settings import Settings
from recordings.models import Call
from tickets.models import Ticket

NOW = datetime(2026, 1, 5, 1, 30, tzinfo=UTC)


def test_the_settings_of_the_site_cannot_break_it(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hotline.toml").write_text(
        """
        site_name = "延庆热线"
        [sip]
        allowed_peers = ["192.0.2.0/24"]
        max_calls = 1
        [media]
        rtp_timeout_s = 0.5
        [asr]
        model_path = "/opt/model"
        allow_demo_model = false
        [tickets]
        gazetteer_path = "/opt/places.yaml"
        [console]
        certificate = "/missing/chain.pem"
        private_key = "/missing/key.pem"
        """,
        encoding="utf-8",
    )
    monkeypatch.setattr(os, "environ", os.environ | {"HOTLINE_DATABASE_URL": "postgresql+psycopg://site/hotline"})
    folder = tmp_path / "demo"
    folder.mkdir()
    own = _demo_settings(folder)
    assert own.sip.allowed_peers == ("127.0.0.0/8",)
    assert own.sip.max_calls > 1
    assert own.media.rtp_timeout_s == settings.media.rtp_timeout_s
    assert own.asr.allow_demo_model
    assert own.console.certificate is own.console.private_key is None
    assert own.effective_database_url() == f"sqlite:///{folder}/hotline.db"
    assert (own.site_name, own.asr.model_path) == ("延庆热线", Path("/opt/model"))
    assert own.tickets.gazetteer_path == Path("/opt/places.yaml")


def test_a_second_one_says_that_it_waits_for_the_first_to_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    told = io.StringIO()
    entered = threading.Event()

    def second() -> None:
        with _ports_to_itself(Console(file=told)):
            entered.set()

    with _ports_to_itself(Console(file=io.StringIO())):
        waiting = threading.Thread(target=second)
        waiting.start()
        assert not entered.wait(0.5)
    waiting.join(5)
    assert entered.is_set()
    assert told.getvalue().count("另一个演示正在启动") == 1


def test_a_call_is_known_to_make_no_ticket_once_it_is_archived(settings: Settings) -> None:
    spool = settings.spool_dir / settings.node
    spool.mkdir(parents=True)
    journal = spool / "c1.jsonl"
    journal.touch()
    demo = Demo(settings, "", call_id="c1")
    with contextlib.closing(Database(settings.effective_database_url())) as database:
        database.migrate()
        assert not _came_to_nothing(demo)
        with database.transaction() as session:
            session.add(Call(id="c1", started_at=NOW, ended_at=NOW))
        assert not _came_to_nothing(demo)
        journal.unlink()
        assert _came_to_nothing(demo)
        with database.transaction() as session:
            session.add(
                Ticket(
                    number="YQ1",
                    lookup_code="123456",
                    call_id="c1",
                    state="to_dispatch",
                    channel="phone",
                    created_at=NOW,
                    updated_at=NOW,
                )
            )
        assert not _came_to_nothing(demo)


def test_a_failure_shows_the_end_of_the_log_as_it_is(tmp_path: Path) -> None:
    log_file = tmp_path / "hotline.log"
    log_file.write_text("".join(f"line {number} [red]\n" for number in range(100)))
    told = io.StringIO()
    with pytest.raises(UnavailableError), _log_on_failure(log_file, Console(file=told)):
        raise UnavailableError("x")
    assert told.getvalue().split("\n")[-2] == "line 99 [red]"
    assert "line 74 " not in told.getvalue()
    assert "[dim]" not in told.getvalue()
