"""`hotline search TEXT`: what was said in all calls; and the index it looks in."""

import getpass
import json
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup

from hotline.clock import SystemClock
from hotline.settings import load_settings

BATCH = 200  # transcripts a transaction
out = Console()
err = Console(stderr=True)


class _TextOrCommand(TyperGroup):
    """`search TEXT` is `search find TEXT`, for every text that is no command."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        return super().resolve_command(ctx, args if args[0] in self.commands else ["find", *args])


app = typer.Typer(no_args_is_help=True, cls=_TextOrCommand, help="搜索全部通话说过的话：hotline search TEXT")


@app.command("find", help='搜索：词（都要有）、"原话"、-不含；find 一词可以省略')
def find(
    text: Annotated[str, typer.Argument(help="要找的话")],
    speaker: Annotated[str, typer.Option(help="caller | seat | hotline；不给则不限")] = "",
    category: Annotated[str, typer.Option(help="工单类别，或一级类别")] = "",
    since: Annotated[str, typer.Option(help="从这一天起，YYYY-MM-DD")] = "",
    until: Annotated[str, typer.Option(help="到这一天止，YYYY-MM-DD")] = "",
    order: Annotated[Literal["relevance", "time"], typer.Option(help="最相关的在前，或最新的在前")] = "relevance",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="最多显示多少通")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="输出一个 JSON 对象")] = False,
) -> None:
    """Search the transcripts; quotes are masked, a search for somebody's number is logged."""
    from asr.masking import mask_numbers
    from asr.query import parse_query
    from asr.search import Search
    from console import service
    from console.pages.search import day_begins
    from console.rendering import clock_time
    from console.search import find_calls
    from console.search_repository import SearchFilter
    from hotline.errors import InvalidInputError
    from hotline.wiring.database import open_database

    settings = load_settings()
    query = parse_query(text, max_length=settings.search.max_length, max_terms=settings.search.max_terms)
    if query is None:
        raise InvalidInputError("请给出要找的话")
    wanted = SearchFilter(
        since=day_begins(since, settings.zone),
        until=day_begins(until, settings.zone, later_days=1),
        category=category,
        order=order,
    )
    search = Search(query=query, speaker=speaker, numbers=True)
    with open_database(settings).transaction() as session:
        results = find_calls(session, None, search, wanted, after=None, limit=limit)
        if query.is_number:
            service.audit(
                session,
                at=SystemClock().now(),
                username=f"cli:{getpass.getuser()}"[:64],
                action="search",
                subject=mask_numbers(text)[:128],
                reason=f"找到 {results.total} 通",
            )
    if as_json:
        calls = [
            {
                "call_id": call.call_id,
                "ticket": call.number,
                "title": call.title,
                "category": call.category,
                "started_at": call.started_at.isoformat(),
                "caller": call.caller,
                "quotes": [
                    {
                        "speaker": item.speaker,
                        "start_ms": item.start_ms,
                        "text": "".join(piece.text for piece in item.pieces),
                        "hits": [piece.text for piece in item.pieces if piece.hit],
                    }
                    for item in call.quotes
                ],
                "more": call.more,
            }
            for call in results.calls
        ]
        typer.echo(json.dumps({"total": results.total, "calls": calls}, ensure_ascii=False))
        return
    out.print(f"找到 {results.total} 通", highlight=False)
    for call in results.calls:
        when = call.started_at.astimezone(settings.zone).strftime("%Y-%m-%d %H:%M")
        out.print(Text("  ".join(filter(None, (call.number or call.call_id, when, call.caller, call.title)))))
        for item in call.quotes:
            line = Text(f"  {clock_time(item.start_ms)}  ")
            for piece in item.pieces:
                line.append(piece.text, style="bold yellow" if piece.hit else "")
            out.print(line)


@app.command("rebuild", help="把没有编入或规则已变的转写编入索引")
def rebuild(
    everything: Annotated[bool, typer.Option("--all", help="先清空索引，全部重编")] = False,
) -> None:
    """Index what is out of step, in short transactions: calls go on meanwhile."""
    from asr.search import count_stale, forget_index, index_transcript, stale_transcripts
    from hotline.wiring.database import open_database

    database = open_database(load_settings())
    if everything:
        with database.transaction() as session:
            forget_index(session)
    with database.reading() as session:
        stale = count_stale(session)
    done = 0
    while True:
        with database.transaction() as session:
            transcripts = stale_transcripts(session, limit=BATCH)
            for transcript in transcripts:
                index_transcript(session, transcript)
        if not transcripts:
            break
        done += len(transcripts)
        err.print(f"{done} / {max(stale, done)}", highlight=False)
    out.print(f"已编入 {done} 份转写", highlight=False)
