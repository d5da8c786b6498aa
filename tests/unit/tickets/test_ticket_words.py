"""The index of texts names every ticket that has what is looked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickets.words import document, match

TEXTS = st.text(alphabet="路灯坏了，。 AbＡ1*ß'\"", max_size=12)


def test_pairs_are_kept_once_whatever_their_number() -> None:
    assert document(["路灯路灯", None, "灯"], "sqlite") == "路灯 灯路 灯"
    assert document(["路灯"], "postgresql") == "'路灯' '灯'"


@pytest.mark.parametrize(
    ("text", "sqlite", "postgresql"),
    [
        ("路灯坏", '"路灯" AND "灯坏"', "'路灯' & '灯坏'"),
        ("灯", '"灯"*', "'灯':*"),
        ("ＡＢ", '"ab"', "'ab'"),
        ("，。'\"", "", ""),
    ],
)
def test_all_pairs_are_asked_for(text: str, sqlite: str, postgresql: str) -> None:
    assert match(text, "sqlite") == sqlite
    assert match(text, "postgresql") == postgresql


@given(before=TEXTS, text=TEXTS, after=TEXTS)
def test_a_text_has_all_pairs_of_every_part_of_it(before: str, text: str, after: str) -> None:
    held = document([before + text + after], "sqlite").split()
    for asked in filter(None, match(text, "sqlite").split(" AND ")):
        pair = asked.strip('"*')
        assert any(one.startswith(pair) if asked.endswith("*") else one == pair for one in held)
