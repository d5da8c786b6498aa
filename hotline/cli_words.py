"""`hotline words`: what the recognizer should expect to hear at this site. Processes follow changes."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hotline.clock import SystemClock
from hotline.errors import InvalidInputError, NotFoundError
from hotline.settings import Settings, load_settings
from hotline.site_files import SiteFile

if TYPE_CHECKING:
    from asr.words import HotWord

app = typer.Typer(no_args_is_help=True, help="本站用词：识别时优先听成的词和名称")
SUGGESTED = 100
out = Console()


@app.command("add", help="添加词；已有的改为新的权重和备注")
def words_add(
    words: Annotated[list[str], typer.Argument(help="词，可多个")],
    weight: Annotated[float, typer.Option(help="0.1 至 10，越大越容易听成这个词")] = 1.5,
    note: Annotated[str, typer.Option(help="备注")] = "",
) -> None:
    """Add words, or give those that are there another weight."""
    from asr.words import HotWord

    _add([HotWord(word.strip(), weight, note.strip()) for word in words])


@app.command("import", help="导入词表：每行 词<Tab>权重<Tab>备注，后两栏可省略；UTF-8 或 GBK")
def words_import(
    file: Path, dry_run: Annotated[bool, typer.Option("--dry-run", help="只检查，不写入")] = False
) -> None:
    """Add the words of a file."""
    from asr.words import parse_words
    from tickets.places import decode

    try:
        text = decode(file.read_bytes())
    except OSError as error:
        raise InvalidInputError(f"{file}: {error.strerror}") from error
    settings = load_settings()
    words, faults = parse_words(text, limit=settings.asr.max_words)
    if faults:
        for fault in faults[:50]:
            out.print(f"[red]✗[/] {escape(f'{file}:{fault}')}", highlight=False, soft_wrap=True)
        raise typer.Exit(1)
    if dry_run:
        out.print(f"{len(words)} 个词，没有问题")
        return
    _add(list(words))


@app.command("list", help="列出本站用词")
def words_list() -> None:
    """List the words."""
    from asr.words import load_words

    settings = load_settings()
    table = Table("词", "权重", "备注")
    for word in load_words(settings.words_path, limit=settings.asr.max_words):
        table.add_row(escape(word.text), f"{word.weight:g}", escape(word.note))
    out.print(table)


@app.command("remove", help="删除词")
def words_remove(words: Annotated[list[str], typer.Argument(help="词，可多个")]) -> None:
    """Remove words."""
    from asr.words import format_words

    settings = load_settings()

    def edit(text: str) -> str:
        known = _known(text, settings)
        missing = [word for word in words if word not in known]
        if missing:
            raise NotFoundError(f"没有这些词：{'、'.join(missing)[:200]}")
        return format_words(word for word in known.values() if word.text not in words)

    SiteFile(settings.words_path).change(edit)
    out.print(f"已删除 {len(words)} 个词")


@app.command("suggest", help="列出人工校对时常改成的词，可考虑加入本站用词")
def words_suggest(
    days: Annotated[int, typer.Option(min=1, max=3650, help="看最近多少天的校对")] = 30,
    at_least: Annotated[int, typer.Option("--at-least", min=1, help="至少改过几次")] = 2,
    calls: Annotated[int, typer.Option(min=1, max=100_000, help="最多看多少个通话")] = 1000,
) -> None:
    """List the words that reviewers keep writing where the recognizer heard something else."""
    from asr.suggestions import suggest_words
    from asr.words import load_words
    from hotline.wiring.database import open_database
    from tickets.gazetteer import load_gazetteer

    settings = load_settings()
    known = {word.text for word in load_words(settings.words_path, limit=settings.asr.max_words)}
    gazetteer = load_gazetteer(settings.tickets.gazetteer_path, settings.places_path, limit=settings.tickets.max_places)
    known |= {place.spelling for place in gazetteer.spellings}
    with open_database(settings).reading() as session:
        since = SystemClock().now() - timedelta(days=days)
        found = suggest_words(session, since=since, calls=calls, known=known, at_least=at_least)
    table = Table("词", "次数", "听成")
    for each in found[:SUGGESTED]:
        table.add_row(
            escape(each.word), str(each.count), escape("、".join(heard or "（漏听）" for heard in each.heard[:5]))
        )
    out.print(table)
    out.print("加入：hotline words add 词", style="dim")


@app.command("undo", help="撤销上一次改动")
def words_undo() -> None:
    """Take the last change back."""
    SiteFile(load_settings().words_path).undo()
    out.print("已撤销上一次改动")


def _add(words: "list[HotWord]") -> None:
    from asr.words import format_words

    settings = load_settings()
    new: list[str] = []

    def edit(text: str) -> str:
        known = _known(text, settings)
        new.extend(word.text for word in words if word.text not in known)
        after = known | {word.text: word for word in words}
        if len(after) > settings.asr.max_words:
            raise InvalidInputError(
                f"共 {len(after)} 个词，最多 {settings.asr.max_words} 个", hint="删除不用的词，或提高 asr.max_words"
            )
        return format_words(after.values()) if after != known else text

    changed = SiteFile(settings.words_path).change(edit)
    out.print(f"新增 {len(new)} 个，已有 {len(words) - len(new)} 个" + ("" if changed else "，没有改动"))


def _known(text: str, settings: Settings) -> "dict[str, HotWord]":
    from asr.words import parse_words

    words, faults = parse_words(text, limit=settings.asr.max_words)
    if faults:
        raise InvalidInputError("; ".join(f"{settings.words_path}:{fault}" for fault in faults))
    return {word.text: word for word in words}
