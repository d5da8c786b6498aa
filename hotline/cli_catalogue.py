"""`hotline catalogue`: which unit handles which category where."""

import getpass
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hotline.cli_units import read_file, refuse_faults, table_file
from hotline.clock import SystemClock
from hotline.errors import InvalidInputError, NotFoundError
from hotline.settings import Settings, load_settings

if TYPE_CHECKING:
    from tickets.catalogue import CatalogueDiff, Entry
    from tickets.units import UnitData

SHOWN = 50
app = typer.Typer(no_args_is_help=True, help="派单目录：类别和属地 → 主办单位、协办单位、依据")
out = Console()


@app.command("import", help="导入派单目录：XLSX 或 CSV，成为新的一版；有错则一行也不导入")
def catalogue_import(
    file: Annotated[Path | None, typer.Argument(help="栏目：类别、属地、主办单位、协办单位、依据、自动派单")] = None,
    example: Annotated[bool, typer.Option("--example", help="导入随软件附带的示例")] = False,
    effective: Annotated[str, typer.Option(help="生效时间：2026-07-01 或 2026-07-01T08:00；不给则立即生效")] = "",
    note: Annotated[str, typer.Option(help="说明")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="只检查并列出变化，不写入")] = False,
) -> None:
    """Add a version; the same table again is none."""
    from hotline.wiring.database import open_database
    from tickets.catalogue import compare
    from tickets.catalogue_repository import entries_of, version_in_force
    from tickets.catalogue_service import add_version, put_in_force, read_catalogue, site_vocabulary

    path = table_file(file, example, "catalogue.csv")
    settings, now = load_settings(), SystemClock().now()
    moment = _moment(effective, settings) if effective else now
    data = read_file(path)
    with open_database(settings).transaction() as session:
        known = site_vocabulary(session, settings)
        table = read_catalogue(data, known, settings.tickets)
        refuse_faults(path, table.faults)
        before = version_in_force(session, moment)
        changes = compare(entries_of(session, before.id) if before else (), table.entries)
        _tell_changes(changes, known.units)
        _tell_notes(table.notes)
        if dry_run:
            out.print(f"试导入：{_counts(changes)}")
        elif before is not None and not changes:
            out.print(f"与第 {before.id} 版完全相同，没有导入")
        else:
            version = add_version(
                session,
                data,
                table.entries,
                source=path.name,
                actor=f"cli:{getpass.getuser()}"[:64],
                now=now,
                note=note,
            )
            put_in_force(session, version, known, effective_from=moment, now=now)
            out.print(f"第 {version.id} 版，{_local(moment, settings)} 起生效：{_counts(changes)}", highlight=False)


@app.command("list", help="列出派单目录的版本；给出类别则列出它的承办单位")
def catalogue_list(
    category: Annotated[str, typer.Argument(help="一级类别，或 一级/二级")] = "",
    version: Annotated[int, typer.Option(help="第几版；不给则是现在生效的")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="输出一个 JSON 对象")] = False,
) -> None:
    """List the versions, or a category's entries."""
    from dataclasses import asdict

    from hotline.wiring.database import open_database
    from tickets.catalogue import entry_cells
    from tickets.catalogue_repository import entry_counts, version_in_force, versions
    from tickets.unit_repository import all_units
    from tickets.unit_service import unit_data

    settings, now = load_settings(), SystemClock().now()
    if category or version:
        chosen, entries = _entries(settings, version)
        entries = [each for each in entries if not category or f"{each.category}/".startswith(f"{category}/")]
        if as_json:
            rows = [asdict(entry) for entry in entries]
            typer.echo(json.dumps({"version": chosen, "entries": rows}, ensure_ascii=False))
            return
        with open_database(settings).reading() as session:
            units = {row.code: unit_data(row) for row in all_units(session)}
        table = Table("类别", "属地", "主办单位", "协办单位", "依据", "自动派单")
        for cells in entry_cells(entries, units):
            table.add_row(*map(escape, cells))
        out.print(table)
        return
    with open_database(settings).reading() as session:
        found = versions(session, limit=1000)
        counts = entry_counts(session, [each.id for each in found])
        current = version_in_force(session, now)
        rows = [
            {
                "version": each.id,
                "effective_from": each.effective_from.isoformat() if each.effective_from else None,
                "in_force": current is not None and each.id == current.id,
                "entries": counts.get(each.id, 0),
                "source": each.source,
                "sha256": each.sha256,
                "imported_by": each.imported_by,
                "note": each.note,
            }
            for each in found
        ]
    if as_json:
        typer.echo(json.dumps({"versions": rows}, ensure_ascii=False))
        return
    table = Table("版本", "生效时间", "", "行数", "文件", "导入人", "说明")
    for each, row in zip(found, rows, strict=True):
        when = _local(each.effective_from, settings) if each.effective_from else "草稿"
        state = "生效中" if row["in_force"] else "未生效" if each.effective_from and each.effective_from > now else ""
        cells = (str(each.id), when, state, str(row["entries"]), each.source, each.imported_by, each.note)
        table.add_row(*map(escape, cells))
    out.print(table)


