"""The command line: what people read, and that errors are one clear line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hotline import __version__


@pytest.fixture
def hotline(tmp_path: Path) -> "Command":
    return Command(tmp_path)


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


def test_wrong_accounts_are_refused_in_a_line(hotline: Command, tmp_path: Path) -> None:
    short = tmp_path / "password"
    short.write_text("kurz")
    hotline("migrate")
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


def test_surveys_are_started_and_listed(hotline: "Command") -> None:
    hotline("migrate")
    assert "工单" in hotline("survey", "list").stdout
    unknown = hotline("survey", "start", "yq20260105000017")
    assert unknown.returncode == 1
    assert "没有工单 YQ20260105000017" in unknown.stderr
    assert "Traceback" not in unknown.stderr
