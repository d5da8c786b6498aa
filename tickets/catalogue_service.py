"""Versions of the dispatch catalogue: imported, put in force, never changed afterwards. Never commits."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from hotline.errors import ConflictError, InvalidInputError
from hotline.settings import Settings
from hotline.settings_sections import TicketSettings
from tickets.catalogue import (
    COLUMNS,
    CatalogueDiff,
    Entry,
    EntryList,
    Vocabulary,
    compare,
    entry_faults,
    parse_catalogue,
    vocabulary,
)
from tickets.catalogue_models import CatalogueVersion
from tickets.catalogue_repository import (
    add_entries,
    entries_of,
    remove_version,
    version_by_id,
    version_in_force,
    versions,
)
from tickets.gazetteer import load_gazetteer
from tickets.sheets import read_sheet
from tickets.taxonomy import load_taxonomy
from tickets.unit_repository import all_units
from tickets.unit_service import import_bounds, unit_data

MAX_NOTE = 500
DRAFT_DAYS = 7
_AHEAD = timedelta(days=3 * 366)


@dataclass(frozen=True)
class Catalogue:
    """The entries of a version, and which it is; `version` 0 where no catalogue is in force."""

    version: int
    entries: tuple[Entry, ...]


def catalogue_at(session: Session, moment: datetime) -> Catalogue:
    """The catalogue in force at a moment, whole."""
    version = version_in_force(session, moment)
    return Catalogue(version.id, entries_of(session, version.id)) if version else Catalogue(0, ())


def site_vocabulary(session: Session, settings: Settings) -> Vocabulary:
    """The names that this site's catalogue may use, with the places that it imported."""
    bounds = settings.tickets
    gazetteer = load_gazetteer(bounds.gazetteer_path, settings.places_path, limit=bounds.max_places)
    return vocabulary(load_taxonomy(bounds.taxonomy_path), gazetteer, map(unit_data, all_units(session)))


def read_catalogue(data: bytes, known: Vocabulary, settings: TicketSettings) -> EntryList:
    """The entries of an XLSX or CSV file; raises `InvalidInputError` where it is no such table."""
    return parse_catalogue(read_sheet(data, COLUMNS, import_bounds(settings)), known)


def add_version(
    session: Session, data: bytes, entries: Iterable[Entry], *, source: str, actor: str, now: datetime, note: str = ""
) -> CatalogueVersion:
    """A draft of the entries read from `data`; old drafts that nobody put in force are forgotten."""
    note = note.strip()
    if len(note) > MAX_NOTE:
        raise InvalidInputError(f"说明最多 {MAX_NOTE} 字")
    for old in versions(session, limit=100):
        if old.effective_from is None and old.imported_at < now - timedelta(days=DRAFT_DAYS):
            remove_version(session, old)
    version = CatalogueVersion(
        effective_from=None,
        source=source[-200:],
        sha256=hashlib.sha256(data).hexdigest(),
        imported_by=actor,
        imported_at=now,
        note=note,
    )
    session.add(version)
    session.flush()
    add_entries(session, version.id, entries)
    return version


def put_in_force(
    session: Session, version: CatalogueVersion, known: Vocabulary, *, effective_from: datetime, now: datetime
) -> CatalogueDiff:
    """Gives a draft its moment, now or later, and returns what it changes of the catalogue that it takes over from.

    Raises `ConflictError` where it is no draft, is wrong by now or changes nothing, `InvalidInputError` for a moment
    in the past: what was dispatched then went by another version.
    """
    if version.effective_from is not None:
        raise ConflictError(f"第 {version.id} 版已经生效或定了生效时间")
    if not now <= effective_from <= now + _AHEAD:
        raise InvalidInputError("生效时间须是现在或三年以内，不能早于现在")
    entries = entries_of(session, version.id)
    faults = [f"{entry.category}：{text}" for entry in entries for text in entry_faults(entry, known)]
    if faults:
        raise ConflictError("；".join(faults[:5]), hint="单位、类别或地名在导入后有变化，请改正后重新导入")
    before = version_in_force(session, effective_from)
    changes = compare(entries_of(session, before.id) if before else (), entries)
    if before is not None and not changes:
        raise ConflictError(f"与第 {before.id} 版完全相同，无须生效")
    version.effective_from = effective_from
    session.flush()
    return changes


def discard(session: Session, version_id: int) -> None:
    """Removes a draft; raises `ConflictError` for a version that is or will be in force."""
    version = version_by_id(session, version_id)
    if version.effective_from is not None:
        raise ConflictError(f"第 {version_id} 版已经生效或定了生效时间，不能删除")
    remove_version(session, version)


def diff_with(session: Session, version: CatalogueVersion, other: CatalogueVersion | None) -> CatalogueDiff:
    """What `version` changes of `other`, or of nothing."""
    return compare(entries_of(session, other.id) if other else (), entries_of(session, version.id))