@app.command("check", help="检查生效中的目录：单位是否停用、类别和地名是否还在、哪些类别没有承办单位；有错时退出码为 1")
def catalogue_check(version: Annotated[int, typer.Option(help="第几版；不给则是现在生效的")] = 0) -> None:
    """Tell what is wrong with a version by now."""
    from hotline.wiring.database import open_database
    from tickets.catalogue import catalogue_notes, entry_faults
    from tickets.catalogue_service import site_vocabulary

    settings = load_settings()
    chosen, entries = _entries(settings, version)
    with open_database(settings).reading() as session:
        known = site_vocabulary(session, settings)
    faults = [(entry, text) for entry in entries for text in entry_faults(entry, known)]
    for entry, text in faults[:SHOWN]:
        where = f"{entry.category}{'、' + entry.place if entry.place else ''}"
        out.print(f"[red]✗[/] {escape(where)}：{escape(text)}", highlight=False, soft_wrap=True)
    _tell_notes(catalogue_notes(entries, known))
    if faults:
        out.print(f"第 {chosen} 版有 {len(faults)} 处有错")
        raise typer.Exit(1)
    out.print(f"[green]✓[/] 第 {chosen} 版，{len(entries)} 行，没有错误", highlight=False)


@app.command("diff", help="两版有什么不同")
def catalogue_diff(
    old: Annotated[int, typer.Argument(help="第几版")],
    new: Annotated[int, typer.Argument(help="第几版；不给则是现在生效的")] = 0,
) -> None:
    """Tell what changed between two versions."""
    from hotline.wiring.database import open_database
    from tickets.catalogue import compare
    from tickets.unit_repository import all_units
    from tickets.unit_service import unit_data

    settings = load_settings()
    before, after = _entries(settings, old)[1], _entries(settings, new)[1]
    with open_database(settings).reading() as session:
        units = {row.code: unit_data(row) for row in all_units(session)}
    changes = compare(before, after)
    _tell_changes(changes, units, limit=100_000)
    out.print(_counts(changes))


@app.command("export", help="把一版写成文件：.xlsx 或 .csv")
def catalogue_export(file: Path, version: Annotated[int, typer.Option(help="第几版；不给则是现在生效的")] = 0) -> None:
    """Write a version to a file that can be imported again."""
    from hotline.wiring.database import open_database
    from tickets.catalogue import COLUMNS, entry_cells
    from tickets.sheets import write_csv, write_xlsx
    from tickets.unit_repository import all_units
    from tickets.unit_service import unit_data

    settings = load_settings()
    _chosen, entries = _entries(settings, version)
    with open_database(settings).reading() as session:
        units = {row.code: unit_data(row) for row in all_units(session)}
    header, rows = [column.names[0] for column in COLUMNS], entry_cells(entries, units)
    data = write_xlsx("派单目录", header, rows) if file.suffix == ".xlsx" else write_csv(header, rows)
    try:
        file.write_bytes(data)
    except OSError as error:
        raise InvalidInputError(f"{file}: {error.strerror}") from error
    out.print(f"{len(entries)} 行写到 {file}", highlight=False, soft_wrap=True)


def _entries(settings: Settings, version: int) -> "tuple[int, list[Entry]]":
    """A version's entries; 0: those in force."""
    from hotline.wiring.database import open_database
    from tickets.catalogue_repository import entries_of, version_by_id, version_in_force

    with open_database(settings).reading() as session:
        found = version_by_id(session, version) if version else version_in_force(session, SystemClock().now())
        if found is None:
            raise NotFoundError("还没有生效的派单目录", hint="用 `hotline catalogue import` 导入")
        return found.id, list(entries_of(session, found.id))


def _moment(text: str, settings: Settings) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInputError(f"生效时间 {text[:40]!r} 无效", hint="写成 2026-07-01 或 2026-07-01T08:00") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=settings.zone)


def _local(moment: datetime, settings: Settings) -> str:
    return f"{moment.astimezone(settings.zone):%Y-%m-%d %H:%M}"


def _counts(changes: "CatalogueDiff") -> str:
    return f"新增 {len(changes.added)}，更改 {len(changes.changed)}，删除 {len(changes.removed)}"


def _tell_changes(changes: "CatalogueDiff", units: "Mapping[str, UnitData]", *, limit: int = SHOWN) -> None:
    from tickets.catalogue import entry_cells

    def line(entry: "Entry") -> str:
        category, place, lead, co_units, _basis, auto = next(iter(entry_cells([entry], units)))
        parts = [
            category,
            place,
            f"→ {lead}",
            f"协办 {co_units}" if co_units else "",
            "自动派单" if auto == "是" else "",
        ]
        return escape(" ".join(filter(None, parts)))

    lines = [f"[green]+[/] {line(entry)}" for entry in changes.added]
    lines += [f"[red]-[/] {line(entry)}" for entry in changes.removed]
    lines += [f"[yellow]±[/] {line(before)} ⇒ {line(after)}" for before, after in changes.changed]
    for each in lines[:limit]:
        out.print(each, highlight=False, soft_wrap=True)
    if len(lines) > limit:
        out.print(f"…… 还有 {len(lines) - limit} 行")


def _tell_notes(notes: "tuple[str, ...]") -> None:
    for note in notes[:SHOWN]:
        out.print(f"[yellow]![/] {escape(note)}", highlight=False, soft_wrap=True)
    if len(notes) > SHOWN:
        out.print(f"…… 还有 {len(notes) - SHOWN} 处")
