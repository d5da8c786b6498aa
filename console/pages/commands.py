"""Commands given to a ticket from its page."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from console import auth
from console.command_forms import parse_form
from console.context import client_address, context_of
from hotline.errors import InvalidInputError, NotFoundError
from tickets.commands import CommandRequest, Desk, execute
from tickets.lifecycle import Command

router = APIRouter()
MAX_FIELDS = 64


async def typed(request: Request) -> dict[str, list[str]]:
    """The form's fields, each with all its values."""
    async with request.form(max_fields=MAX_FIELDS, max_files=0) as form:
        items = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
    return {name: [value for key, value in items if key == name] for name, _ in items}


@router.post("/tickets/{number}/commands/{command}", dependencies=[Depends(auth.check_csrf)])
def give_command(
    request: Request,
    principal: auth.Reader,
    number: str,
    command: str,
    fields: Annotated[dict[str, list[str]], Depends(typed)],
) -> Response:
    """Gives it as the person signed in; the page, or JSON for a page that stays."""
    if command not in set(Command):
        raise NotFoundError("没有这个操作")
    context = context_of(request)
    desk: Desk = request.app.state.desk
    version = _last(fields, "version")
    if version and not (version.isdecimal() and len(version) < 10):
        raise InvalidInputError("工单版本无效", hint="请刷新页面后重试")
    outcome = execute(
        context.database,
        context.bus,
        context.clock,
        number=number,
        request=CommandRequest(
            Command(command),
            parse_form(Command(command), fields),
            _last(fields, "reason"),
            key=_last(fields, "key") or None,
            expected_version=int(version) if version else None,
        ),
        actor=principal.actor(client_address(request)),
        viewer=principal.viewer,
        desk=desk,
    )
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(f"/tickets/{number}", status_code=303)
    return JSONResponse({"state": outcome.ticket.state, "version": outcome.ticket.version})


def _last(fields: dict[str, list[str]], name: str) -> str:
    return fields.get(name, [""])[-1]
