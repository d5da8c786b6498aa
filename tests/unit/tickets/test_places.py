"""Tables of places: as offices have them, with what is wrong in each line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.errors import InvalidInputError
from tickets.places import (
    KINDS,
    Place,
    PlaceList,
    decode,
    format_table,
    format_yaml,
    merge,
    parse_table,
    parse_yaml,
)

TOWNS = frozenset(("康庄镇", "井庄镇"))
HAN = st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), min_size=2, max_size=8)
PLACES = st.lists(
    st.builds(
        Place,
        HAN,
        st.sampled_from(sorted(set(KINDS) - {"town"})),
        st.sampled_from(["", *sorted(TOWNS)]),
        community=st.just("") | HAN,
        grid=st.sampled_from(["", "110119-04"]),
    ),
    unique_by=lambda place: place.name,
)


def read(text: str, limit: int = 100) -> PlaceList:
    return parse_table(text, towns=TOWNS, limit=limit)


@given(PLACES)
def test_what_is_written_is_read_again(places: list[Place]) -> None:
    assert parse_table(format_table(places), towns=TOWNS) == PlaceList(tuple(places))
    assert parse_table(format_table(places, delimiter=","), towns=TOWNS) == PlaceList(tuple(places))
    assert parse_yaml(format_yaml(places), towns=TOWNS) == PlaceList(tuple(places))


@given(st.text())
def test_any_text_is_read_or_its_faults_are_told(text: str) -> None:
    for parse in (parse_table, parse_yaml):
        table = parse(text, towns=TOWNS)
        assert table.faults or isinstance(table.places, tuple)


@pytest.mark.parametrize(
    "text",
    [
        "名称,类型,所属乡镇,别名\n刘斌堡村,行政村,井庄镇,刘斌堡、老刘斌堡\n",
        "别名\t名称\t备注\t所属乡镇\t类型\n刘斌堡；老刘斌堡\t刘斌堡村\t大\t井庄镇\t村\n",
        '"刘斌堡村","village","井庄镇","刘斌堡,老刘斌堡"\r\n\r\n# 注\r\n',
    ],
)
def test_columns_go_by_their_names_else_by_their_order(text: str) -> None:
    assert read(text) == PlaceList((Place("刘斌堡村", "village", "井庄镇", ("刘斌堡", "老刘斌堡")),))


def test_every_faulty_line_is_told() -> None:
    table = read("名称,类型,所属乡镇\n康庄村,村,康庄镇\n村\n大,村,\n石河营,星球,\n二道河,村,火星镇\n好 地方,村,\n")
    assert [fault.line for fault in table.faults] == [3, 4, 5, 6, 7]
    assert "星球" in table.faults[2].message
    assert "火星镇" in str(table.faults[3])
    assert [place.name for place in table.places if place.name == "康庄村"]


def test_a_town_of_the_same_table_is_known() -> None:
    assert read("东庄村,村,新城镇\n新城镇,镇,\n").faults == ()


def test_two_villages_of_one_name_are_one_place_of_uncertain_town() -> None:
    table = read("东沟村,村,康庄镇\n东沟村,村,井庄镇\n西沟村,村,康庄镇\n西沟村,村,康庄镇\n")
    assert [(place.name, place.town) for place in table.places] == [("东沟村", ""), ("西沟村", "康庄镇")]
    assert [note.line for note in table.notes] == [2]


def test_an_alias_of_two_places_is_left_out() -> None:
    table = read("康庄新村,村,,新村\n井庄新村,村,,新村、井新\n井新,小区,,\n")
    assert [place.aliases for place in table.places] == [(), (), ()]
    assert len(table.notes) == 3


def test_too_many_places_are_refused() -> None:
    assert read("东沟村\n西沟村\n", limit=2).faults == ()
    assert "2 个地名" in str(read("东沟村\n西沟村\n", limit=1).faults[0])


@pytest.mark.parametrize("text", ["places: 5", "[1, 2]", "places: [{name: 东沟村, colour: red}]", "a: [", "- - -"])
def test_yaml_of_another_shape_is_a_fault(text: str) -> None:
    assert parse_yaml(text, towns=TOWNS).faults


def test_yaml_is_read_as_the_gazetteer_is_written() -> None:
    table = parse_yaml(
        "towns:\n  - {name: 新城镇, aliases: [新城]}\nplaces:\n  - {name: 东沟村, town: 新城镇}\n", towns=()
    )
    assert table.faults == ()
    assert table.places == (Place("新城镇", "town", "", ("新城",)), Place("东沟村", "other", "新城镇"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "gbk", "utf-16"])
def test_text_is_read_as_offices_save_it(encoding: str) -> None:
    assert decode("名称,类型\n妫水北街,道路\n".encode(encoding)) == "名称,类型\n妫水北街,道路\n"


@pytest.mark.parametrize("data", [b"PK\x03\x04...", b"\xd0\xcf\x11\xe0...", b"\xff\xff\xff", b"a\0b", b"\xff\xfea"])
def test_what_is_no_text_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInputError):
        decode(data)


@given(PLACES, PLACES)
def test_the_same_import_again_changes_nothing(known: list[Place], given: list[Place]) -> None:
    once = merge(known, given)
    again = merge(once.places, given)
    assert again.places == once.places
    assert (again.added, again.changed, again.removed) == ((), (), ())
    assert len(once.added) + len(once.changed) + once.unchanged == len(once.places)


def test_an_import_in_place_of_all_drops_the_others() -> None:
    changes = merge([Place("东沟村"), Place("西沟村")], [Place("西沟村", "village")], replace_all=True)
    assert (changes.added, changes.changed, changes.removed) == ((), ("西沟村",), ("东沟村",))


def test_communities_and_grids_are_read_where_a_table_has_them() -> None:
    table = read("名称,类型,所属乡镇,所属社区,网格编码\n温泉南区,小区,康庄镇,温泉社区,110119-04\n康庄路,道路,,,\n")
    assert table.faults == ()
    assert table.places == (
        Place("温泉南区", "estate", "康庄镇", (), "温泉社区", "110119-04"),
        Place("康庄路", "road"),
    )
    assert "网格" not in format_table(table.places[1:])
    faults = read("名称,所属社区,网格\n温泉南区,a b,\n温泉东里,,a b\n").faults
    assert [fault.line for fault in faults] == [2, 3]


def test_places_of_one_name_keep_only_the_grid_they_share() -> None:
    table = read("名称,类型,所属乡镇,所属社区,网格\n南街,路,康庄镇,一村,g1\n南街,路,康庄镇,一村,g2\n")
    assert table.places == (Place("南街", "road", "康庄镇", (), "一村", ""),)
