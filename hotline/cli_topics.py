"""`hotline topics`: what many people call about, and what the district should take up."""

import json
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hotline.clock import SystemClock
from hotline.settings import load_settings

if TYPE_CHECKING:
    from tickets.topic_models import TopicDay

app = typer.Typer(no_args_is_help=True, help="热点诉求：多人反映的同类问题、增长、每月一题和未诉先办的候选")
out = Console()


@app.command("list", help="列出最近一天的热点；--since 列出从那一天起每天的热点")
def topics_list(
    since: Annotated[str, typer.Option(help="从这一天起的历史，YYYY-MM-DD")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="输出一个 JSON 对象")] = False,
) -> None:
    """List the topics with their growth and what they are candidates for."""
    from datetime import date

    from hotline.errors import InvalidInputError
    from hotline.wiring.database import open_database
    from tickets import topic_repository as stored

    try:
        first = date.fromisoformat(since) if since else None
    except ValueError as error:
        raise InvalidInputError("日期无效", hint="例如 2026-01-05") from error
    with closing(open_database(load_settings())) as database, database.reading() as session:
        run = stored.last_run(session)
        if first is not None:
            topics = stored.days_since(session, first)
        else:
            topics = stored.topics_on(session, run.day) if run else []
        rows = [_row(topic) for topic in topics]
        seasonal = run.seasonal if run else []
    if as_json:
        typer.echo(json.dumps({"topics": rows, "seasonal": seasonal}, ensure_ascii=False))
        return
    table = Table("日期", "热点", "五周", "近7天", "此前每周", "属地", "候选")
    for row in rows:
        names = {"monthly": "每月一题", "early": "未诉先办"}
        table.add_row(
            row["day"],
            ("↑ " if row["rising"] else "") + escape(row["name"]),
            str(row["tickets"]),
            str(row["week"]),
            f"{row['before'] / 4:.1f}",
            escape("、".join(f"{town} {count}" for town, count in row["towns"][:3])),
            "、".join(names[kind] for kind in row["candidate_for"]),
        )
    out.print(table)
    for season in seasonal:
        out.print(f"未诉先办：{escape(season['category'])}，{escape(season['words'])}", highlight=False)


@app.command("find", help="现在就查找今天的热点，不等每天的任务")
def topics_find() -> None:
    """Find today's topics now; again on the same day, they are replaced."""
    from hotline.wiring.database import open_database
    from tickets.topic_jobs import refresh_topics

    settings = load_settings()
    with closing(open_database(settings)) as database:
        count = refresh_topics(database, settings=settings, now=SystemClock().now())
    out.print(f"{count} 个热点")


def _row(topic: "TopicDay") -> dict[str, Any]:
    return {
        "id": topic.topic_id,
        "day": topic.day.isoformat(),
        "name": topic.name,
        "first_day": topic.topic.first_day.isoformat(),
        "tickets": topic.tickets,
        "week": topic.week,
        "before": topic.before,
        "chance": topic.chance,
        "rising": topic.rising,
        "candidate_for": topic.reasons,
        **topic.details,
    }
