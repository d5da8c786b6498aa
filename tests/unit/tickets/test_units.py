"""Units as offices list them, and what an import of them changes."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotline.db import Database
from hotline.errors import ConflictError, InvalidInputError, NotFoundError
from tickets.sheets import Bounds, read_sheet, write_xlsx
from tickets.unit_repository import all_units
from tickets.unit_service import add_unit, change_unit, import_units, unit_data
from tickets.units import COLUMNS, UNIT_KINDS, UnitData, UnitList, kind_of, parse_units, plan_units, unit_cells

BOUNDS = Bounds(1 << 20, 8 << 20, 1000)
HEADER = [column.names[0] for column in COLUMNS]


def parsed(*lines: str) -> UnitList:
    return parse_units(read_sheet("\n".join(["代码,名称,类型,邮箱,电话,启用", *lines]).encode(), COLUMNS, BOUNDS))


def test_kinds_are_known_by_what_tables_call_them() -> None:
    found = parsed("a,甲镇,镇,,,", "B,乙局,委办局,b@example.cn,010-1234 5678,否", "c,中心,office,,,启用")
    assert found.faults == ()
    assert found.units == (
        UnitData("a", "甲镇", "town"),
        UnitData("b", "乙局", "department", "b@example.cn", "010-1234 5678", active=False),
        UnitData("c", "中心", "office"),
    )


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("甲,甲镇,镇,,,", "单位代码"),
        (",甲镇,镇,,,", "单位代码"),
        ("a,甲,镇,,,", "2 至 64 个字"),
        ("a,=cmd()镇,镇,,,", "无效"),
        ("a,甲镇,村,,,", "没有单位类型 '村'"),
        ("a,甲镇,镇,nobody,,", "邮箱"),
        ("a,甲镇,镇,,二三四,", "电话"),
        ("a,甲镇,镇,,,也许", "须为 是 或 否"),
        ("x,乙局,局,,,", "代码 x 出现多次"),
        ("a,丙局,局,,,", "名称 丙局 出现多次"),
    ],
)
def test_a_wrong_line_is_told_with_its_number(line: str, told: str) -> None:
    found = parsed("x,丙局,局,,,", line)
    (fault,) = found.faults
    assert str(fault).startswith("第 3 行：")
    assert told in fault.message


UNITS = st.lists(
    st.builds(
        UnitData,
        st.from_regex(r"[a-z0-9][a-z0-9_-]{0,8}", fullmatch=True),
        st.text("镇局委办永宁康庄（）", min_size=2, max_size=8),
        st.sampled_from(list(UNIT_KINDS)),
        active=st.booleans(),
    ),
    max_size=8,
    unique_by=(lambda unit: unit.code, lambda unit: unit.name),
)


@settings(deadline=None)  # the clock on the wall is not what is tested
@given(UNITS)
def test_a_table_that_is_written_says_the_same_units(units: list[UnitData]) -> None:
    found = parse_units(read_sheet(write_xlsx("单位", HEADER, unit_cells(units)), COLUMNS, BOUNDS))
    assert found == UnitList(tuple(units), ())


@settings(deadline=None)  # the clock on the wall is not what is tested
@given(UNITS, UNITS)
def test_importing_again_changes_nothing(known: list[UnitData], given_units: list[UnitData]) -> None:
    try:
        changes = plan_units(known, given_units)
    except InvalidInputError:
        return
    after = {unit.code: unit for unit in known} | {unit.code: unit for unit in (*changes.added, *changes.changed)}
    again = plan_units(list(after.values()), given_units)
    assert (again.added, again.changed, again.unchanged) == ((), (), len(given_units))


def test_every_kind_has_a_name_that_leads_back_to_it() -> None:
    assert [kind_of(names[0]) for names in UNIT_KINDS.values()] == list(UNIT_KINDS)


ONE, TWO = UnitData("one", "甲镇", "town"), UnitData("two", "乙镇", "town")


def test_units_are_imported_once_and_may_exchange_their_names(database: Database) -> None:
    with database.transaction() as session:
        assert import_units(session, [ONE, TWO], dry_run=True).added == (ONE, TWO)
        assert all_units(session) == []
        import_units(session, [ONE, TWO])
    with database.transaction() as session:
        assert import_units(session, [ONE, TWO]).unchanged == 2
        turned = import_units(session, [replace(ONE, name="乙镇"), replace(TWO, name="甲镇")])
        assert len(turned.changed) == 2
    with database.reading() as session:
        assert [(unit.code, unit.name) for unit in all_units(session)] == [("one", "乙镇"), ("two", "甲镇")]


def test_a_name_of_another_unit_is_refused_and_nothing_is_half_imported(database: Database) -> None:
    with database.transaction() as session:
        add_unit(session, ONE)
    with pytest.raises(InvalidInputError, match="甲镇"), database.transaction() as session:
        import_units(session, [TWO, UnitData("three", "甲镇", "town")])
    with database.reading() as session:
        assert [unit_data(row) for row in all_units(session)] == [ONE]


def test_one_unit_is_added_changed_and_closed(database: Database) -> None:
    with database.transaction() as session:
        add_unit(session, ONE)
        with pytest.raises(ConflictError, match="甲镇"):
            add_unit(session, replace(TWO, name="甲镇"))
        change_unit(session, "one", email="a@example.cn", active=False)
        assert unit_data(all_units(session)[0]) == replace(ONE, email="a@example.cn", active=False)
        with pytest.raises(NotFoundError):
            change_unit(session, "two", active=False)
        with pytest.raises(InvalidInputError, match="邮箱"):
            change_unit(session, "one", email="x")
