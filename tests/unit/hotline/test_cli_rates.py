"""`hotline rates`: what people and scripts read."""

import json
from contextlib import closing
from pathlib import Path

import pytest
from figure_seed import BAD, FAIR, GOOD, seed_ticket, seed_units
from sqlalchemy import text
from typer.testing import CliRunner, Result

from hotline.cli_rates import app
from hotline.db import Database
from hotline.errors import ConflictError, InvalidInputError


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOTLINE_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("HOTLINE_DATABASE_URL", f"sqlite:///{tmp_path / 'hotline.db'}")
    monkeypatch.setenv("COLUMNS", "160")
    found = Database(f"sqlite:///{tmp_path / 'hotline.db'}")
    found.migrate()
    with found.transaction() as session:
        seed_units(session)
        seed_ticket(session, 1, FAIR)
        seed_ticket(session, 2, BAD, unit="zsy", flags=("excluded",))
        seed_ticket(session, 3, GOOD, unit="cgw")
    return found


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_rates_are_told_as_tables_and_as_json(database: Database) -> None:
    with closing(database):
        shown = run("compute", "--month", "2026-11").stdout
        assert "2026 年 10 月 19 日 12:00 至 2026 年 11 月 19 日 12:00" in shown
        assert "96.00" in shown  # 100 x (0.1 + 0.5 + 0.4 x 0.9)
        assert "张山营镇" not in shown
        assert "张山营镇" in run("compute", "--month", "2026-11", "--with-excluded", "--table", "towns").stdout
        told = json.loads(run("compute", "--from", "2026-11-03T00:00", "--to", "2026-11-04T00:00", "--json").stdout)
        assert (told["period"], told["cases"]) == ("2026-11-03..2026-11-04", 3)


def test_published_figures_are_listed_and_replayed(database: Database) -> None:
    with closing(database):
        assert "编号 1" in run("publish", "--month", "2026-11").stdout
        listed = json.loads(run("list", "--json").stdout)["publications"]
        assert [(item["id"], item["period"], item["cases"]) for item in listed] == [(1, "2026-11", 3)]
        assert run("replay").exit_code == 0
        assert isinstance(run("publish", "--month", "2026-11").exception, ConflictError)
        with database.transaction() as session:  # somebody with the database in his hands
            session.execute(text("DROP TRIGGER publications_no_update"))
            session.execute(text("UPDATE publications SET outputs = replace(outputs, '\"98\"', '\"99\"')"))
            session.execute(text("UPDATE publications SET outputs = replace(outputs, '\"96\"', '\"99\"')"))
        done = run("replay", "1", "--json")
        assert done.exit_code == 1
        paths = [item[0] for item in json.loads(done.stdout)["publications"][0]["differences"]]
        assert "without_excluded/towns/yn/score" in paths
        assert "outputs_sha256" in paths
        assert "不符" in run("replay", "1").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("compute", "--month", "November"),
        ("compute", "--formula", "unknown"),
        ("compute", "--table", "streets"),
        ("compute", "--from", "2026-11-01T00:00"),
        ("compute", "--from", "yesterday", "--to", "today"),
        ("compute", "--from", "2026-11-02T00:00", "--to", "2026-11-01T00:00"),
    ],
)
def test_what_makes_no_sense_is_refused(database: Database, arguments: tuple[str, ...]) -> None:
    with closing(database):
        assert isinstance(run(*arguments).exception, InvalidInputError)
