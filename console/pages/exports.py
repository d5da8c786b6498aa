"""A ticket's transcript as a file to take along."""

import hashlib
from dataclasses import replace
from io import SEEK_END
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from asr.masking import mask_numbers, mask_phone
from asr.models import Transcript
from asr.repository import latest_transcript
from console import auth, exports, repository, service, views
from console.context import ConsoleContext, client_address, context_of
from console.export_vcon import content_hash
from console.hearing import Hearing, hearing_of
from console.permissions import Permission
from console.transcript_file import RecordingFile, TranscriptFile
from hotline.errors import ForbiddenError, InvalidInputError, NotFoundError
from recordings.models import Call
from tickets.models import Ticket

router = APIRouter()
PIECE_BYTES = 1 << 20


@router.get("/tickets/{number}/transcript.{ending}")
def export_transcript(
    request: Request,
    principal: auth.ContentReader,
    number: str,
    ending: str,
    fillers: Annotated[Literal["show", "hide"], Query()] = "show",
    audio: Annotated[Literal["", "inline"], Query()] = "",
) -> Response:
    """The current transcript, with numbers as this person sees them now; each time is logged.

    A vCon names the recording by its address and the hash of what this person hears; with `audio=inline` it holds
    that, for those who may download it, which is logged as a download too.
    """
    context = context_of(request)
    if ending not in exports.FORMATS:
        raise NotFoundError(f"没有这种格式：{ending[:16]}", hint=f"可选 {'、'.join(exports.FORMATS)}")
    if audio and ending != "vcon":
        raise InvalidInputError("只有 vCon 能带上录音")
    if audio and not principal.may(Permission.DOWNLOAD):
        raise ForbiddenError("您没有下载录音的权限", hint="可导出不含录音的 vCon")
    media_type, write = exports.FORMATS[ending]
    hearing: Hearing | None = None
    with context.database.reading() as session:
        ticket = repository.ticket_with_history(session, principal.viewer, number)
        transcript = latest_transcript(session, ticket.call_id) if ticket.call_id else None
        call = repository.call_with_recording(session, principal.viewer, ticket.call_id) if ticket.call_id else None
        if transcript is None or call is None:
            raise NotFoundError("这个工单没有转写文字")
        full = auth.sees_numbers(session, context, principal, number)
        file = transcript_file(ticket, call, transcript, context=context, principal=principal, full=full)
        if ending == "vcon" and call.recording is not None:
            hearing = hearing_of(session, context, principal, call.id)
    if fillers == "hide":
        file = replace(file, utterances=views.without_fillers(file.utterances))
    if hearing is not None:
        address = f"{request.url.scheme}://{request.url.netloc}/recordings/{call.id}/audio"
        file = replace(file, recording=_recording_file(context, hearing, address, inline=bool(audio)))
    body = write(replace(file, domain=request.url.hostname or ""))
    notes = [ending, "号码完整" if full else "号码已隐去"]
    notes += ["不含语气词"] if fillers == "hide" else []
    notes += ["含录音"] if audio else []
    entries = [("export", number, "，".join(notes))]
    entries += [("download", call.id, f"vcon，{hearing.note}")] if audio and hearing else []
    with context.database.transaction() as session:
        for action, subject, reason in entries:
            service.audit(
                session,
                at=file.exported_at,
                username=principal.username,
                action=action,
                subject=subject,
                address=client_address(request),
                reason=reason,
            )
    disposition = f'attachment; filename="{ticket.number}.{ending}"'
    return Response(body, media_type=media_type, headers={"Content-Disposition": disposition})


def transcript_file(
    ticket: Ticket,
    call: Call,
    transcript: Transcript,
    *,
    context: ConsoleContext,
    principal: auth.Principal,
    full: bool,
) -> TranscriptFile:
    """What is exported, with numbers as the person sees them; without the recording."""
    return TranscriptFile(
        number=ticket.number,
        call_id=transcript.call_id,
        version=transcript.version,
        engine=transcript.engine,
        model=transcript.model,
        demo_model=transcript.demo_model,
        masked=not full,
        utterances=views.utterances(transcript, masked=not full),
        title=ticket.title if full else mask_numbers(ticket.title),
        content=ticket.content if full else mask_numbers(ticket.content),
        caller_name=ticket.caller_name,
        phone=ticket.phone if full else mask_phone(ticket.phone),
        facts=views.facts(ticket, masked=not full),
        started_at=call.answered_at or call.started_at,
        duration_ms=call.duration_ms,
        site_name=context.settings.site_name,
        zone=context.settings.zone,
        exported_at=context.clock.now(),
        exported_by=principal.display_name,
    )


def _recording_file(context: ConsoleContext, hearing: Hearing, address: str, *, inline: bool) -> RecordingFile:
    limit = context.settings.console.inline_audio_bytes
    pieces, digest = [], hashlib.sha512()
    with hearing.open(context.sounds) as file:
        if inline and file.seek(0, SEEK_END) > limit:
            raise InvalidInputError(
                f"录音超过 {limit // 1024} KiB，不能放进文件", hint="导出不含录音的 vCon，另行下载录音"
            )
        file.seek(0)
        while piece := file.read(PIECE_BYTES):
            digest.update(piece)
            if inline:
                pieces.append(piece)
    return RecordingFile(
        filename=f"{hearing.number or 'recording'}.wav",
        url=address,
        content_hash=content_hash(digest.digest()),
        content=b"".join(pieces) if inline else None,
    )
