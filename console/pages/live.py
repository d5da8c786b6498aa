"""Calls in progress with their captions, and the event stream that all pages follow."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, StreamingResponse

from console import auth
from console.context import context_of
from console.permissions import Permission
from console.rendering import render
from console.stream import TOPICS, EventHub, EventStream, followed, present_call
from hotline.errors import ForbiddenError, InvalidInputError

router = APIRouter()
Watcher = Annotated[auth.Principal, Depends(auth.require(Permission.LIVE))]


@router.get("/live")
def show_live(request: Request, _principal: Watcher) -> HTMLResponse:
    """The page; its calls come from `/live/calls` and the event stream."""
    return render(request, "live.html", {})


@router.get("/live/calls")
def calls_in_progress(request: Request, _principal: Watcher) -> dict[str, Any]:
    """`{"calls": [...]}`, the longest first: what a page reads whenever its stream opens."""
    calls = []
    for state in context_of(request).bus.states("call").values():
        try:
            calls.append(present_call(state))
        except (KeyError, TypeError, ValueError):
            continue  # half a state: the call's events will show it
    return {"calls": sorted(calls, key=lambda call: str(call["answered_at"]))}


@router.get("/events")
async def events(
    request: Request, principal: auth.Reader, topics: Annotated[list[str] | None, Query(max_length=8)] = None
) -> StreamingResponse:
    """Server-sent events of the topics, as far as this person may know of them, until the sign-in ends or the page has
    to prove it anew."""
    wanted = set(topics or TOPICS)
    if not wanted <= set(TOPICS):
        raise InvalidInputError(f"没有这些主题：{'、'.join(sorted(wanted - set(TOPICS)))}")
    names = followed(wanted, principal.role)
    if not names:
        raise ForbiddenError("您没有查看实时通话的权限", hint="如有需要，请联系管理员")
    context, hub = context_of(request), request.app.state.events
    signed_in_s = (principal.expires_at - context.clock.now()).total_seconds()
    life_s = min(context.settings.console.event_stream_minutes * 60, signed_in_s)
    body = _follow(hub, hub.open(names), life_s)
    return StreamingResponse(body, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _follow(hub: EventHub, stream: EventStream, life_s: float) -> AsyncIterator[str]:
    try:
        async for message in stream.messages(life_s=life_s):
            yield message
    finally:
        hub.discard(stream)
