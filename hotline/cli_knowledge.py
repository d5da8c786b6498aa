"""`hotline knowledge`: policy snippets that are suggested while a caller waits."""

import getpass
import json
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hotline.cli_units import read_file, refuse_faults, table_file
from hotline.clock import SystemClock
from hotline.errors import InvalidInputError
from hotline.settings import Settings, load_settings

if TYPE_CHECKING:
    from tickets.knowledge import Snippet, SnippetList

app = typer.Typer(no_args_is_help=True, help="知识库：政策口径、有效期、责任单位，按诉求内容推荐")
out = Console()
JsonOption = Annotated[bool, typer.Option("--json", help="输出一个 JSON 对象")]


@app.command("import", help="导入知识表：XLSX、CSV 或 YAML；编号相同而内容不同的成为新版本；有错则一条也不导入")
def knowledge_import(
    file: Annotated[Path | None, typer.Argument(help="知识表")] = None,
    example: Annotated[bool, typer.Option("--example", help="导入随软件附带的示例")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="只检查，不写入")] = False,
) -> None:
    """Add snippets and versions of those that differ; the same table again changes nothing."""
    from hotline.wiring.database import open_database
    from tickets.knowledge_repository import import_snippets

    path, settings = table_file(file, example, "knowledge.yaml"), load_settings()
    table = _read(path, settings)
    refuse_faults(path, table.faults)
    with closing(open_database(settings)) as database, database.transaction() as session:
        done = import_snippets(
            session, table.snippets, actor=getpass.getuser(), now=SystemClock().now(), dry_run=dry_run
        )
    counts = f"新增 {done.added}，新版本 {done.changed}，不变 {done.unchanged}"
    out.print(("试导入：" if dry_run else "") + counts)


@app.command("list", help="列出知识；--expiring 只列出快到期的，供责任单位复核")
def knowledge_list(
    category: Annotated[str, typer.Option(help="只列出这一类别的")] = "",
    expiring: Annotated[bool, typer.Option("--expiring", help="只列出即将失效或刚失效的")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the current versions."""
    from hotline.wiring.database import open_database
    from tickets.knowledge_repository import current_snippets, expiring_snippets, snippet_of

    settings = load_settings()
    today = SystemClock().now().astimezone(settings.zone).date()
    with closing(open_database(settings)) as database, database.reading() as session:
        rows = (
            expiring_snippets(session, today, days=settings.tickets.knowledge_remind_days)
            if expiring
            else current_snippets(session)
        )
        snippets = [snippet_of(row) for row in rows if row.category.startswith(category)]
    if as_json:
        typer.echo(json.dumps({"snippets": [_data(each) for each in snippets]}, ensure_ascii=False))
        return
    table = Table("编号", "标题", "类别", "责任单位", "失效日期")
    for each in snippets:
        ends = "" if each.valid_to is None else f"{each.valid_to}{'' if each.valid_on(today) else '（已失效）'}"
        table.add_row(escape(each.code), escape(each.title), escape(each.category), escape(each.unit), ends)
    out.print(table)


@app.command("suggest", help="按一段话推荐知识，只推荐当天有效的")
def knowledge_suggest(
    text: Annotated[str, typer.Argument(help="诉求内容")],
    category: Annotated[str, typer.Option(help="诉求的类别")] = "",
    on: Annotated[str, typer.Option(help="按哪一天有效，YYYY-MM-DD；默认今天")] = "",
    as_json: JsonOption = False,
) -> None:
    """Suggest snippets, with the words that matched."""
    from hotline.wiring.database import open_database
    from tickets.knowledge import KnowledgeIndex
    from tickets.knowledge_repository import current_snippets, snippet_of

    settings = load_settings()
    try:
        day = date.fromisoformat(on) if on else SystemClock().now().astimezone(settings.zone).date()
    except ValueError as error:
        raise InvalidInputError("日期无效", hint="例如 2026-01-05") from error
    with closing(open_database(settings)) as database, database.reading() as session:
        index = KnowledgeIndex([snippet_of(row) for row in current_snippets(session)])
    found = index.suggest(text, day=day, category=category)
    if as_json:
        rows = [{**_data(each.snippet), "score": each.score, "words": each.words} for each in found]
        typer.echo(json.dumps({"suggestions": rows}, ensure_ascii=False))
        return
    for each in found:
        out.print(f"[bold]{escape(each.snippet.code)} {escape(each.snippet.title)}[/]  {escape('、'.join(each.words))}")
        out.print(escape(each.snippet.body), soft_wrap=True, highlight=False)
    if not found:
        out.print("没有合适的知识")


def _read(path: Path, settings: Settings) -> "SnippetList":
    from tickets.knowledge import COLUMNS, load_snippets, parse_snippets
    from tickets.sheets import read_sheet
    from tickets.unit_service import import_bounds

    if path.suffix in (".yaml", ".yml"):
        return load_snippets(path)
    return parse_snippets(read_sheet(read_file(path), COLUMNS, import_bounds(settings.tickets)))


def _data(snippet: "Snippet") -> dict[str, Any]:
    from dataclasses import asdict

    dates = {
        "valid_from": snippet.valid_from.isoformat() if snippet.valid_from else None,
        "valid_to": snippet.valid_to.isoformat() if snippet.valid_to else None,
    }
    return asdict(snippet) | dates
