"""`hotline tickets replay`: what a person at the site types, and what he is told."""

import json
import os
from pathlib import Path

import pytest
from click.testing import Result
from sqlalchemy import select
from ticket_people import MONDAY, NUMBER, add_ticket, give, seed_units
from typer.testing import CliRunner

from hotline.cli import app
from hotline.db import Database
from hotline.errors import NotFoundError
from hotline.settings import load_settings
from tickets.commands import load_desk
from tickets.lifecycle import Command
from tickets.models import Ticket


@pytest.fixture(autouse=True)
def database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Database:
    """With two tickets, one of them sent to a unit."""
    for name in [key for key in os.environ if key.startswith("HOTLINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOTLINE_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.chdir(tmp_path)
    settings = load_settings()
    database = Database(settings.effective_database_url())
    database.migrate()
    with database.transaction() as session:
        seed_units(session)
        add_ticket(session, "YQ20260105000026", "beef")
        ticket = add_ticket(session, NUMBER, "c0ffee")
        give(session, ticket, Command.DISPATCH, desk=load_desk(settings), now=MONDAY)
    return database


def replay(*options: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["tickets", "replay", *options])


def spoil(database: Database) -> None:
    with database.transaction() as session:
        session.scalars(select(Ticket).where(Ticket.number == NUMBER)).one().title = "改过的"


def test_rows_that_agree_with_their_events_are_counted() -> None:
    result = replay()
    assert (result.exit_code, result.output.strip()) == (0, "2 张工单，2 张与事件一致")


def test_a_row_that_differs_is_shown_and_mended(database: Database) -> None:
    spoil(database)
    result = replay()
    assert result.exit_code == 1
    assert f"{NUMBER} title: 现为 '改过的'" in result.output
    assert "2 张工单，1 张与事件不同" in result.output
    assert "1 张已按事件改正" in replay("--repair").output
    assert replay().exit_code == 0


def test_one_ticket_is_looked_at_alone(database: Database) -> None:
    spoil(database)
    assert replay("--number", "yq20260105000026").exit_code == 0
    assert replay("--number", NUMBER).exit_code == 1
    assert isinstance(replay("--number", "YQ20260105000099").exception, NotFoundError)


def test_programs_get_a_line_of_json_for_each(database: Database) -> None:
    spoil(database)
    (row,) = [json.loads(line) for line in replay("--json").output.splitlines()]
    assert (row["number"], row["columns"]["title"]["row"]) == (NUMBER, "改过的")
