"""The dispatch catalogue: which tables are taken, which refused, and what changes from one version to the next."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotline.db import Database
from hotline.errors import ConflictError, InvalidInputError, NotFoundError
from tickets.catalogue import (
    COLUMNS,
    TOWN_UNIT,
    Entry,
    EntryList,
    Vocabulary,
    catalogue_notes,
    compare,
    entry_cells,
    entry_faults,
    parse_catalogue,
    town_unit,
    vocabulary,
)
from tickets.catalogue_repository import EntryFilter, entries_for, entries_of, entry_page, version_in_force, versions
from tickets.catalogue_service import add_version, catalogue_at, discard, put_in_force
from tickets.gazetteer import load_gazetteer
from tickets.sheets import Bounds, read_sheet, write_csv, write_xlsx
from tickets.taxonomy import load_taxonomy
from tickets.units import COLUMNS as UNIT_COLUMNS
from tickets.units import UnitData, parse_units

DATA = Path(__file__).resolve().parents[3] / "tickets/data"
BOUNDS = Bounds(1 << 20, 8 << 20, 2000)
HEADER = [column.names[0] for column in COLUMNS]
NOW = datetime(2026, 1, 5, 1, 30, tzinfo=UTC)
UNITS = {
    unit.code: unit
    for unit in (
        UnitData("heat", "供热公司", "company"),
        UnitData("urban", "城市管理委员会", "department"),
        UnitData("yongning", "永宁镇人民政府", "town"),
        UnitData("kangzhuang", "康庄镇", "town"),
        UnitData("old", "煤改电办公室", "department", active=False),
    )
}
KNOWN = Vocabulary(
    frozenset({"供暖/集中供热温度", "供暖/煤改气", "市政园林/路灯"}),
    {"永宁镇": "永宁镇", "康庄镇": "康庄镇", "永宁古城": "永宁镇", "高塔街": ""},
    UNITS,
)


def parsed(*lines: str) -> EntryList:
    return parse_catalogue(read_sheet("\n".join([",".join(HEADER), *lines]).encode(), COLUMNS, BOUNDS), KNOWN)


def test_lines_become_entries() -> None:
    found = parsed(
        "供暖 / 集中供热温度,,供热公司,属地、urban、属地,供热职责,是",
        "供暖,永宁古城,属地,,,",
        "市政园林／路灯,全区,urban,,,否",
    )
    assert found.faults == ()
    assert found.entries == (
        Entry("供暖/集中供热温度", "", "heat", (TOWN_UNIT, "urban"), "供热职责", auto_dispatch=True),
        Entry("供暖", "永宁古城", TOWN_UNIT),
        Entry("市政园林/路灯", "", "urban"),
    )


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("供暖/集中供热,,供热公司,,,", "没有类别 供暖/集中供热，是否为 供暖/集中供热温度？"),
        ("供暖,永宁乡,供热公司,,,", "没有地名 永宁乡，是否为 永宁镇？"),
        ("供暖,,供热集团公司,,,", "没有单位 供热集团公司，是否为 供热公司？"),
        ("供暖,,,,,", "没有写主办单位"),
        (",,供热公司,,,", "没有写类别"),
        ("供暖,,供热公司,heat,,", "不能同时主办和协办"),
        ("供暖,,煤改电办公室,,,", "已停用"),
        ("供暖,高塔街,属地,,,", "属于哪个乡镇不确定"),
        ("供暖,,供热公司,,,也许", "须为 是 或 否"),
        ("供暖,,供热公司,,=1+1,", "依据"),
        ("市政园林/路灯,,urban,,换了,", "与第 2 行矛盾"),
        ("市政园林/路灯,,heat,,,", "与第 2 行矛盾"),
        ("市政园林/路灯,,urban,,,", "与第 2 行重复"),
    ],
)
def test_a_wrong_line_is_told_with_its_number_and_what_was_probably_meant(line: str, told: str) -> None:
    (fault,) = parsed("市政园林/路灯,,urban,,,", line).faults
    assert str(fault).startswith("第 3 行：")
    assert told in fault.message


def test_an_empty_table_is_refused() -> None:
    assert [fault.message for fault in parsed().faults] == ["表格没有内容"]


def test_categories_that_nobody_handles_and_towns_without_a_unit_are_told() -> None:
    notes = catalogue_notes([Entry("供暖", "", "heat"), Entry("市政园林/路灯", "康庄镇", "urban")], KNOWN)
    assert notes == ("类别 市政园林/路灯 只有部分属地有承办单位，其余派区中心",)
    assert "类别 供暖/煤改气 没有承办单位，其余派区中心" in catalogue_notes(
        [Entry("供暖/集中供热温度", "", "heat")], KNOWN
    )
    fewer = Vocabulary(KNOWN.categories, {**KNOWN.places, "四海镇": "四海镇"}, UNITS)
    (note,) = catalogue_notes([Entry("供暖", "", TOWN_UNIT), Entry("市政园林", "", "urban")], fewer)
    assert note.endswith("“属地”派不出去：四海镇")


def test_a_town_is_handled_by_the_unit_of_its_name_while_that_is_open() -> None:
    assert town_unit("永宁镇", UNITS.values()) == "yongning"
    assert town_unit("四海镇", UNITS.values()) == ""
    assert town_unit("", UNITS.values()) == ""
    closed = UnitData("yongning", "永宁镇人民政府", "town", active=False)
    assert town_unit("永宁镇", [closed]) == ""


def test_the_examples_cover_every_category_of_the_taxonomy() -> None:
    units = parse_units(read_sheet((DATA / "examples/units.csv").read_bytes(), UNIT_COLUMNS, BOUNDS))
    known = vocabulary(load_taxonomy(DATA / "taxonomy.yaml"), load_gazetteer(DATA / "gazetteer.yaml"), units.units)
    table = parse_catalogue(read_sheet((DATA / "examples/catalogue.csv").read_bytes(), COLUMNS, BOUNDS), known)
    assert (units.faults, table.faults, table.notes) == ((), (), ())


ENTRIES = st.lists(
    st.builds(
        Entry,
        st.sampled_from(sorted(KNOWN.levels)),
        st.sampled_from(["", "永宁镇", "康庄镇", "永宁古城"]),
        st.sampled_from(["heat", "urban"]),
        st.lists(st.sampled_from(["yongning", "kangzhuang", TOWN_UNIT]), max_size=2, unique=True).map(tuple),
        st.text("职责依据《》0", max_size=5),
        st.booleans(),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda entry: entry.key,
)


@settings(deadline=None)  # the clock on the wall is not what is tested
@given(ENTRIES)
def test_what_is_exported_is_imported_as_it_was(entries: list[Entry]) -> None:
    rows = list(entry_cells(entries, UNITS))
    for data in (write_xlsx("派单目录", HEADER, rows), write_csv(HEADER, rows)):
        table = parse_catalogue(read_sheet(data, COLUMNS, BOUNDS), KNOWN)
        assert (table.entries, table.faults) == (tuple(entries), ())


@settings(deadline=None)  # the clock on the wall is not what is tested
@given(ENTRIES, ENTRIES)
def test_a_difference_leads_from_one_version_to_the_other(before: list[Entry], after: list[Entry]) -> None:
    found = compare(before, after)
    new = {entry.key: entry for entry in before if entry not in found.removed}
    new |= {entry.key: entry for entry in (*found.added, *(entry for _old, entry in found.changed))}
    assert new == {entry.key: entry for entry in after}
    assert bool(found) == ({*before} != {*after})


LAMP, OTHER = Entry("市政园林/路灯", "", "urban"), Entry("市政园林/路灯", "", "heat", ("urban",), "依据", True)
HEAT = Entry("供暖", "永宁镇", "heat")


def test_each_moment_has_its_version_and_old_ones_stay(database: Database) -> None:
    later = NOW + timedelta(days=30)
    with database.transaction() as session:
        assert catalogue_at(session, NOW).version == 0
        first = add_version(session, b"1", [LAMP, HEAT], source="a.xlsx", actor="amy", now=NOW)
        assert catalogue_at(session, NOW).entries == ()  # a draft
        assert put_in_force(session, first, KNOWN, effective_from=NOW, now=NOW).added == (LAMP, HEAT)
        second = add_version(session, b"2", [OTHER, HEAT], source="b.xlsx", actor="amy", now=NOW)
        changes = put_in_force(session, second, KNOWN, effective_from=later, now=NOW)
        assert changes.changed == ((LAMP, OTHER),)
    with database.reading() as session:
        assert version_in_force(session, NOW - timedelta(seconds=1)) is None
        assert catalogue_at(session, NOW).entries == (LAMP, HEAT)
        assert catalogue_at(session, later - timedelta(seconds=1)).entries == (LAMP, HEAT)
        assert catalogue_at(session, later).entries == (OTHER, HEAT)
        assert entries_for(session, second.id, "供暖/煤改气") == (HEAT,)
        assert entries_for(session, second.id, "市政园林/路灯") == (OTHER,)
        assert entries_for(session, second.id, "") == ()


def test_a_version_in_the_past_the_same_again_and_one_gone_wrong_are_refused(database: Database) -> None:
    with database.transaction() as session:
        first = add_version(session, b"1", [LAMP], source="a", actor="amy", now=NOW)
        with pytest.raises(InvalidInputError, match="不能早于现在"):
            put_in_force(session, first, KNOWN, effective_from=NOW - timedelta(seconds=1), now=NOW)
        put_in_force(session, first, KNOWN, effective_from=NOW, now=NOW)
        with pytest.raises(ConflictError, match="已经生效"):
            put_in_force(session, first, KNOWN, effective_from=NOW, now=NOW)
        with pytest.raises(ConflictError, match="不能删除"):
            discard(session, first.id)
        same = add_version(session, b"1", [LAMP], source="a", actor="amy", now=NOW)
        with pytest.raises(ConflictError, match="完全相同"):
            put_in_force(session, same, KNOWN, effective_from=NOW, now=NOW)
        closed = add_version(session, b"3", [Entry("供暖", "", "old")], source="a", actor="amy", now=NOW)
        with pytest.raises(ConflictError, match="已停用"):
            put_in_force(session, closed, KNOWN, effective_from=NOW, now=NOW)
        discard(session, closed.id)
        with pytest.raises(NotFoundError):
            discard(session, closed.id)
        with pytest.raises(InvalidInputError, match="说明"):
            add_version(session, b"", [LAMP], source="a", actor="amy", now=NOW, note="长" * 501)


def test_drafts_that_nobody_took_are_forgotten(database: Database) -> None:
    with database.transaction() as session:
        add_version(session, b"1", [LAMP], source="a", actor="amy", now=NOW)
        new = add_version(session, b"1", [HEAT], source="a", actor="amy", now=NOW + timedelta(days=8))
        assert [version.id for version in versions(session, limit=9)] == [new.id]
        assert entries_of(session, new.id) == (HEAT,)


def test_entries_are_read_by_the_page_and_filtered(database: Database) -> None:
    many = [Entry("供暖", place, "heat", ("urban",)) for place in ("", "永宁镇", "康庄镇")]
    with database.transaction() as session:
        version = add_version(session, b"1", [*many, LAMP], source="a", actor="amy", now=NOW)

        def places(wanted: EntryFilter, after: int = 0, limit: int = 9) -> list[tuple[int, str]]:
            return [(row.line, row.place) for row in entry_page(session, version.id, wanted, after=after, limit=limit)]

        assert places(EntryFilter(category="供暖"), limit=2) == [(1, ""), (2, "永宁镇")]
        assert places(EntryFilter(category="供暖"), after=2) == [(3, "康庄镇")]
        assert places(EntryFilter(category="市政园林")) == [(4, "")]
        assert places(EntryFilter(unit="urban", place="")) == [(1, ""), (2, "永宁镇"), (3, "康庄镇"), (4, "")]
        assert places(EntryFilter(place="永宁镇")) == [(2, "永宁镇")]


def test_an_entry_is_checked_again_when_units_close() -> None:
    assert entry_faults(HEAT, KNOWN) == []
    assert entry_faults(Entry("供暖", "", "gone"), KNOWN) == ["没有代码为 gone 的单位"]
