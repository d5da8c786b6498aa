"""What a ticket page shows beside the ticket: snippets that fit, and tickets that may be about the same matter."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.orm import Session

from asr.masking import mask_numbers
from console import auth
from console.context import client_address, context_of
from console.pages.knowledge import suggestions
from console.permissions import Permission
from hotline.errors import ForbiddenError, NotFoundError
from tickets import duplicate_repository as duplicates
from tickets.command_rules import RULES
from tickets.duplicate_jobs import accept, dismiss
from tickets.duplicate_models import DuplicateSuggestion
from tickets.lifecycle import Command
from tickets.models import Ticket
from tickets.roles import Role

router = APIRouter()
MAX_ID = 2**31


def page_values(session: Session, request: Request, principal: auth.Principal, ticket: Ticket) -> dict[str, Any]:
    """`snippets` and `duplicates` of a ticket, as this person may see them."""
    if not principal.may(Permission.CONTENT):
        return {"snippets": [], "duplicates": [], "may_merge": False}
    found = duplicates.suggestions_about(session, ticket.id, principal.viewer)
    return {
        "snippets": suggestions(session, request, f"{ticket.title}\n{ticket.content}", ticket.category),
        "duplicates": [
            {
                "id": each.id,
                **_other(each.other if each.ticket_id == ticket.id else each.ticket),
                "percent": round(100 * each.score),
                "reasons": [reason for reason in each.reasons if reason["points"] > 0],
            }
            for each in found
        ],
        "may_merge": may_merge(principal),
    }


def _other(ticket: Ticket) -> dict[str, str]:
    return {"number": ticket.number, "title": mask_numbers(ticket.title)}


def may_merge(principal: auth.Principal) -> bool:
    """Whether the role may give the merge command."""
    return principal.role == Role.ADMIN or principal.role in RULES[Command.MERGE].roles


@router.post("/tickets/{number}/duplicates/{suggestion}/accept", dependencies=[Depends(auth.check_csrf)])
def accept_duplicate(request: Request, principal: auth.Reader, number: str, suggestion: int) -> Response:
    """Merges the two tickets."""
    desk = request.app.state.desk
    actor = principal.actor(client_address(request))

    def decide(session: Session, identity: int, **options: Any) -> DuplicateSuggestion:
        return accept(session, identity, actor=actor, desk=desk, **options)

    return _decide(request, principal, number, suggestion, decide)


@router.post("/tickets/{number}/duplicates/{suggestion}/dismiss", dependencies=[Depends(auth.check_csrf)])
def dismiss_duplicate(
    request: Request,
    principal: Annotated[auth.Principal, Depends(auth.current_principal)],
    number: str,
    suggestion: int,
) -> Response:
    """They are two matters."""
    if not may_merge(principal):
        raise ForbiddenError("您没有并单的权限", hint="如有需要，请联系管理员")
    return _decide(request, principal, number, suggestion, dismiss)


def _decide(
    request: Request,
    principal: auth.Principal,
    number: str,
    suggestion: int,
    decide: Callable[..., DuplicateSuggestion],
) -> Response:
    context = context_of(request)
    if suggestion >= MAX_ID:
        raise NotFoundError("没有这条并单建议")
    with context.database.transaction() as session:
        decide(session, suggestion, viewer=principal.viewer, now=context.clock.now())
    return RedirectResponse(f"/tickets/{number}", status_code=303)
