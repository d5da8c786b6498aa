"""Links by which a repair crew without an account works on one ticket. Services never commit.

- A link is a random token of 128 bits, shown once; the database has its SHA-256 alone.
- Opening it the first time, by a button (previews of messages only read), binds it to that browser.
- It ends by time, by hand, when its unit works on the ticket no more, and with what is handed in after it was made.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hotline.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from hotline.settings_sections import FieldSettings
from tickets.access import Viewer
from tickets.attachments.models import FieldLink
from tickets.events import record_event
from tickets.lifecycle import Command, State
from tickets.models import Ticket, TicketEvent
from tickets.notices.kinds import Channel, Recipient
from tickets.notices.outbox import notify
from tickets.notices.plan import NoticePlan
from tickets.roles import UNIT_ROLES, Actor, Role

MADE, OPENED, REVOKED = "link_made", "link_opened", "link_revoked"
MAX_CREW = 32
CREW = "link:"
"""What the user name of a crew begins with; the link's id follows."""
WORKING = frozenset({State.HANDLING, State.SUPERVISED, State.DELIBERATING, State.EXTENSION_REVIEW, State.SUSPENDED})
COMMANDS = (Command.CONTACT, Command.ARRIVE, Command.RECORD)
USELESS = "链接无效或已失效"


def crew_actor(link: FieldLink, origin: str) -> Actor:
    """As whom a crew works: as a handler of the unit that made the link."""
    return Actor(f"{CREW}{link.id}", Role.UNIT_HANDLER, link.unit, origin)


def crew_viewer(link: FieldLink) -> Viewer:
    """As whom a crew looks."""
    return Viewer(f"{CREW}{link.id}", Role.UNIT_HANDLER, link.unit)


def may_make_links(ticket: Ticket, actor: Actor) -> bool:
    """Those who work on it and who send it, while it is worked on; never of a confidential one."""
    if ticket.confidential or State(ticket.state) not in WORKING:
        return False
    if actor.role in UNIT_ROLES:
        return actor.unit in {link.unit for link in ticket.units}
    return actor.role in (Role.DISPATCHER, Role.ADMIN)


def make_link(
    session: Session, ticket: Ticket, *, crew: str, phone: str, actor: Actor, limits: FieldSettings, now: datetime
) -> tuple[FieldLink, str]:
    """A link and, this once, its token. `ticket` is held by this transaction.

    Raises `ForbiddenError`, `InvalidInputError`, `ConflictError` where too many are good already.
    """
    crew, phone = crew.strip(), phone.strip()
    if not may_make_links(ticket, actor):
        raise ForbiddenError("不能为这张工单发维修链接", hint="办理中的工单由承办单位或派单员发；保密工单不能发")
    if not 0 < len(crew) <= MAX_CREW:
        raise InvalidInputError(f"请填写维修人员（最多 {MAX_CREW} 字）", hint="例如：王师傅，供热抢修队")
    if phone:
        Recipient(Channel.SMS, phone)
    good = [item for item in links_of(session, ticket.id) if item.revoked_at is None and item.expires_at > now]
    if len(good) >= limits.max_links:
        raise ConflictError(f"每张工单最多 {limits.max_links} 个有效链接", hint="先停用不用的链接")
    token = secrets.token_urlsafe(16)
    link = FieldLink(
        token_hash=_digest(token),
        ticket_id=ticket.id,
        unit=actor.unit if actor.role in UNIT_ROLES else ticket.unit,
        crew=crew,
        phone=phone,
        created_by=actor.username,
        created_at=now,
        expires_at=now + timedelta(hours=limits.link_hours),
    )
    session.add(link)
    session.flush()
    data = {"link": link.id, "crew": crew, "unit": link.unit, "until": link.expires_at.isoformat()}
    record_event(session, ticket, MADE, now=now, data=data, actor=actor.username, origin=actor.origin)
    return link, token


def send_link(
    session: Session, ticket: Ticket, link: FieldLink, *, address: str, unit: str, until: str, plan: NoticePlan
) -> bool:
    """Has the address sent to the crew's phone as a short message; False where the site cannot."""
    if not link.phone:
        return False
    values = {"number": ticket.number, "unit": unit, "link": address, "until": until}
    key = f"{ticket.number}:{link.id}"
    receiver = Recipient(Channel.SMS, link.phone)
    sent = notify(
        session, "repair_link", receiver, values, key=key, now=link.created_at, plan=plan, ticket=ticket.number
    )
    return sent is not None


def usable_link(session: Session, token: str, *, now: datetime) -> tuple[FieldLink, Ticket]:
    """The link of a token and its ticket; raises `NotFoundError`, in the same words, for all that opens nothing."""
    query = select(FieldLink, Ticket).join(Ticket, Ticket.id == FieldLink.ticket_id)
    row = session.execute(query.where(FieldLink.token_hash == _digest(token))).one_or_none()
    if row is not None:
        link, ticket = row
        if _is_good(session, link, ticket, now):
            return link, ticket
    raise NotFoundError(USELESS, hint="请联系发链接的单位，重新发一个")


def open_link(session: Session, link: FieldLink, ticket: Ticket, *, origin: str, now: datetime) -> str:
    """Binds a link to a browser; the secret that it must keep. Raises `ForbiddenError` where another browser has it."""
    session.refresh(link, with_for_update=True)
    if link.device_hash:
        raise ForbiddenError("这个链接已在另一台手机上打开", hint="请联系发链接的单位，重新发一个")
    secret = secrets.token_urlsafe(32)
    link.device_hash, link.opened_at = _digest(secret), now
    actor = crew_actor(link, origin)
    data = {"link": link.id, "crew": link.crew}
    record_event(session, ticket, OPENED, now=now, data=data, actor=actor.username, origin=origin)
    return secret


def is_of(link: FieldLink, device: str) -> bool:
    """Whether this browser is the one that opened the link."""
    return bool(link.device_hash) and hmac.compare_digest(link.device_hash, _digest(device))


def revoke_link(session: Session, ticket: Ticket, link_id: int, *, actor: Actor, now: datetime) -> None:
    """Ends a link by hand. Raises `ForbiddenError`, `NotFoundError`."""
    if actor.role in UNIT_ROLES:
        allowed = actor.unit in {link.unit for link in ticket.units}
    else:
        allowed = actor.role in (Role.DISPATCHER, Role.ADMIN, Role.SUPERVISOR)
    if not allowed:
        raise ForbiddenError("不能停用这张工单的维修链接")
    link = session.get(FieldLink, link_id)
    if link is None or link.ticket_id != ticket.id:
        raise NotFoundError("没有这个链接")
    if link.revoked_at is None:
        link.revoked_at = now
        data = {"link": link.id, "crew": link.crew}
        record_event(session, ticket, REVOKED, now=now, data=data, actor=actor.username, origin=actor.origin)


def links_of(session: Session, ticket_id: int) -> Sequence[FieldLink]:
    """A ticket's links, oldest first."""
    return session.scalars(select(FieldLink).where(FieldLink.ticket_id == ticket_id).order_by(FieldLink.id)).all()


def _is_good(session: Session, link: FieldLink, ticket: Ticket, now: datetime) -> bool:
    if link.revoked_at is not None or link.expires_at <= now or ticket.confidential:
        return False
    if State(ticket.state) not in WORKING or link.unit not in {item.unit for item in ticket.units}:
        return False
    handed_in = select(func.count()).where(
        TicketEvent.ticket_id == ticket.id,
        TicketEvent.kind == Command.SUBMIT.value,
        TicketEvent.at >= link.created_at,
    )
    return not session.scalar(handed_in)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
