"""Which tickets and calls a person may see: a clause for each, which every query of them for a person contains.

- A unit's people see the tickets that their unit handles, as lead or as co-handler; everybody else sees all tickets.
- Of confidential ones only the people named for them, and the head of a unit that handles it. Administrators run the
  system; they are no exception. One for which nobody is named yet waits for the supervisors.
- A call is seen with its ticket: the one that it became, or whose caller it called back. A call without a ticket is
  nobody's yet: those who are of no unit see it.
"""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, exists, false, or_, select

from recordings.models import Call
from tickets.models import Ticket, TicketReader, TicketUnit
from tickets.roles import UNIT_ROLES, Actor, Role
from tickets.survey_models import Survey, SurveyAttempt


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


def calls_visible_to(viewer: Viewer) -> ColumnElement[bool]:
    """What a query of `Call` must add to its conditions."""
    became = exists().where(Ticket.call_id == Call.id).correlate(Call)
    called_back = exists().where(SurveyAttempt.id == Call.id).correlate(Call)
    theirs = exists().where(
        SurveyAttempt.id == Call.id, Survey.id == SurveyAttempt.survey_id, Ticket.id == Survey.ticket_id
    )
    seen = or_(became.where(visible_to(viewer)), theirs.where(visible_to(viewer)).correlate(Call))
    if viewer.role in UNIT_ROLES or viewer.role not in set(Role):
        return seen
    return or_(seen, and_(~became, ~called_back))


def viewer_of(actor: Actor) -> Viewer | None:
    """As whom somebody who gives a command looks at other tickets; None for rules, which see all."""
    return None if actor.is_system else Viewer(actor.username, actor.role, actor.unit)
