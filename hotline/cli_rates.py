"""`hotline rates`: the three rates of a period, published for good, reckoned again from what was stored."""

import getpass
import json
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hotline.clock import SystemClock
from hotline.errors import InvalidInputError
from hotline.settings import Settings, load_settings

if TYPE_CHECKING:
    from tickets.formulas import Formula, RatePeriod

SHOWN = 20  # differences of one replay
app = typer.Typer(no_args_is_help=True, help="三率：响应率、解决率、满意率")
out = Console()
MonthOption = Annotated[str, typer.Option(help="统计周期，按其最后一刻所在月份，如 2026-11；默认当前周期")]
FormulaOption = Annotated[str, typer.Option(help="计算口径（rates.yaml 中的 name）；默认按生效日期")]
JsonOption = Annotated[bool, typer.Option("--json", help="输出一个 JSON 对象")]
TABLES = {
    "total": "全部",
    "towns": "乡镇街道",
    "departments": "部门",
    "companies": "公共服务企业",
    "offices": "区中心",
    "town": "属地",
    "category": "类别",
    "subcategory": "二级类别",
    "source": "来源",
}


@app.command("compute", help="试算一个周期的三率和排名，不发布")
def rates_compute(
    month: MonthOption = "",
    begin: Annotated[str, typer.Option("--from", help="自定周期的开始（当地时间），如 2026-11-01T00:00")] = "",
    end: Annotated[str, typer.Option("--to", help="自定周期的结束，不含")] = "",
    formula: FormulaOption = "",
    table: Annotated[str, typer.Option(help=" | ".join(TABLES))] = "",
    excluded: Annotated[bool, typer.Option("--with-excluded", help="含剔除工单；默认为剔除后")] = False,
    as_json: JsonOption = False,
) -> None:
    """Reckon a period as the rows are now."""
    from hotline.wiring.database import open_database
    from tickets.rate_service import compute
    from tickets.rates import WITH, WITHOUT

    if table and table not in TABLES:
        raise InvalidInputError(f"没有表 {table[:20]!r}", hint=f"可选：{'、'.join(TABLES)}")
    settings = load_settings()
    chosen, period = _period(settings, month, formula, begin, end)
    with closing(open_database(settings)) as database, database.reading() as session:
        reckoned = compute(session, chosen, period)
    if as_json:
        told = {"period": period.name, "formula": chosen.name, "cases": len(reckoned.cases), **reckoned.outputs}
        typer.echo(json.dumps(told, ensure_ascii=False))
        return
    out.print(f"{period.words(settings.zone)}，口径 {chosen.name}，工单 {len(reckoned.cases)} 件", highlight=False)
    outputs = reckoned.outputs[WITH if excluded else WITHOUT]
    for name in [table] if table else ("total", "towns", "departments", "companies"):
        _print_table(TABLES[name], outputs[name], chosen)


@app.command("publish", help="发布一个已结束周期的三率：连同口径和全部输入存档，不可更改")
def rates_publish(
    month: Annotated[str, typer.Option(help="统计周期，如 2026-11")],
    formula: FormulaOption = "",
    corrects: Annotated[int, typer.Option(help="更正的发布编号（须是该周期最新的一份）")] = 0,
    note: Annotated[str, typer.Option(help="说明；更正时必填原因")] = "",
) -> None:
    """Publish a period that is over."""
    from hotline.wiring.database import open_database
    from tickets.rate_service import publish

    settings = load_settings()
    chosen, period = _period(settings, month, formula)
    with closing(open_database(settings)) as database, database.transaction() as session:
        published = publish(
            session,
            chosen,
            period,
            by=getpass.getuser(),
            now=SystemClock().now(),
            note=note,
            corrects=corrects or None,
        )
        told = (
            f"已发布 {period.name}，编号 {published.id}，工单 {published.cases} 件，SHA-256 {published.inputs_sha256}"
        )
    out.print(told, highlight=False, soft_wrap=True)


