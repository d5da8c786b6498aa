"""Sends notices and webhooks. State is in rows only, so any worker may be killed at any moment.

The sweep hands a job in for each lane in which something is due; the job works it off. A lane that stands still holds
no other one up.
"""

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from hotline.clock import Clock
from hotline.db import Database
from hotline.errors import ConfigurationError, HotlineError
from hotline.jobs import Jobs
from hotline.settings import Settings
from hotline.settings_sections import as_networks
from tickets.notices import repository
from tickets.notices.channel import Message, NoticeChannel
from tickets.notices.delivery import Backoff, DelayedError, GoneError, UnsureError
from tickets.notices.dispatch import Dispatcher, Policy, clean
from tickets.notices.gateway import retry_after, tls_context
from tickets.notices.http_client import Answer, exchange, public_or_within
from tickets.notices.kinds import KINDS, Channel
from tickets.notices.models import Notice, WebhookDelivery
from tickets.notices.outbox import notify, wants_none
from tickets.notices.plan import NoticePlan, load_plan
from tickets.notices.signing import headers, message_id
from tickets.notices.site_channels import notice_backoff, open_channels
from tickets.notices.subscriptions import check_url, disable, load_webhook_keys, secrets_of

log = logging.getLogger(__name__)

SEND_NOTICES, SEND_WEBHOOKS = "send_notices", "send_webhooks"
RUN_S = 60.0  # then other lanes have a turn
FORGET_EVERY = timedelta(hours=1)
BUSY = frozenset({429, 502, 503, 504})
GONE = 410


class NoticeLane:
    """What goes through one channel."""

    model = Notice

    def __init__(self, channel: Channel, port: NoticeChannel, *, settings: Settings, plan: NoticePlan) -> None:
        self.name = channel.value
        self.policy = Policy(
            notice_backoff(settings.notices),
            timedelta(seconds=settings.notices.lease_s),
            repeats=port.repeats,
            hours=plan.hours,
        )
        self._port = port

    @property
    def rows(self) -> ColumnElement[bool]:
        return Notice.channel == self.name

    def held_until(self, session: Session, row: Notice, now: datetime) -> datetime | None:
        hours = self.policy.hours
        later = hours.allowed_from(now) if hours and row.observes_hours else now
        return later if later > now else None

    def withheld(self, session: Session, row: Notice) -> str:
        return "收件人不接收通知" if wants_none(session, row) else ""

    def deliver(self, row: Notice, now: datetime) -> None:
        self._port.deliver(
            Message(
                key=row.key,
                kind=row.kind,
                recipient=row.recipient,
                subject=row.subject,
                text=row.text,
                values={name: str(value) for name, value in row.values.items()},
                created_at=row.created_at,
            )
        )

    def settled(self, session: Session, row: Notice, error: HotlineError | None, now: datetime) -> bool:
        if error is None and KINDS[row.kind].secret:
            row.text, row.values = "", {}
        return True


class WebhookLane:
    """What goes to one subscription."""

    model = WebhookDelivery

    def __init__(self, subscription_id: int, *, settings: Settings, plan: NoticePlan) -> None:
        webhooks = settings.webhooks
        self.name = f"webhook {subscription_id}"
        self.policy = Policy(
            Backoff(
                timedelta(seconds=webhooks.backoff_s),
                webhooks.backoff_factor,
                timedelta(seconds=webhooks.backoff_max_s),
                webhooks.max_attempts,
            ),
            timedelta(seconds=webhooks.lease_s),
        )
        self._id = subscription_id
        self._settings = settings
        self._plan = plan
        self._addresses = public_or_within(as_networks(webhooks.private_networks))

    @property
    def rows(self) -> ColumnElement[bool]:
        return WebhookDelivery.subscription_id == self._id

    def held_until(self, session: Session, row: WebhookDelivery, now: datetime) -> datetime | None:
        return None

    def withheld(self, session: Session, row: WebhookDelivery) -> str:
        return "" if row.subscription.active else "接口已停用"

    def deliver(self, row: WebhookDelivery, now: datetime) -> None:
        subscription, webhooks = row.subscription, self._settings.webhooks
        try:
            check_url(subscription.url, webhooks, personal=subscription.personal)
            secrets = secrets_of(subscription, load_webhook_keys(self._settings), now)
        except HotlineError as error:  # ours to mend, for this and every other event
            raise DelayedError(error.message, whole=True) from error
        body = row.body.encode()
        answer = exchange(
            "POST",
            subscription.url,
            headers={
                "Content-Type": "application/json",
                **headers(secrets, message=message_id(row.key), at=now, body=body),
            },
            body=body,
            timeout_s=webhooks.timeout_s,
            check=self._addresses,
            tls=tls_context(webhooks.ca_file),
        )
        judge_delivery(answer)

    def settled(self, session: Session, row: WebhookDelivery, error: HotlineError | None, now: datetime) -> bool:
        """Counts for how long the receiver has taken nothing, and gives it up in the end."""
        subscription = row.subscription
        if error is None:
            subscription.delivered_at, subscription.failing_since = now, None
            return True
        subscription.failing_since = subscription.failing_since or now
        days = self._settings.webhooks.disable_after_days
        if isinstance(error, GoneError) or now - subscription.failing_since >= timedelta(days=days):
            reason = clean(error.message)
            disable(subscription, reason=reason, now=now)
            log.error("webhook %s is disabled: %s", subscription.name, reason)
            values = {"name": subscription.name, "days": f"{(now - subscription.failing_since).days}", "error": reason}
            for recipient in self._plan.operators:
                key = f"{subscription.id}:{now.isoformat()}"
                notify(session, "webhook_disabled", recipient, values, key=key, now=now, plan=self._plan)
        return subscription.active


