"""Webhooks of other systems: who is told which events, and the events themselves. Never commits.

An event is written for each subscription in the transaction of what it tells of; a worker sends it later. It holds ids
and states; a caller's data only for those subscriptions that may have them, and never of a confidential ticket.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from hotline.errors import ConfigurationError, ConflictError, ForbiddenError, InvalidInputError
from hotline.locks import make_folder
from hotline.settings import Settings
from hotline.settings_notices import WebhookSettings
from recordings.keys import Key, KeyRing, add_key, parse_keys
from tickets.access import Viewer
from tickets.models import Ticket
from tickets.notices import repository
from tickets.notices.delivery import DeliveryState, check_retryable
from tickets.notices.http_client import parse_http_url
from tickets.notices.models import WebhookDelivery, WebhookSubscription
from tickets.notices.signing import derive_secret, format_secret
from tickets.repository import next_sequence

CREATED, STATE_CHANGED, CLOSED, TEST = "ticket.created", "ticket.state_changed", "ticket.closed", "webhook.test"
EVENTS = (CREATED, STATE_CHANGED, CLOSED)
SALT_BYTES = 32
DEFAULT_KEY = "webhooks.key"
DEFAULT_MAX_AGE = timedelta(hours=96)


def publish_event(
    session: Session,
    name: str,
    ticket: Ticket,
    data: Mapping[str, Any],
    now: datetime,
    *,
    max_age: timedelta = DEFAULT_MAX_AGE,
) -> int:
    """Writes the event for every active subscription that wants it; how many there are.

    Call it after the ticket's own event is written: its sequence orders the webhooks and makes them unique, so that the
    same change is never told twice. `data`: what the event has beside the ticket (plain JSON, nothing personal).
    """
    wanted = [item for item in repository.subscriptions(session, active=True) if name in item.events]
    if not wanted:
        return 0
    sequence = next_sequence(session, ticket.id) - 1
    for subscription in wanted:
        personal = subscription.personal and not ticket.confidential
        told = {**facts(ticket, personal=personal), "sequence": sequence, **data}
        _write(
            session,
            subscription,
            name,
            told,
            key=f"{ticket.number}:{sequence}",
            ticket=ticket.number,
            now=now,
            max_age=max_age,
        )
    return len(wanted)


def publish_test(session: Session, subscription: WebhookSubscription, *, now: datetime) -> WebhookDelivery:
    """An event that tells nothing, for the receiver's developer."""
    return _write(
        session,
        subscription,
        TEST,
        {"name": subscription.name},
        key=secrets.token_hex(8),
        ticket="",
        now=now,
        max_age=timedelta(hours=1),
    )


def facts(ticket: Ticket, *, personal: bool) -> dict[str, Any]:
    """What every event says of its ticket; of a confidential one not what it is about. `personal`: with who called and
    what was said."""
    told: dict[str, Any] = {
        "number": ticket.number,
        "state": ticket.state,
        "channel": ticket.channel,
        "type": "" if ticket.confidential else ticket.type,
        "tier": ticket.tier,
        "category": "" if ticket.confidential else ticket.category,
        "unit": ticket.unit,
        "confidential": ticket.confidential,
        "created_at": timestamp(ticket.created_at),
    }
    if personal:
        told["personal"] = {
            "caller_name": ticket.caller_name,
            "phone": ticket.phone,
            "address": ticket.address,
            "title": ticket.title,
            "content": ticket.content,
        }
    return told


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class Receiver:
    """What an administrator says of another system."""

    name: str
    url: str
    events: tuple[str, ...]
    personal: bool = False


def add_subscription(
    session: Session, receiver: Receiver, *, settings: Settings, by: str, now: datetime
) -> tuple[WebhookSubscription, str]:
    """A new subscription and its secret, which is shown once. Makes the site's key where there is none yet.

    Raises `InvalidInputError`, `ForbiddenError` for a host that is not allowed, `ConflictError` for a known name.
    """
    check_url(receiver.url, settings.webhooks, personal=receiver.personal)
    if not receiver.name.strip() or len(receiver.name) > 64 or not receiver.name.isprintable():
        raise InvalidInputError("接口名称为一至六十四个字符")
    unknown = [name for name in receiver.events if name not in EVENTS]
    if unknown or not receiver.events:
        raise InvalidInputError(f"没有事件 {'、'.join(unknown)}"[:200], hint=f"可选：{'、'.join(EVENTS)}")
    if repository.find_subscription(session, receiver.name) is not None:
        raise ConflictError(f"已有名为 {receiver.name} 的接口")
    if len(repository.subscriptions(session)) >= settings.webhooks.max_subscriptions:
        raise ConflictError("接口已达上限", hint="webhooks.max_subscriptions")
    key = load_webhook_keys(settings, make=True).current
    subscription = WebhookSubscription(
        name=receiver.name,
        url=receiver.url,
        events=list(dict.fromkeys(receiver.events)),
        personal=receiver.personal,
        key_id=key.id,
        salt=secrets.token_hex(SALT_BYTES),
        created_at=now,
        created_by=by[:64],
    )
    session.add(subscription)
    session.flush()
    return subscription, format_secret(derive_secret(key.secret, subscription.salt))


