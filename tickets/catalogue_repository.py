"""Queries for the versions of the dispatch catalogue and their entries."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, delete, func, insert, or_, select
from sqlalchemy.orm import Session

from hotline.errors import NotFoundError
from tickets.catalogue import Entry
from tickets.catalogue_models import CatalogueEntry, CatalogueVersion


@dataclass(frozen=True)
class EntryFilter:
    """Which entries of a version; empty: all. `unit`: as lead or co-handler."""

    category: str = ""
    place: str = ""
    unit: str = ""


def version_in_force(session: Session, now: datetime) -> CatalogueVersion | None:
    """The version that was in force at `now`: the last to take effect; of several at one moment, the one imported
    last."""
    return session.scalar(
        select(CatalogueVersion)
        .where(CatalogueVersion.effective_from <= now)
        .order_by(CatalogueVersion.effective_from.desc(), CatalogueVersion.id.desc())
        .limit(1)
    )


def version_by_id(session: Session, version_id: int) -> CatalogueVersion:
    """The version; raises `NotFoundError`."""
    version = session.get(CatalogueVersion, version_id)
    if version is None:
        raise NotFoundError(f"派单目录没有第 {version_id} 版", hint="`hotline catalogue list` 列出全部版本")
    return version


def versions(session: Session, *, limit: int) -> Sequence[CatalogueVersion]:
    """The newest imports first."""
    return session.scalars(select(CatalogueVersion).order_by(CatalogueVersion.id.desc()).limit(limit)).all()


def entry_counts(session: Session, version_ids: Iterable[int]) -> dict[int, int]:
    """How many entries each version has."""
    query = select(CatalogueEntry.version_id, func.count()).group_by(CatalogueEntry.version_id)
    rows = session.execute(query.where(CatalogueEntry.version_id.in_(version_ids)))
    return {row[0]: row[1] for row in rows}


def entries_of(session: Session, version_id: int) -> tuple[Entry, ...]:
    """All entries of a version, in the file's order."""
    return _entries(session, _of(version_id).order_by(CatalogueEntry.line))


def entries_for(session: Session, version_id: int, category: str) -> tuple[Entry, ...]:
    """The entries that may say something of `category` (`first/second`): its own and its first level's."""
    levels = [category, category.partition("/")[0]]
    query = _of(version_id).where(CatalogueEntry.category.in_(levels)).order_by(CatalogueEntry.line)
    return _entries(session, query) if category else ()


def entry_page(
    session: Session, version_id: int, wanted: EntryFilter, *, after: int, limit: int
) -> Sequence[CatalogueEntry]:
    """Rows of a version behind line `after`."""
    query = _of(version_id).where(CatalogueEntry.line > after)
    if wanted.category:
        below = CatalogueEntry.category.startswith(f"{wanted.category}/", autoescape=True)
        query = query.where(or_(CatalogueEntry.category == wanted.category, below))
    if wanted.place:
        query = query.where(CatalogueEntry.place == wanted.place)
    rows = session.scalars(query.order_by(CatalogueEntry.line)).all() if wanted.unit else None
    if rows is None:
        return session.scalars(query.order_by(CatalogueEntry.line).limit(limit)).all()
    return [row for row in rows if wanted.unit in (row.lead, *row.co_units)][:limit]


def add_entries(session: Session, version_id: int, entries: Iterable[Entry]) -> None:
    """Writes the entries of a new version."""
    rows = [
        {
            "version_id": version_id,
            "line": line,
            "category": entry.category,
            "place": entry.place,
            "lead": entry.lead,
            "co_units": list(entry.co_units),
            "basis": entry.basis,
            "auto_dispatch": entry.auto_dispatch,
        }
        for line, entry in enumerate(entries, start=1)
    ]
    if rows:
        session.execute(insert(CatalogueEntry), rows)


def remove_version(session: Session, version: CatalogueVersion) -> None:
    """Removes a draft."""
    session.execute(delete(CatalogueEntry).where(CatalogueEntry.version_id == version.id))
    session.delete(version)
    session.flush()


def entry_of(row: CatalogueEntry) -> Entry:
    """A row as the pure code knows it."""
    return Entry(row.category, row.place, row.lead, tuple(map(str, row.co_units)), row.basis, row.auto_dispatch)


def _of(version_id: int) -> Select[CatalogueEntry]:
    return select(CatalogueEntry).where(CatalogueEntry.version_id == version_id)


def _entries(session: Session, query: Select[CatalogueEntry]) -> tuple[Entry, ...]:
    return tuple(entry_of(row) for row in session.scalars(query))
