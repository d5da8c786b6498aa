"""Queries of the console: accounts, sign-ins, the audit log, and what the ticket pages read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Exists, and_, delete, exists, func, insert, literal, or_, select, update
from sqlalchemy.orm import Session, joinedload, selectinload

from console.models import AuditEntry, LoginSession, User
from hotline.errors import NotFoundError
from recordings.models import Call
from tickets.access import Viewer, calls_visible_to, visible_to
from tickets.models import Ticket
from tickets.roles import UNIT_ROLES
from tickets.text_search import narrowed


def user_named(session: Session, username: str) -> User | None:
    """The account, or None; upper and lower case are the same."""
    return session.scalar(select(User).where(_is_named(username)))


def users(session: Session) -> Sequence[User]:
    """All accounts by name."""
    return session.scalars(select(User).order_by(User.username)).all()


def charge_failed_login(session: Session, username: str) -> None:
    """Counts a failure before anything is read: concurrent guesses queue here, none goes uncounted."""
    session.execute(update(User).where(_is_named(username)).values(failed_logins=User.failed_logins + 1))


def login_session(session: Session, token_hash: str, *, now: datetime) -> LoginSession | None:
    """A sign-in that is still good, with its account."""
    return session.scalar(
        select(LoginSession)
        .join(LoginSession.user)
        .options(joinedload(LoginSession.user))
        .where(LoginSession.token_hash == token_hash, LoginSession.expires_at > now, ~User.disabled)
    )


def end_login_session(session: Session, token_hash: str) -> None:
    """Forgets one sign-in."""
    session.execute(delete(LoginSession).where(LoginSession.token_hash == token_hash))


def end_login_sessions_of(session: Session, user: User) -> None:
    """Forgets all sign-ins of an account."""
    session.execute(delete(LoginSession).where(LoginSession.user_id == user.id))


def purge_login_sessions(session: Session, *, now: datetime) -> None:
    """Forgets the expired sign-ins."""
    session.execute(delete(LoginSession).where(LoginSession.expires_at <= now))


def add_audit_once(session: Session, entry: AuditEntry, *, since: datetime) -> None:
    """Adds `entry` unless the same person did the same to the same subject since then; one statement, so no race."""
    same = _audit_of(entry.username, entry.action, entry.subject, since)
    values = {
        AuditEntry.at: entry.at,
        AuditEntry.username: entry.username,
        AuditEntry.action: entry.action,
        AuditEntry.subject: entry.subject,
        AuditEntry.address: entry.address,
        AuditEntry.reason: entry.reason,
    }
    row = select(*(literal(value, column.type) for column, value in values.items())).where(~same)
    session.execute(insert(AuditEntry).from_select(list(values), row))


def audited_since(session: Session, *, username: str, action: str, subject: str, since: datetime) -> bool:
    """Whether this person did so since then."""
    return bool(session.scalar(select(_audit_of(username, action, subject, since))))


def _is_named(username: str) -> ColumnElement[bool]:
    return func.lower(User.username) == func.lower(username)


def _audit_of(username: str, action: str, subject: str, since: datetime) -> Exists:
    return exists().where(
        AuditEntry.username == username,
        AuditEntry.action == action,
        AuditEntry.subject == subject,
        AuditEntry.at >= since,
    )


def audit_page(session: Session, *, before: int | None, limit: int) -> Sequence[AuditEntry]:
    """The newest entries first, older than the one with id `before`."""
    query = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit)
    return session.scalars(query if before is None else query.where(AuditEntry.id < before)).all()


@dataclass(frozen=True, kw_only=True)
class TicketFilter:
    """What a ticket must match; empty strings match all. `category` is one or a first level with all below it.

    Of `text` (any part of what is written), `number` (any part) and `phone` (the whole) one match is enough.
    """

    state: str = ""
    category: str = ""
    text: str = ""
    number: str = ""
    phone: str = ""


@dataclass(frozen=True)
class Cursor:
    """The last ticket of a page: time and id, because several may share a time."""

    created_at: datetime
    ticket_id: int


def ticket_page(
    session: Session, viewer: Viewer, wanted: TicketFilter, *, after: Cursor | None, limit: int
) -> Sequence[Ticket]:
    """The newest tickets first, those that follow `after`."""
    query = select(Ticket).where(visible_to(viewer)).order_by(Ticket.created_at.desc(), Ticket.id.desc()).limit(limit)
    if wanted.state:
        query = query.where(Ticket.state == wanted.state)
    if wanted.category:
        below = Ticket.category.startswith(f"{wanted.category}/", autoescape=True)
        query = query.where(or_(Ticket.category == wanted.category, below))
    written = (Ticket.title, Ticket.content, Ticket.place, Ticket.address, Ticket.caller_name)
    matches = [column.icontains(wanted.text, autoescape=True) for column in written if wanted.text]
    if wanted.number:
        matches.append(Ticket.number.icontains(wanted.number, autoescape=True))
    if wanted.phone:
        matches.append(Ticket.phone == wanted.phone)
    if matches:
        near = narrowed(session, wanted.text, number=wanted.number, phone=wanted.phone)
        query = query.where(or_(*matches), *near)
    if after is not None:
        same_time = and_(Ticket.created_at == after.created_at, Ticket.id < after.ticket_id)
        query = query.where(or_(Ticket.created_at < after.created_at, same_time))
    return session.scalars(query).all()


def categories_in_use(session: Session, viewer: Viewer) -> Sequence[str]:
    """The categories of the tickets there are for this viewer, sorted."""
    if viewer.role in UNIT_ROLES:  # their tickets are few
        query = select(Ticket.category).where(Ticket.category != "", visible_to(viewer))
        return session.scalars(query.distinct().order_by(Ticket.category)).all()
    # From each category to the next one in the index: there are some dozens, of a million tickets.
    used = select(func.min(Ticket.category).label("name")).where(Ticket.category != "").cte("used", recursive=True)
    following = select(func.min(Ticket.category)).where(Ticket.category > used.c.name).scalar_subquery()
    used = used.union_all(select(following).where(used.c.name.is_not(None)))
    seen = exists().where(Ticket.category == used.c.name, visible_to(viewer)).correlate(used)
    return session.scalars(select(used.c.name).where(used.c.name.is_not(None), seen).order_by(used.c.name)).all()


def ticket_with_history(session: Session, viewer: Viewer, number: str) -> Ticket:
    """A ticket with its events and evidence; raises `NotFoundError`, also where `viewer` may not see it."""
    query = select(Ticket).options(selectinload(Ticket.events), selectinload(Ticket.evidence))
    found = session.scalar(query.where(Ticket.number == number, visible_to(viewer)))
    if found is None:
        raise NotFoundError("没有这个工单", hint="请核对工单编号")
    return found


def call_with_recording(session: Session, viewer: Viewer, call_id: str) -> Call | None:
    """A call with its recording and the quality of its streams, or None where there is none for this viewer."""
    loaded = (joinedload(Call.recording), selectinload(Call.qualities))
    return session.scalar(select(Call).options(*loaded).where(Call.id == call_id, calls_visible_to(viewer)))


def ticket_number_of_call(session: Session, viewer: Viewer, call_id: str) -> str | None:
    """The number of the ticket that a call became, or None."""
    return session.scalar(select(Ticket.number).where(Ticket.call_id == call_id, visible_to(viewer)))


def call_id_of_ticket(session: Session, viewer: Viewer, number: str) -> str | None:
    """The call that became the ticket of that number, or None."""
    return session.scalar(select(Ticket.call_id).where(Ticket.number == number, visible_to(viewer)))
