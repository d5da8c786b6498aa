"""Photos and files of a ticket: brought, looked at, taken away."""

import threading
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, File, Form, Request, UploadFile
from fastapi.responses import JSONResponse, RedirectResponse, Response

from console import auth, service
from console.context import ConsoleContext, client_address, context_of
from console.models import AuditEntry
from console.permissions import Permission
from hotline.errors import InvalidInputError, NotFoundError, UnavailableError
from tickets.access import Viewer
from tickets.attachments.media import TYPES, Group, without_location
from tickets.attachments.models import Attachment
from tickets.attachments.repository import attachment_seen_by
from tickets.attachments.service import attach, copy_path, prepare
from tickets.roles import Actor

router = APIRouter()
Downloader = Annotated[auth.Principal, Depends(auth.require(Permission.DOWNLOAD))]
Size = Literal["shown", "thumbnail"]
SANDBOX = {"Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'"}
MAX_ID = 2**31 - 1
# A photo takes a good deal of memory while it is decoded: a flood of them must not take the machine.
_READS = threading.BoundedSemaphore(2)
_READ_WAIT_S = 20.0


def bring(
    request: Request, file: UploadFile, *, number: str, purpose: str, actor: Actor, viewer: Viewer
) -> tuple[Attachment, bool]:
    """Takes an uploaded file; the attachment, and whether the ticket had it already."""
    context = context_of(request)
    data = file.file.read(context.settings.field.max_file_bytes + 1)
    if not data:
        raise InvalidInputError("没有选择文件", hint="请先选择照片或文件")
    if not _READS.acquire(timeout=_READ_WAIT_S):
        raise UnavailableError("上传的人太多，请稍后再试")
    try:
        prepared = prepare(data, file.filename or "", purpose, context.settings)
    finally:
        _READS.release()
    return attach(
        context.database,
        context.bus,
        context.store,
        context.clock,
        number=number,
        prepared=prepared,
        actor=actor,
        viewer=viewer,
        max_files=context.settings.field.max_files,
    )


def picture(context: ConsoleContext, attachment_id: int, size: Size, viewer: Viewer) -> tuple[Response, str]:
    """A copy of a photo, without what the photo says of itself; and its ticket's number."""
    with context.database.reading() as session:
        found = attachment_seen_by(session, attachment_id, viewer) if 0 < attachment_id <= MAX_ID else None
    if found is None or not found[0].shown:
        raise NotFoundError("没有这张照片")
    attachment, number = found
    with context.store.open(copy_path(attachment, size)) as file:
        body = file.read()
    headers = {**SANDBOX, "Cache-Control": "private, max-age=600", "Content-Disposition": "inline"}
    return Response(body, media_type="image/jpeg", headers=headers), number


@router.post("/tickets/{number}/attachments", dependencies=[Depends(auth.check_csrf)])
def upload(
    request: Request,
    principal: auth.ContentReader,
    number: str,
    file: Annotated[UploadFile, File()],
    purpose: Annotated[str, Form(max_length=16)] = "document",
) -> Response:
    """One file; the page, or JSON for a page that stays."""
    actor = principal.actor(client_address(request))
    attachment, repeated = bring(request, file, number=number, purpose=purpose, actor=actor, viewer=principal.viewer)
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(f"/tickets/{number}#attachments", status_code=303)
    return JSONResponse({"id": attachment.id, "name": attachment.name, "repeated": repeated})


@router.get("/attachments/{attachment_id}/{size}")
def look(request: Request, principal: auth.ContentReader, attachment_id: int, size: Size) -> Response:
    """A photo to look at; the large one is logged once in a while."""
    context = context_of(request)
    response, number = picture(context, attachment_id, size, principal.viewer)
    if size == "shown":
        entry = _entry(request, principal, "see_photo", number, attachment_id)
        minutes = context.settings.console.hearing_minutes
        with context.database.transaction() as session:
            service.log_once(session, entry, minutes=minutes)
    return response


@router.get("/attachments/{attachment_id}/file/content")
def take_file(request: Request, principal: auth.Listener, attachment_id: int) -> Response:
    """A document, video or sound as a file to open, without the place it was recorded at; each time is logged."""
    return _send(request, principal, attachment_id, original=False)


@router.post("/attachments/{attachment_id}/original", dependencies=[Depends(auth.check_csrf)])
def take_original(request: Request, principal: Downloader, attachment_id: int) -> Response:
    """A file as it was brought, with all that it says of itself; each time is logged."""
    return _send(request, principal, attachment_id, original=True)


def _send(request: Request, principal: auth.Principal, attachment_id: int, *, original: bool) -> Response:
    context = context_of(request)
    with context.database.transaction() as session:
        known = 0 < attachment_id <= MAX_ID
        found = attachment_seen_by(session, attachment_id, principal.viewer) if known else None
        if found is None or (found[0].shown and not original):
            raise NotFoundError("没有这个附件")
        attachment, number = found
        action = "download_original" if original else "open_file"
        session.add(_entry(request, principal, action, number, attachment_id))
    with context.store.open(attachment.path) as file:
        body = file.read()
    kind = TYPES[attachment.media_type]
    if not original and kind.group in (Group.VIDEO, Group.AUDIO):
        body = without_location(body)
    name = f"{number}-{attachment.id}{kind.ending}"
    disposition = f"attachment; filename=\"{name}\"; filename*=UTF-8''{quote(attachment.name)}"
    media_type = "text/plain; charset=utf-8" if kind.name == "text/plain" else kind.name
    return Response(body, media_type=media_type, headers={**SANDBOX, "Content-Disposition": disposition})


def _entry(request: Request, principal: auth.Principal, action: str, number: str, attachment_id: int) -> AuditEntry:
    return AuditEntry(
        at=context_of(request).clock.now(),
        username=principal.username,
        action=action,
        subject=f"{number} #{attachment_id}",
        address=client_address(request),
        reason="",
    )
