"""`hotline calendar`: addresses that give deadlines to people's calendars."""

import getpass
from contextlib import closing
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hotline.clock import SystemClock
from hotline.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="办理时限的日历订阅地址")
out = Console()


@app.command("add", help="添加一个订阅地址；只在此时显示一次")
def calendar_add(
    user: Annotated[str, typer.Option(help="为这个账号")] = "",
    unit: Annotated[str, typer.Option(help="或为这个承办单位")] = "",
) -> None:
    """Add a feed; its address is shown this once."""
    from console.calendars import add_feed
    from hotline.wiring.database import open_database

    settings = load_settings()
    with closing(open_database(settings)) as database, database.transaction() as session:
        feed, token = add_feed(session, username=user, unit=unit, created_by=getpass.getuser(), now=SystemClock().now())
        number = feed.id
    host = next(iter(settings.console.public_names), settings.console.address)
    out.print(f"已添加日历 {number}，知道地址的人都能看到时限，请勿外传：", highlight=False)
    typer.echo(f"https://{host}:{settings.console.port}/calendar/{token}.ics")


@app.command("list", help="列出订阅")
def calendar_list() -> None:
    """List the feeds; no address is shown."""
    from console.calendars import all_feeds
    from hotline.wiring.database import open_database

    settings = load_settings()
    table = Table("编号", "账号", "单位", "添加", "最近读取", "状态")
    with closing(open_database(settings)) as database, database.reading() as session:
        for feed in all_feeds(session):
            added, read = (
                f"{moment.astimezone(settings.zone):%Y-%m-%d %H:%M}" if moment else ""
                for moment in (feed.created_at, feed.last_read_at)
            )
            table.add_row(str(feed.id), feed.username, feed.unit, added, read, "停用" if feed.revoked else "正常")
    out.print(table)


@app.command("revoke", help="停用一个订阅地址，立即生效")
def calendar_revoke(number: Annotated[int, typer.Argument(help="编号，见 list")]) -> None:
    """End a feed at once."""
    from console.calendars import revoke_feed
    from hotline.wiring.database import open_database

    with closing(open_database(load_settings())) as database, database.transaction() as session:
        revoke_feed(session, number)
    out.print(f"已停用日历 {number}")
