"""Queries for topics: the texts they are made of, and what is stored of them."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session, joinedload

from tickets.access import Viewer, visible_to
from tickets.lifecycle import State
from tickets.models import Ticket
from tickets.survey_models import Survey
from tickets.topic_models import TopicDay, TopicRow, TopicRun, TopicTicket
from tickets.topics import Text

_LENGTH = 1_000


def texts_since(session: Session, since: datetime, *, until: datetime, limit: int, zone: ZoneInfo) -> list[Text]:
    """The newest `limit` tickets of the time as topics see them; confidential ones are in no topic."""
    town = func.coalesce(func.nullif(Ticket.town, ""), Ticket.place)
    query = (
        select(Ticket.id, Ticket.created_at, Ticket.content, Ticket.title, Ticket.category, town, Ticket.unit)
        .where(Ticket.created_at >= since, Ticket.created_at < until, ~Ticket.confidential)
        .where(Ticket.state != State.REFUSED.value)
        .order_by(Ticket.created_at.desc(), Ticket.id.desc())
        .limit(limit)
    )
    rows = session.execute(query).all()
    solved = _answers(session, since)
    return [
        Text(
            ticket_id=identity,
            day=at.astimezone(zone).date(),
            text=(content or title)[:_LENGTH],
            category=category,
            town=place,
            unit=unit,
            solved=solved.get(identity),
        )
        for identity, at, content, title, category, place, unit in rows
    ]


def counts_by_category(session: Session, since: datetime, until: datetime) -> dict[str, int]:
    """How many tickets of each category were made in a time."""
    query = (
        select(Ticket.category, func.count())
        .where(Ticket.created_at >= since, Ticket.created_at < until)
        .group_by(Ticket.category)
    )
    return {row[0]: row[1] for row in session.execute(query)}


def oldest_ticket(session: Session) -> datetime | None:
    """When the first ticket was made."""
    return session.scalar(select(Ticket.created_at).order_by(Ticket.created_at, Ticket.id).limit(1))


def members_of_topics(session: Session) -> dict[int, frozenset[int]]:
    """The topics as they were last, and their tickets."""
    members: dict[int, set[int]] = {}
    for topic, ticket in session.execute(select(TopicTicket.topic_id, TopicTicket.ticket_id)):
        members.setdefault(topic, set()).add(ticket)
    return {topic: frozenset(tickets) for topic, tickets in members.items()}


def forget_members(session: Session) -> None:
    """Before a new day's are written."""
    session.execute(delete(TopicTicket))


def forget_day(session: Session, day: date) -> None:
    """Before a day is looked at again."""
    session.execute(delete(TopicDay).where(TopicDay.day == day))
    session.execute(delete(TopicRun).where(TopicRun.day == day))


def last_run(session: Session) -> TopicRun | None:
    """The newest day that was looked at."""
    return session.scalars(select(TopicRun).order_by(TopicRun.day.desc()).limit(1)).one_or_none()


def topics_on(session: Session, day: date) -> list[TopicDay]:
    """The topics of a day: those that grow first, then the largest."""
    query = select(TopicDay).where(TopicDay.day == day).options(joinedload(TopicDay.topic))
    return list(session.scalars(query.order_by(TopicDay.rising.desc(), TopicDay.tickets.desc(), TopicDay.id)))


def history_of(session: Session, topic_id: int, since: date) -> list[TopicDay]:
    """A topic day by day, the oldest first."""
    query = select(TopicDay).where(TopicDay.topic_id == topic_id, TopicDay.day >= since)
    return list(session.scalars(query.order_by(TopicDay.day)))


def days_since(session: Session, since: date) -> list[TopicDay]:
    """All topics of all days from then on, the newest day first."""
    query = select(TopicDay).where(TopicDay.day >= since).options(joinedload(TopicDay.topic))
    return list(session.scalars(query.order_by(TopicDay.day.desc(), TopicDay.rising.desc(), TopicDay.tickets.desc())))


def find_topic(session: Session, topic_id: int) -> TopicRow | None:
    """A topic, or None."""
    return session.get(TopicRow, topic_id)


def visible_tickets(session: Session, ids: list[int], viewer: Viewer) -> dict[int, Ticket]:
    """Those of the tickets that `viewer` may see, by id."""
    query = select(Ticket).where(Ticket.id.in_(ids), visible_to(viewer))
    return {ticket.id: ticket for ticket in session.scalars(query)}


def _answers(session: Session, since: datetime) -> dict[int, bool]:
    """What the last call-back of each ticket said about whether it is solved."""
    query = (
        select(Survey.ticket_id, Survey.solved)
        .join(Ticket, Ticket.id == Survey.ticket_id)
        .where(Ticket.created_at >= since, Survey.solved.in_(("yes", "no")))
        .order_by(Survey.pass_number, Survey.id)
    )
    return {ticket: solved == "yes" for ticket, solved in session.execute(query)}
