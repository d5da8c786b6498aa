"""Queries for notices, webhooks and their deliveries."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TypeVar

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, true, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from hotline.errors import NotFoundError
from tickets.access import Viewer, visible_to
from tickets.lifecycle import State
from tickets.models import Ticket, Unit
from tickets.notices.delivery import OPEN, DeliveryState
from tickets.notices.models import Notice, NoticeOptOut, WebhookDelivery, WebhookSubscription

Row = TypeVar("Row", Notice, WebhookDelivery)


def add_once(session: Session, row: Row) -> Row:
    """Adds `row`, or gives the one that has its key, also when another transaction adds it at this moment."""
    model = type(row)
    known = session.scalar(select(model).where(model.key == row.key))
    if known is not None:
        return known
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        return session.scalars(select(model).where(model.key == row.key)).one()
    return row


def claimable(session: Session, model: type[Row], lane: ColumnElement[bool], now: datetime) -> Row | None:
    """What of that lane is due the longest, or was left by a worker that died; held by this transaction."""
    due = and_(model.state == DeliveryState.QUEUED.value, model.due_at <= now)
    left = and_(model.state == DeliveryState.SENDING.value, model.leased_until <= now)
    query = select(model).where(lane, or_(due, left)).order_by(model.due_at, model.id).limit(1)
    return session.scalars(query.with_for_update(skip_locked=True)).one_or_none()


def lock(session: Session, model: type[Row], row_id: int, viewer: Viewer | None = None) -> Row:
    """The row as it is now, held by this transaction; raises `NotFoundError`, also where it is about a ticket that
    `viewer` (None: a job) may not see."""
    query = select(model).where(model.id == row_id, _seen(model, viewer)).with_for_update()
    row = session.scalar(query.execution_options(populate_existing=True))
    if row is None:
        raise NotFoundError(f"没有编号为 {row_id} 的消息")
    return row


def merged_into(session: Session, ticket_id: int) -> Sequence[Ticket]:
    """The tickets that were merged into that one, whose callers are told as its own caller is."""
    query = select(Ticket).where(Ticket.parent_id == ticket_id, Ticket.state == State.MERGED.value)
    return session.scalars(query.order_by(Ticket.id)).all()


def units_of(session: Session, codes: Iterable[str]) -> dict[str, Unit]:
    """The units with these codes."""
    return {unit.code: unit for unit in session.scalars(select(Unit).where(Unit.code.in_(list(codes))))}


def due_channels(session: Session, now: datetime) -> Sequence[str]:
    """The channels by which something is to be sent now."""
    query = select(Notice.channel).where(_is_due(Notice, now)).distinct()
    return session.scalars(query.order_by(Notice.channel)).all()


def due_subscriptions(session: Session, now: datetime) -> Sequence[int]:
    """The active subscriptions to which something is to be sent now."""
    query = (
        select(WebhookDelivery.subscription_id)
        .join(WebhookDelivery.subscription)
        .where(_is_due(WebhookDelivery, now), WebhookSubscription.active)
        .distinct()
    )
    return session.scalars(query.order_by(WebhookDelivery.subscription_id)).all()


def opted_out(session: Session, channel: str, recipient: str) -> bool:
    """Whether the address wants no notices by that channel."""
    return session.get(NoticeOptOut, (channel, recipient)) is not None


def notice_page(
    session: Session,
    viewer: Viewer | None,
    *,
    states: Sequence[str],
    ticket: str = "",
    before: int | None = None,
    limit: int,
) -> Sequence[Notice]:
    """The newest notices first, older than the one with id `before`; no `states`: all. `viewer`: None on the
    machine's own command line."""
    query = select(Notice).where(_seen(Notice, viewer)).order_by(Notice.id.desc()).limit(limit)
    if states:
        query = query.where(Notice.state.in_(states))
    if ticket:
        query = query.where(Notice.ticket == ticket)
    return session.scalars(query if before is None else query.where(Notice.id < before)).all()


def notice_counts(session: Session) -> dict[tuple[str, str], int]:
    """How many there are by channel and state."""
    query = select(Notice.channel, Notice.state, func.count()).group_by(Notice.channel, Notice.state)
    return {(channel, state): count for channel, state, count in session.execute(query)}


def oldest_due(session: Session) -> datetime | None:
    """Since when the longest waiting notice is due; None where none waits."""
    return session.scalar(select(func.min(Notice.due_at)).where(Notice.state.in_([state.value for state in OPEN])))


def forget_notices(session: Session, before: datetime) -> int:
    """Blanks text, values and address of the notices that were settled before then; their keys stay."""
    gone = (
        update(Notice)
        .where(Notice.settled_at < before, Notice.recipient != "")
        .values(recipient="", subject="", text="", values={})
    )
    return int(getattr(session.execute(gone), "rowcount", 0))


def forget_deliveries(session: Session, before: datetime) -> int:
    """Blanks the bodies of the deliveries that were settled before then; their keys stay."""
    gone = (
        update(WebhookDelivery).where(WebhookDelivery.settled_at < before, WebhookDelivery.body != "").values(body="")
    )
    return int(getattr(session.execute(gone), "rowcount", 0))


def subscriptions(session: Session, *, active: bool = False) -> Sequence[WebhookSubscription]:
    """All of them, or the active ones, by name."""
    query = select(WebhookSubscription).order_by(WebhookSubscription.name)
    return session.scalars(query.where(WebhookSubscription.active) if active else query).all()


def find_subscription(session: Session, name: str) -> WebhookSubscription | None:
    """The subscription of that name, or None."""
    return session.scalar(select(WebhookSubscription).where(WebhookSubscription.name == name))


def subscription_named(session: Session, name: str) -> WebhookSubscription:
    """The same; raises `NotFoundError`."""
    found = find_subscription(session, name)
    if found is None:
        raise NotFoundError(f"没有名为 {name[:64]} 的接口", hint="`hotline webhooks list` 列出全部接口")
    return found


def deliveries(
    session: Session,
    viewer: Viewer | None,
    *,
    subscription_id: int | None = None,
    states: Sequence[str] = (),
    limit: int,
) -> Sequence[WebhookDelivery]:
    """The newest deliveries first, with their subscriptions. `viewer`: as in `notice_page`."""
    loaded = joinedload(WebhookDelivery.subscription)
    query = select(WebhookDelivery).options(loaded).where(_seen(WebhookDelivery, viewer))
    if subscription_id is not None:
        query = query.where(WebhookDelivery.subscription_id == subscription_id)
    if states:
        query = query.where(WebhookDelivery.state.in_(states))
    return session.scalars(query.order_by(WebhookDelivery.id.desc()).limit(limit)).all()


def delivery_counts(session: Session) -> dict[tuple[int, str], int]:
    """How many deliveries there are by subscription and state."""
    query = select(WebhookDelivery.subscription_id, WebhookDelivery.state, func.count())
    rows = session.execute(query.group_by(WebhookDelivery.subscription_id, WebhookDelivery.state))
    return {(subscription, state): count for subscription, state, count in rows}


def _seen(model: type[Notice] | type[WebhookDelivery], viewer: Viewer | None) -> ColumnElement[bool]:
    """About no ticket, or about one that the viewer may see."""
    if viewer is None:
        return true()
    return or_(model.ticket == "", exists().where(Ticket.number == model.ticket, visible_to(viewer)).correlate(model))


def _is_due(model: type[Notice] | type[WebhookDelivery], now: datetime) -> ColumnElement[bool]:
    return or_(
        and_(model.state == DeliveryState.QUEUED.value, model.due_at <= now),
        and_(model.state == DeliveryState.SENDING.value, model.leased_until <= now),
    )
