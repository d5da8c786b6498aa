"""Full-text search over the current transcript of every call, kept in step within the transcripts' own transactions.

What is indexed are pairs of neighbouring characters (`asr.query.grams`), so that a search for two characters, as most
Chinese words have, is as quick as one for five. The database's own index holds them: FTS5 in SQLite, a tsvector in
PostgreSQL, which needs no extension and no locale.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

from sqlalchemy import (
    ColumnElement,
    Select,
    Subquery,
    and_,
    cast,
    column,
    delete,
    exists,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    table,
    text,
    union_all,
)
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.orm import Session

from asr.masking import mask_spoken
from asr.models import IndexedSegment, IndexedTranscript, Segment, Transcript
from asr.query import SearchQuery, Term, fold, grams

RULES = 2  # of folding, masking and grams: what was indexed by others is out of step
FTS = "indexed_segments_fts"
_DIGITS = re.compile(r"[0-9]{1,20}x?")  # no personal number is longer


class SearchIndex(Protocol):
    """How a database holds grams and finds terms."""

    def document(self, words: Sequence[str]) -> str:
        """What a column of `IndexedSegment` holds for these grams."""
        ...

    def holds(self, term: Term, *, unmasked: bool) -> ColumnElement[bool]:
        """Whether a row of `IndexedSegment` has the term in its `words`, or in its `unmasked` where that is asked."""
        ...


class Fts5Index:
    """SQLite. Terms are phrases of grams in double quotes; folding has left letters and digits only."""

    def document(self, words: Sequence[str]) -> str:
        return " ".join(words)

    def holds(self, term: Term, *, unmasked: bool) -> ColumnElement[bool]:
        columns = "words unmasked" if unmasked else "words"
        match = f"{{{columns}}} : ({' OR '.join(map(self._phrase, term.forms))})"
        rows: Select[Any] = (
            select(column("rowid")).select_from(table(FTS)).where(literal_column(FTS).op("MATCH")(match))
        )
        return IndexedSegment.segment_id.in_(rows)

    @staticmethod
    def _phrase(form: str) -> str:
        return f'"{form}"*' if len(form) == 1 else f'"{" ".join(_pairs(form))}"'


class TsvectorIndex:
    """PostgreSQL."""

    def document(self, words: Sequence[str]) -> str:
        return " ".join(f"'{word}':{position}" for position, word in enumerate(words, start=1))

    def holds(self, term: Term, *, unmasked: bool) -> ColumnElement[bool]:
        wanted = cast(" | ".join(map(self._phrase, term.forms)), TSQUERY)
        found = IndexedSegment.words.bool_op("@@")(wanted)
        return or_(found, IndexedSegment.unmasked.bool_op("@@")(wanted)) if unmasked else found

    @staticmethod
    def _phrase(form: str) -> str:
        return f"'{form}':*" if len(form) == 1 else "(" + " <-> ".join(f"'{pair}'" for pair in _pairs(form)) + ")"


def _pairs(form: str) -> Iterator[str]:
    return (first + second for first, second in pairwise(form))


def index_of(session: Session) -> SearchIndex:
    """The adapter for the session's database."""
    return TsvectorIndex() if session.get_bind().dialect.name == "postgresql" else Fts5Index()


def in_order(segments: Iterable[Segment]) -> list[Segment]:
    """As they were spoken."""
    return sorted(segments, key=lambda segment: (segment.start_ms, segment.position))


def masked_texts(segments: Sequence[Segment]) -> list[str]:
    """The texts of segments in order, personal numbers hidden."""
    return mask_spoken([(segment.speaker, segment.text) for segment in segments])


def index_transcript(session: Session, transcript: Transcript) -> None:
    """Makes this version, with rows that have ids, the one that is found of its call."""
    index = index_of(session)
    session.execute(delete(IndexedTranscript).where(IndexedTranscript.call_id == transcript.call_id))
    row = {"call_id": transcript.call_id, "transcript_id": transcript.id, "rules": RULES}
    session.execute(insert(IndexedTranscript), row)
    segments = in_order(transcript.segments)
    masked = masked_texts(segments)
    rows = [
        {
            "segment_id": segment.id,
            "call_id": transcript.call_id,
            "speaker": segment.speaker,
            "words": index.document(grams(fold(shown).text)),
            "unmasked": index.document(grams(told)) if told else None,
        }
        for segment, shown, told in zip(segments, masked, _unmasked(segments, masked), strict=True)
    ]
    if rows:
        session.execute(insert(IndexedSegment), rows)


