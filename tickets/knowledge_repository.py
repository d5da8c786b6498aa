"""Queries for policy snippets, and their import. Never commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tickets.knowledge import Snippet
from tickets.knowledge_models import KnowledgeSnippet


@dataclass(frozen=True)
class Imported:
    """How many snippets a table added and changed, and how many were the same."""

    added: int
    changed: int
    unchanged: int


def snippet_of(row: KnowledgeSnippet) -> Snippet:
    """A row as the pure code knows it."""
    return Snippet(
        code=row.code,
        title=row.title,
        body=row.body,
        category=row.category,
        unit=row.unit,
        source=row.source,
        tags=tuple(row.tags),
        valid_from=row.valid_from,
        valid_to=row.valid_to,
    )


def current_snippets(session: Session) -> list[KnowledgeSnippet]:
    """The newest version of each, by code."""
    query = select(KnowledgeSnippet).where(KnowledgeSnippet.current).order_by(KnowledgeSnippet.code)
    return list(session.scalars(query))


def versions_of(session: Session, code: str) -> list[KnowledgeSnippet]:
    """All versions of a snippet, the newest first."""
    query = select(KnowledgeSnippet).where(KnowledgeSnippet.code == code)
    return list(session.scalars(query.order_by(KnowledgeSnippet.version.desc())))


def newest_id(session: Session) -> int:
    """Grows with every version: whether what was read before is still all."""
    return session.scalar(select(func.max(KnowledgeSnippet.id))) or 0


def expiring_snippets(session: Session, today: date, *, days: int) -> list[KnowledgeSnippet]:
    """The current ones that end within so many days or have ended in as many before, the soonest first: for owners."""
    query = select(KnowledgeSnippet).where(
        KnowledgeSnippet.current,
        KnowledgeSnippet.valid_to >= today - timedelta(days=days),
        KnowledgeSnippet.valid_to <= today + timedelta(days=days),
    )
    return list(session.scalars(query.order_by(KnowledgeSnippet.valid_to, KnowledgeSnippet.code)))


def import_snippets(
    session: Session, given: Sequence[Snippet], *, actor: str, now: datetime, dry_run: bool = False
) -> Imported:
    """Adds snippets, and versions of those that differ; the same again changes nothing."""
    known = {row.code: row for row in current_snippets(session)}
    added = changed = 0
    for snippet in given:
        row = known.get(snippet.code)
        if row is not None and snippet_of(row) == snippet:
            continue
        added, changed = (added + 1, changed) if row is None else (added, changed + 1)
        if dry_run:
            continue
        if row is not None:
            row.current = False
        session.add(
            KnowledgeSnippet(
                code=snippet.code,
                version=1 if row is None else row.version + 1,
                current=True,
                title=snippet.title,
                body=snippet.body,
                category=snippet.category,
                unit=snippet.unit,
                source=snippet.source,
                tags=list(snippet.tags),
                valid_from=snippet.valid_from,
                valid_to=snippet.valid_to,
                created_at=now,
                created_by=actor,
            )
        )
    session.flush()
    return Imported(added, changed, len(given) - added - changed)
