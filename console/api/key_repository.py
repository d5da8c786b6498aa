"""Queries for API keys and the requests made with them."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, delete, select, text, update
from sqlalchemy.orm import Session

from console.api.models import ApiKey, IdempotentRequest
from hotline.db import UtcDateTime

# One statement, the same on SQLite and PostgreSQL: a second request with the key waits here until the first has ended.
_CLAIM = text(
    "INSERT INTO idempotent_requests (key_id, key, digest, status, headers, body, created_at) "
    "VALUES (:key_id, :key, :digest, 0, '{}', '', :now) ON CONFLICT (key_id, key) DO NOTHING"
).bindparams(bindparam("now", type_=UtcDateTime()))


def key_by_prefix(session: Session, prefix: str) -> ApiKey | None:
    """The key with that open part, or None."""
    return session.scalar(select(ApiKey).where(ApiKey.prefix == prefix))


def key_named(session: Session, name: str) -> ApiKey | None:
    """The key of that name, or None."""
    return session.scalar(select(ApiKey).where(ApiKey.name == name))


def all_keys(session: Session) -> Sequence[ApiKey]:
    """All keys by name."""
    return session.scalars(select(ApiKey).order_by(ApiKey.name)).all()


def note_use(session: Session, key_id: int, now: datetime) -> None:
    """Remembers when a key was used last."""
    session.execute(update(ApiKey).where(ApiKey.id == key_id).values(last_used_at=now))


def claim_request(session: Session, key_id: int, key: str, *, digest: str, now: datetime) -> IdempotentRequest:
    """The row of this Idempotency-Key, held by this transaction; its `status` is 0 where nothing was done yet."""
    session.execute(_CLAIM, {"key_id": key_id, "key": key, "digest": digest, "now": now})
    return session.get_one(IdempotentRequest, (key_id, key), populate_existing=True)


def forget_requests(session: Session, before: datetime) -> None:
    """Removes what was done earlier than that."""
    session.execute(delete(IdempotentRequest).where(IdempotentRequest.created_at < before))
