from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tickets.models import Ticket
from tickets.projection import DEFAULTS, TIMES, changes_of, decode, differences, encode, fold

NOW = datetime(2026, 1, 5, 1, 30, tzinfo=UTC)
ELSEWHERE = {"id", "lookup_code", "version", "due_at", "due_step", "check_at"}


@dataclass(frozen=True)
class Event:
    kind: str
    at: datetime
    data: dict[str, Any] = field(default_factory=dict)


def test_every_column_of_a_ticket_is_in_its_events_or_known_to_be_elsewhere() -> None:
    columns = {column.key for column in Ticket.__mapper__.column_attrs}
    assert columns - ELSEWHERE == set(DEFAULTS) - {"co_units", "readers"}


def test_later_events_win_and_say_when() -> None:
    row = fold(
        [
            Event("created", NOW, {"number": "YQ1", "call_id": "c", "channel": "phone"}),
            Event(
                "fields_extracted", NOW, {"fields": {"title": "暖气"}, "flags": ["confidential"], "keywords": ["热"]}
            ),
            Event("dispatch", NOW + timedelta(hours=1), {"to": "to_sign", "set": {"unit": "zsy", "co_units": ["rl"]}}),
            Event("survey_scheduled", NOW + timedelta(hours=2), {"pass": 1}),
        ]
    )
    assert (row["number"], row["title"], row["state"], row["unit"], row["co_units"]) == (
        "YQ1",
        "暖气",
        "to_sign",
        "zsy",
        ["rl"],
    )
    assert (row["created_at"], row["updated_at"], row["confidential"]) == (NOW, NOW + timedelta(hours=1), True)


def test_a_row_that_says_something_else_is_told_column_by_column() -> None:
    events = [Event("created", NOW, {"number": "YQ1"}), Event("sign_in", NOW, {"set": {"handler": "ban"}})]
    row = fold(events) | {"handler": "li", "flags": ["overdue"]}
    assert differences(row, events) == {"handler": ("li", "ban"), "flags": (["overdue"], [])}
    assert differences(fold(events), events) == {}


def test_what_changes_nothing_leaves_the_row_alone() -> None:
    assert changes_of(Event("survey_attempted", NOW, {"outcome": "busy"})) == {}


def test_defaults_are_not_shared_between_rows() -> None:
    fold([])["flags"].append("x")
    assert fold([])["flags"] == []


@given(
    changes=st.dictionaries(
        st.sampled_from(sorted(TIMES)), st.none() | st.datetimes(timezones=st.just(UTC)), max_size=7
    )
)
def test_times_come_back_from_their_text(changes: dict[str, Any]) -> None:
    assert decode(encode(changes)) == changes
