"""Notices into the outbox, in the transaction of what they tell of. Never commits, never talks to anybody outside."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from hotline.errors import ConflictError
from tickets.access import Viewer
from tickets.notices import repository
from tickets.notices.delivery import DeliveryState, check_retryable
from tickets.notices.kinds import KINDS, Audience, Channel, Recipient
from tickets.notices.models import Notice, NoticeOptOut
from tickets.notices.plan import NoticePlan

MAX_KEY = 80
_COUNTRY = re.compile(r"^(\+|00)86")


def notify(
    session: Session,
    kind: str,
    recipient: Recipient,
    values: Mapping[str, str],
    *,
    key: str,
    now: datetime,
    plan: NoticePlan,
    ticket: str = "",
    urgent: bool = False,
) -> Notice | None:
    """Writes one notice, once for `key`, kind and address however often the job behind it runs.

    `key`: what happened, such as `<ticket number>:<sequence of its event>`. `urgent`: a caller is told at any hour.
    None where the site has no such channel, no text for it, or the number can get no short messages: nobody is told.
    Raises `InvalidInputError` for values that are not the kind's.
    """
    channel, contract = recipient.channel, KINDS[kind]
    if channel not in plan.channels or not plan.templates.has(kind, channel):
        return None
    if channel is Channel.SMS and not plan.mobile.fullmatch(recipient.address):
        return None
    text = plan.templates.render(kind, channel, values, site=plan.site)
    if len(key) > MAX_KEY:
        raise ValueError(f"a notice's key has at most {MAX_KEY} characters")
    keep_h = plan.templates.kinds[kind].keep_h
    waits = contract.audience is Audience.CALLER and not urgent
    due_at = plan.hours.allowed_from(now) if waits else now
    notice = Notice(
        key=f"{kind}:{key}:{channel.value}:{recipient.digest}",
        ticket=ticket,
        state=DeliveryState.QUEUED.value,
        due_at=due_at,
        expires_at=due_at + (timedelta(hours=keep_h) if keep_h else plan.max_age),
        created_at=now,
        kind=kind,
        edition=plan.templates.edition,
        channel=channel.value,
        recipient=recipient.address,
        subject=text.subject,
        text=text.body,
        values=dict(values),
        observes_hours=waits,
    )
    if wants_none(session, notice):
        notice.state, notice.settled_at = DeliveryState.WITHHELD.value, now
    return repository.add_once(session, notice)


def caller_number(phone: str) -> str:
    """A caller's number as a gateway takes it: without the country's code and whatever people write between digits."""
    return re.sub(r"[^0-9+]", "", _COUNTRY.sub("", re.sub(r"[\s()-]", "", phone)))


def wants_none(session: Session, notice: Notice) -> bool:
    """Whether its receiver opted out of what it is."""
    if KINDS[notice.kind].audience is not Audience.CALLER:
        return False
    return repository.opted_out(session, notice.channel, notice.recipient)


def opt_out(session: Session, recipient: Recipient, *, by: str, now: datetime) -> bool:
    """No notices to callers at that address from now on, those that wait included; False where it was so already."""
    if repository.opted_out(session, recipient.channel.value, recipient.address):
        return False
    session.add(NoticeOptOut(channel=recipient.channel.value, recipient=recipient.address, since=now, by=by))
    return True


def opt_in(session: Session, recipient: Recipient) -> bool:
    """The opposite; False where nobody had opted out."""
    row = session.get(NoticeOptOut, (recipient.channel.value, recipient.address))
    if row is None:
        return False
    session.delete(row)
    session.flush()
    return True


def retry_notice(
    session: Session, notice_id: int, *, plan: NoticePlan, now: datetime, viewer: Viewer | None = None
) -> Notice:
    """A person has it sent again, as soon as its hours allow, with all its attempts and its time before it.

    Raises `ConflictError` where it is not failed, expired or withheld, or its text is forgotten.
    """
    notice = repository.lock(session, Notice, notice_id, viewer)
    check_retryable(DeliveryState(notice.state))
    if not notice.recipient or not notice.text:
        raise ConflictError("这条消息的内容已按期清除，不能重发")
    notice.due_at = plan.hours.allowed_from(now) if notice.observes_hours else now
    notice.expires_at = notice.due_at + plan.max_age
    notice.state, notice.settled_at = DeliveryState.QUEUED.value, None
    notice.attempts, notice.error = 0, ""
    return notice
