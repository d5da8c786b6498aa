"""Decides a unit's appeal against the counting of a ticket: two commands in one transaction. Never commits."""

from datetime import datetime

from sqlalchemy.orm import Session

from hotline.errors import ConflictError
from tickets.appeal_rules import EXCLUDED, UNDER_APPEAL
from tickets.commands import CommandRequest, Desk, perform
from tickets.lifecycle import Command
from tickets.models import Ticket
from tickets.roles import Actor


def decide_appeal(
    session: Session,
    ticket: Ticket,
    *,
    granted: bool,
    code: str,
    reason: str,
    actor: Actor,
    desk: Desk,
    now: datetime,
) -> None:
    """Ends the appeal of a ticket that is locked; granted: it is excluded from now on. Raises `ConflictError` where
    there is none, `ForbiddenError` for who may not."""
    if UNDER_APPEAL not in ticket.flags:
        raise ConflictError("工单没有待裁定的申诉", hint="请刷新页面后重试")
    if granted:
        request = CommandRequest(Command.FLAG, {"flag": EXCLUDED, "code": code}, reason)
        perform(session, ticket, request, actor=actor, desk=desk, now=now)
    told = f"{'同意' if granted else '驳回'}：{reason.strip()}"
    request = CommandRequest(Command.UNFLAG, {"flag": UNDER_APPEAL, "code": code}, told)
    perform(session, ticket, request, actor=actor, desk=desk, now=now)
