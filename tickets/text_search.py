"""Finds tickets by what is written in them: the index names those that may have it, their rows decide.

Where the index names more than `MANY`, what is looked for is common: then no ticket is sought out, the list is read in
its own order, and a page is full soon. So neither the rare nor the common takes long among a million tickets.
"""

from typing import Any

from sqlalchemy import ColumnElement, Select, cast, column, false, literal_column, select, table, union
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.orm import Session

from tickets.models import IndexedTicket, Ticket
from tickets.words import match

FTS = "indexed_tickets_fts"
MANY = 3000
NUMBER_LENGTH = 16  # of a whole one: `tickets.numbering`


def narrowed(session: Session, text: str, *, number: str = "", phone: str = "") -> list[ColumnElement[bool]]:
    """A condition that every ticket meets that has `text` in it, or `number` in its number, or is of this `phone`; none
    where that would not help. Who asks says besides what is to stand where: others meet it too."""
    sought: list[Select[Any]] = []
    if text:
        named = _named_by_index(session, text)
        if named is None:
            return []
        sought.append(named)
    if number.isascii() and number.isalnum():  # as all numbers are
        whole = len(number) >= NUMBER_LENGTH
        same = Ticket.number == number.upper() if whole else Ticket.number.icontains(number)
        sought.append(select(Ticket.id).where(same).limit(MANY + 1).subquery().select())
    if phone:
        sought.append(select(Ticket.id).where(Ticket.phone == phone))
    if not sought:
        return [false()] if number else []
    both = union(*sought).subquery()
    found = session.scalars(select(both).limit(MANY + 1)).all()
    return [Ticket.id.in_(found)] if len(found) <= MANY else []


def _named_by_index(session: Session, text: str) -> Select[Any] | None:
    dialect = session.get_bind().dialect.name
    wanted = match(text, dialect)
    if not wanted:
        return None
    if dialect == "postgresql":
        named = select(IndexedTicket.ticket_id).where(IndexedTicket.words.bool_op("@@")(cast(wanted, TSQUERY)))
    else:
        rows: Select[Any] = select(column("rowid").label("ticket_id")).select_from(table(FTS))
        named = rows.where(literal_column(FTS).op("MATCH")(wanted))
    return select(named.limit(MANY + 1).subquery().c.ticket_id)
