"""The iCalendar feed of deadlines, read by calendars with nothing but its address."""

import hashlib
from datetime import timedelta

from fastapi import APIRouter, Request, Response

from console import calendars
from console.api.tickets import matches
from console.context import client_address, context_of
from console.throttle import Throttle
from hotline.errors import NotFoundError

router = APIRouter()
READ_NOTED_EVERY = timedelta(hours=1)


@router.get("/calendar/{token}.ics")
def read_calendar(request: Request, token: str) -> Response:
    """The feed; a wrong address looks like none, and an address that guesses has to wait."""
    context, state = context_of(request), request.app.state
    now = context.clock.now()
    with context.database.reading() as session:
        found = calendars.viewer_of(session, token[:64])
        if found is None:
            failures: Throttle = state.key_failures
            failures.admit(client_address(request), now)
            raise NotFoundError("没有这个日历", hint="地址可能已停用，请向管理员索取新的地址")
        viewer, feed = found
        rows = calendars.entries(
            session,
            viewer,
            site=state.site,
            working=state.working,
            limit=context.settings.api.calendar_events,
        )
        feed_id, last = feed.id, feed.last_read_at
    if last is None or last <= now - READ_NOTED_EVERY:
        with context.database.transaction() as session:
            calendars.note_reading(session, feed_id, now)
    name = f"{context.settings.site_name} 办理时限"
    body = calendars.calendar(name, rows, address=str(request.base_url).rstrip("/"))
    headers = {"ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"', "Cache-Control": "private, no-cache"}
    if matches(request.headers.get("if-none-match", ""), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="text/calendar; charset=utf-8")
