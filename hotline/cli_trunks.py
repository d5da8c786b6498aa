"""`hotline trunks`: how the carriers are, as the media processes tell the bus."""

import json
from contextlib import closing
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hotline.bus import ValkeyBus
from hotline.settings import load_settings

STATE_NAMES = {"registered": "已注册", "registering": "正在注册", "up": "可用", "down": "不通"}
out = Console()


def trunks(as_json: Annotated[bool, typer.Option("--json", help="输出一个 JSON 对象")] = False) -> None:
    """Each trunk of each node: its state, its servers and what went wrong last."""
    with closing(ValkeyBus(load_settings().effective_valkey_url())) as bus:
        states = bus.states("trunks")
    rows = [{"node": node, **trunk} for node, state in sorted(states.items()) for trunk in state["trunks"]]
    if as_json:
        typer.echo(json.dumps({"trunks": rows}, ensure_ascii=False))
        return
    table = Table("节点", "中继", "状态", "服务器", "最近的问题")
    for row in rows:
        state = STATE_NAMES.get(row["state"], row["state"])
        table.add_row(escape(row["node"]), row["trunk"], state, escape(_servers(row)), escape(_last_error(row)))
    out.print(table)


def _servers(row: dict[str, Any]) -> str:
    """The servers in their order: * has us registered, ! does not answer."""
    marks = {row["registered_at"]: " *", **dict.fromkeys(row["silent"], " !")}
    return "\n".join(server + marks.get(server, "") for server in row["servers"])


def _last_error(row: dict[str, Any]) -> str:
    if not row["last_error"]:
        return ""
    at = datetime.fromisoformat(row["last_error_at"]).astimezone()
    return f"{at:%Y-%m-%d %H:%M:%S} {row['last_error']}"
