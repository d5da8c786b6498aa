"""The sound of a call for those who may hear it: ranges for the player, peaks for its waveform, downloads, excerpts."""

import logging
from collections.abc import Callable, Iterator
from io import SEEK_END
from typing import Annotated, BinaryIO, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response, StreamingResponse

from console import auth, repository, service
from console.context import ConsoleContext, client_address, context_of
from console.hearing import Hearing, hearing_of
from console.models import AuditEntry
from console.permissions import Permission
from console.ranges import UnsatisfiableRangeError, parse_range
from console.rendering import clock_time
from hotline.errors import NotFoundError
from recordings.excerpt import MEDIA_TYPES, cut, encode_mp3
from recordings.service import peaks_name

log = logging.getLogger(__name__)
router = APIRouter()
CHUNK_BYTES = 64 * 1024
MEDIA_TYPE = "audio/wav"
Downloader = Annotated[auth.Principal, Depends(auth.require(Permission.DOWNLOAD))]
Milliseconds = Annotated[int, Query(ge=0, lt=2**31)]


@router.get("/recordings/{call_id}/audio")
def hear(request: Request, listener: auth.Listener, call_id: str) -> Response:
    """The WAV, whole or a range of it (206, RFC 9110 section 14), personal numbers under a tone until this person has
    unmasked the ticket; logged once a hearing."""
    context = context_of(request)
    minutes = context.settings.console.hearing_minutes
    with context.database.reading() as session:
        hearing = hearing_of(session, context, listener, call_id)
        entry = AuditEntry(
            at=context.clock.now(),
            username=listener.username,
            action="hear_full" if hearing.full else "hear",
            subject=call_id,
            address=client_address(request),
            reason="",
        )
        logged = service.logged(session, entry, minutes=minutes)
    if not logged:
        with context.database.transaction() as session:
            service.log_once(session, entry, minutes=minutes)
    wanted = request.headers.get("range")
    if request.headers.get("if-range", hearing.tag) != hearing.tag:
        wanted = None
    return _send(context, hearing, wanted, {"ETag": hearing.tag, "Accept-Ranges": "bytes"})


@router.post("/recordings/{call_id}/download", dependencies=[Depends(auth.check_csrf)])
def download(request: Request, principal: Downloader, call_id: str) -> Response:
    """The WAV as a file to keep, as this person hears it; each time is logged."""
    context = context_of(request)
    with context.database.transaction() as session:
        hearing = hearing_of(session, context, principal, call_id)
        service.audit(
            session,
            at=context.clock.now(),
            username=principal.username,
            action="download",
            subject=call_id,
            address=client_address(request),
            reason=hearing.note,
        )
    disposition = f'attachment; filename="{hearing.number or "recording"}.wav"'
    return _send(context, hearing, None, {"Content-Disposition": disposition})


@router.get("/tickets/{number}/recording/span")
def export_span(
    request: Request,
    principal: Downloader,
    number: str,
    start_ms: Milliseconds,
    end_ms: Milliseconds,
    format: Literal["mp3", "wav"] = "mp3",
) -> Response:
    """A stretch of a ticket's recording as a file to keep, as this person hears it; each time is logged."""
    context = context_of(request)
    with context.database.reading() as session:
        call_id = repository.call_id_of_ticket(session, principal.viewer, number)
        if call_id is None:
            raise NotFoundError("没有这个工单，或工单没有通话", hint="请核对工单编号")
        hearing = hearing_of(session, context, principal, call_id)
    longest_ms = round(1000 * context.settings.privacy.max_excerpt_s)
    with _open(context, hearing) as file:
        body = cut(file, start_ms=start_ms, end_ms=end_ms, longest_ms=longest_ms)
    if format == "mp3":
        body = encode_mp3(body)
    with context.database.transaction() as session:
        service.audit(
            session,
            at=context.clock.now(),
            username=principal.username,
            action="download",
            subject=call_id,
            address=client_address(request),
            reason=f"片段 {clock_time(start_ms)} 至 {clock_time(end_ms)}，{format}，{hearing.note}",
        )
    name = f"{number}-{start_ms // 1000}-{-(-end_ms // 1000)}s.{format}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(body, media_type=MEDIA_TYPES[format], headers=headers)


@router.get("/recordings/{call_id}/peaks")
def peaks(request: Request, listener: auth.Listener, call_id: str) -> Response:
    """The waveform of both channels: `{"rate": pairs a second, "channels": [[min, max, ...], ...]}`, -128 to 127."""
    context = context_of(request)
    with context.database.reading() as session:
        call = repository.call_with_recording(session, listener.viewer, call_id)
        recording = call.recording if call else None
    if recording is None:
        raise NotFoundError("这通电话没有录音")
    with _found(lambda: context.store.open(peaks_name(recording.path))) as file:
        return Response(file.read(), media_type="application/json")


def _open(context: ConsoleContext, hearing: Hearing) -> BinaryIO:
    return _found(lambda: hearing.open(context.sounds))


def _found(opened: Callable[[], BinaryIO]) -> BinaryIO:
    try:
        return opened()
    except NotFoundError as error:
        log.error("%s", error)
        raise NotFoundError("录音文件缺失", hint="请联系管理员") from error


def _send(context: ConsoleContext, hearing: Hearing, wanted: str | None, headers: dict[str, str]) -> Response:
    """Opens the file before the answer begins, so that a missing one is a clean error."""
    file = _open(context, hearing)
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