@app.command("replay", help="用存档的输入和口径重新计算一次发布，与当时的结果逐项核对；不符时退出码为 1")
def rates_replay(
    number: Annotated[int, typer.Argument(help="发布编号；不给则核对全部")] = 0, as_json: JsonOption = False
) -> None:
    """Reckon publications again from their stored inputs."""
    from hotline.wiring.database import open_database
    from tickets.rate_repository import publication_by_id, publications
    from tickets.rate_service import replay

    results: list[dict[str, Any]] = []
    with closing(open_database(load_settings())) as database, database.reading() as session:
        chosen = [publication_by_id(session, number)] if number else publications(session)
        for publication in sorted(chosen, key=lambda item: item.id):
            done = replay(publication)
            results.append(
                {
                    "id": publication.id,
                    "period": publication.period,
                    "cases": len(done.cases),
                    "equal": not done.differences,
                    "differences": [[item.path, item.published, item.reckoned] for item in done.differences],
                }
            )
            session.expunge(publication)  # its inputs need not stay in memory
    if as_json:
        typer.echo(json.dumps({"publications": results}, ensure_ascii=False))
    else:
        for result in results:
            _print_replay(result)
    if not all(result["equal"] for result in results):
        raise typer.Exit(1)


@app.command("list", help="列出全部发布")
def rates_list(as_json: JsonOption = False) -> None:
    """List what was published, the newest first."""
    from hotline.wiring.database import open_database
    from tickets.rate_repository import publications

    with closing(open_database(load_settings())) as database, database.reading() as session:
        rows: list[dict[str, Any]] = [
            {
                "id": item.id,
                "period": item.period,
                "formula": item.formula,
                "cases": item.cases,
                "published_at": item.published_at.isoformat(),
                "published_by": item.published_by,
                "corrects": item.corrects_id,
                "note": item.note,
                "sha256": item.inputs_sha256,
            }
            for item in publications(session)
        ]
    if as_json:
        typer.echo(json.dumps({"publications": rows}, ensure_ascii=False))
        return
    table = Table("编号", "周期", "口径", "工单", "发布时间", "发布人", "更正", "说明")
    for row in rows:
        told = (row["id"], row["period"], row["formula"], row["cases"], row["published_at"][:16], row["published_by"])
        table.add_row(*(escape(str(item)) for item in (*told, row["corrects"] or "", row["note"])))
    out.print(table)


def _period(
    settings: Settings, month: str, formula: str, begin: str = "", end: str = ""
) -> "tuple[Formula, RatePeriod]":
    from tickets.formulas import RatePeriod, formula_named, load_formulas, month_period, period_at

    formulas = load_formulas(settings.tickets.rates_path)
    if bool(begin) != bool(end) or (begin and month):
        raise InvalidInputError("自定周期须同时给出 --from 和 --to，且不与 --month 同用")
    if begin:
        try:
            first, last = (datetime.fromisoformat(text).replace(tzinfo=settings.zone) for text in (begin, end))
        except ValueError:
            raise InvalidInputError("时间写作 2026-11-01T00:00") from None
        chosen = formula_named(formulas, formula) if formula else formulas[-1]
        return chosen, RatePeriod(f"{first:%Y-%m-%d}..{last:%Y-%m-%d}"[:32], first, last)
    found, period = (
        month_period(formulas, month, settings.zone)
        if month
        else period_at(formulas, SystemClock().now(), settings.zone)
    )
    return (formula_named(formulas, formula) if formula else found), period


def _print_table(title: str, lines: list[dict[str, Any]], formula: "Formula") -> None:
    from tickets.publication import line_of
    from tickets.rates import percent, shown

    table = Table("名次", "名称", "有效回访", "响应率", "解决率", "满意率", "得分", title=title)
    for data in lines:
        line = line_of(data)
        rates = [
            percent(line.rates.rate(question), formula.decimals) for question in ("contacted", "solved", "satisfied")
        ]
        score = shown(line.rates.score(formula), formula.decimals)
        place = str(line.place) if line.place else "—"
        table.add_row(place, escape(line.name), str(line.rates.valid), *rates, score)
    if lines:
        out.print(table)


def _print_replay(result: dict[str, Any]) -> None:
    mark = "[green]✓[/] 一致" if result["equal"] else f"[red]✗[/] 有 {len(result['differences'])} 处不符"
    out.print(f"编号 {result['id']}  {result['period']}  工单 {result['cases']} 件  {mark}", highlight=False)
    for path, published, reckoned in result["differences"][:SHOWN]:
        out.print(f"  {escape(path)}：发布 {escape(published)}，重算 {escape(reckoned)}", highlight=False)
