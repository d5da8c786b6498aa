"""Notices and webhooks: what waits, what failed, and sending it again. For supervisors and administrators."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlalchemy.orm import Session

from console import auth, service
from console.context import client_address, context_of
from console.permissions import Permission
from console.rendering import render
from tickets.notices import repository
from tickets.notices.delivery import RETRYABLE, STATE_LABELS, DeliveryState
from tickets.notices.http_client import parse_http_url
from tickets.notices.kinds import KINDS, Channel, masked
from tickets.notices.models import Notice
from tickets.notices.outbox import retry_notice
from tickets.notices.subscriptions import retry_delivery

router = APIRouter()
PAGE_SIZE = 50
FAILED_DELIVERIES = 20
Overseer = Annotated[auth.Principal, Depends(auth.require(Permission.NOTICES))]
RowId = Annotated[int, Path(ge=1, lt=2**31)]
UNDELIVERED = (DeliveryState.FAILED.value, DeliveryState.EXPIRED.value)
TONES = {
    DeliveryState.QUEUED: "attention",
    DeliveryState.SENDING: "active",
    DeliveryState.SENT: "done",
    DeliveryState.FAILED: "danger",
    DeliveryState.EXPIRED: "warning",
    DeliveryState.WITHHELD: "",
}
FILTERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "undelivered": ("未送达", UNDELIVERED),
    "queued": ("待发送", (DeliveryState.QUEUED.value, DeliveryState.SENDING.value)),
    "sent": ("已发送", (DeliveryState.SENT.value,)),
    "withheld": ("已退订", (DeliveryState.WITHHELD.value,)),
    "all": ("全部", ()),
}


@dataclass(frozen=True, kw_only=True)
class NoticeLine:
    """A notice as the page shows it; its address is always masked."""

    id: int
    at: datetime
    kind: str
    channel: str
    recipient: str
    ticket: str
    state: str
    tone: str
    attempts: int
    due_at: datetime | None
    error: str
    retryable: bool


@router.get("/notices")
def show_notices(
    request: Request,
    principal: Overseer,
    show: str = "undelivered",
    before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
) -> HTMLResponse:
    """Newest first, a page at a time; what was not delivered, unless another filter is chosen."""
    chosen = show if show in FILTERS else "undelivered"
    with context_of(request).database.reading() as session:
        page = repository.notice_page(
            session, principal.viewer, states=FILTERS[chosen][1], before=before, limit=PAGE_SIZE + 1
        )
        counts = repository.notice_counts(session)
        subscriptions = repository.subscriptions(session)
        delivery_counts = repository.delivery_counts(session)
        failed = repository.deliveries(session, principal.viewer, states=UNDELIVERED, limit=FAILED_DELIVERIES)
    values = {
        "lines": [_line(notice) for notice in page[:PAGE_SIZE]],
        "next_before": page[PAGE_SIZE - 1].id if len(page) > PAGE_SIZE else None,
        "filters": {name: label for name, (label, _) in FILTERS.items()},
        "chosen": chosen,
        "states": STATE_LABELS,
        "channels": [
            (channel.label, {state: counts.get((channel.value, state.value), 0) for state in DeliveryState})
            for channel in Channel
            if any(name == channel.value for name, _ in counts)
        ],
        "subscriptions": [
            (
                item,
                parse_http_url(item.url)[1],
                delivery_counts.get((item.id, DeliveryState.QUEUED.value), 0),
                sum(delivery_counts.get((item.id, state), 0) for state in UNDELIVERED),
            )
            for item in subscriptions
        ],
        "failed": failed,
    }
    return render(request, "notices.html", values)


@router.post("/notices/{notice_id}/retry", dependencies=[Depends(auth.check_csrf)])
def retry(request: Request, principal: Overseer, notice_id: RowId) -> RedirectResponse:
    """Has it sent again; logged."""
    context = context_of(request)
    with context.database.transaction() as session:
        plan, now = request.app.state.desk.notices, context.clock.now()
        retry_notice(session, notice_id, plan=plan, now=now, viewer=principal.viewer)
        _audit(request, session, principal, "retry_notice", str(notice_id))
    return RedirectResponse("/notices", status_code=303)


@router.post("/webhook-deliveries/{delivery_id}/retry", dependencies=[Depends(auth.check_csrf)])
def retry_webhook(request: Request, principal: Overseer, delivery_id: RowId) -> RedirectResponse:
    """The same for an event of a webhook."""
    context = context_of(request)
    with context.database.transaction() as session:
        limits, now = context.settings.webhooks, context.clock.now()
        retry_delivery(session, delivery_id, settings=limits, now=now, viewer=principal.viewer)
        _audit(request, session, principal, "retry_webhook", str(delivery_id))
    return RedirectResponse("/notices", status_code=303)


def _audit(request: Request, session: Session, principal: auth.Principal, action: str, subject: str) -> None:
    service.audit(
        session,
        at=context_of(request).clock.now(),
        username=principal.username,
        action=action,
        subject=subject,
        address=client_address(request),
    )


def _line(notice: Notice) -> NoticeLine:
    state = DeliveryState(notice.state)
    return NoticeLine(
        id=notice.id,
        at=notice.created_at,
        kind=KINDS[notice.kind].label if notice.kind in KINDS else notice.kind,
        channel=Channel(notice.channel).label,
        recipient=masked(notice.channel, notice.recipient),
        ticket=notice.ticket,
        state=state.label,
        tone=TONES[state],
        attempts=notice.attempts,
        due_at=notice.due_at if state is DeliveryState.QUEUED else None,
        error=notice.error,
        retryable=state in RETRYABLE and bool(notice.text),
    )
