"""Reviews of transcripts: saving edits, confirming, versions, the queue, and how well recognition does."""

import json
import secrets
from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from sqlalchemy.orm import Session

from asr import quality
from asr.editing import Operation, parse_operation
from asr.models import Transcript
from asr.repository import (
    latest_transcript,
    recognition_quality,
    transcript_of_edit,
    transcript_version,
    transcript_versions,
)
from asr.review import Reviewer, confirm_sentence, confirm_transcript, edit_transcript, restore_version
from console import auth, charts, repository, review_repository, service, views
from console.context import ConsoleContext, client_address, context_of
from console.diffs import diff
from console.permissions import Permission
from console.rendering import render
from console.review_repository import Place, Queue, QueueFilter
from hotline.errors import InvalidInputError, NotFoundError

router = APIRouter()
PAGE_SIZE = 50
MAX_OPERATIONS = 20
Editor = Annotated[auth.Principal, Depends(auth.require(Permission.EDIT))]
Key = Annotated[str, Form(pattern=r"^[A-Za-z0-9-]{8,64}$")]
Base = Annotated[int, Form(ge=0, le=2**31 - 1)]
SHARES = 10_000  # an unsure share is kept with four decimals


def format_place(place: Place) -> str:
    """A place in the queue as a query value."""
    return f"{place.urgent}-{round(place.unsure_share * SHARES)}-{place.transcript_id}"


def parse_place(text: str) -> Place | None:
    """The inverse of `format_place`; empty is the beginning. Raises `InvalidInputError`."""
    if not text:
        return None
    try:
        urgent, share, transcript_id = map(int, text.split("-"))
    except ValueError as error:
        raise InvalidInputError("翻页位置无效", hint="请从第一页重新浏览") from error
    if max(urgent, share, transcript_id) >= 2**63:
        raise InvalidInputError("翻页位置无效", hint="请从第一页重新浏览")
    return Place(urgent, share / SHARES, transcript_id)


@router.post("/tickets/{number}/transcript/edits", dependencies=[Depends(auth.check_csrf)])
def save_edit(
    request: Request,
    principal: Editor,
    number: str,
    base: Base,
    key: Key,
    operations: Annotated[str, Form(max_length=32_000)],
) -> Response:
    """Makes a version of the operations (JSON, see `asr.editing.parse_operation`); again with the same key, none."""
    wanted = parse_operations(operations)
    with context_of(request).database.transaction() as session:
        by, call_id = _reviewer(session, request, principal, number)
        repeated = transcript_of_edit(session, call_id, key) is not None
        made = edit_transcript(session, call_id=call_id, base=base, key=key, operations=wanted, by=by)
        if not repeated and made.version != base:
            _audit(session, request, principal, number, "edit", f"第 {made.version} 版")
        return JSONResponse({"version": made.version})