def rotate_secret(session: Session, name: str, *, settings: Settings, now: datetime) -> str:
    """A new secret, which is shown once; for a while both sign, so that the receiver can change over."""
    subscription, key = repository.subscription_named(session, name), load_webhook_keys(settings).current
    subscription.former_key_id, subscription.former_salt = subscription.key_id, subscription.salt
    subscription.former_until = now + timedelta(hours=settings.webhooks.rotation_h)
    subscription.key_id, subscription.salt = key.id, secrets.token_hex(SALT_BYTES)
    return format_secret(derive_secret(key.secret, subscription.salt))


def set_active(session: Session, name: str, *, active: bool, reason: str, now: datetime) -> WebhookSubscription:
    """Ends a subscription, or takes it up again; what failed in between can be sent again."""
    subscription = repository.subscription_named(session, name)
    if active:
        subscription.active, subscription.disabled_at, subscription.disabled_reason = True, None, ""
        subscription.failing_since = None
    else:
        disable(subscription, reason=reason, now=now)
    return subscription


def disable(subscription: WebhookSubscription, *, reason: str, now: datetime) -> None:
    """No more events for it."""
    subscription.active, subscription.disabled_at, subscription.disabled_reason = False, now, reason[:300]


def retry_delivery(
    session: Session, delivery_id: int, *, settings: WebhookSettings, now: datetime, viewer: Viewer | None = None
) -> WebhookDelivery:
    """A person has it sent again under the same identity; raises `ConflictError`."""
    delivery = repository.lock(session, WebhookDelivery, delivery_id, viewer)
    check_retryable(DeliveryState(delivery.state))
    if not delivery.body:
        raise ConflictError("这次投递的内容已按期清除，不能重发")
    delivery.state, delivery.settled_at, delivery.due_at = DeliveryState.QUEUED.value, None, now
    delivery.expires_at = now + timedelta(hours=settings.max_age_h)
    delivery.attempts, delivery.error = 0, ""
    return delivery


def secrets_of(subscription: WebhookSubscription, keys: KeyRing, now: datetime) -> list[bytes]:
    """What an attempt is signed with; raises `ConfigurationError` where the key is not at hand."""
    wanted = [(subscription.key_id, subscription.salt)]
    if subscription.former_until is not None and now < subscription.former_until:
        wanted.append((subscription.former_key_id, subscription.former_salt))
    return [derive_secret(_key(keys, key_id).secret, salt) for key_id, salt in wanted]


def check_url(url: str, settings: WebhookSettings, *, personal: bool) -> None:
    """Raises `InvalidInputError` or `ForbiddenError` for an address to which no event may be sent."""
    if len(url) > 500:
        raise InvalidInputError("地址过长，最多 500 个字符")
    scheme, host = parse_http_url(url)
    if not host_allowed(host, settings.allowed_hosts):
        raise ForbiddenError(f"不允许发往 {host}", hint="把主机名写进 webhooks.allowed_hosts")
    if personal and scheme != "https":
        raise ForbiddenError("含个人信息的事件只能发往 https 地址")


def host_allowed(host: str, allowed: Sequence[str]) -> bool:
    """Whether `host` is one of `allowed`, or below one that is written `*.NAME`."""
    wanted = host.lower().rstrip(".")
    return any(
        wanted.endswith(pattern[1:].lower()) and len(wanted) >= len(pattern)
        if pattern.startswith("*.")
        else wanted == pattern.lower().strip("[]")
        for pattern in allowed
    )


def webhook_key_path(settings: Settings) -> Path:
    """Where the site's key for webhooks is."""
    return settings.webhooks.key_file or settings.data_dir / DEFAULT_KEY


def load_webhook_keys(settings: Settings, *, make: bool = False) -> KeyRing:
    """The site's keys, the one in use first; `make`: a first one where there is none. Raises `ConfigurationError`."""
    path = webhook_key_path(settings)
    if make and not path.exists():
        make_folder(path.parent)
        add_key(path, "1")
    try:
        return parse_keys(path.read_text("utf-8"), source=f"webhooks.key_file {path}")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text"
        raise ConfigurationError(
            f"webhooks.key_file {path}: {reason}", hint="every worker needs the file that `hotline webhooks add` made"
        ) from None


def _key(keys: KeyRing, key_id: str) -> Key:
    key = keys.find(key_id)
    if key is None:
        raise ConfigurationError(
            f"a webhook is signed under the key {key_id!r}, which is not at hand",
            hint="add its line to webhooks.key_file, or give the receiver a new secret: `hotline webhooks rotate`",
        )
    return key


def _write(
    session: Session,
    subscription: WebhookSubscription,
    name: str,
    data: Mapping[str, Any],
    *,
    key: str,
    ticket: str,
    now: datetime,
    max_age: timedelta,
) -> WebhookDelivery:
    body = {"type": name, "timestamp": timestamp(now), "data": data}
    delivery = WebhookDelivery(
        key=f"{name}:{key}:{subscription.id}",
        ticket=ticket,
        state=DeliveryState.QUEUED.value,
        due_at=now,
        expires_at=now + max_age,
        created_at=now,
        subscription_id=subscription.id,
        event=name,
        body=json.dumps(body, ensure_ascii=False, separators=(",", ":")),
    )
    return repository.add_once(session, delivery)
