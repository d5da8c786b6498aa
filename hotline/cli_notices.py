"""`hotline notices`: what people are told, how it stands, and who wants none."""

import getpass
import json
from contextlib import closing
from enum import StrEnum
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hotline.clock import SystemClock
from hotline.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="通知：短信、邮件、企业微信")
out = Console()
Choice = TypeVar("Choice", bound=StrEnum)
ChannelArgument = Annotated[str, typer.Argument(help="sms | email | wecom")]
AddressArgument = Annotated[str, typer.Argument(help="手机号、邮箱，或企业微信里要提醒的手机号（@all：所有人）")]
JsonOption = Annotated[bool, typer.Option("--json", help="输出一个 JSON 对象")]


@app.command("list", help="列出通知，最新的在前；收件人已遮盖")
def list_notices(
    state: Annotated[str, typer.Option(help="queued | sending | sent | failed | expired | withheld；不给则全部")] = "",
    ticket: Annotated[str, typer.Option(help="只列这个工单的")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    as_json: JsonOption = False,
) -> None:
    """List the notices, recipients masked."""
    from hotline.wiring.database import open_database
    from tickets.notices import repository
    from tickets.notices.delivery import DeliveryState
    from tickets.notices.kinds import KINDS, Channel, masked

    settings = load_settings()
    states = () if not state else (_choice(DeliveryState, state).value,)
    with closing(open_database(settings)) as database, database.reading() as session:
        notices = repository.notice_page(session, None, states=states, ticket=ticket.upper(), limit=limit)
    if as_json:
        listed = [
            {
                "id": item.id,
                "kind": item.kind,
                "channel": item.channel,
                "recipient": masked(item.channel, item.recipient),
                "ticket": item.ticket,
                "state": item.state,
                "attempts": item.attempts,
                "due_at": item.due_at.isoformat(),
                "error": item.error,
            }
            for item in notices
        ]
        typer.echo(json.dumps({"notices": listed}, ensure_ascii=False))
        return
    table = Table("编号", "时间", "内容", "方式", "收件人", "工单", "状态", "次数", "错误")
    for item in notices:
        table.add_row(
            str(item.id),
            f"{item.created_at.astimezone(settings.zone):%m-%d %H:%M}",
            KINDS[item.kind].label if item.kind in KINDS else item.kind,
            Channel(item.channel).label,
            masked(item.channel, item.recipient) or "-",
            item.ticket or "-",
            DeliveryState(item.state).label,
            str(item.attempts),
            escape(item.error),
        )
    out.print(table)


@app.command("test", help="立即发一条测试通知，不经过队列；失败时说明原因，退出码为 1")
def test_channel(channel: ChannelArgument, address: AddressArgument) -> None:
    """Send a test at once."""
    import secrets

    from hotline.errors import ConfigurationError
    from tickets.notices.channel import Message
    from tickets.notices.kinds import Channel, Recipient
    from tickets.notices.plan import load_plan
    from tickets.notices.site_channels import open_channels

    settings = load_settings()
    recipient = Recipient(_choice(Channel, channel), address)
    port, plan = open_channels(settings).get(recipient.channel), load_plan(settings)
    if port is None:
        raise ConfigurationError(f"没有设置{recipient.channel.label}", hint="设置 [notices]，见 docs/notices.md")
    text = plan.templates.render("test", recipient.channel, {}, site=plan.site)
    port.deliver(
        Message(
            key=f"test:{secrets.token_hex(8)}",
            kind="test",
            recipient=recipient.address,
            subject=text.subject,
            text=text.body,
            values={},
            created_at=SystemClock().now(),
        )
    )
    out.print(f"[green]✓[/] {recipient.channel.label}已被接收：{recipient.masked}", highlight=False)


@app.command("retry", help="重发失败、过期或退订的通知；--failed 重发全部失败的")
def retry(
    notice_ids: Annotated[list[int] | None, typer.Argument(help="`hotline notices list` 里的编号")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="全部失败的，至多 1000 条")] = False,
) -> None:
    """Have notices sent again."""
    from hotline.wiring.database import open_database
    from tickets.notices import repository
    from tickets.notices.delivery import DeliveryState
    from tickets.notices.outbox import retry_notice
    from tickets.notices.plan import load_plan

    settings = load_settings()
    plan, now = load_plan(settings), SystemClock().now()
    with closing(open_database(settings)) as database, database.transaction() as session:
        wanted = list(notice_ids or ())
        if failed:
            page = repository.notice_page(session, None, states=(DeliveryState.FAILED.value,), limit=1000)
            wanted += [item.id for item in page if item.text and item.id not in wanted]
        for notice_id in wanted:
            retry_notice(session, notice_id, plan=plan, now=now)
    out.print(f"{len(wanted)} 条通知将重发")


@app.command("templates", help="检查并显示各种通知的文字，以及短信最多计几条")
def templates() -> None:
    """Check the texts and show them."""
    from tickets.notices.kinds import KINDS, Channel
    from tickets.notices.plan import load_plan
    from tickets.notices.templates import longest_sms

    plan = load_plan(load_settings())
    table = Table("内容", "方式", "条", "文字", title=f"版本 {plan.templates.edition}")
    for kind, texts in plan.templates.kinds.items():
        for channel in Channel:
            if not plan.templates.has(kind, channel):
                continue
            text = texts.sms if channel is Channel.SMS else texts.wecom
            if channel is Channel.EMAIL and texts.email:
                text = texts.email.subject
            count = f"≤{longest_sms(kind, text)}" if channel is Channel.SMS else ""
            table.add_row(f"{KINDS[kind].label} ({kind})", channel.label, count, escape(text))
    out.print(table)


@app.command("opt-out", help="此后不再向这个地址发给来电人的通知")
def opt_out_address(channel: ChannelArgument, address: AddressArgument) -> None:
    """No more notices to callers at that address."""
    from hotline.wiring.database import open_database
    from tickets.notices.kinds import Channel, Recipient
    from tickets.notices.outbox import opt_out

    recipient = Recipient(_choice(Channel, channel), address)
    with closing(open_database(load_settings())) as database, database.transaction() as session:
        done = opt_out(session, recipient, by=f"cli:{getpass.getuser()}"[:64], now=SystemClock().now())
    out.print(f"{recipient.masked} {'已退订' if done else '本来就已退订'}", highlight=False)


@app.command("opt-in", help="恢复向这个地址发通知")
def opt_in_address(channel: ChannelArgument, address: AddressArgument) -> None:
    """The opposite."""
    from hotline.wiring.database import open_database
    from tickets.notices.kinds import Channel, Recipient
    from tickets.notices.outbox import opt_in

    recipient = Recipient(_choice(Channel, channel), address)
    with closing(open_database(load_settings())) as database, database.transaction() as session:
        done = opt_in(session, recipient)
    out.print(f"{recipient.masked} {'已恢复' if done else '没有退订'}", highlight=False)


def _choice(kind: type[Choice], text: str) -> Choice:
    from hotline.errors import InvalidInputError

    try:
        return kind(text)
    except ValueError:
        raise InvalidInputError(f"没有 {text[:32]}", hint=f"可选：{'、'.join(kind)}") from None
