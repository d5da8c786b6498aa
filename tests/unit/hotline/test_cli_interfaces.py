"""`hotline apikey`, `hotline calendar` and `hotline tickets import` as people use them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from openpyxl import load_workbook

EXAMPLES = Path(__file__).resolve().parents[3] / "tickets" / "data" / "examples"


class Command:
    """`hotline ...` in a process and a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        kept = {key: value for key, value in os.environ.items() if not key.startswith("HOTLINE_")}
        return subprocess.run(
            [sys.executable, "-m", "hotline.cli", *arguments],
            env={**kept, "COLUMNS": "200", "HOTLINE_DATA_DIR": str(self.folder / "var")},
            cwd=self.folder,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=120,
        )


@pytest.fixture
def hotline(tmp_path: Path) -> Command:
    command = Command(tmp_path)
    assert command("migrate").returncode == 0
    return command


def test_a_key_is_shown_once_listed_without_its_secret_and_disabled(hotline: Command) -> None:
    added = hotline("apikey", "add", "city", "--scope", "read", "--scope", "create", "--role", "dispatcher")
    assert added.returncode == 0, added.stderr
    key = added.stdout.splitlines()[-1]
    assert key.startswith("hl_")
    listed = hotline("apikey", "list").stdout
    assert key[:15] in listed
    assert key not in listed
    assert hotline("apikey", "add", "city", "--scope", "read").returncode == 1
    for wrong in (
        ("--scope", "everything"),
        ("--scope", "read", "--role", "unit_handler"),
        ("--scope", "read", "--role", "x"),
    ):
        refused = hotline("apikey", "add", "other", *wrong)
        assert refused.returncode == 1
        assert "Traceback" not in refused.stderr
    assert hotline("apikey", "disable", "city").returncode == 0
    assert "停用" in hotline("apikey", "list").stdout
    assert hotline("apikey", "disable", "nobody").returncode == 1


def test_a_calendar_is_added_listed_and_revoked(hotline: Command) -> None:
    assert hotline("units", "import", "--example").returncode == 0
    added = hotline("calendar", "add", "--unit", "yanqing")
    assert added.returncode == 0, added.stderr
    address = added.stdout.splitlines()[-1]
    assert address.startswith("https://")
    assert address.endswith(".ics")
    assert address.rpartition("/")[2] not in hotline("calendar", "list").stdout
    assert hotline("calendar", "revoke", "1").returncode == 0
    assert "停用" in hotline("calendar", "list").stdout
    assert hotline("calendar", "revoke", "7").returncode == 1
    assert hotline("calendar", "add").returncode == 1


def test_old_tickets_are_tried_imported_once_and_refused_lines_reported(hotline: Command) -> None:
    table, mapping = EXAMPLES / "old_tickets.csv", EXAMPLES / "old_tickets.yaml"
    tried = hotline("tickets", "import", str(table), "--map", str(mapping), "--dry-run")
    assert (tried.returncode, "没有写入：导入 3" in tried.stdout) == (0, True), tried.stdout + tried.stderr
    assert "导入 3，以前已导入 0，拒绝 0" in hotline("tickets", "import", str(table), "--map", str(mapping)).stdout
    assert "导入 0，以前已导入 3，拒绝 0" in hotline("tickets", "import", str(table), "--map", str(mapping)).stdout
    assert hotline("tickets", "replay").returncode == 0
    wrong = hotline.folder / "wrong.csv"
    wrong.write_text(table.read_text("utf-8").replace("已办结", "办完了"), "gbk")
    for name in ("refused.xlsx", "refused.csv"):
        done = hotline("tickets", "import", str(wrong), "--map", str(mapping), "--report", str(hotline.folder / name))
        assert done.returncode == 1
        assert "映射文件里没有“办完了”" in done.stdout
        assert "13900139000" not in done.stdout
    rows = list(load_workbook(hotline.folder / "refused.xlsx").worksheets[0].iter_rows(values_only=True))
    assert rows[0] == ("行", "原因")
    assert [row[0] for row in rows[1:]] == ["2", "3"]
    for arguments in (("missing.xlsx", "--map", str(mapping)), (str(table), "--map", "missing.yaml")):
        refused = hotline("tickets", "import", *arguments)
        assert refused.returncode == 1
        assert "Traceback" not in refused.stderr
