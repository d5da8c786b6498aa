"""Rows of what must reach somebody outside: notices, who wants none, webhooks of other systems, their deliveries."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from hotline.db import Base


class DeliveryColumns:
    """How one delivery stands (`tickets.notices.delivery`).

    `key`: written once, however often the job behind it runs. `attempt_id`: of the attempt under way or the last one;
    who claimed it until `leased_until` and finds another id there has lost it. `error`: of the last attempt, without
    addresses or secrets.
    """

    key: Mapped[str] = mapped_column(String(160), unique=True)
    ticket: Mapped[str] = mapped_column(String(16), default="", index=True)
    state: Mapped[str] = mapped_column(String(16))
    due_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    attempt_id: Mapped[str] = mapped_column(String(32), default="")
    leased_until: Mapped[datetime | None]
    error: Mapped[str] = mapped_column(String(300), default="")
    created_at: Mapped[datetime]
    settled_at: Mapped[datetime | None] = mapped_column(index=True)


class Notice(DeliveryColumns, Base):
    """One notice to one address. Text, values and address are forgotten in time, the key stays.

    `observes_hours`: it waits for the hours in which callers may be disturbed.
    """

    __tablename__ = "notices"
    __table_args__ = (Index(None, "state", "channel", "due_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    edition: Mapped[str] = mapped_column(String(32))
    channel: Mapped[str] = mapped_column(String(16))
    recipient: Mapped[str] = mapped_column(String(128))
    subject: Mapped[str] = mapped_column(String(400), default="")
    text: Mapped[str] = mapped_column(Text)
    values: Mapped[dict[str, Any]]
    observes_hours: Mapped[bool] = mapped_column(default=False)


class NoticeOptOut(Base):
    """An address that wants no notices to callers by this channel."""

    __tablename__ = "notice_opt_outs"

    channel: Mapped[str] = mapped_column(String(16), primary_key=True)
    recipient: Mapped[str] = mapped_column(String(128), primary_key=True)
    since: Mapped[datetime]
    by: Mapped[str] = mapped_column(String(64))


class WebhookSubscription(Base):
    """Another system that wants events.

    `salt` and `key_id` derive its secret; the former ones sign too until `former_until`. `personal`: may be told
    callers' data. `failing_since`: nothing was delivered since; `disabled_at` with its reason ends it.
    """

    __tablename__ = "webhook_subscriptions"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    url: Mapped[str] = mapped_column(String(500))
    events: Mapped[list[Any]]
    personal: Mapped[bool] = mapped_column(default=False)
    key_id: Mapped[str] = mapped_column(String(16))
    salt: Mapped[str] = mapped_column(String(64))
    former_key_id: Mapped[str] = mapped_column(String(16), default="")
    former_salt: Mapped[str] = mapped_column(String(64), default="")
    former_until: Mapped[datetime | None]
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(64))
    delivered_at: Mapped[datetime | None]
    failing_since: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]
    disabled_reason: Mapped[str] = mapped_column(String(300), default="")


class WebhookDelivery(DeliveryColumns, Base):
    """One event for one subscription; `body` is what is signed and sent, octet for octet."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (Index(None, "subscription_id", "state", "due_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    subscription_id: Mapped[int] = mapped_column(ForeignKey("webhook_subscriptions.id"))
    event: Mapped[str] = mapped_column(String(48))
    body: Mapped[str] = mapped_column(Text)

    subscription: Mapped[WebhookSubscription] = relationship()
