"""The sound of a call for those who may hear it: ranges for the player, peaks for its waveform, and downloads."""

import logging
from collections.abc import Iterator
from io import SEEK_END
from typing import Annotated, BinaryIO

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response, StreamingResponse

from console import auth, repository, service
from console.context import ConsoleContext, client_address, context_of
from console.models import AuditEntry
from console.permissions import Permission
from console.ranges import UnsatisfiableRangeError, parse_range
from hotline.errors import NotFoundError
from recordings.models import Recording
from recordings.repository import find_recording
from recordings.service import peaks_name

log = logging.getLogger(__name__)
router = APIRouter()
CHUNK_BYTES = 64 * 1024
MEDIA_TYPE = "audio/wav"


@router.get("/recordings/{call_id}/audio")
def hear(request: Request, listener: auth.Listener, call_id: str) -> Response:
    """The WAV, whole or a range of it (206, RFC 9110 section 14); logged once a hearing."""
    context = context_of(request)
    hearing = AuditEntry(
        at=context.clock.now(),
        username=listener.username,
        action="hear",
        subject=call_id,
        address=client_address(request),
        reason="",
    )
    minutes = context.settings.console.hearing_minutes
    with context.database.reading() as session:
        recording = _recording(find_recording(session, call_id))
        logged = service.logged(session, hearing, minutes=minutes)
    if not logged:
        with context.database.transaction() as session:
            service.log_once(session, hearing, minutes=minutes)
    tag = f'"{recording.sha256}"'
    wanted = request.headers.get("range")
    if request.headers.get("if-range", tag) != tag:
        wanted = None
    return _send(context, recording, wanted, {"ETag": tag, "Accept-Ranges": "bytes"})


@router.post("/recordings/{call_id}/download", dependencies=[Depends(auth.check_csrf)])
def download(
    request: Request,
    principal: Annotated[auth.Principal, Depends(auth.require(Permission.DOWNLOAD))],
    call_id: str,
) -> Response:
    """The WAV as a file to keep; each time is logged."""
    context = context_of(request)
    with context.database.transaction() as session:
        recording = _recording(find_recording(session, call_id))
        number = repository.ticket_number_of_call(session, call_id)
        service.audit(
            session,
            at=context.clock.now(),
            username=principal.username,
            action="download",
            subject=call_id,
            address=client_address(request),
        )
    disposition = f'attachment; filename="{number or "recording"}.wav"'
    return _send(context, recording, None, {"Content-Disposition": disposition})


@router.get("/recordings/{call_id}/peaks")
def peaks(request: Request, _listener: auth.Listener, call_id: str) -> Response:
    """The waveform of both channels: `{"rate": pairs a second, "channels": [[min, max, ...], ...]}`, -128 to 127."""
    context = context_of(request)
    with context.database.reading() as session:
        recording = _recording(find_recording(session, call_id))
    with _open(context, peaks_name(recording.path)) as file:
        return Response(file.read(), media_type="application/json")


def _recording(found: Recording | None) -> Recording:
    if found is None:
        raise NotFoundError("这通电话没有录音")
    return found


def _open(context: ConsoleContext, name: str) -> BinaryIO:
    try:
        return context.store.open(name)
    except NotFoundError as error:
        log.error("%s", error)
        raise NotFoundError("录音文件缺失", hint="请联系管理员") from error


def _send(context: ConsoleContext, recording: Recording, wanted: str | None, headers: dict[str, str]) -> Response:
    """Opens the file before the answer begins, so that a missing one is a clean error."""
    file = _open(context, recording.path)
    size = file.seek(0, SEEK_END)
    try:
        span = parse_range(wanted, size)
    except UnsatisfiableRangeError:
        file.close()
        return Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
    start, end = span or (0, size - 1)
    headers["Content-Length"] = str(end - start + 1)
    if span:
        headers["Content-Range"] = f"bytes {start}-{end}/{size}"
    body = _chunks(file, start, end - start + 1)
    return StreamingResponse(body, status_code=206 if span else 200, headers=headers, media_type=MEDIA_TYPE)


def _chunks(file: BinaryIO, start: int, length: int) -> Iterator[bytes]:
    with file:
        file.seek(start)
        while length > 0 and (chunk := file.read(min(CHUNK_BYTES, length))):
            length -= len(chunk)
            yield chunk
