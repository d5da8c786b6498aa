"""`hotline retention` and `hotline hold`: what is deleted by rule, what is kept from it, and the proof of each."""

import getpass
import json
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from hotline.clock import SystemClock
from hotline.errors import NotFoundError
from hotline.settings import load_settings

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

retention_app = typer.Typer(no_args_is_help=True, help="按规则删除到期的录音和日志")
hold_app = typer.Typer(no_args_is_help=True, help="法律保全：不得删除的通话")
out = Console()
JsonOption = Annotated[bool, typer.Option("--json", help="输出一个 JSON 对象")]
ReasonOption = Annotated[str, typer.Option(help="原因，记入审计日志")]
Subject = Annotated[str, typer.Argument(help="工单号或通话编号")]


@retention_app.command("run", help="删除到期的内容，并出具删除证书；--dry-run 只列出")
def retention_run(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="只列出到期的通话，不删除")] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete what is due, with a certificate each."""
    from console.access_log import purge_log
    from hotline.wiring.database import open_database
    from recordings.store import open_store
    from tickets.retention import Retention

    settings = load_settings()
    with closing(open_database(settings)) as database:
        retention = Retention(
            settings=settings, database=database, store=open_store(settings), purge_log=purge_log, clock=SystemClock()
        )
        due = list(retention.due())
        numbers = [] if dry_run else retention.run(actor=_actor())
    if as_json:
        listed = [{**asdict(item), "due_at": item.due_at.isoformat()} for item in due]
        typer.echo(json.dumps({"due": listed, "certificates": numbers}, ensure_ascii=False))
        return
    for item in due:
        out.print(f"{item.call_id}  {item.ticket}  {item.rule}  {item.due_at:%Y-%m-%d}", highlight=False)
    out.print(f"到期 {len(due)} 通" if dry_run else f"到期 {len(due)} 通，出具删除证书 {len(numbers)} 张")


@retention_app.command("certificates", help="核验并列出删除证书；给出编号则显示可打印的全文；有问题时退出码为 1")
def retention_certificates(
    number: Annotated[int, typer.Argument(help="证书编号")] = 0, as_json: JsonOption = False
) -> None:
    """Verify the certificates and list them, or print one."""
    from hotline.wiring.database import open_database
    from recordings.certificates import KINDS, as_text, faults
    from recordings.retention_repository import certificates

    with closing(open_database(load_settings())) as database, database.reading() as session:
        found = certificates(session)
    if number:
        chosen = next((item for item in found if item.number == number), None)
        if chosen is None:
            raise NotFoundError(f"没有删除证书 {number}")
        typer.echo(as_text(chosen), nl=False)
        return
    wrong = list(faults(found))
    if as_json:
        typer.echo(json.dumps({"certificates": [asdict(item) for item in found], "faults": wrong}, default=str))
    else:
        table = Table("编号", "时间", "内容", "通话", "工单", "规则")
        for item in found:
            kind = KINDS.get(item.kind, item.kind)
            table.add_row(str(item.number), f"{item.at:%Y-%m-%d %H:%M}", kind, item.call_id, item.ticket, item.rule)
        out.print(table)
        for at, fault in wrong:
            out.print(f"[red]✗[/] 证书 {at}: {fault}", highlight=False)
        if not wrong:
            out.print(f"[green]✓[/] {len(found)} 张证书首尾相接", highlight=False)
    raise typer.Exit(1 if wrong else 0)


@hold_app.command("add", help="保全一个工单的通话，或一通电话：到期也不删除")
def hold_add(subject: Subject, reason: ReasonOption) -> None:
    """Keep a call from deletion."""
    from hotline.wiring.database import open_database
    from tickets.retention import place_hold

    now = SystemClock().now()
    with closing(open_database(load_settings())) as database, database.transaction() as session:
        hold = place_hold(session, subject, reason=reason, actor=_actor(), now=now)
        _audit(session, "hold", hold.call_id, hold.reason)
    out.print(f"已保全 {subject}")


@hold_app.command("release", help="解除保全")
def hold_release(subject: Subject, reason: ReasonOption) -> None:
    """End a hold."""
    from hotline.wiring.database import open_database
    from tickets.retention import release_hold

    now = SystemClock().now()
    with closing(open_database(load_settings())) as database, database.transaction() as session:
        hold = release_hold(session, subject, reason=reason, actor=_actor(), now=now)
        _audit(session, "release_hold", hold.call_id, hold.release_reason)
    out.print(f"已解除保全 {subject}")


@hold_app.command("list", help="列出保全中的通话")
def hold_list(
    everything: Annotated[bool, typer.Option("--all", help="也列出已解除的")] = False,
) -> None:
    """List the holds."""
    from hotline.wiring.database import open_database
    from recordings.retention_repository import holds

    table = Table("通话", "原因", "由", "自", "解除")
    with closing(open_database(load_settings())) as database, database.reading() as session:
        for hold in holds(session, released=everything):
            released = f"{hold.released_at:%Y-%m-%d} {hold.released_by}" if hold.released_at else "-"
            table.add_row(hold.call_id, hold.reason, hold.placed_by, f"{hold.placed_at:%Y-%m-%d}", released)
    out.print(table)


def _actor() -> str:
    return f"cli:{getpass.getuser()}"[:64]


def _audit(session: "Session", action: str, call_id: str, reason: str) -> None:
    from console import service

    service.audit(session, at=SystemClock().now(), username=_actor(), action=action, subject=call_id, reason=reason)
