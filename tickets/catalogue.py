"""The dispatch catalogue: which unit handles which category where. Pure: tables in, entries, faults and changes out.

The more exact entry wins (`Entry.exactness`): one for a place beats one without, a second-level category beats a first
level, and a place in a town beats the town. Two entries for the same category and place contradict each other and are
refused. 属地 in place of a unit's name stands for the unit of the town where the matter is.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hotline.errors import InvalidInputError
from tickets.gazetteer import Gazetteer
from tickets.places import Fault
from tickets.sheets import Column, Record, Sheet, closest
from tickets.taxonomy import Taxonomy
from tickets.units import NO, YES, UnitData

COLUMNS = (
    Column("category", ("类别", "诉求类别", "事项", "分类"), required=True),
    Column("place", ("属地", "地点", "区域", "范围")),
    Column("lead", ("主办单位", "主办", "承办单位", "责任单位"), required=True),
    Column("co_units", ("协办单位", "协办", "配合单位")),
    Column("basis", ("依据", "派单依据", "职责依据")),
    Column("auto_dispatch", ("自动派单", "自动")),
)
TOWN_UNIT = "@town"
TOWN_NAMES = ("属地", "属地乡镇", "属地街道", "属地街乡镇", "属地乡镇街道", TOWN_UNIT)
MAX_CO_UNITS = 10
MAX_BASIS = 200
_SEPARATORS = re.compile(r"[、，,;；|]")


@dataclass(frozen=True)
class Entry:
    """`category`: `first` or `first/second`; `place`: a town or a place of the gazetteer, empty for everywhere; `lead`
    and `co_units`: codes, or `TOWN_UNIT`; `basis`: why it is their duty; `auto_dispatch`: the rule's leave to send."""

    category: str
    place: str
    lead: str
    co_units: tuple[str, ...] = ()
    basis: str = ""
    auto_dispatch: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """What may stand in a catalogue once."""
        return self.category, self.place

    def exactness(self, *, town: str, places: Sequence[str]) -> tuple[bool, bool, bool]:
        """How exact it is for a matter in `town`, at one of `places` of it; the greater wins."""
        return bool(self.place), "/" in self.category, self.place in places and self.place != town


@dataclass(frozen=True)
class Vocabulary:
    """The names that a catalogue may use. `places`: place -> its town, empty where that is not certain."""

    categories: frozenset[str]
    places: Mapping[str, str]
    units: Mapping[str, UnitData]

    @property
    def levels(self) -> frozenset[str]:
        """First-level and second-level categories."""
        return self.categories | {name.partition("/")[0] for name in self.categories}