def judge_delivery(answer: Answer) -> None:
    """Returns where the receiver has taken the event; raises what else it says (Standard Webhooks 1.0.0)."""
    status = answer.status
    if 200 <= status < 300:
        return
    if status == GONE:
        raise GoneError("对方不再接收事件：410")
    if status in BUSY:
        raise DelayedError(f"对方暂不可用：{status}", whole=True, retry_after_s=retry_after(answer))
    if status >= 500:
        raise UnsureError(f"对方出错：{status}")
    moved = "（要求转到别的地址，不跟随）" if status < 400 else ""
    raise DelayedError(f"对方没有接受：{status}{moved}", whole=status < 400)


class NoticeJobs:
    """The jobs with what they work on. `stop`: no further attempt is begun once it is set."""

    def __init__(
        self, *, settings: Settings, database: Database, jobs: Jobs, clock: Clock, stop: threading.Event | None = None
    ) -> None:
        self._settings = settings
        self._database = database
        self._jobs = jobs
        self._clock = clock
        self._dispatcher = Dispatcher(database=database, clock=clock, stop=stop or threading.Event())
        self._plan = load_plan(settings)
        self._channels = open_channels(settings)
        self._forgotten_at: datetime | None = None

    def functions(self) -> dict[str, Callable[..., None]]:
        """The jobs by the names they are handed in under."""
        return {SEND_NOTICES: self.send_notices, SEND_WEBHOOKS: self.send_webhooks}

    def send_notices(self, channel: str) -> None:
        """Sends what is due by that channel."""
        port = self._channels.get(Channel(channel))
        if port is None:
            raise ConfigurationError(f"notices wait for {channel}, which is not set up any more")
        lane = NoticeLane(Channel(channel), port, settings=self._settings, plan=self._plan)
        lease = _lease(channel)
        if not self._jobs.leased(lease):
            with self._jobs.lease(lease):
                self._dispatcher.work_off(lane, seconds=RUN_S)

    def send_webhooks(self, subscription_id: int) -> None:
        """Sends what is due to that subscription."""
        lane = WebhookLane(subscription_id, settings=self._settings, plan=self._plan)
        lease = _lease(str(subscription_id))
        if not self._jobs.leased(lease):
            with self._jobs.lease(lease):
                self._dispatcher.work_off(lane, seconds=RUN_S)

    def sweep(self) -> None:
        """Hands in what is due, and forgets what is old. Raises `UnavailableError`."""
        now = self._clock.now()
        with self._database.reading() as session:
            channels = [name for name in repository.due_channels(session, now) if Channel(name) in self._channels]
            subscriptions = repository.due_subscriptions(session, now)
        for channel in channels:
            if not self._jobs.leased(_lease(channel)):
                self._jobs.enqueue(SEND_NOTICES, channel=channel)
        for subscription_id in subscriptions:
            if not self._jobs.leased(_lease(str(subscription_id))):
                self._jobs.enqueue(SEND_WEBHOOKS, subscription_id=subscription_id)
        if self._forgotten_at is None or now - self._forgotten_at >= FORGET_EVERY:
            self._forgotten_at = now
            self._forget(now)

    def _forget(self, now: datetime) -> None:
        with self._database.transaction() as session:
            notices = repository.forget_notices(session, now - timedelta(days=self._settings.notices.keep_days))
            bodies = repository.forget_deliveries(session, now - timedelta(days=self._settings.webhooks.keep_days))
        if notices or bodies:
            log.info("forgot what %d notices and %d webhooks said", notices, bodies)


def _lease(name: str) -> str:
    return f"outbox:{name}"
