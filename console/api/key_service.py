"""Makes and checks API keys. Nothing here commits; the edge does.

A key is `hl_<prefix>_<secret>`: the prefix finds the row, the secret has 256 random bits, so its SHA-256 needs no salt.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from console.api import key_repository
from console.api.models import ApiKey
from console.api.scopes import Scope
from hotline.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from tickets.roles import UNIT_ROLES, Role
from tickets.unit_repository import unit_by_code

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,47}")
_KEY = re.compile(r"hl_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_NOBODY = hashlib.sha256(b"").hexdigest()  # compared with where there is no key: both ways take the same time
MAX_PER_MINUTE = 100_000


class KeyRefusedError(ForbiddenError):
    """No key, or none that is good now; why is not told."""


def add_key(
    session: Session,
    *,
    name: str,
    role: str,
    unit: str = "",
    scopes: Sequence[str],
    per_minute: int,
    expires_at: datetime | None = None,
    created_by: str,
    now: datetime,
) -> tuple[ApiKey, str]:
    """A new key and, this once, its text. Raises `InvalidInputError`, `NotFoundError` or `ConflictError`."""
    if not _NAME.fullmatch(name):
        raise InvalidInputError("密钥名只用小写字母、数字和 . _ -，最多 48 个字符")
    if role not in set(Role):
        raise InvalidInputError(f"没有名为 {role[:32]} 的角色", hint=f"可选：{'、'.join(Role)}")
    unknown = [scope for scope in scopes if scope not in set(Scope)]
    if unknown or not scopes:
        raise InvalidInputError(f"没有这种权限：{'、'.join(unknown) or '（空）'}", hint=f"可选：{'、'.join(Scope)}")
    if not 1 <= per_minute <= MAX_PER_MINUTE:
        raise InvalidInputError(f"每分钟次数须在 1 和 {MAX_PER_MINUTE} 之间")
    if expires_at is not None and expires_at <= now:
        raise InvalidInputError("到期时间已经过去")
    if unit:
        unit_by_code(session, unit)
    elif role in UNIT_ROLES:
        raise InvalidInputError(f"{Role(role).label}必须属于一个承办单位", hint="用 --unit 给出单位代码")
    if key_repository.key_named(session, name) is not None:
        raise ConflictError(f"密钥 {name} 已存在")
    prefix, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    key = ApiKey(
        name=name,
        prefix=prefix,
        secret_hash=_digest(secret),
        scopes=sorted(set(scopes)),
        role=role,
        unit=unit,
        per_minute=per_minute,
        expires_at=expires_at,
        created_by=created_by[:64],
        created_at=now,
    )
    session.add(key)
    session.flush()
    return key, f"hl_{prefix}_{secret}"


def check_key(session: Session, text: str, *, now: datetime) -> ApiKey:
    """The key that `text` is; raises `KeyRefusedError` for a wrong, disabled or expired one, in the same time."""
    match = _KEY.fullmatch(text)
    key = key_repository.key_by_prefix(session, match[1]) if match else None
    right = hmac.compare_digest(_digest(match[2] if match else ""), key.secret_hash if key else _NOBODY)
    if key is None or not right or key.disabled or (key.expires_at is not None and key.expires_at <= now):
        raise KeyRefusedError("密钥无效", hint="请在 Authorization 头中给出有效的密钥：Bearer hl_…")
    return key


def disable_key(session: Session, name: str) -> ApiKey:
    """Ends a key at once; raises `NotFoundError`."""
    key = key_repository.key_named(session, name)
    if key is None:
        raise NotFoundError(f"没有名为 {name[:48]} 的密钥")
    key.disabled = True
    return key


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