def _unmasked(segments: Sequence[Segment], masked: Sequence[str]) -> Iterator[str]:
    """The folded full text of each segment that tells a personal number, with what its speaker tells of the number in
    the segments that follow; empty for the others."""
    following: dict[str, tuple[str, bool]] = {}  # of each speaker: the digits that the next segment begins with
    told = []
    for segment, shown in zip(reversed(segments), reversed(masked), strict=True):
        text, hidden = fold(segment.text).text, shown != segment.text
        digits, more_hidden = following.get(segment.speaker, ("", False))
        goes_on = text[-1:].isdigit() and bool(digits)
        told.append(text + digits * goes_on if hidden or (goes_on and more_hidden) else "")
        head = _DIGITS.match(text + digits * goes_on)
        following[segment.speaker] = (head[0] if head else "", hidden or (text.isdigit() and more_hidden))
    return reversed(told)


def stale_transcripts(session: Session, *, limit: int) -> Sequence[Transcript]:
    """Current versions that a search does not find or that other rules indexed."""
    return session.scalars(_stale(select(Transcript)).order_by(Transcript.id).limit(limit)).all()


def count_stale(session: Session) -> int:
    """How many calls a search does not find as they are."""
    return session.scalar(_stale(select(func.count()).select_from(Transcript))) or 0


def _stale(query: Select[Any]) -> Select[Any]:
    indexed = exists().where(IndexedTranscript.transcript_id == Transcript.id, IndexedTranscript.rules == RULES)
    return query.where(Transcript.current, ~indexed)


def forget_index(session: Session) -> None:
    """Empties the index; the transcripts stay."""
    session.execute(delete(IndexedTranscript))
    if session.get_bind().dialect.name == "sqlite":
        session.execute(text("INSERT INTO indexed_segments_fts (indexed_segments_fts) VALUES ('rebuild')"))


@dataclass(frozen=True, kw_only=True)
class Search:
    """What is wanted. `speaker`: only what this one said, empty for all. `numbers`: hidden digits are searched too."""

    query: SearchQuery
    speaker: str = ""
    numbers: bool = False


def matching_calls(session: Session, search: Search) -> Subquery:
    """The calls in which everything was said: `call_id`, how many of the terms are `together` in one segment, and the
    number of `segments` with any of them."""
    index, bits = index_of(session), [1 << place for place in range(len(search.query.terms))]
    said = union_all(
        *(
            select(IndexedSegment.call_id, IndexedSegment.segment_id, literal(bit).label("bit")).where(
                _said(index, term, search)
            )
            for term, bit in zip(search.query.terms, bits, strict=True)
        )
    ).subquery()
    each = (
        select(said.c.call_id, func.sum(said.c.bit).label("bits"), func.count().label("terms"))
        .group_by(said.c.call_id, said.c.segment_id)
        .subquery()
    )
    calls = (
        select(each.c.call_id, func.max(each.c.terms).label("together"), func.count().label("segments"))
        .group_by(each.c.call_id)
        .having(and_(*(func.max(each.c.bits.bitwise_and(bit)) > 0 for bit in bits)))
    )
    for term in search.query.without:
        calls = calls.where(each.c.call_id.not_in(select(IndexedSegment.call_id).where(_said(index, term, search))))
    return calls.subquery()


def matching_segments(session: Session, search: Search, call_ids: Sequence[str]) -> dict[str, list[int]]:
    """The segments of these calls that have any of the terms, those with most of them first, by call."""
    index = index_of(session)
    said = union_all(
        *(
            select(IndexedSegment.call_id, IndexedSegment.segment_id).where(
                IndexedSegment.call_id.in_(call_ids), _said(index, term, search)
            )
            for term in search.query.terms
        )
    ).subquery()
    rows = session.execute(
        select(said.c.call_id, said.c.segment_id)
        .group_by(said.c.call_id, said.c.segment_id)
        .order_by(func.count().desc(), said.c.segment_id)
    )
    found: dict[str, list[int]] = {}
    for call_id, segment_id in rows:
        found.setdefault(call_id, []).append(segment_id)
    return found


def _said(index: SearchIndex, term: Term, search: Search) -> ColumnElement[bool]:
    held = index.holds(term, unmasked=search.numbers and term.is_number)
    return and_(held, IndexedSegment.speaker == search.speaker) if search.speaker else held
