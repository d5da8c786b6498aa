"""`hotline units`: who handles tickets."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hotline.errors import InvalidInputError
from hotline.settings import load_settings
from hotline.settings_sections import PACKAGE_ROOT

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from tickets.places import Fault

SHOWN = 50  # faults of one file
EXAMPLES = PACKAGE_ROOT / "tickets/data/examples"
KINDS_HELP = "乡镇街道 | 部门 | 公共服务企业 | 区中心"
app = typer.Typer(no_args_is_help=True, help="承办单位：乡镇街道、部门、公共服务企业、区中心")
out = Console()


@app.command("import", help="导入单位表：XLSX 或 CSV，栏目为 代码、名称、类型、邮箱、电话、启用；有错则一个也不导入")
def units_import(
    file: Annotated[Path | None, typer.Argument(help="单位表")] = None,
    example: Annotated[bool, typer.Option("--example", help="导入随软件附带的示例：一个区的单位")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="只检查，不写入")] = False,
) -> None:
    """Add and change units by their codes; the same table again changes nothing."""
    from tickets.sheets import read_sheet
    from tickets.unit_service import import_bounds, import_units
    from tickets.units import COLUMNS, parse_units

    path = table_file(file, example, "units.csv")
    settings = load_settings()
    table = parse_units(read_sheet(read_file(path), COLUMNS, import_bounds(settings.tickets)))
    refuse_faults(path, table.faults)
    changes = _change(lambda session: import_units(session, table.units, dry_run=dry_run))
    counts = f"新增 {len(changes.added)}，更改 {len(changes.changed)}，不变 {changes.unchanged}"
    out.print(("试导入：" if dry_run else "") + counts)


@app.command("list", help="列出承办单位")
def units_list(
    kind: Annotated[str, typer.Option(help=f"只列出这一类的：{KINDS_HELP}")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="输出一个 JSON 对象")] = False,
) -> None:
    """List the units."""
    from dataclasses import asdict

    from hotline.wiring.database import open_database
    from tickets.unit_repository import all_units
    from tickets.unit_service import unit_data
    from tickets.units import UNIT_KINDS, kind_of

    with open_database(load_settings()).reading() as session:
        units = [unit_data(row) for row in all_units(session) if not kind or row.kind == kind_of(kind)]
    if as_json:
        typer.echo(json.dumps({"units": [asdict(unit) for unit in units]}, ensure_ascii=False))
        return
    table = Table("代码", "名称", "类型", "邮箱", "电话", "")
    for unit in units:
        cells = (unit.code, unit.name, UNIT_KINDS[unit.kind][0], unit.email, unit.phone, "" if unit.active else "停用")
        table.add_row(*map(escape, cells))
    out.print(table)


@app.command("add", help="添加一个单位")
def units_add(
    code: Annotated[str, typer.Argument(help="小写字母、数字、- 或 _")],
    name: str,
    kind: Annotated[str, typer.Option(help=KINDS_HELP)],
    email: str = "",
    phone: str = "",
) -> None:
    """Add a unit."""
    from tickets.unit_service import add_unit
    from tickets.units import UnitData, kind_of

    unit = UnitData(code, name.strip(), kind_of(kind), email, phone)
    _change(lambda session: add_unit(session, unit))
    out.print(f"已添加单位 {code} {escape(unit.name)}")


@app.command("change", help="更改一个单位的名称、类型、邮箱或电话，或重新启用它")
def units_change(
    code: str,
    name: Annotated[str | None, typer.Option()] = None,
    kind: Annotated[str | None, typer.Option(help=KINDS_HELP)] = None,
    email: Annotated[str | None, typer.Option()] = None,
    phone: Annotated[str | None, typer.Option()] = None,
    enable: Annotated[bool, typer.Option("--enable", help="重新启用")] = False,
) -> None:
    """Give a unit another name, kind, address or number, or open it again."""
    from tickets.unit_service import change_unit
    from tickets.units import kind_of

    given = {"name": name, "kind": kind_of(kind) if kind is not None else None, "email": email, "phone": phone}
    fields: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    fields |= {"active": True} if enable else {}
    if not fields:
        raise InvalidInputError("没有给出要更改的内容")
    _change(lambda session: change_unit(session, code, **fields))
    out.print(f"已更改单位 {code}")


@app.command("disable", help="停用一个单位：不再派单给它；已派的工单不受影响")
def units_disable(code: str) -> None:
    """Close a unit: nothing is dispatched to it any more."""
    from tickets.unit_service import change_unit

    _change(lambda session: change_unit(session, code, active=False))
    out.print(f"已停用单位 {code}；用 `hotline catalogue check` 查看派单目录里还有谁指向它", highlight=False)


def table_file(file: Path | None, example: bool, name: str) -> Path:
    """The file to import: the one named, or the example."""
    if (file is None) == (not example):
        raise InvalidInputError("给出一个文件，或 --example，二者取一")
    return EXAMPLES / name if file is None else file


def read_file(path: Path) -> bytes:
    """What a file holds; raises `InvalidInputError`."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInputError(f"{path}: {error.strerror}") from error


def refuse_faults(path: Path, faults: "Iterable[Fault]") -> None:
    """Tells what is wrong and ends the command where anything is."""
    told = [escape(f"{path}: {fault}") for fault in faults]
    for line in told[:SHOWN]:
        out.print(f"[red]✗[/] {line}", highlight=False, soft_wrap=True)
    if len(told) > SHOWN:
        out.print(f"…… 还有 {len(told) - SHOWN} 处")
    if told:
        out.print(f"{len(told)} 处有错，没有导入")
        raise typer.Exit(1)


def _change(change: "Callable[[Session], Any]") -> Any:
    from hotline.wiring.database import open_database

    with open_database(load_settings()).transaction() as session:
        return change(session)
