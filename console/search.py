"""A search as people use it: their rights, the calls that are found, and the words in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, pairwise

from sqlalchemy.orm import Session

from asr.masking import mask_numbers, mask_phone
from asr.models import Segment
from asr.recognizer import Word
from asr.search import Search, in_order, masked_texts, matching_segments
from asr.text import aligned
from console import search_repository
from console.search_repository import FoundCall, Place, SearchFilter
from tickets.access import Viewer

MAX_QUOTES = 3  # of a call; the page of its ticket has the rest
QUOTE_BEFORE, QUOTE_LENGTH = 24, 90  # characters


@dataclass(frozen=True)
class Piece:
    """A stretch of a quote; `hit` where it is what was looked for."""

    text: str
    hit: bool


@dataclass(frozen=True, kw_only=True)
class Quote:
    """What somebody said, numbers masked, and when the first hit in it was said (milliseconds of the recording)."""

    speaker: str
    start_ms: int
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, kw_only=True)
class CallHit:
    """A call in which everything was said; `more` segments have hits besides those quoted."""

    call_id: str
    number: str
    title: str
    category: str
    started_at: datetime
    caller: str
    quotes: tuple[Quote, ...]
    more: int


@dataclass(frozen=True, kw_only=True)
class Results:
    """A page of `total` calls; `following` is where the next page goes on."""

    total: int
    calls: tuple[CallHit, ...]
    following: Place | None


def find_calls(
    session: Session,
    viewer: Viewer | None,
    search: Search,
    wanted: SearchFilter,
    *,
    after: Place | None,
    limit: int,
) -> Results:
    """A page of the calls that `viewer` (None: this machine's own) may know of, with what was said in them; masked for
    everybody, also for who may search hidden numbers."""
    total, found = search_repository.found_calls(session, viewer, search, wanted, after=after, limit=limit + 1)
    page = found[:limit]
    segments = matching_segments(session, search, [call.call_id for call in page])
    spoken = search_repository.segments_of(session, [call.call_id for call in page])
    return Results(
        total=total,
        calls=tuple(_hit(search, call, spoken.get(call.call_id, []), segments.get(call.call_id, [])) for call in page),
        following=page[-1].place if len(found) > limit else None,
    )


def _hit(search: Search, call: FoundCall, spoken: Sequence[Segment], matching: Sequence[int]) -> CallHit:
    ordered = in_order(spoken)
    masked = {segment.id: text for segment, text in zip(ordered, masked_texts(ordered), strict=True)}
    best = set(matching[:MAX_QUOTES])
    return CallHit(
        call_id=call.call_id,
        number=call.number or "",
        title=mask_numbers(call.title or ""),
        category=call.category or "",
        started_at=call.started_at,
        caller=mask_phone(call.caller_number),
        quotes=tuple(quote(search, segment, masked[segment.id]) for segment in ordered if segment.id in best),
        more=len(matching) - len(best),
    )


def quote(search: Search, segment: Segment, masked: str) -> Quote:
    """A segment with its hits; a long one is cut to the surroundings of the first."""
    reads_hidden = search.numbers and search.query.is_number
    spans = search.query.spans(segment.text if reads_hidden else masked)
    first = spans[0][0] if spans else 0
    begin = max(0, min(first - QUOTE_BEFORE, len(masked) - QUOTE_LENGTH))
    end = min(len(masked), begin + QUOTE_LENGTH)
    edges = [begin, *chain.from_iterable((max(begin, a), min(end, b)) for a, b in spans if a < end and b > begin), end]
    pieces = [Piece(masked[a:b], bool(place % 2)) for place, (a, b) in enumerate(pairwise(edges)) if a < b]
    pieces[:0] = [Piece("…", False)] if begin else []
    pieces += [Piece("…", False)] if end < len(masked) else []
    return Quote(speaker=segment.speaker, start_ms=said_at(segment, first), pieces=tuple(pieces))


def said_at(segment: Segment, position: int) -> int:
    """When the character at `position` of the segment's text was said, in milliseconds."""
    try:
        words = [Word(*row) for row in segment.words]
        return words[aligned(segment.text, words).word_of[position]].start_ms
    except (IndexError, TypeError, ValueError):
        return segment.start_ms
