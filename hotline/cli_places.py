"""`hotline places`: towns, communities, villages, roads and companies of the site. Processes follow changes."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hotline.errors import ConfigurationError, InvalidInputError, NotFoundError
from hotline.settings import Settings, load_settings
from hotline.site_files import SiteFile

if TYPE_CHECKING:
    from tickets.places import Place, PlaceList

SHOWN = 50  # faults and notes of one file
app = typer.Typer(no_args_is_help=True, help="本站地名：工单按它找地址，文字按它改正听错的地名")
out = Console()


@app.command("import", help="导入地名表：CSV、TSV 或 YAML，栏目为 名称、类型、所属乡镇、别名；有错则一条也不导入")
def places_import(
    file: Path,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="只检查，不写入")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="以本文件取代以前导入的全部地名")] = False,
) -> None:
    """Add the places of a table; the same table again changes nothing."""
    from tickets.places import Changes, format_table, merge

    settings = load_settings()
    towns = _file_towns(settings)
    earlier = frozenset() if replace else {place.name for place in _stored(settings) if place.kind == "town"}
    table = _read(file, towns=towns | earlier, limit=settings.tickets.max_places)
    _tell("[yellow]![/]", file, map(str, table.notes))
    if table.faults:
        _tell("[red]✗[/]", file, map(str, table.faults))
        out.print(f"{len(table.faults)} 处有错，没有导入")
        raise typer.Exit(1)
    done: list[Changes] = []

    def edit(text: str) -> str:
        changes = merge(_parse(text, settings, towns), table.places, replace_all=replace)
        if len(changes.places) > settings.tickets.max_places:
            raise InvalidInputError(
                f"共 {len(changes.places)} 个地名，最多 {settings.tickets.max_places} 个",
                hint="提高 tickets.max_places",
            )
        done.append(changes)
        settled = changes.added or changes.changed or changes.removed
        return format_table(changes.places) if settled and not dry_run else text

    SiteFile(settings.places_path).change(edit)
    changes = done[-1]
    counts = [f"新增 {len(changes.added)}", f"更改 {len(changes.changed)}", f"不变 {changes.unchanged}"]
    counts += [f"删除 {len(changes.removed)}"] if replace else []
    out.print(("试导入：" if dry_run else "") + "，".join(counts))


@app.command("list", help="列出导入的地名")
def places_list(
    town: Annotated[str, typer.Option(help="只列出这个乡镇的")] = "",
    kind: Annotated[str, typer.Option(help="只列出这一类的")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="输出一个 JSON 对象")] = False,
) -> None:
    """List the imported places."""
    from tickets.places import KINDS

    places = [
        place
        for place in _stored(load_settings())
        if (not town or town in (place.town, place.name)) and (not kind or kind in (place.kind, *KINDS[place.kind]))
    ]
    if as_json:
        rows = [{"name": p.name, "kind": p.kind, "town": p.town, "aliases": p.aliases} for p in places]
        typer.echo(json.dumps({"places": rows}, ensure_ascii=False))
        return
    table = Table("名称", "类型", "所属乡镇", "别名")
    for place in places:
        table.add_row(escape(place.name), KINDS[place.kind][0], escape(place.town), escape("、".join(place.aliases)))
    out.print(table)


@app.command("check", help="检查全部地名：文件是否有错、哪些名称听起来一样；有错时退出码为 1")
def places_check() -> None:
    """List what is wrong with the site's places, and names that nobody can tell apart by ear."""
    from tickets.gazetteer import load_gazetteer, sound_alikes

    settings = load_settings()
    try:
        gazetteer = load_gazetteer(
            settings.tickets.gazetteer_path, settings.places_path, limit=settings.tickets.max_places
        )
    except ConfigurationError as error:
        _tell("[red]✗[/]", None, error.message.split("; "))
        raise typer.Exit(1) from error
    alike = sound_alikes(gazetteer)
    _tell("[yellow]![/]", None, (f"听起来一样：{'、'.join(names)}" for names in alike))
    out.print(f"[green]✓[/] {len(gazetteer.spellings)} 个名称和别名，没有错误", highlight=False)


@app.command("export", help="把导入的地名写成文件：.csv、.tsv 或 .yaml")
def places_export(file: Path) -> None:
    """Write the imported places to a file."""
    from tickets.places import format_table, format_yaml

    places = _stored(load_settings())
    if file.suffix in (".yaml", ".yml"):
        text = format_yaml(places)
    else:
        text = "\ufeff" + format_table(places, delimiter="," if file.suffix == ".csv" else "\t")  # for Excel
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInputError(f"{file}: {error.strerror}") from error
    out.print(f"{len(places)} 个地名写到 {file}", highlight=False, soft_wrap=True)


@app.command("remove", help="删除导入的地名")
def places_remove(names: Annotated[list[str], typer.Argument(help="名称，可多个")]) -> None:
    """Remove imported places."""
    from tickets.places import format_table

    settings = load_settings()
    towns = _file_towns(settings)

    def edit(text: str) -> str:
        known = _parse(text, settings, towns)
        missing = set(names) - {place.name for place in known}
        if missing:
            raise NotFoundError(f"没有导入这些地名：{'、'.join(sorted(missing))[:200]}")
        below = [place.name for place in known if place.town in names and place.name not in names]
        if below:
            raise InvalidInputError(f"这些地名属于要删除的乡镇：{'、'.join(below[:5])}", hint="先删除或改正它们")
        return format_table(place for place in known if place.name not in names)

    SiteFile(settings.places_path).change(edit)
    out.print(f"已删除 {len(set(names))} 个地名")


@app.command("undo", help="撤销上一次改动")
def places_undo() -> None:
    """Take the last change back."""
    SiteFile(load_settings().places_path).undo()
    out.print("已撤销上一次改动")


def _read(file: Path, *, towns: frozenset[str], limit: int) -> "PlaceList":
    from tickets.places import decode, parse_table, parse_yaml

    try:
        text = decode(file.read_bytes())
    except OSError as error:
        raise InvalidInputError(f"{file}: {error.strerror}") from error
    parse = parse_yaml if file.suffix in (".yaml", ".yml") else parse_table
    return parse(text, towns=towns, limit=limit)


def _file_towns(settings: Settings) -> frozenset[str]:
    """The towns of the gazetteer's file."""
    from tickets.gazetteer import load_gazetteer

    gazetteer = load_gazetteer(settings.tickets.gazetteer_path)
    return frozenset(place.name for place in gazetteer.spellings if place.name == place.town)


def _stored(settings: Settings) -> "Sequence[Place]":
    from tickets.gazetteer import load_places

    return load_places(settings.places_path, towns=_file_towns(settings), limit=settings.tickets.max_places)


def _parse(text: str, settings: Settings, towns: frozenset[str]) -> "Sequence[Place]":
    from tickets.places import parse_table

    table = parse_table(text, towns=towns, limit=settings.tickets.max_places)
    if table.faults:
        raise InvalidInputError(
            "; ".join(f"{settings.places_path}：{fault}" for fault in table.faults), hint="hotline places check"
        )
    return table.places


def _tell(mark: str, file: Path | None, lines: Iterable[str]) -> None:
    told = list(lines)
    for line in told[:SHOWN]:
        where = f"{file}: " if file else ""
        out.print(f"{mark} {escape(where + line)}", highlight=False, soft_wrap=True)
    if len(told) > SHOWN:
        out.print(f"…… 还有 {len(told) - SHOWN} 处")
