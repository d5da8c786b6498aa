"""`hotline tickets`: whether rows are what their events say; tickets of older systems."""

import getpass
import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from hotline.clock import SystemClock
from hotline.errors import InvalidInputError
from hotline.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tickets.places import Fault

SHOWN = 50  # refused lines of one file
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


@app.command("import", help="导入旧系统的工单（XLSX 或 CSV）；已导入过的编号不再导入；有行被拒时退出码为 1")
def tickets_import(
    file: Path,
    mapping: Annotated[Path, typer.Option("--map", help="映射文件（YAML）：哪一栏是什么，各种说法对应什么")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="只检查，不写入")] = False,
    report: Annotated[Path | None, typer.Option(help="把每个被拒的行和原因写到这个 .xlsx 或 .csv")] = None,
) -> None:
    """Import the tickets of an older system; each refused line is told with its reason."""
    from hotline.wiring.database import open_database
    from tickets.datafile import load_data_file
    from tickets.old_ticket_service import import_old_tickets
    from tickets.old_tickets import LONGEST_TEXT, OldMapping, columns_of, parse_old_tickets
    from tickets.service import load_site_data
    from tickets.sheets import read_sheet
    from tickets.unit_repository import all_units
    from tickets.unit_service import import_bounds

    settings, now = load_settings(), SystemClock().now()
    mapped = load_data_file(mapping, OldMapping)
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InvalidInputError(f"{file}: {error.strerror}") from error
    bounds = replace(import_bounds(settings.tickets), cell=LONGEST_TEXT)
    sheet = read_sheet(data, columns_of(mapped), bounds, others=True)
    with closing(open_database(settings)) as database, database.transaction() as session:
        given = parse_old_tickets(
            sheet,
            mapped,
            categories=load_site_data(settings.tickets).taxonomy.categories,
            units=[unit.code for unit in all_units(session)],
            zone=settings.zone,
            now=now,
        )
        done = import_old_tickets(
            session,
            given,
            source=mapped.source,
            prefix=settings.tickets.number_prefix,
            zone=settings.zone,
            actor=getpass.getuser()[:64],
            now=now,
        )
        if dry_run:
            session.rollback()
    for fault in done.refused[:SHOWN]:
        out.print(f"✗ {file}: {fault}", markup=False, highlight=False, soft_wrap=True)
    if len(done.refused) > SHOWN:
        out.print(f"…… 还有 {len(done.refused) - SHOWN} 行，用 --report 写出全部")
    if report is not None:
        _write_report(report, done.refused)
    counts = f"导入 {done.added}，以前已导入 {done.known}，拒绝 {len(done.refused)}"
    out.print(("试导入，没有写入：" if dry_run else "") + counts, highlight=False)
    if done.refused:
        raise typer.Exit(1)


def _write_report(path: Path, refused: "Sequence[Fault]") -> None:
    from tickets.sheets import write_csv, write_xlsx

    header, lines = ("行", "原因"), [(str(fault.line), fault.message) for fault in refused]
    if path.suffix not in (".xlsx", ".csv"):
        raise InvalidInputError(f"{path}: 报告须为 .xlsx 或 .csv")
    data = write_csv(header, lines) if path.suffix == ".csv" else write_xlsx("未导入", header, lines)
    try:
        path.write_bytes(data)
    except OSError as error:
        raise InvalidInputError(f"{path}: {error.strerror}") from error


def _tell(number: str, columns: dict[str, tuple[Any, Any]], *, as_json: bool) -> None:
    if as_json:
        row = {"number": number, "columns": {name: {"row": a, "events": b} for name, (a, b) in columns.items()}}
        typer.echo(json.dumps(row, ensure_ascii=False, default=str))
        return
    for name, (row, events) in columns.items():
        out.print(f"{number} {name}: 现为 {row!r}，按事件应为 {events!r}", markup=False, highlight=False)
