"""Accounts, sign-ins and the audit log: rules on rows. Nothing here commits; the edge does."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from console import repository
from console.models import AuditEntry, LoginSession, User
from console.passwords import check_password, check_username, hash_password
from hotline.errors import ConflictError, InvalidInputError, NotFoundError
from hotline.settings_sections import ConsoleSettings
from tickets.roles import UNIT_ROLES, Role
from tickets.unit_repository import unit_by_code

MAX_DISPLAY_NAME = 64


def create_user(
    session: Session, *, username: str, display_name: str, role: str, password: str, now: datetime, unit: str = ""
) -> User:
    """Adds an account; raises `InvalidInputError`, `NotFoundError` for an unknown unit or, where the name is taken,
    `ConflictError`."""
    username = check_username(username)
    display_name = display_name.strip() or username
    if len(display_name) > MAX_DISPLAY_NAME:
        raise InvalidInputError(f"姓名最多 {MAX_DISPLAY_NAME} 个字符")
    if role not in set(Role):
        raise InvalidInputError(f"没有名为 {role} 的角色", hint=f"可选：{'、'.join(Role)}")
    _check_unit(session, role, unit)
    check_password(password, username=username)
    if repository.user_named(session, username) is not None:
        raise ConflictError(f"用户 {username} 已存在")
    user = User(
        username=username,
        display_name=display_name,
        role=role,
        unit=unit,
        password_hash=hash_password(password),
        locked_until=None,
        created_at=now,
    )
    session.add(user)
    session.flush()
    return user


def set_role(session: Session, *, username: str, role: str, unit: str = "") -> User:
    """Gives an account another role and unit; its sign-ins end, so that no page keeps rights of before."""
    user = existing_user(session, username)
    if role not in set(Role):
        raise InvalidInputError(f"没有名为 {role} 的角色", hint=f"可选：{'、'.join(Role)}")
    _check_unit(session, role, unit)
    user.role, user.unit = role, unit
    repository.end_login_sessions_of(session, user)
    return user


def _check_unit(session: Session, role: str, unit: str) -> None:
    if unit:
        unit_by_code(session, unit)
    elif role in UNIT_ROLES:
        raise InvalidInputError(f"{Role(role).label}必须属于一个承办单位", hint="用 --unit 给出单位代码")


def set_password(session: Session, *, username: str, password: str) -> User:
    """Sets a password, lifts a lock and ends all sign-ins of the account."""
    user = existing_user(session, username)
    check_password(password, username=user.username)
    user.password_hash = hash_password(password)
    user.failed_logins = 0
    user.locked_until = None
    repository.end_login_sessions_of(session, user)
    return user


def set_disabled(session: Session, *, username: str, disabled: bool) -> User:
    """Closes an account, which ends its sign-ins, or opens it again."""
    user = existing_user(session, username)
    user.disabled = disabled
    if disabled:
        repository.end_login_sessions_of(session, user)
    return user


def list_users(session: Session) -> Sequence[User]:
    """All accounts by name."""
    return repository.users(session)


def existing_user(session: Session, username: str) -> User:
    """The account; raises `NotFoundError`."""
    user = repository.user_named(session, username.strip())
    if user is None:
        raise NotFoundError(f"没有名为 {username} 的用户")
    return user


def token_digest(token: str) -> str:
    """What is stored of a session token: SHA-256 in hexadecimal (the token has 256 random bits, so no salt)."""
    return hashlib.sha256(token.encode()).hexdigest()


def sign_in(
    session: Session, *, username: str, verified: bool, address: str, limits: ConsoleSettings, now: datetime
) -> str | None:
    """Ends an attempt whose password was checked before (`verified`): a new session token, or None.

    Failures are counted and lock the account; the right password does not open a locked or disabled account, and
    the caller cannot tell the reasons apart.
    """
    repository.charge_failed_login(session, username)
    user = repository.user_named(session, username)
    locked = user is not None and user.locked_until is not None and user.locked_until > now
    if user is None or user.disabled or locked or not verified:
        if user is not None and not locked and user.failed_logins >= limits.max_failed_logins:
            user.locked_until = now + timedelta(minutes=limits.lock_minutes)
            locked = True
        if user is not None and locked:
            user.failed_logins = 0
        audit(session, at=now, username=username[:64], action="sign_in_failed", address=address)
        return None
    user.failed_logins = 0
    user.locked_until = None
    repository.purge_login_sessions(session, now=now)
    token = secrets.token_urlsafe(32)
    session.add(
        LoginSession(
            token_hash=token_digest(token),
            user_id=user.id,
            created_at=now,
            expires_at=now + timedelta(hours=limits.session_hours),
            address=address,
        )
    )
    audit(session, at=now, username=user.username, action="sign_in", address=address)
    return token


def audit(
    session: Session,
    *,
    at: datetime,
    username: str,
    action: str,
    subject: str = "",
    address: str = "",
    reason: str = "",
) -> None:
    """Appends an entry to the audit log."""
    session.add(AuditEntry(at=at, username=username, action=action, subject=subject, address=address, reason=reason))


def logged(session: Session, entry: AuditEntry, *, minutes: float) -> bool:
    """Whether the log has the same person, action and subject in the `minutes` before `entry`."""
    return repository.audited_since(
        session,
        username=entry.username,
        action=entry.action,
        subject=entry.subject,
        since=entry.at - timedelta(minutes=minutes),
    )


def log_once(session: Session, entry: AuditEntry, *, minutes: float) -> None:
    """Appends `entry` unless it is `logged` already, however many requests arrive at once."""
    repository.add_audit_once(session, entry, since=entry.at - timedelta(minutes=minutes))


def unmasked(session: Session, *, username: str, number: str, now: datetime, minutes: float) -> bool:
    """Whether this person gave a reason to see the full numbers of the ticket in the last `minutes`."""
    since = now - timedelta(minutes=minutes)
    return repository.audited_since(session, username=username, action="unmask", subject=number, since=since)
