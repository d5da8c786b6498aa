"""The ticket list and the ticket page."""

import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy.orm import Session

from asr.masking import digits_in, mask_numbers
from asr.repository import latest_transcript
from console import auth, handling, repository, service, views
from console.advice import advice_for
from console.attachment_views import attachment_rows
from console.command_forms import may_give, offered
from console.context import ConsoleContext, client_address, context_of
from console.deadline import deadline
from console.hearing import hidden_spans
from console.pages import related, reviews
from console.permissions import Permission
from console.rendering import render
from console.repository import Cursor, TicketFilter
from hotline.errors import InvalidInputError
from recordings.models import Call
from recordings.retention_models import LegalHold
from recordings.retention_repository import certificate_of_call, hold_of
from tickets.attachments.links import links_of, may_make_links
from tickets.attachments.repository import attachments_of
from tickets.attachments.service import PURPOSES
from tickets.lifecycle import Command, State
from tickets.models import Ticket
from tickets.retention import place_hold, release_hold
from tickets.service import SiteData
from tickets.unit_repository import all_units
from tickets.working_time import WorkingTime

router = APIRouter()
PAGE_SIZE = 50
MIN_DIGITS = (
    3  # a search with so many is for a number: looking for it in the texts would guess masked phones bit by bit
)
MAX_ID = 2**63 - 1  # no database takes a larger one, not even to compare
MIN_REASON, MAX_REASON = 2, 200
Keeper = Annotated[auth.Principal, Depends(auth.require(Permission.HOLD))]
Reason = Annotated[str, Form(max_length=1000)]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def format_cursor(ticket: Ticket) -> str:
    """The place of `ticket` in the list, as a query value."""
    return f"{(ticket.created_at - _EPOCH) // _MICROSECOND}-{ticket.id}"


def parse_cursor(text: str) -> Cursor | None:
    """The inverse of `format_cursor`; empty is the beginning. Raises `InvalidInputError`."""
    if not text:
        return None
    wrong = InvalidInputError("翻页位置无效", hint="请从第一页重新浏览")
    try:
        microseconds, ticket_id = map(int, text.split("-"))
        cursor = Cursor(_EPOCH + microseconds * _MICROSECOND, ticket_id)
    except (ValueError, OverflowError) as error:
        raise wrong from error
    if ticket_id > MAX_ID:
        raise wrong
    return cursor


@router.get("/")
def home() -> Response:
    """The tickets are the first page."""
    return RedirectResponse("/tickets", status_code=303)


@router.get("/tickets")
def list_tickets(
    request: Request,
    principal: auth.Reader,
    state: Annotated[str, Query(max_length=32)] = "",
    category: Annotated[str, Query(max_length=64)] = "",
    q: Annotated[str, Query(max_length=100)] = "",
    after: Annotated[str, Query(max_length=64)] = "",
) -> HTMLResponse:
    """Newest first, filtered, a page at a time."""
    text, told = q.strip(), principal.may(Permission.CONTENT)
    wanted = TicketFilter(
        state=state,
        category=category,
        text=text if told and digits_in(text) < MIN_DIGITS else "",
        number=text,
        phone=text if principal.may(Permission.UNMASK) else "",
    )
    with context_of(request).database.reading() as session:
        found = repository.ticket_page(
            session, principal.viewer, wanted, after=parse_cursor(after), limit=PAGE_SIZE + 1
        )
        categories = repository.categories_in_use(session, principal.viewer)
        rows, more = [views.ticket_row(ticket, told=told) for ticket in found[:PAGE_SIZE]], len(found) > PAGE_SIZE
        next_cursor = format_cursor(found[PAGE_SIZE - 1]) if more else ""
    criteria = {name: value for name, value in (("state", state), ("category", category), ("q", text)) if value}
    values = {
        "rows": rows,
        "category_groups": group_categories(categories),
        "state": state,
        "category": category,
        "q": text,
        "filtered": bool(criteria),
        "first_url": "/tickets" + (f"?{urlencode(criteria)}" if criteria else ""),
        "next_url": f"/tickets?{urlencode({**criteria, 'after': next_cursor})}" if next_cursor else "",
        "on_first_page": not after,
    }
    return render(request, "tickets.html", values)


def group_categories(categories: Sequence[str]) -> dict[str, list[str]]:
    """First level -> the categories below it."""
    groups: dict[str, list[str]] = {}
    for category in categories:
        below = groups.setdefault(category.partition("/")[0], [])
        if "/" in category:
            below.append(category)
    return groups


