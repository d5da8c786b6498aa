"""Places in a list as text: what was given comes back, and nothing else is taken."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.api.cursors import LENGTH, format_cursor, parse_cursor
from hotline.errors import InvalidInputError
from tickets.list_repository import Place

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.timedeltas(timedelta(days=-25_000), timedelta(days=80_000)).map(lambda age: EPOCH + age)
PLACES = st.builds(Place, MOMENTS, st.integers(0, 2**63 - 1))


@given(PLACES, st.text(max_size=50))
def test_a_cursor_comes_back_for_the_same_filters_alone(place: Place, filters: str) -> None:
    text = format_cursor(place, filters)
    assert len(text) == LENGTH
    assert parse_cursor(text, filters) == place
    with pytest.raises(InvalidInputError):
        parse_cursor(text, filters + "x")


@given(st.text(min_size=1, max_size=40))
def test_made_up_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_cursor(text, "")


def test_no_cursor_is_the_beginning_and_a_changed_one_is_refused() -> None:
    assert parse_cursor("", "state=closed") is None
    text = format_cursor(Place(datetime(2026, 1, 5, tzinfo=UTC) + timedelta(microseconds=7), 12), "")
    for at in range(LENGTH):
        changed = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        with pytest.raises(InvalidInputError):
            parse_cursor(changed, "")
