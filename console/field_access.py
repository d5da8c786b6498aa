"""Who works on a ticket from a phone: a person who is signed in, or a crew with a link. A dependency for each."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import select

from console import auth
from console.command_forms import may_give
from console.context import client_address, context_of
from console.throttle import Throttle
from hotline.errors import ForbiddenError, HotlineError, NotFoundError
from tickets.access import Viewer, visible_to
from tickets.attachments import links
from tickets.attachments.models import FieldLink
from tickets.lifecycle import Command, State, allowed_commands
from tickets.models import Ticket
from tickets.roles import Actor

COMMANDS = (Command.SIGN_IN, Command.CONTACT, Command.ARRIVE, Command.RECORD, Command.SUBMIT)
MAX_TOKEN = 64


@dataclass(frozen=True)
class Worker:
    """Somebody at work on a ticket. `base`: the address of his page; `commands`: what he may give now; `calls`: whether
    he may have the caller's number dialled."""

    number: str
    actor: Actor
    viewer: Viewer
    base: str
    commands: tuple[Command, ...]
    calls: bool
    principal: auth.Principal | None = None
    crew: str = ""


def person(request: Request, principal: auth.ContentReader, number: str) -> Worker:
    """A person signed in; raises `NotFoundError` for a ticket that he may not know of."""
    with context_of(request).database.reading() as session:
        query = select(Ticket).where(Ticket.number == number, visible_to(principal.viewer))
        ticket = session.scalars(query).one_or_none()
        if ticket is None:
            raise NotFoundError("没有这个工单", hint="请核对工单编号")
        actor = principal.actor(client_address(request))
        commands = _now(ticket, actor, COMMANDS)
    calls = bool(ticket.phone and Command.CONTACT in commands)
    return Worker(number, actor, principal.viewer, f"/field/{number}", commands, calls, principal)


def crew(request: Request, token: str) -> Worker:
    """A crew in the browser that opened its link. A link that opens nothing looks like none, and who guesses waits."""
    context = context_of(request)
    limits = context.settings.field
    try:
        with context.database.reading() as session:
            link, ticket = links.usable_link(session, token[:MAX_TOKEN], now=context.clock.now())
            if not links.is_of(link, request.cookies.get(device_cookie(link), "")):
                raise ForbiddenError("这个链接已在另一台手机上打开", hint="请联系发链接的单位，重新发一个")
            actor = links.crew_actor(link, client_address(request))
            allowed = (*links.COMMANDS, *((Command.SUBMIT,) if limits.link_submits else ()))
            commands = _now(ticket, actor, allowed)
    except HotlineError:
        count_failure(request)
        raise
    calls = bool(limits.link_shows_phone and ticket.phone)
    viewer = links.crew_viewer(link)
    return Worker(ticket.number, actor, viewer, f"/f/{token}", commands, calls, crew=link.crew)


def count_failure(request: Request) -> None:
    """Notes a link that opened nothing; raises `TooManyRequestsError` for an address that tries too many."""
    failures: Throttle = request.app.state.link_failures
    failures.admit(client_address(request), context_of(request).clock.now())


def device_cookie(link: FieldLink) -> str:
    """The name of the cookie that holds a browser to its link."""
    return f"__Host-hotline-field-{link.id}"


def _now(ticket: Ticket, actor: Actor, among: tuple[Command, ...]) -> tuple[Command, ...]:
    possible = allowed_commands(State(ticket.state))
    return tuple(command for command in among if command in possible and may_give(command, ticket, actor))


Person = Annotated[Worker, Depends(person)]
Crew = Annotated[Worker, Depends(crew)]
