"""`hotline tickets`: whether rows are what their events say."""

import json
from typing import Annotated, Any

import typer
from rich.console import Console

from hotline.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="工单")
out = Console()


@app.callback()
def tickets() -> None:
    """Groups the commands."""


@app.command("replay", help="由事件重算全部工单，列出与现有内容不同之处；有不同时退出码为 1")
def tickets_replay(
    number: Annotated[str, typer.Option(help="只查这一张")] = "",
    repair: Annotated[bool, typer.Option(help="按事件改正")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="逐行输出 JSON")] = False,
) -> None:
    """Rebuild the rows of tickets from their events and list every difference; `--repair` writes what they say."""
    from hotline.wiring.database import open_database
    from tickets import replay, repository

    database = open_database(load_settings())
    count = different = last = 0
    if number:
        with database.reading() as session:
            last = repository.ticket_by_number(session, number.upper()).id - 1
    while True:
        with database.transaction() if repair else database.reading() as session:
            chunk = list(replay.replay(session, after=last, limit=1 if number else replay.CHUNK))
            for ticket, difference in chunk:
                if difference is None:
                    continue
                different += 1
                _tell(difference.number, difference.columns, as_json=as_json)
                if repair:
                    replay.repair(session, ticket)
        count += len(chunk)
        last = chunk[-1][0].id if chunk else last
        if number or not chunk:
            break
    if not as_json:
        done = "已按事件改正" if repair and different else "与事件不同" if different else "与事件一致"
        out.print(f"{count} 张工单，{different or count} 张{done}")
    if different and not repair:
        raise typer.Exit(1)


def _tell(number: str, columns: dict[str, tuple[Any, Any]], *, as_json: bool) -> None:
    if as_json:
        row = {"number": number, "columns": {name: {"row": a, "events": b} for name, (a, b) in columns.items()}}
        typer.echo(json.dumps(row, ensure_ascii=False, default=str))
        return
    for name, (row, events) in columns.items():
        out.print(f"{number} {name}: 现为 {row!r}，按事件应为 {events!r}", markup=False, highlight=False)
