"""`hotline apikey`: keys of programs that use the interface."""

import getpass
from contextlib import closing
from datetime import timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hotline.clock import SystemClock
from hotline.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="接口密钥：供其他系统读取和办理工单")
out = Console()
SCOPES_HELP = "read | transcripts | personal | create | command | open311，可多次给出"


@app.command("add", help="添加密钥；只在此时显示一次")
def apikey_add(
    name: Annotated[str, typer.Argument(help="使用它的系统的名字，例如 city-platform")],
    scope: Annotated[list[str], typer.Option(help=SCOPES_HELP)],
    role: Annotated[str, typer.Option(help="按此角色看工单、办工单")] = "viewer",
    unit: Annotated[str, typer.Option(help="承办单位代码；unit_handler 和 unit_head 必须给出")] = "",
    per_minute: Annotated[int, typer.Option(help="每分钟最多请求次数；0 为 api.per_minute")] = 0,
    days: Annotated[float, typer.Option(help="多少天后失效；0 为不失效")] = 0.0,
) -> None:
    """Add a key; it is shown this once."""
    from console.api.key_service import add_key
    from hotline.wiring.database import open_database

    settings, now = load_settings(), SystemClock().now()
    with closing(open_database(settings)) as database, database.transaction() as session:
        _, text = add_key(
            session,
            name=name,
            role=role,
            unit=unit,
            scopes=scope,
            per_minute=per_minute or settings.api.per_minute,
            expires_at=now + timedelta(days=min(days, 36_500)) if days else None,
            created_by=getpass.getuser(),
            now=now,
        )
    out.print(f"已添加密钥 {name}，请立即保存，以后不再显示：", highlight=False)
    typer.echo(text)


@app.command("list", help="列出密钥")
def apikey_list() -> None:
    """List the keys; none is shown whole."""
    from console.api.key_repository import all_keys
    from hotline.wiring.database import open_database

    settings = load_settings()
    table = Table("名字", "开头", "权限", "角色", "单位", "每分钟", "最近使用", "失效", "状态")
    with closing(open_database(settings)) as database, database.reading() as session:
        for key in all_keys(session):
            used, ends = (
                f"{moment.astimezone(settings.zone):%Y-%m-%d %H:%M}" if moment else ""
                for moment in (key.last_used_at, key.expires_at)
            )
            scopes = " ".join(map(str, key.scopes))
            state = "停用" if key.disabled else "正常"
            rate = str(key.per_minute)
            table.add_row(key.name, f"hl_{key.prefix}", scopes, key.role, key.unit, rate, used, ends, state)
    out.print(table)


@app.command("disable", help="停用密钥，立即生效")
def apikey_disable(name: str) -> None:
    """Disable a key at once."""
    from console.api.key_service import disable_key
    from hotline.wiring.database import open_database

    with closing(open_database(load_settings())) as database, database.transaction() as session:
        disable_key(session, name)
    out.print(f"已停用密钥 {escape(name)}", highlight=False)
