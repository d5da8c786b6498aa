"""Deadlines as an iCalendar feed (RFC 5545): who may read which, and the document. Never commits.

A feed's address is its key, and calendars hand it to servers of others, so it says a number, a step and what kind of
matter it is, and nothing of confidential tickets.
"""

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from console import repository
from console.api.models import CalendarFeed
from hotline.errors import InvalidInputError, NotFoundError
from tickets.access import Viewer
from tickets.clocks import moment_of
from tickets.due import clocks_of
from tickets.lifecycle import State
from tickets.list_repository import due_tickets
from tickets.models import Ticket
from tickets.roles import Role
from tickets.service import SiteData
from tickets.ticket_clocks import STEP_RULES
from tickets.unit_repository import unit_by_code
from tickets.working_time import WorkingTime

REMIND_AT = 0.8
NO_CATEGORY = "待分类"


@dataclass(frozen=True)
class Entry:
    """A deadline: `remind_at` is None where the clock stood before."""

    uid: str
    summary: str
    due_at: datetime
    remind_at: datetime | None
    changed_at: datetime
    number: str


def add_feed(
    session: Session, *, username: str = "", unit: str = "", created_by: str, now: datetime
) -> tuple[CalendarFeed, str]:
    """A feed of one person or one unit and, this once, its token; raises `InvalidInputError`, `NotFoundError`."""
    if bool(username) == bool(unit):
        raise InvalidInputError("给出一个账号或一个承办单位，二者取一")
    if unit:
        unit_by_code(session, unit)
    elif repository.user_named(session, username) is None:
        raise NotFoundError(f"没有名为 {username[:64]} 的用户")
    token = secrets.token_urlsafe(32)
    feed = CalendarFeed(
        token_hash=_digest(token), username=username, unit=unit, created_by=created_by[:64], created_at=now
    )
    session.add(feed)
    session.flush()
    return feed, token


def revoke_feed(session: Session, feed_id: int) -> None:
    """Ends a feed at once; raises `NotFoundError`."""
    feed = session.get(CalendarFeed, feed_id)
    if feed is None:
        raise NotFoundError(f"没有编号为 {feed_id} 的日历")
    feed.revoked = True


def all_feeds(session: Session) -> Sequence[CalendarFeed]:
    """All feeds, the oldest first."""
    return session.scalars(select(CalendarFeed).order_by(CalendarFeed.id)).all()


def note_reading(session: Session, feed_id: int, now: datetime) -> None:
    """Remembers when a feed was read last."""
    session.get_one(CalendarFeed, feed_id).last_read_at = now


def viewer_of(session: Session, token: str) -> tuple[Viewer, CalendarFeed] | None:
    """As whom a feed looks at tickets: the account as it is now, or a handler of the unit; None for a wrong or revoked
    token, or a closed account."""
    feed = session.scalar(select(CalendarFeed).where(CalendarFeed.token_hash == _digest(token)))
    if feed is None or feed.revoked:
        return None
    if feed.unit:
        return Viewer("", Role.UNIT_HANDLER, feed.unit), feed
    user = repository.user_named(session, feed.username)
    if user is None or user.disabled:
        return None
    return Viewer(user.username, user.role, user.unit), feed


def entries(session: Session, viewer: Viewer, *, site: SiteData, working: WorkingTime, limit: int) -> list[Entry]:
    """What is due first, of the tickets that the viewer sees and that are nobody else's."""
    return [_entry(ticket, site, working) for ticket in due_tickets(session, viewer, limit=limit)]


def calendar(name: str, found: Iterable[Entry], *, address: str) -> bytes:
    """The document; the same entries give the same bytes. `address`: the console's, with which links begin."""
    from icalendar import Alarm, Calendar, Event

    document = Calendar()
    document.add("prodid", "-//hotline//deadlines//ZH")
    document.add("version", "2.0")
    document.add("name", name)
    document.add("x-wr-calname", name)
    for entry in found:
        event = Event()
        event.add("uid", entry.uid)
        event.add("dtstamp", entry.changed_at)
        event.add("dtstart", entry.due_at)
        event.add("summary", entry.summary)
        event.add("url", f"{address}/tickets/{entry.number}")
        event.add("transp", "TRANSPARENT")
        if entry.remind_at is not None:
            alarm = Alarm()
            alarm.add("action", "DISPLAY")
            alarm.add("description", entry.summary)
            alarm.add("trigger", entry.remind_at)
            event.add_component(alarm)
        document.add_component(event)
    text: bytes = document.to_ical()
    return text


def _entry(ticket: Ticket, site: SiteData, working: WorkingTime) -> Entry:
    assert ticket.due_at is not None
    clocks = clocks_of(State(ticket.state), ticket.events, tier=ticket.tier, overlay=ticket.overlay, site=site)
    clock = clocks.get(ticket.due_step)
    rule, category = STEP_RULES.get(ticket.due_step), site.taxonomy.categories.get(ticket.category)
    return Entry(
        uid=f"{ticket.number}-{ticket.due_step}-{ticket.passes}@hotline",
        summary=f"{ticket.number} {rule.label if rule else ''}：{category.matter if category else NO_CATEGORY}",
        due_at=ticket.due_at.replace(microsecond=0),
        remind_at=moment_of(clock, working, share=REMIND_AT) if clock else None,
        changed_at=ticket.updated_at.replace(microsecond=0),
        number=ticket.number,
    )


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
