"""Whom a ticket could be sent to, for the ticket page (`components/advice.html`)."""

from sqlalchemy.orm import Session

from console.auth import Principal
from console.catalogue_views import AdviceRow, advice_rows
from console.context import ConsoleContext
from tickets.command_rules import RULES
from tickets.dispatching import advise
from tickets.lifecycle import Command, State
from tickets.models import Ticket
from tickets.roles import Role


def advice_for(session: Session, context: ConsoleContext, principal: Principal, ticket: Ticket) -> list[AdviceRow]:
    """The suggestions, best first: for those who may dispatch, while the ticket waits for that; else none."""
    if ticket.state not in (State.TO_DISPATCH.value, State.RETURN_REVIEW.value):
        return []
    if principal.role != Role.ADMIN and principal.role not in RULES[Command.DISPATCH].roles:
        return []
    return advice_rows(advise(session, ticket, settings=context.settings.tickets, now=context.clock.now()))
