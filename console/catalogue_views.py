"""The dispatch catalogue and what is suggested for a ticket, as pages show them: pure functions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from tickets.catalogue import CatalogueDiff, Entry, unit_name
from tickets.catalogue_models import CatalogueVersion
from tickets.dispatching import Advice
from tickets.units import UnitData

BASES = {
    "catalogue": "派单目录",
    "direct": "惯例",
    "first_responder": "首接负责",
    "division_of_duty": "现场分责",
    "district_office": "区中心兜底",
    "leader": "领导指定",
}
SURE, FAIR = 80, 50  # percent


@dataclass(frozen=True, kw_only=True)
class VersionRow:
    """A version in the list. `tone`: of its state's badge."""

    id: int
    state: str
    tone: str
    draft: bool
    effective_from: datetime | None
    entries: int
    source: str
    sha256: str
    imported_by: str
    imported_at: datetime
    note: str


@dataclass(frozen=True, kw_only=True)
class EntryRow:
    """An entry as people read it."""

    category: str
    place: str
    lead: str
    co_units: tuple[str, ...]
    basis: str
    auto_dispatch: bool


@dataclass(frozen=True, kw_only=True)
class AdviceRow:
    """A suggestion of the ticket page. `level`: how sure, in a word."""

    unit: str
    name: str
    co_units: tuple[str, ...]
    co_codes: tuple[str, ...]
    basis: str
    basis_name: str
    reason: str
    percent: int
    level: str
    tone: str


def version_row(version: CatalogueVersion, *, entries: int, current: int, now: datetime) -> VersionRow:
    """`current`: the version in force, 0 for none."""
    if version.effective_from is None:
        state, tone = "草稿", "attention"
    elif version.id == current:
        state, tone = "生效中", "done"
    elif version.effective_from > now:
        state, tone = "待生效", "active"
    else:
        state, tone = "历史", ""
    return VersionRow(
        id=version.id,
        state=state,
        tone=tone,
        draft=version.effective_from is None,
        effective_from=version.effective_from,
        entries=entries,
        source=version.source,
        sha256=version.sha256,
        imported_by=version.imported_by,
        imported_at=version.imported_at,
        note=version.note,
    )


def entry_row(entry: Entry, units: Mapping[str, UnitData]) -> EntryRow:
    """With the names of its units."""
    return EntryRow(
        category=entry.category.replace("/", " / "),
        place=entry.place,
        lead=unit_name(entry.lead, units),
        co_units=tuple(unit_name(code, units) for code in entry.co_units),
        basis=entry.basis,
        auto_dispatch=entry.auto_dispatch,
    )


@dataclass(frozen=True, kw_only=True)
class ChangeRow:
    """A line of a difference: `what` is added, removed or changed; `before` only where it was changed."""

    what: str
    entry: EntryRow
    before: EntryRow | None = None


def change_rows(changes: CatalogueDiff, units: Mapping[str, UnitData]) -> list[ChangeRow]:
    """All changes: what is changed, added, removed."""
    rows = [
        ChangeRow(what="changed", entry=entry_row(after, units), before=entry_row(before, units))
        for before, after in changes.changed
    ]
    rows += [ChangeRow(what="added", entry=entry_row(entry, units)) for entry in changes.added]
    return rows + [ChangeRow(what="removed", entry=entry_row(entry, units)) for entry in changes.removed]


def advice_rows(advice: Advice) -> list[AdviceRow]:
    """The suggestions for a ticket, best first."""
    rows = []
    for each in advice.suggestions:
        percent = round(each.confidence * 100)
        level, tone = (
            ("把握大", "done") if percent >= SURE else ("可参考", "active") if percent >= FAIR else ("把握小", "")
        )
        rows.append(
            AdviceRow(
                unit=each.unit,
                name=advice.names.get(each.unit, each.unit),
                co_units=_names(each.co_units, advice.names),
                co_codes=each.co_units,
                basis=each.basis,
                basis_name=BASES[each.basis],
                reason=each.reason,
                percent=percent,
                level=level,
                tone=tone,
            )
        )
    return rows


def _names(codes: Iterable[str], names: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(names.get(code, code) for code in codes)
