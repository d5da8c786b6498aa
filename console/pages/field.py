"""The page for phones: a person of a unit, or a crew with a link, does what is done on the spot."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, Form, Request, UploadFile
from fastapi.responses import JSONResponse, RedirectResponse, Response

from asr.masking import mask_numbers
from console import auth, repository, service, views
from console.attachment_views import attachment_rows
from console.command_forms import parse_form
from console.context import client_address, context_of
from console.deadline import deadline
from console.field_access import MAX_TOKEN, Crew, Person, Worker, count_failure, crew, device_cookie
from console.headers import CONTENT_SECURITY_POLICY
from console.pages.attachments import Size, bring, picture
from console.pages.commands import typed
from console.rendering import render
from hotline.errors import ForbiddenError, InvalidInputError, NotFoundError
from tickets.attachments import links
from tickets.attachments.repository import attachments_of
from tickets.attachments.service import PURPOSES
from tickets.commands import CommandRequest, execute
from tickets.lifecycle import Command
from tickets.unit_repository import unit_by_code

router = APIRouter()
# The page looks at photos that are not sent yet, and asks where it is.
PAGE_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY.replace("img-src 'self'", "img-src 'self' blob:"),
    "Permissions-Policy": "camera=(), geolocation=(self), microphone=()",
}
Fields = Annotated[dict[str, list[str]], Depends(typed)]
Purpose = Annotated[str, Form(max_length=16)]
CHECKED = [Depends(auth.check_csrf)]


@router.get("/field/{number}")
def show_to_person(request: Request, worker: Person) -> Response:
    """The page of a person signed in."""
    return _page(request, worker)


@router.post("/field/{number}/commands/{command}", dependencies=CHECKED)
def command_of_person(request: Request, worker: Person, command: str, fields: Fields) -> Response:
    """A command of a person signed in."""
    return _command(request, worker, command, fields)


@router.post("/field/{number}/files", dependencies=CHECKED)
def file_of_person(
    request: Request, worker: Person, file: Annotated[UploadFile, File()], purpose: Purpose = "after"
) -> Response:
    """A photo or file of a person signed in."""
    return _file(request, worker, file, purpose)


@router.post("/field/{number}/call", dependencies=CHECKED)
def call_by_person(request: Request, worker: Person) -> Response:
    """The number to dial, for a person signed in."""
    return _call(request, worker)


@router.get("/field/{number}/pictures/{attachment_id}/{size}")
def picture_for_person(request: Request, worker: Person, attachment_id: int, size: Size) -> Response:
    """A photo of this ticket."""
    return _picture(request, worker, attachment_id, size)


@router.get("/f/{token}")
def show_to_crew(request: Request, token: str) -> Response:
    """The page of a crew; for a link that nobody has opened yet, the button that opens it."""
    context = context_of(request)
    with context.database.reading() as session:
        try:
            link, ticket = links.usable_link(session, token[:MAX_TOKEN], now=context.clock.now())
        except NotFoundError:
            count_failure(request)
            raise
        opened, unit = bool(link.device_hash), unit_by_code(session, link.unit).name
    if opened:
        return _page(request, crew(request, token))
    values = {"unit": unit, "crew": link.crew, "number": ticket.number, "base": f"/f/{token}"}
    return _with_secret(request, "field_open.html", values)


@router.post("/f/{token}/open", dependencies=CHECKED)
def open_by_crew(request: Request, token: str) -> Response:
    """Binds the link to this browser."""
    context = context_of(request)
    now = context.clock.now()
    with context.database.transaction() as session:
        try:
            link, ticket = links.usable_link(session, token[:MAX_TOKEN], now=now)
        except NotFoundError:
            count_failure(request)
            raise
        if not links.is_of(link, request.cookies.get(device_cookie(link), "")):
            secret = links.open_link(session, link, ticket, origin=client_address(request), now=now)
        else:
            secret = ""
    response = RedirectResponse(f"/f/{token}", status_code=303)
    if secret:
        age = max(60, int((link.expires_at - now).total_seconds()))
        auth.set_cookie(response, device_cookie(link), secret, max_age_s=age)
    return response


@router.post("/f/{token}/commands/{command}", dependencies=CHECKED)
def command_of_crew(request: Request, worker: Crew, command: str, fields: Fields) -> Response:
    """A command of a crew."""
    return _command(request, worker, command, fields)


@router.post("/f/{token}/files", dependencies=CHECKED)
def file_of_crew(
    request: Request, worker: Crew, file: Annotated[UploadFile, File()], purpose: Purpose = "after"
) -> Response:
    """A photo or file of a crew."""
    return _file(request, worker, file, purpose)


@router.post("/f/{token}/call", dependencies=CHECKED)
def call_by_crew(request: Request, worker: Crew) -> Response:
    """The number to dial, where the site lets crews call."""
    return _call(request, worker)


@router.get("/f/{token}/pictures/{attachment_id}/{size}")
def picture_for_crew(request: Request, worker: Crew, attachment_id: int, size: Size) -> Response:
    """A photo of this ticket."""
    return _picture(request, worker, attachment_id, size)


def _page(request: Request, worker: Worker) -> Response:
    context, state = context_of(request), request.app.state
    with context.database.reading() as session:
        ticket = repository.ticket_with_history(session, worker.viewer, worker.number)
        values = {
            "worker": worker,
            "may": {command.value for command in worker.commands},
            "ticket": views.ticket_row(ticket),
            "address": mask_numbers(ticket.address or ticket.place),
            "content": mask_numbers(ticket.content),
            "deadline": deadline(ticket, state.site, state.working, now=context.clock.now()),
            "steps": (
                ("签收", ticket.signed_at),
                ("联系", ticket.contacted_at),
                ("到场", ticket.on_site_at),
                ("提交", ticket.submitted_at),
            ),
            "texts": {name: _shown(getattr(ticket, name)) for name in ("measures", "result", "reply")},
            "fee": "" if ticket.fee_cents is None else f"{ticket.fee_cents / 100:g}",
            "files": attachment_rows(attachments_of(session, ticket.id), full=False),
            "purposes": PURPOSES,
            "max_bytes": context.settings.field.max_file_bytes,
        }
    return _with_secret(request, "field.html", values, headers=PAGE_HEADERS)


def _with_secret(
    request: Request, template: str, values: dict[str, Any], *, headers: dict[str, str] | None = None
) -> Response:
    """A page whose forms work without signing in."""
    known = auth.form_secret(request)
    secret = known or auth.new_secret()
    response = render(request, template, values, headers=headers, secret=secret)
    if not known:
        auth.set_cookie(response, auth.VISITOR_COOKIE, secret)
    return response


def _shown(text: str) -> str:
    """What may stand in a form again: a text with a hidden number would be saved with the stars."""
    return text if mask_numbers(text) == text else ""


def _command(request: Request, worker: Worker, name: str, fields: dict[str, list[str]]) -> Response:
    known = {command.value: command for command in Command}
    if name not in known:
        raise NotFoundError("没有这个操作")
    command = known[name]
    allowed = (*links.COMMANDS, *((Command.SUBMIT,) if context_of(request).settings.field.link_submits else ()))
    if worker.principal is None and command not in allowed:
        raise ForbiddenError(f"维修链接不能{command.label}", hint="请由承办单位的人员操作")
    context = context_of(request)
    said = parse_form(command, fields)
    if command is Command.ARRIVE:
        said |= {name: _degrees(fields[name][-1]) for name in ("latitude", "longitude") if fields.get(name, [""])[-1]}
    outcome = execute(
        context.database,
        context.bus,
        context.clock,
        number=worker.number,
        request=CommandRequest(command, said, key=fields.get("key", [""])[-1] or None),
        actor=worker.actor,
        viewer=worker.viewer,
        desk=request.app.state.desk,
    )
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(worker.base, status_code=303)
    return JSONResponse({"state": outcome.ticket.state, "repeated": outcome.repeated})


def _degrees(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidInputError("位置无效") from None


def _file(request: Request, worker: Worker, file: UploadFile, purpose: str) -> Response:
    attachment, repeated = bring(
        request, file, number=worker.number, purpose=purpose, actor=worker.actor, viewer=worker.viewer
    )
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(worker.base, status_code=303)
    return JSONResponse({"id": attachment.id, "repeated": repeated})


def _call(request: Request, worker: Worker) -> Response:
    if not worker.calls:
        raise ForbiddenError("不能查看诉求人的号码", hint="请联系承办单位的人员")
    context = context_of(request)
    with context.database.transaction() as session:
        phone = repository.ticket_with_history(session, worker.viewer, worker.number).phone
        service.audit(
            session,
            at=context.clock.now(),
            username=worker.actor.username,
            action="call_caller",
            subject=worker.number,
            address=client_address(request),
            reason=worker.crew,
        )
    return JSONResponse({"phone": phone})


def _picture(request: Request, worker: Worker, attachment_id: int, size: Size) -> Response:
    response, number = picture(context_of(request), attachment_id, size, worker.viewer)
    if number != worker.number:
        raise NotFoundError("没有这张照片")
    return response
