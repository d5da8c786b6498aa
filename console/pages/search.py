"""The search over everything that was said."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from asr.masking import mask_numbers
from asr.query import SearchQuery, parse_query
from asr.search import Search
from console import auth, labels, repository, service
from console.context import client_address, context_of
from console.pages.tickets import group_categories
from console.permissions import Permission
from console.rendering import render
from console.search import Results, find_calls
from console.search_repository import Order, Place, SearchFilter
from console.throttle import Throttle
from hotline.errors import InvalidInputError

router = APIRouter()
MAX_SUBJECT = 128  # the audit log's column
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MAX_COUNT = 2**31 - 1


def format_place(place: Place) -> str:
    """Where a page ended, as a query value."""
    return f"{place.together}-{place.segments}-{(place.started_at - _EPOCH) // _MICROSECOND}-{place.call_id}"


def parse_place(text: str) -> Place | None:
    """The inverse of `format_place`; empty is the beginning. Raises `InvalidInputError`."""
    if not text:
        return None
    try:
        together, segments, microseconds, call_id = text.split("-", 3)
        place = Place(int(together), int(segments), _EPOCH + int(microseconds) * _MICROSECOND, call_id)
    except (ValueError, OverflowError) as error:
        raise InvalidInputError("翻页位置无效", hint="请从第一页重新浏览") from error
    if not (0 <= place.together <= _MAX_COUNT and 0 <= place.segments <= _MAX_COUNT and call_id.isalnum()):
        raise InvalidInputError("翻页位置无效", hint="请从第一页重新浏览")
    return place


def day_begins(text: str, zone: ZoneInfo, *, later_days: int = 0) -> datetime | None:
    """Midnight of a day YYYY-MM-DD in the site's zone; empty is none. Raises `InvalidInputError`."""
    if not text:
        return None
    try:
        day = date.fromisoformat(text) + timedelta(days=later_days)
        return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInputError("日期无效", hint="例如 2026-01-05") from error


@router.get("/search")
def search_transcripts(
    request: Request,
    principal: auth.ContentReader,
    q: Annotated[str, Query(max_length=1000)] = "",
    speaker: Annotated[str, Query(max_length=16)] = "",
    category: Annotated[str, Query(max_length=64)] = "",
    since: Annotated[str, Query(max_length=10)] = "",
    until: Annotated[str, Query(max_length=10)] = "",
    order: Order = "relevance",
    after: Annotated[str, Query(max_length=128)] = "",
) -> HTMLResponse:
    """What was said, with the words marked, a page at a time; each search for somebody's number is logged."""
    context, limits = context_of(request), context_of(request).settings.search
    numbers = principal.may(Permission.UNMASK)
    asked: SearchQuery | None = None
    results: Results | None = None
    problem: InvalidInputError | None = None
    try:
        asked = parse_query(q, max_length=limits.max_length, max_terms=limits.max_terms)
        place = parse_place(after)
        wanted = SearchFilter(
            since=day_begins(since, context.settings.zone),
            until=day_begins(until, context.settings.zone, later_days=1),
            category=category,
            order=order,
        )
    except InvalidInputError as error:
        problem = error
    with context.database.reading() as session:
        categories = repository.categories_in_use(session, principal.viewer)
        if asked is not None and problem is None:
            throttle: Throttle = request.app.state.searches
            throttle.admit(principal.username, context.clock.now())
            search = Search(query=asked, speaker=speaker, numbers=numbers)
            results = find_calls(session, principal.viewer, search, wanted, after=place, limit=limits.page_size)
    if asked is not None and results is not None and asked.is_number and numbers:
        with context.database.transaction() as session:
            service.audit(
                session,
                at=context.clock.now(),
                username=principal.username,
                action="search",
                subject=mask_numbers(q.strip())[:MAX_SUBJECT],
                address=client_address(request),
                reason=f"找到 {results.total} 通",
            )
    chosen = {"speaker": speaker, "category": category, "since": since, "until": until}
    criteria = {"q": q.strip(), **chosen, "order": order}
    values = {
        "q": criteria["q"],
        **chosen,
        "order": order,
        "orders": {name: _address(criteria, order=name) for name in labels.SEARCH_ORDERS},
        "category_groups": group_categories(categories),
        "results": results,
        "problem": problem,
        "filtered": any(chosen.values()),
        "hides_numbers": asked is not None and asked.is_number and not numbers,
        "first_url": _address(criteria),
        "plain_url": _address({"q": criteria["q"]}),
        "next_url": _address(criteria, after=format_place(results.following)) if results and results.following else "",
        "on_first_page": not after,
    }
    return render(request, "search.html", values, status=400 if problem else 200)


def _address(criteria: Mapping[str, str], **changed: str) -> str:
    return f"/search?{urlencode({name: value for name, value in {**criteria, **changed}.items() if value})}"
