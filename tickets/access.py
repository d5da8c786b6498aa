"""Which tickets a person may see: one clause, which every query of tickets for a person contains.

- A unit's people see the tickets that their unit handles, as lead or as co-handler; everybody else sees all tickets.
- Of confidential ones only the people named for them, and the head of a unit that handles it. Administrators run the
  system; they are no exception. One for which nobody is named yet waits for the supervisors.
"""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, false, or_, select

from tickets.models import Ticket, TicketReader, TicketUnit
from tickets.roles import UNIT_ROLES, Role


@dataclass(frozen=True)
class Viewer:
    """Who looks. `unit`: the code of the person's unit, empty without one."""

    username: str
    role: str
    unit: str = ""


def visible_to(viewer: Viewer) -> ColumnElement[bool]:
    """What a query of `Ticket` must add to its conditions."""
    if viewer.role not in set(Role):
        return false()
    named = Ticket.id.in_(select(TicketReader.ticket_id).where(TicketReader.username == viewer.username))
    open_to_all = or_(~Ticket.confidential, named)
    if viewer.role == Role.SUPERVISOR:
        return or_(open_to_all, Ticket.id.not_in(select(TicketReader.ticket_id)))
    if viewer.role not in UNIT_ROLES:
        return open_to_all
    if not viewer.unit:
        return false()
    ours = Ticket.id.in_(select(TicketUnit.ticket_id).where(TicketUnit.unit == viewer.unit))
    return ours if viewer.role == Role.UNIT_HEAD else and_(ours, open_to_all)