@router.get("/tickets/{number}")
def show_ticket(
    request: Request, principal: auth.Reader, number: str, queue: Annotated[str, Query(max_length=16)] = ""
) -> HTMLResponse:
    """A ticket with its evidence, history and transcript; `queue`: the one of reviews that it was opened from."""
    context = context_of(request)
    site: SiteData = request.app.state.site
    working: WorkingTime = request.app.state.working
    with context.database.reading() as session:
        ticket = repository.ticket_with_history(session, principal.viewer, number)
        told = principal.may(Permission.CONTENT)
        full = auth.sees_numbers(session, context, principal, number)
        call_id = (ticket.call_id if told else None) or ""
        call = repository.call_with_recording(session, principal.viewer, call_id) if call_id else None
        transcript = latest_transcript(session, call_id) if call_id else None
        units, advice = all_units(session), advice_for(session, context, principal, ticket)
        names = {unit.code: unit.name for unit in units}
        values = {
            "ticket": views.ticket_row(ticket, told=told),
            "deadline": deadline(ticket, site, working, now=context.clock.now()),
            "type": ticket.type,
            "channel": ticket.channel,
            "content": "" if not told else ticket.content if full else mask_numbers(ticket.content),
            "advice": advice,
            "facts": views.facts(ticket, masked=not full) if told else views.plain_facts(ticket),
            "handling": handling.handled(ticket, units=names, masked=not full, told=told),
            "steps": handling.history(ticket.events, units=names, masked=not full, told=told),
            "call": call,
            "voice_quality": views.voice_quality(call) if call else None,
            "recording": call.recording if call else None,
            "hearing": _hearing(session, context, call, full=full),
            "transcript": transcript,
            "utterances": views.utterances(
                transcript, masked=not full, unsure_below=context.settings.review.unsure_below
            ),
            "hold": hold_of(session, call.id) if call else None,
            "certificate": certificate_of_call(session, call.id) if call else None,
            "commands": offered(
                ticket,
                principal.actor(""),
                units=units,
                categories=site.taxonomy.categories,
                masked=not full,
                advice=advice[0] if advice else None,
            ),
            "files": attachment_rows(attachments_of(session, ticket.id) if told else [], full=full),
            "purposes": PURPOSES,
            "may_attach": may_give(Command.NOTE, ticket, principal.actor("")) and ticket.state != State.ARCHIVED.value,
            "links": links_of(session, ticket.id),
            "may_link": may_make_links(ticket, principal.actor("")),
            "now": context.clock.now(),
            "version": ticket.version,
            "command_key": secrets.token_hex(12),
            "unmasked": full,
            "unmask_minutes": round(context.settings.console.unmask_minutes),
            **related.page_values(session, request, principal, ticket),
            **reviews.page_values(session, context, principal, number, transcript, queue),
        }
        if transcript is not None and transcript.demo_model:
            values["demo_model"] = True
    return render(request, "ticket.html", values)


@router.post("/tickets/{number}/unmask", dependencies=[Depends(auth.check_csrf)])
def unmask(
    request: Request,
    principal: Annotated[auth.Principal, Depends(auth.require(Permission.UNMASK))],
    number: str,
    reason: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    """Logs a reason and shows the full numbers of this ticket to this person for a while."""
    reason = reason.strip()
    if not MIN_REASON <= len(reason) <= MAX_REASON:
        raise InvalidInputError(f"查看完整号码须填写原因（{MIN_REASON} 至 {MAX_REASON} 字）")
    context = context_of(request)
    with context.database.transaction() as session:
        repository.ticket_with_history(session, principal.viewer, number)
        service.audit(
            session,
            at=context.clock.now(),
            username=principal.username,
            action="unmask",
            subject=number,
            address=client_address(request),
            reason=reason,
        )
    return RedirectResponse(f"/tickets/{number}", status_code=303)


@router.post("/tickets/{number}/hold", dependencies=[Depends(auth.check_csrf)])
def hold(request: Request, principal: Keeper, number: str, reason: Reason = "") -> Response:
    """Keeps the ticket's call from deletion until it is released."""
    return _change_hold(request, principal, number, reason, "hold", place_hold)


@router.post("/tickets/{number}/release", dependencies=[Depends(auth.check_csrf)])
def release(request: Request, principal: Keeper, number: str, reason: Reason = "") -> Response:
    """Ends a hold."""
    return _change_hold(request, principal, number, reason, "release_hold", release_hold)


def _change_hold(
    request: Request,
    principal: auth.Principal,
    number: str,
    reason: str,
    action: str,
    change: Callable[..., LegalHold],
) -> Response:
    context = context_of(request)
    now = context.clock.now()
    with context.database.transaction() as session:
        repository.ticket_with_history(session, principal.viewer, number)
        changed = change(session, number, reason=reason, actor=principal.username, now=now)
        service.audit(
            session,
            at=now,
            username=principal.username,
            action=action,
            subject=changed.call_id,
            address=client_address(request),
            reason=reason.strip(),
        )
    return RedirectResponse(f"/tickets/{number}", status_code=303)


def _hearing(session: Session, context: ConsoleContext, call: Call | None, *, full: bool) -> str:
    """How this recording is heard: `full`, `masked` (some of it under a tone), `plain` (nothing to hide), `unknown`."""
    if full or call is None:
        return "full"
    spans = hidden_spans(session, context, call)
    return "unknown" if spans is None else "masked" if spans else "plain"
