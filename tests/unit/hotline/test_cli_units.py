"""`hotline units`: what a person at the site types, and what he is told."""

import json
import os
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from hotline.cli import app
from hotline.errors import HotlineError, InvalidInputError


@pytest.fixture(autouse=True)
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in [key for key in os.environ if key.startswith("HOTLINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOTLINE_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.chdir(tmp_path)
    assert run("migrate").exit_code == 0
    return tmp_path


def run(*arguments: str | Path) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, [str(each) for each in arguments])


def refused(*arguments: str | Path) -> HotlineError:
    error = run(*arguments).exception
    assert isinstance(error, HotlineError), error
    return error


def listed(*options: str) -> dict[str, str]:
    return {unit["code"]: unit["name"] for unit in json.loads(run("units", "list", "--json", *options).output)["units"]}


def test_the_example_is_imported_once() -> None:
    assert "试导入：新增 51" in run("units", "import", "--example", "--dry-run").output
    assert listed() == {}
    assert "新增 51" in run("units", "import", "--example").output
    assert "新增 0，更改 0，不变 51" in run("units", "import", "--example").output
    assert len(listed("--kind", "乡镇")) == 18
    assert listed("--kind", "office") == {"centre": "市民热线服务中心"}


def test_a_table_with_a_fault_imports_nothing_and_names_the_line(site: Path) -> None:
    table = site / "units.csv"
    table.write_text("代码,名称,类型\na,甲镇,镇\nb,乙镇,村\n", encoding="utf-8")
    done = run("units", "import", table)
    assert done.exit_code == 1
    assert "第 3 行" in done.output
    assert "没有导入" in done.output
    assert listed() == {}


def test_units_are_added_changed_and_closed() -> None:
    assert run("units", "add", "a", "甲镇", "--kind", "镇").exit_code == 0
    assert run("units", "change", "a", "--name", "甲街道").exit_code == 0
    assert listed() == {"a": "甲街道"}
    assert "已停用" in run("units", "disable", "a").output
    assert "停用" in run("units", "list").output
    assert run("units", "change", "a", "--enable").exit_code == 0
    assert "停用" not in run("units", "list").output
    assert "没有给出" in refused("units", "change", "a").message


def test_a_file_that_is_not_there_or_not_named_is_told() -> None:
    assert isinstance(refused("units", "import", "none.csv"), InvalidInputError)
    assert "二者取一" in refused("units", "import").message
