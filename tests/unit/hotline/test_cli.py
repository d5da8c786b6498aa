"""The command line: what people read, and that errors are one clear line."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from asr.recognizer import ModelInfo, Word
from asr.search import forget_index
from asr.service import Utterance, store_transcript
from console.models import AuditEntry
from hotline import __version__
from hotline.db import Database
from recordings.models import Call


@pytest.fixture
def hotline(tmp_path: Path) -> "Command":
    return Command(tmp_path)


@pytest.fixture
def migrated(hotline: "Command", migrated_sqlite_file: Path) -> None:
    """The command line's database is made already."""
    (hotline.folder / "var").mkdir()
    shutil.copy(migrated_sqlite_file, hotline.folder / "var/hotline.db")


class Command:
    """`hotline ...` in a process and a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        kept = {key: value for key, value in os.environ.items() if not key.startswith("HOTLINE_")}
        return subprocess.run(
            [sys.executable, "-m", "hotline.cli", *arguments],
            env={**kept, "COLUMNS": "200", "HOTLINE_DATA_DIR": str(self.folder / "var"), **environment},
            cwd=self.folder,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
            umask=0o022,
        )


def test_version(hotline: Command) -> None:
    assert hotline("version").stdout.strip() == __version__


def test_config_prints_the_effective_settings_and_no_secret(hotline: Command) -> None:
    done = hotline("config", HOTLINE_DATABASE_URL="postgresql+psycopg://hotline:geheim@db/hotline")
    shown = json.loads(done.stdout)
    assert shown["sip"]["port"] == 5060
    assert shown["database_url"] == "postgresql+psycopg://hotline:***@db/hotline"
    assert "geheim" not in done.stdout + done.stderr


@pytest.mark.parametrize("command", [("config",), ("serve",), ("migrate",), ("run", "media"), ("doctor",)])
def test_a_wrong_setting_is_one_line_that_names_it(hotline: Command, command: tuple[str, ...]) -> None:
    done = hotline(*command, HOTLINE_SIP__PORT="seventy")
    assert done.returncode == 1
    assert "sip.port" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_error_says_what_is_wrong_and_no_class(hotline: Command) -> None:
    (line,) = hotline("config", HOTLINE_SIP__PROT="5060").stderr.splitlines()[:1]
    assert line == "错误: unknown setting HOTLINE_SIP__PROT"


@pytest.mark.parametrize("command", [("serve",), ("migrate",), ("run", "media"), ("user", "list")])
def test_a_data_folder_that_cannot_be_is_one_line(hotline: Command, command: tuple[str, ...]) -> None:
    done = hotline(*command, HOTLINE_DATA_DIR="/proc/hotline")
    assert done.returncode == 1
    assert "/proc/hotline" in done.stderr
    assert "data_dir" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [("migrate",), ("user", "list"), ("doctor",)])
def test_a_file_that_is_no_database_is_one_line(hotline: Command, command: tuple[str, ...]) -> None:
    (hotline.folder / "var").mkdir()
    (hotline.folder / "var/hotline.db").write_text("我不是数据库" * 1000, encoding="utf-8")
    done = hotline(*command)
    assert done.returncode == 1
    assert "not a database" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_process_is_refused(hotline: Command) -> None:
    done = hotline("run", "kitchen")
    assert done.returncode == 2
    assert "recognizer" in done.stderr


def test_accounts_are_added_listed_and_disabled(hotline: Command, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("一个够长的口令2026\n", encoding="utf-8")
    assert "最新" in hotline("migrate").stdout
    added = hotline("user", "add", "zhang", "--name", "张三", "--role", "reviewer", "--password-file", str(password))
    assert added.returncode == 0, added.stderr
    assert "张三" in hotline("user", "list").stdout
    assert hotline("user", "disable", "zhang").returncode == 0
    assert "停用" in hotline("user", "list").stdout
    assert hotline("user", "enable", "zhang").returncode == 0
    assert hotline("user", "passwd", "zhang", "--password-file", str(password)).returncode == 0


@pytest.mark.usefixtures("migrated")
def test_wrong_accounts_are_refused_in_a_line(hotline: Command, tmp_path: Path) -> None:
    short = tmp_path / "password"
    short.write_text("kurz")
    for arguments in (
        ("user", "add", "zhang", "--password-file", str(short)),
        ("user", "add", "zhang", "--password-file", str(tmp_path / "none")),
        ("user", "passwd", "nobody", "--password-file", str(short)),
        ("user", "disable", "nobody"),
    ):
        done = hotline(*arguments)
        assert done.returncode == 1, arguments
        assert "错误" in done.stderr
        assert "Traceback" not in done.stderr


def test_extensions_are_added_listed_and_removed(hotline: Command, tmp_path: Path) -> None:
    added = hotline("extension", "add", "8001", "--name", "一号座席", "--queue", "operator", "--queue", "late")
    assert added.returncode == 0, added.stderr
    assert "用户名 8001  密钥 " in added.stdout
    secret = tmp_path / "secret"
    secret.write_text("一个足够长的密钥\n", encoding="utf-8")
    options = ("--skill", "enterprise", "--supervisor", "--secret-file", str(secret))
    silent = hotline("extension", "add", "8002", *options)
    assert "一个足够长的密钥" not in silent.stdout
    assert hotline("extension", "list").stdout.splitlines() == [
        "8001  一号座席  队列 operator、late",
        "8002  技能 enterprise  班长席",
    ]
    assert hotline("extension", "remove", "8001").returncode == 0
    assert "8001" not in hotline("extension", "list").stdout


def test_wrong_extensions_are_refused_in_a_line(hotline: Command, tmp_path: Path) -> None:
    for arguments in (
        ("add", "8 001"),
        ("add", "8001", "--queue", "two words"),
        ("add", "8001", "--secret-file", str(tmp_path / "none")),
        ("remove", "8001"),
    ):
        done = hotline("extension", *arguments)
        assert done.returncode == 1, arguments
        assert "错误" in done.stderr
        assert "Traceback" not in done.stderr


def test_accounts_need_a_migrated_database(hotline: Command) -> None:
    done = hotline("user", "list")
    assert done.returncode == 1
    assert "hotline migrate" in done.stderr


def test_other_accounts_cannot_read_what_a_command_makes(hotline: Command) -> None:
    assert hotline("migrate").returncode == 0
    made = [hotline.folder / "var", *(hotline.folder / "var").rglob("*")]
    assert hotline.folder / "var" / "hotline.db" in made
    assert [path for path in made if path.stat().st_mode & 0o007] == []


def test_a_database_that_is_away_is_one_line(hotline: Command) -> None:
    done = hotline("migrate", HOTLINE_DATABASE_URL="postgresql+psycopg://hotline:geheim@127.0.0.1:1/hotline")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "geheim" not in done.stderr


@pytest.mark.usefixtures("migrated")
def test_what_was_said_is_searched_from_the_command_line(hotline: Command) -> None:
    seed_a_call(hotline.folder / "var/hotline.db")
    found = json.loads(hotline("search", "路灯 -施工", "--json").stdout)
    assert found["total"] == 1
    (call,) = found["calls"]
    assert (call["call_id"], call["caller"]) == ("lamp", "138****8000")
    assert call["quotes"] == [{"speaker": "caller", "start_ms": 1500, "text": "门口路灯坏了。", "hits": ["路灯"]}]
    assert "门口路灯坏了。" in hotline("search", "路灯", "--order", "time").stdout
    assert "找到 0 通" in hotline("search", "路灯", "--speaker", "seat").stdout
    for wrong in (("search", "，"), ("search", "路灯", "--since", "昨天")):
        done = hotline(*wrong)
        assert (done.returncode, "Traceback" in done.stderr, "错误" in done.stderr) == (1, False, True)


@pytest.mark.usefixtures("migrated")
def test_the_search_index_is_rebuilt_and_the_doctor_tells_when_it_must_be(hotline: Command) -> None:
    path = hotline.folder / "var/hotline.db"
    seed_a_call(path)
    assert "全部转写都能搜到" in hotline("doctor").stdout
    with contextlib.closing(Database(f"sqlite:///{path}")) as database, database.transaction() as session:
        forget_index(session)
    told = hotline("doctor").stdout
    assert "1 份转写搜不到或已过时" in told
    assert "hotline search rebuild" in told
    assert "已编入 1 份转写" in hotline("search", "rebuild").stdout
    assert "找到 1 通" in hotline("search", "路灯").stdout
    assert "已编入 0 份转写" in hotline("search", "rebuild").stdout
    assert "已编入 1 份转写" in hotline("search", "rebuild", "--all").stdout


@pytest.mark.usefixtures("migrated")
def test_a_search_for_somebodys_number_is_logged(hotline: Command) -> None:
    path = hotline.folder / "var/hotline.db"
    seed_a_call(path)
    hotline("search", "路灯")
    assert "找到 1 通" in hotline("search", "13912345678").stdout
    with contextlib.closing(Database(f"sqlite:///{path}")) as database, database.reading() as session:
        (entry,) = session.scalars(select(AuditEntry))
    assert (entry.action, entry.subject, entry.reason) == ("search", "139****5678", "找到 1 通")
    assert entry.username.startswith("cli:")


def seed_a_call(path: Path) -> None:
    """One call whose caller speaks of a street lamp and tells his number."""
    now = datetime(2026, 1, 5, 1, 30, tzinfo=UTC)
    words = (Word("门口", 1000, 1500, 1.0), Word("路灯", 1500, 2000, 1.0), Word("坏了", 2000, 2500, 1.0))
    number = tuple(Word(digit, 9000 + at, 9001 + at, 1.0) for at, digit in enumerate("13912345678"))
    with contextlib.closing(Database(f"sqlite:///{path}")) as database, database.transaction() as session:
        session.add(Call(id="lamp", caller_number="13800138000", started_at=now, ended_at=now))
        session.flush()
        store_transcript(
            session,
            call_id="lamp",
            origin="live",
            model=ModelInfo("x", "vosk", False),
            segments=[Utterance("caller", "门口路灯坏了。", words), Utterance("caller", "13912345678", number)],
            now=now,
        )


@pytest.mark.usefixtures("migrated")
def test_surveys_are_started_and_listed(hotline: "Command") -> None:
    assert "工单" in hotline("survey", "list").stdout
    unknown = hotline("survey", "start", "yq20260105000017")
    assert unknown.returncode == 1
    assert "没有工单 YQ20260105000017" in unknown.stderr
    assert "Traceback" not in unknown.stderr


@pytest.mark.parametrize("module", ["hotline.cli", "hotline.findings"])  # alone, or for a health check
def test_the_command_line_loads_no_heavy_library(module: str) -> None:
    heavy = {"fastapi", "numpy", "pypinyin", "rapidfuzz", "sippy", "soxr", "sqlalchemy", "vosk"}
    program = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not heavy & set(done.stdout.split())
