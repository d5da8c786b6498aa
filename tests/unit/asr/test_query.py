"""What people type into a search, and where it stands in a text."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.query import GAP, SearchQuery, Term, fold, grams, parse_query
from hotline.errors import InvalidInputError


def parse(text: str) -> SearchQuery | None:
    return parse_query(text, max_length=100, max_terms=8)


def forms(text: str) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    query = parse(text)
    assert query is not None
    return [term.forms for term in query.terms], [term.forms for term in query.without]


@pytest.mark.parametrize(
    ("text", "terms", "without"),
    [
        ("路灯", [("路灯",)], []),
        ("  永宁镇\u3000路灯 ", [("永宁镇",), ("路灯",)], []),
        ("“路灯 坏了”", [("路灯坏了",)], []),
        ("「路灯坏了", [("路灯坏了",)], []),
        ("路灯 -施工 －工地", [("路灯",)], [("施工",), ("工地",)]),
        ('路灯 -"路灯 亮了"', [("路灯",)], [("路灯亮了",)]),
        ("ＷｉＦｉ １２３４５", [("wifi",), ("12345",)], []),
        ("138-0013-8000", [("13800138000",)], []),
        ("幺三八零零", [("幺三八零零", "13800")], []),
        ("三号楼", [("三号楼", "3号楼")], []),
        ("路灯 路灯", [("路灯",)], []),
        ("灯", [("灯",)], []),
    ],
)
def test_words_phrases_and_exclusions(text: str, terms: list[tuple[str, ...]], without: list[tuple[str, ...]]) -> None:
    assert forms(text) == (terms, without)


@pytest.mark.parametrize("text", ["", "   ", "，。！", '""', "-", "*", "\ue000"])
def test_nothing_is_asked_for(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("灯" * 101, "最多 100 个字"),
        (" ".join("甲乙丙丁戊己庚辛壬"), "最多搜索 8 个词"),
        ("-施工", "至少给出一个要找的词"),
        ("a", "太短"),
        ("路灯 7", "太短"),
    ],
)
def test_what_cannot_be_searched_is_refused_with_the_reason(text: str, told: str) -> None:
    with pytest.raises(InvalidInputError, match=told):
        parse(text)


@given(st.text(max_size=120))
def test_any_text_is_a_query_or_refused_and_leaves_letters_and_digits_only(text: str) -> None:
    try:
        query = parse(text)
    except InvalidInputError:
        return
    for term in (*query.terms, *query.without) if query else ():
        assert term.forms
        assert all(form and all(each.isalnum() for each in form) for form in term.forms)


@given(st.text(max_size=60))
def test_folding_is_stable_and_knows_where_each_character_came_from(text: str) -> None:
    folded = fold(text)
    assert len(folded.text) == len(folded.at)
    assert list(folded.at) == sorted(folded.at)
    assert all(0 <= position < len(text) for position in folded.at)
    assert fold(folded.text.replace(GAP, "*")).text == folded.text
    assert "".join(gram[0] for gram in grams(folded.text)) == folded.text


@given(st.text(alphabet="路灯坏了13，。 ", max_size=30), st.text(alphabet="路灯坏了13", min_size=2, max_size=4))
def test_spans_mark_just_what_was_asked_for(text: str, form: str) -> None:
    spans = SearchQuery((Term((form,)),)).spans(text)
    assert bool(spans) == (form in fold(text).text)
    for start, end in spans:
        assert form in fold(text[start:end]).text
    assert all(first[1] < second[0] for first, second in pairwise(spans))


def test_a_hit_goes_over_marks_and_stops_at_hidden_digits() -> None:
    assert SearchQuery((Term(("电话是138",)),)).spans("我的电话是，138****8000。") == [(2, 9)]
    assert SearchQuery((Term(("1388000",)),)).spans("138****8000") == []


@pytest.mark.parametrize(
    ("text", "number"),
    [("138", False), ("8000", True), ("幺三八零", True), ("302室", False), ("路灯 -13800138000", True)],
)
def test_four_digits_in_a_row_look_for_a_number(text: str, number: bool) -> None:
    query = parse(text)
    assert query is not None
    assert query.is_number is number
