"""`hotline catalogue`: what a person at the site types, and what he is told."""

import json
from pathlib import Path

import pytest
from click.testing import Result
from test_cli_units import refused, run
from test_cli_units import site as site  # the fixture

from hotline.errors import ConflictError, InvalidInputError, NotFoundError

TABLE = "类别,属地,主办单位,协办单位,依据,自动派单\n市政园林/路灯,,城市管理委员会,,路灯养护职责,否\n"


@pytest.fixture
def table(site: Path) -> Path:
    assert run("units", "import", "--example").exit_code == 0
    path = site / "catalogue.csv"
    path.write_text(TABLE, encoding="utf-8")
    return path


def versions() -> list[tuple[int, bool, int]]:
    done = run("catalogue", "list", "--json")
    assert done.exception is None, done.exception
    rows = json.loads(done.output)["versions"]
    return [(row["version"], row["in_force"], row["entries"]) for row in rows]


def test_the_example_is_imported_once_and_covers_everything(table: Path) -> None:
    assert "试导入：新增 55" in run("catalogue", "import", "--example", "--dry-run").output
    assert versions() == []
    done = run("catalogue", "import", "--example")
    assert "新增 55" in done.output
    assert "!" not in done.output
    assert "完全相同" in run("catalogue", "import", "--example").output
    assert versions() == [(1, True, 55)]
    assert "没有错误" in run("catalogue", "check").output
    shown = run("catalogue", "list", "市政园林").output
    assert "园林绿化局" in shown
    assert "供热公司" not in shown


def test_a_new_version_shows_what_it_changes_and_can_be_exported(table: Path) -> None:
    run("catalogue", "import", table)
    table.write_text(TABLE.replace("城市管理委员会,,", "城市管理委员会,供电公司,"), encoding="utf-8")
    done = run("catalogue", "import", table, "--note", "增加协办")
    assert "± 市政园林/路灯 → 城市管理委员会 ⇒ 市政园林/路灯 → 城市管理委员会 协办 供电公司" in done.output
    assert versions() == [(2, True, 1), (1, False, 1)]
    assert "新增 0，更改 1，删除 0" in run("catalogue", "diff", "1").output
    for name in ("out.xlsx", "out.csv"):
        assert "1 行" in run("catalogue", "export", name).output
        assert "完全相同" in run("catalogue", "import", name).output
    run("catalogue", "export", "first.csv", "--version", "1")
    assert (
        Path("first.csv").read_bytes().decode("utf-8-sig").splitlines()[1].startswith("市政园林/路灯,,城市管理委员会,,")
    )


def test_a_version_of_the_future_is_not_yet_in_force(table: Path) -> None:
    run("catalogue", "import", table)
    table.write_text(TABLE.replace("城市管理委员会", "供电公司"), encoding="utf-8")
    assert isinstance(refused("catalogue", "import", table, "--effective", "2020-01-01"), InvalidInputError)
    assert "生效时间" in refused("catalogue", "import", table, "--effective", "明天").message
    from datetime import UTC, datetime, timedelta

    later = (datetime.now(UTC) + timedelta(days=10)).date().isoformat()
    assert run("catalogue", "import", table, "--effective", later).exit_code == 0
    assert versions() == [(2, False, 1), (1, True, 1)]
    assert "未生效" in run("catalogue", "list").output


def test_wrong_lines_import_nothing(table: Path) -> None:
    table.write_text(TABLE + "供暖,,供热集团,,,\n供暖/暖,,供热公司,,,\n", encoding="utf-8")
    done = run("catalogue", "import", table)
    assert done.exit_code == 1
    assert "第 3 行：没有单位 供热集团，是否为 供热公司？" in done.output
    assert "第 4 行：没有类别 供暖/暖" in done.output
    assert versions() == []


def test_a_unit_that_was_closed_since_is_found_by_the_check(table: Path) -> None:
    run("catalogue", "import", table)
    run("units", "disable", "urban")
    done: Result = run("catalogue", "check")
    assert done.exit_code == 1
    assert "市政园林/路灯：单位 城市管理委员会 已停用" in done.output
    assert isinstance(refused("catalogue", "export", "x.csv", "--version", "9"), NotFoundError)
    assert not isinstance(refused("catalogue", "diff", "9"), ConflictError)
