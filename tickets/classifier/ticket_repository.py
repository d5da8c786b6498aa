"""Tickets as something to learn from. Confidential ones are left alone."""

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from tickets.classifier.examples import Example
from tickets.classifier.features import Text
from tickets.lifecycle import ENDED
from tickets.models import Evidence, Ticket

HUMAN = "human"


def labelled_tickets(session: Session, *, limit: int) -> tuple[Example, ...]:
    """What callers said, with the category that a person gave, or that stood until the ticket ended; newest first."""
    query = (
        select(Ticket.content, Ticket.category)
        .where(*_readable(), Ticket.category != "", _settled())
        .order_by(Ticket.id.desc())
        .limit(limit)
    )
    return tuple(Example(Text(content), category) for content, category in session.execute(query))


def other_tickets(session: Session, *, limit: int) -> tuple[Text, ...]:
    """What callers said in the other tickets, newest first: text without a label."""
    query = select(Ticket.content).where(*_readable(), ~_settled()).order_by(Ticket.id.desc()).limit(limit)
    return tuple(Text(content) for content in session.scalars(query))


def _readable() -> tuple[ColumnElement[bool], ...]:
    return Ticket.content != "", Ticket.confidential.is_(False)


def _settled() -> ColumnElement[bool]:
    corrected = select(Evidence.ticket_id).where(Evidence.field == "category", Evidence.source == HUMAN)
    return or_(Ticket.id.in_(corrected), Ticket.state.in_([state.value for state in ENDED]))