@dataclass(frozen=True)
class EntryList:
    """What a table says. `notes`: what a person should know, and is no fault."""

    entries: tuple[Entry, ...]
    faults: tuple[Fault, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class CatalogueDiff:
    """From one version to another, by category and place."""

    added: tuple[Entry, ...]
    removed: tuple[Entry, ...]
    changed: tuple[tuple[Entry, Entry], ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


def vocabulary(taxonomy: Taxonomy, gazetteer: Gazetteer, units: Iterable[UnitData]) -> Vocabulary:
    """The names that this site has."""
    places = {spelling.name: spelling.town for spelling in gazetteer.spellings}
    return Vocabulary(frozenset(taxonomy.categories), places, {unit.code: unit for unit in units})


def town_unit(town: str, units: Iterable[UnitData]) -> str:
    """The code of the active unit of a town (永宁镇, or 永宁镇人民政府), empty where there is none."""
    if not town:
        return ""
    named = [unit for unit in units if unit.kind == "town" and unit.active and unit.name.startswith(town)]
    return min(named, key=lambda unit: (len(unit.name), unit.code)).code if named else ""


def parse_catalogue(sheet: Sheet, known: Vocabulary) -> EntryList:
    """The entries of a table; every line that is wrong is told, unknown names with the one that was probably meant."""
    faults = list(sheet.faults)
    entries: dict[tuple[str, str], Entry] = {}
    line_of: dict[tuple[str, str], int] = {}
    for record in sheet.records:
        try:
            entry = _entry(record, known)
        except InvalidInputError as error:
            faults.append(Fault(record.line, error.message + (f"（{error.hint}）" if error.hint else "")))
            continue
        first = line_of.setdefault(entry.key, record.line)
        if first != record.line:
            how = "重复" if entries[entry.key] == entry else "矛盾"
            where = f"{entry.category}{'、' + entry.place if entry.place else ''}"
            faults.append(Fault(record.line, f"{where} 与第 {first} 行{how}：同一类别和属地只能有一行"))
            continue
        entries[entry.key] = entry
        faults += [Fault(record.line, text) for text in entry_faults(entry, known)]
    if not sheet.records:
        faults.append(Fault(0, "表格没有内容"))
    found = tuple(entries.values())
    return EntryList(found, tuple(sorted(faults, key=lambda fault: fault.line)), catalogue_notes(found, known))


def entry_faults(entry: Entry, known: Vocabulary) -> list[str]:
    """What is wrong with an entry now: names may have gone, and units been closed, since it was imported."""
    faults = []
    if entry.category not in known.levels:
        faults.append(f"没有类别 {entry.category}{_meant(entry.category, known.levels)}")
    if entry.place and entry.place not in known.places:
        faults.append(f"没有地名 {entry.place}{_meant(entry.place, known.places)}")
    if entry.place and TOWN_UNIT in (entry.lead, *entry.co_units) and not known.places.get(entry.place, ""):
        faults.append(f"{entry.place} 属于哪个乡镇不确定，不能写“属地”")
    for code in (entry.lead, *entry.co_units):
        if code != TOWN_UNIT and code not in known.units:
            faults.append(f"没有代码为 {code} 的单位")
        elif code != TOWN_UNIT and not known.units[code].active:
            faults.append(f"单位 {known.units[code].name} 已停用")
    return faults


def catalogue_notes(entries: Sequence[Entry], known: Vocabulary) -> tuple[str, ...]:
    """Categories that nobody handles, everywhere or somewhere, and towns without a unit where 属地 is to handle."""
    everywhere = {entry.category for entry in entries if not entry.place}
    somewhere = {entry.category for entry in entries if entry.place}
    notes = []
    for category in sorted(known.categories):
        either = {category, category.partition("/")[0]}
        if not either & everywhere:
            where = "只有部分属地有" if either & somewhere else "没有"
            notes.append(f"类别 {category} {where}承办单位，其余派区中心")
    if any(TOWN_UNIT in (entry.lead, *entry.co_units) for entry in entries):
        towns = sorted({town for town in known.places.values() if town})
        without = [town for town in towns if not town_unit(town, known.units.values())]
        if without:
            notes.append(f"这些乡镇街道没有同名的承办单位，“属地”派不出去：{'、'.join(without)}")
    return tuple(notes)


def compare(before: Iterable[Entry], after: Iterable[Entry]) -> CatalogueDiff:
    """What changes from one version to another."""
    old, new = {entry.key: entry for entry in before}, {entry.key: entry for entry in after}
    return CatalogueDiff(
        tuple(entry for key, entry in new.items() if key not in old),
        tuple(entry for key, entry in old.items() if key not in new),
        tuple((old[key], entry) for key, entry in new.items() if key in old and old[key] != entry),
    )


def unit_name(code: str, units: Mapping[str, UnitData]) -> str:
    """How people read a unit of an entry."""
    return "属地" if code == TOWN_UNIT else units[code].name if code in units else code


def entry_cells(entries: Iterable[Entry], units: Mapping[str, UnitData]) -> Iterable[tuple[str, ...]]:
    """The inverse of `parse_catalogue`, under the first name of each column."""
    for entry in entries:
        co_units = "、".join(unit_name(code, units) for code in entry.co_units)
        auto = "是" if entry.auto_dispatch else "否"
        yield (entry.category, entry.place, unit_name(entry.lead, units), co_units, entry.basis, auto)


def _entry(record: Record, known: Vocabulary) -> Entry:
    category = "/".join(part.strip() for part in record["category"].replace("／", "/").split("/"))
    if not category:
        raise InvalidInputError("没有写类别")
    place = record["place"]
    if place in ("全区", "全部", "不限", "*"):
        place = ""
    lead = _unit(record["lead"], known)
    named = [name.strip() for name in _SEPARATORS.split(record["co_units"]) if name.strip()]
    co_units = tuple(dict.fromkeys(_unit(name, known) for name in named))
    if lead in co_units:
        raise InvalidInputError(f"{record['lead']} 不能同时主办和协办")
    if len(co_units) > MAX_CO_UNITS:
        raise InvalidInputError(f"协办单位多于 {MAX_CO_UNITS} 个")
    basis = record["basis"]
    if len(basis) > MAX_BASIS or basis.startswith(("=", "+", "-", "@")):
        raise InvalidInputError(f"依据最多 {MAX_BASIS} 字，且不以 = + - @ 开头")
    auto = record["auto_dispatch"].lower()
    if auto and auto not in (*YES, *NO):
        raise InvalidInputError(f"“自动派单”须为 是 或 否，不能是 {auto[:20]!r}")
    return Entry(category, place, lead, co_units, basis, auto in YES)


def _unit(name: str, known: Vocabulary) -> str:
    if not name:
        raise InvalidInputError("没有写主办单位")
    if name in TOWN_NAMES:
        return TOWN_UNIT
    for unit in known.units.values():
        if name in (unit.code, unit.name):
            return unit.code
    names = [unit.name for unit in known.units.values()]
    raise InvalidInputError(f"没有单位 {name[:40]}{_meant(name, names)}")


def _meant(name: str, known: Iterable[str]) -> str:
    near = closest(name, known)
    return f"，是否为 {near}？" if near else ""