def parse_operations(text: str) -> list[Operation]:
    """The operations of a request; raises `InvalidInputError`."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError("无法识别的修改", hint="请刷新页面后重试") from error
    if not isinstance(data, list) or not 1 <= len(data) <= MAX_OPERATIONS:
        raise InvalidInputError(f"一次可做 1 至 {MAX_OPERATIONS} 处修改")
    return [parse_operation(item) for item in data]


@router.post("/tickets/{number}/transcript/confirm", dependencies=[Depends(auth.check_csrf)])
def confirm(
    request: Request,
    principal: Editor,
    number: str,
    base: Base,
    at: Annotated[int | None, Form(ge=0, le=2**31 - 1)] = None,
    confirmed: Annotated[bool, Form()] = True,
) -> Response:
    """Notes that the sentence `at`, or without it the whole transcript, is right; the whole is scored."""
    context = context_of(request)
    with context.database.transaction() as session:
        by, call_id = _reviewer(session, request, principal, number)
        if at is not None:
            found = confirm_sentence(session, call_id=call_id, base=base, at=at, confirmed=confirmed, by=by)
        else:
            current = latest_transcript(session, call_id)
            repeated = current is not None and current.confirmed_at is not None
            found = confirm_transcript(session, call_id=call_id, base=base, by=by)
            if not repeated:
                quality.score_call(session, found, zone=context.settings.zone)
                _audit(session, request, principal, number, "confirm", f"第 {found.version} 版")
        return JSONResponse({"version": found.version})


@router.post("/tickets/{number}/transcript/restore", dependencies=[Depends(auth.check_csrf)])
def restore(
    request: Request, principal: Editor, number: str, base: Base, key: Key, version: Annotated[int, Form(ge=1)]
) -> Response:
    """Makes an older version the newest."""
    with context_of(request).database.transaction() as session:
        by, call_id = _reviewer(session, request, principal, number)
        repeated = transcript_of_edit(session, call_id, key) is not None
        made = restore_version(session, call_id=call_id, base=base, key=key, version=min(version, 2**31 - 1), by=by)
        if not repeated and made.version != base:
            _audit(session, request, principal, number, "restore", f"第 {version} 版，存为第 {made.version} 版")
    return RedirectResponse(f"/tickets/{number}", status_code=303)


@router.get("/tickets/{number}/transcript/versions/{version}")
def show_version(
    request: Request,
    principal: auth.ContentReader,
    number: str,
    version: int,
    against: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
) -> HTMLResponse:
    """A version and what it changed in the one it was made of, or in `against`."""
    context = context_of(request)
    with context.database.reading() as session:
        ticket = repository.ticket_with_history(session, principal.viewer, number)
        shown = transcript_version(session, ticket.call_id or "", min(max(version, 0), 2**31 - 1))
        if shown is None:
            raise NotFoundError(f"转写没有第 {version} 版")
        before = transcript_version(session, ticket.call_id or "", against or shown.base_version or 0)
        masked = not auth.sees_numbers(session, context, principal, number)
        sides = [views.utterances(each, masked=masked) for each in (before, shown)]
        current = latest_transcript(session, ticket.call_id or "")
        names = review_repository.display_names(session)
        values = {
            "ticket": views.ticket_row(ticket),
            "version": version_row(shown, names),
            "before": version_row(before, names) if before else None,
            "lines": diff(*sides) if before else (),
            "utterances": sides[1],
            "current_version": current.version if current else 0,
            "restore_key": secrets.token_hex(16),
        }
    return render(request, "version.html", values)


@router.get("/review")
def show_queue(
    request: Request,
    principal: Editor,
    queue: Queue = Queue.ALL,
    after: Annotated[str, Query(max_length=64)] = "",
    done: Annotated[bool, Query()] = False,
) -> HTMLResponse:
    """The transcripts that wait for their confirmation, those in need first. `done`: the last one is confirmed."""
    context = context_of(request)
    wanted = _filter(context, principal, queue)
    with context.database.reading() as session:
        found = review_repository.queue_page(session, wanted, after=parse_place(after), limit=PAGE_SIZE + 1)
        names = review_repository.display_names(session)
        rows = [
            {
                "ticket": views.ticket_row(entry.ticket),
                "duration_ms": entry.duration_ms,
                "percent": round(100 * entry.transcript.unsure_share),
                "low": entry.transcript.unsure_share >= context.settings.review.low_share,
                "editor": names.get(entry.transcript.editor, entry.transcript.editor),
            }
            for entry in found[:PAGE_SIZE]
        ]
        lengths = review_repository.queue_lengths(session, wanted)
        next_place = format_place(found[PAGE_SIZE - 1].place) if len(found) > PAGE_SIZE else ""
    values = {
        "rows": rows,
        "queue": queue.value,
        "lengths": {name.value: length for name, length in lengths.items()},
        "next_url": f"/review?{urlencode({'queue': queue.value, 'after': next_place})}" if next_place else "",
        "on_first_page": not after,
        "done": done,
    }
    return render(request, "review.html", values)


@router.get("/review/next")
def next_in_queue(
    request: Request,
    principal: Editor,
    queue: Queue = Queue.ALL,
    after: Annotated[str, Query(max_length=32)] = "",
    place: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """Goes on to what follows `place`, where the ticket `after` stood; from the end back to the first."""
    context = context_of(request)
    wanted = _filter(context, principal, queue)
    with context.database.reading() as session:
        following = list(review_repository.queue_page(session, wanted, after=parse_place(place), limit=2))
        following += review_repository.queue_page(session, wanted, after=None, limit=2)
        numbers = [entry.ticket.number for entry in following if entry.ticket.number != after]
    target = f"/tickets/{numbers[0]}?queue={queue.value}" if numbers else f"/review?queue={queue.value}&done=true"
    return RedirectResponse(target, status_code=303)


@router.get("/review/quality")
def show_quality(
    request: Request,
    _principal: Editor,
    first: Annotated[str, Query(alias="from", max_length=10)] = "",
    last: Annotated[str, Query(alias="to", max_length=10)] = "",
) -> HTMLResponse:
    """How far the recognizers were from the confirmed texts, with the trend of each engine and model."""
    for day in filter(None, (first, last)):
        try:
            date.fromisoformat(day)
        except ValueError as error:
            raise InvalidInputError("日期无效", hint="格式为 2026-01-05") from error
    with context_of(request).database.reading() as session:
        found = recognition_quality(session, first_day=first, last_day=last)
    values = {"series": charts.quality_series(found), "first": first, "last": last}
    return render(request, "quality.html", values)


def version_row(transcript: Transcript, names: dict[str, str]) -> dict[str, Any]:
    """A line of the list of versions."""
    counts: dict[str, int] = {}
    for change in transcript.changes or ():
        counts[str(change.get("do", ""))] = counts.get(str(change.get("do", "")), 0) + 1
    restored = next((change.get("version") for change in transcript.changes or () if change.get("version")), None)
    return {
        "version": transcript.version,
        "origin": transcript.origin,
        "engine": transcript.engine,
        "model": transcript.model,
        "at": transcript.created_at,
        "editor": names.get(transcript.editor, transcript.editor),
        "base": transcript.base_version,
        "changes": counts,
        "restored": restored,
        "confirmed_by": names.get(transcript.confirmed_by, transcript.confirmed_by),
        "confirmed_at": transcript.confirmed_at,
    }


def page_values(
    session: Session,
    context: ConsoleContext,
    principal: auth.Principal,
    number: str,
    transcript: Transcript | None,
    queue: str,
) -> dict[str, Any]:
    """What the ticket page needs to review `transcript`."""
    if transcript is None:
        return {"review": None}
    place = review_repository.place_of(session, principal.viewer, number)
    queued = queue if queue in set(Queue) and principal.may(Permission.EDIT) else ""
    following = {"queue": queued, "after": number, "place": format_place(place) if place else ""}
    names = review_repository.display_names(session)
    versions: Sequence[Transcript] = transcript_versions(
        session, transcript.call_id, limit=context.settings.review.shown_versions
    )
    return {
        "review": {
            "may_edit": principal.may(Permission.EDIT),
            "version": transcript.version,
            "row": version_row(transcript, names),
            "versions": [version_row(each, names) for each in versions],
            "names": names,
            "queue": queued,
            "next_url": f"/review/next?{urlencode(following)}" if queued else "",
            "max_characters": context.settings.review.max_characters,
        }
    }


def _filter(context: ConsoleContext, principal: auth.Principal, queue: Queue) -> QueueFilter:
    return QueueFilter(queue=queue, viewer=principal.viewer, low_share=context.settings.review.low_share)


def _reviewer(session: Session, request: Request, principal: auth.Principal, number: str) -> tuple[Reviewer, str]:
    """Who reviews, and the call of the ticket."""
    context = context_of(request)
    ticket = repository.ticket_with_history(session, principal.viewer, number)
    limits = context.settings.review
    by = Reviewer(
        username=principal.username,
        now=context.clock.now(),
        sees_numbers=auth.sees_numbers(session, context, principal, number),
        unsure_below=limits.unsure_below,
        max_versions=limits.max_versions,
        max_characters=limits.max_characters,
    )
    return by, ticket.call_id or ""


def _audit(
    session: Session, request: Request, principal: auth.Principal, number: str, action: str, reason: str
) -> None:
    service.audit(
        session,
        at=context_of(request).clock.now(),
        username=principal.username,
        action=action,
        subject=number,
        address=client_address(request),
        reason=reason,
    )
