"""`hotline webhooks`: other systems that get signed events."""

import getpass
import json
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hotline.clock import SystemClock
from hotline.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="向其他系统推送签名事件")
if TYPE_CHECKING:
    from sqlalchemy.orm import Session

out = Console()
NameArgument = Annotated[str, typer.Argument(help="接口名称")]


@app.command("add", help="添加接口，并显示一次它的密钥")
def add(
    name: NameArgument,
    url: Annotated[str, typer.Argument(help="https://主机/路径；主机须在 webhooks.allowed_hosts 里")],
    event: Annotated[list[str] | None, typer.Option(help="事件，可多次给出；不给则全部")] = None,
    personal: Annotated[bool, typer.Option("--personal", help="事件里带来电人信息和诉求内容（仅 https）")] = False,
) -> None:
    """Add a subscription; its secret is shown once."""
    from hotline.wiring.database import open_database
    from tickets.notices.subscriptions import EVENTS, Receiver, add_subscription

    settings = load_settings()
    receiver = Receiver(name, url, tuple(event or EVENTS), personal)
    with closing(open_database(settings)) as database, database.transaction() as session:
        _, secret = add_subscription(session, receiver, settings=settings, by=_actor(), now=SystemClock().now())
        if personal:
            _audit(session, "webhook_personal", name)
    out.print(f"已添加接口 {escape(name)}", highlight=False)
    out.print(f"密钥 {secret}", highlight=False, soft_wrap=True)


@app.command("list", help="列出接口、最近送达和失败")
def list_webhooks(as_json: Annotated[bool, typer.Option("--json", help="输出一个 JSON 对象")] = False) -> None:
    """List the subscriptions."""
    from hotline.wiring.database import open_database
    from tickets.notices import repository

    settings = load_settings()
    with closing(open_database(settings)) as database, database.reading() as session:
        found, counts = repository.subscriptions(session), repository.delivery_counts(session)
    if as_json:
        listed = [
            {
                "name": item.name,
                "url": item.url,
                "events": item.events,
                "personal": item.personal,
                "active": item.active,
                "delivered_at": item.delivered_at and item.delivered_at.isoformat(),
                "failing_since": item.failing_since and item.failing_since.isoformat(),
                "counts": {state: count for (owner, state), count in counts.items() if owner == item.id},
            }
            for item in found
        ]
        typer.echo(json.dumps({"webhooks": listed}, ensure_ascii=False))
        return
    table = Table("名称", "地址", "事件", "状态", "最近送达", "待送", "失败")
    for item in found:
        delivered = f"{item.delivered_at.astimezone(settings.zone):%m-%d %H:%M}" if item.delivered_at else "-"
        state = "正常" if item.active else f"停用：{item.disabled_reason}"
        if item.active and item.failing_since:
            state = f"自 {item.failing_since.astimezone(settings.zone):%m-%d %H:%M} 送不到"
        failed = counts.get((item.id, "failed"), 0) + counts.get((item.id, "expired"), 0)
        table.add_row(
            escape(item.name),
            escape(item.url),
            "、".join(item.events) + ("（含个人信息）" if item.personal else ""),
            escape(state),
            delivered,
            str(counts.get((item.id, "queued"), 0)),
            str(failed),
        )
    out.print(table)


@app.command("test", help="排入一个 webhook.test 事件；结果看 deliveries")
def test_webhook(name: NameArgument) -> None:
    """Queue a test event."""
    from hotline.wiring.database import open_database
    from tickets.notices import repository
    from tickets.notices.subscriptions import publish_test

    with closing(open_database(load_settings())) as database, database.transaction() as session:
        publish_test(session, repository.subscription_named(session, name), now=SystemClock().now())
    out.print(f"已排入一个测试事件；`hotline webhooks deliveries {escape(name)}` 看结果", highlight=False)


@app.command("deliveries", help="列出一个接口的投递，最新的在前")
def list_deliveries(name: NameArgument, limit: Annotated[int, typer.Option(min=1, max=1000)] = 20) -> None:
    """List the deliveries of a subscription."""
    from hotline.wiring.database import open_database
    from tickets.notices import repository
    from tickets.notices.delivery import DeliveryState
    from tickets.notices.signing import message_id

    settings = load_settings()
    table = Table("编号", "时间", "事件", "工单", "状态", "次数", "标识", "错误")
    with closing(open_database(settings)) as database, database.reading() as session:
        subscription = repository.subscription_named(session, name)
        for item in repository.deliveries(session, None, subscription_id=subscription.id, limit=limit):
            table.add_row(
                str(item.id),
                f"{item.created_at.astimezone(settings.zone):%m-%d %H:%M:%S}",
                item.event,
                item.ticket or "-",
                DeliveryState(item.state).label,
                str(item.attempts),
                message_id(item.key),
                escape(item.error),
            )
    out.print(table)


@app.command("retry", help="重发失败或过期的投递，标识不变")
def retry(delivery_ids: Annotated[list[int], typer.Argument(help="`hotline webhooks deliveries` 里的编号")]) -> None:
    """Send deliveries again under their identity."""
    from hotline.wiring.database import open_database
    from tickets.notices.subscriptions import retry_delivery

    settings = load_settings()
    with closing(open_database(settings)) as database, database.transaction() as session:
        for delivery_id in delivery_ids:
            retry_delivery(session, delivery_id, settings=settings.webhooks, now=SystemClock().now())
    out.print(f"{len(delivery_ids)} 个事件将重发")


@app.command("rotate", help="换密钥，并显示一次；换用期内新旧密钥都签名")
def rotate(name: NameArgument) -> None:
    """Replace the secret."""
    from hotline.wiring.database import open_database
    from tickets.notices.subscriptions import rotate_secret

    settings = load_settings()
    with closing(open_database(settings)) as database, database.transaction() as session:
        secret = rotate_secret(session, name, settings=settings, now=SystemClock().now())
    out.print(f"密钥 {secret}", highlight=False, soft_wrap=True)
    out.print(f"旧密钥还会签名 {settings.webhooks.rotation_h:g} 小时")


@app.command("disable", help="停用接口：不再向它推送")
def disable(name: NameArgument, reason: Annotated[str, typer.Option(help="原因")] = "人工停用") -> None:
    """No more events for it."""
    _set_active(name, active=False, reason=reason)
    out.print(f"已停用接口 {escape(name)}", highlight=False)


@app.command("enable", help="恢复停用的接口；停用前没送到的可用 retry 重发")
def enable(name: NameArgument) -> None:
    """Take it up again."""
    _set_active(name, active=True, reason="")
    out.print(f"已恢复接口 {escape(name)}", highlight=False)


def _set_active(name: str, *, active: bool, reason: str) -> None:
    from hotline.wiring.database import open_database
    from tickets.notices.subscriptions import set_active

    with closing(open_database(load_settings())) as database, database.transaction() as session:
        set_active(session, name, active=active, reason=reason, now=SystemClock().now())


def _actor() -> str:
    return f"cli:{getpass.getuser()}"[:64]


def _audit(session: "Session", action: str, subject: str) -> None:
    from console import service

    service.audit(session, at=SystemClock().now(), username=_actor(), action=action, subject=subject)
