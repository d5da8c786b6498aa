"""What a ticket's row says, folded from its events: pure.

An event carries what it changed: `fields` and `flags` (extraction), `to` (the state after it), `set` (columns; times as
ISO 8601). Whatever changes a row writes such an event in the same transaction, so that the rows can be made again, and
any difference is found (`hotline tickets replay`). What follows from the calendar (`due_at`) or from other rows (the
lookup code) is not in the events.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol

from tickets.ticket_clocks import CREATED, Happened

TIMES = frozenset(
    {"dispatched_at", "signed_at", "contacted_at", "on_site_at", "submitted_at", "closed_at", "created_at"}
)
CONFIDENTIAL = "confidential"
DEFAULTS: Mapping[str, Any] = {
    **dict.fromkeys(
        ("type", "tier", "overlay", "category", "title", "content", "caller_name", "phone", "place", "address"), ""
    ),
    **dict.fromkeys(("town", "community", "unit", "handler", "measures", "result", "reply"), ""),
    **dict.fromkeys(("latitude", "longitude", "parent_id", "fee_cents", *sorted(TIMES)), None),
    **dict.fromkeys(("confidential", "anonymous"), False),
    "number": "",
    "call_id": None,
    "channel": "",
    "state": "accepting",
    "keywords": [],
    "flags": [],
    "caller_kind": "person",
    "petitioner": {},
    "passes": 1,
    "co_units": [],
    "readers": [],
    "updated_at": None,
}
"""What a row says before its first event. `co_units` and `readers` are rows of their own, here in sorted lists."""


class Row(Protocol):
    """What is written to: anything with the columns as attributes."""

    def __setattr__(self, name: str, value: Any, /) -> None: ...


def encode(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Columns as they stand in an event."""
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in changes.items()}


def decode(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `encode`."""
    return {
        name: datetime.fromisoformat(value) if name in TIMES and isinstance(value, str) else value
        for name, value in changes.items()
    }


def changes_of(event: Happened) -> dict[str, Any]:
    """The columns that an event changed."""
    data = event.data
    changes: dict[str, Any] = {}
    if event.kind == CREATED:
        changes |= {name: data[name] for name in ("number", "call_id", "channel") if name in data}
        changes["created_at"] = event.at
    changes |= data.get("fields", {})
    changes |= {name: data[name] for name in ("flags", "keywords") if name in data}
    if "to" in data:
        changes["state"] = data["to"]
    changes |= decode(data.get("set", {}))
    if changes:
        changes["updated_at"] = event.at
    return with_derived(changes)


def with_derived(changes: Mapping[str, Any]) -> dict[str, Any]:
    """With the column that follows from the flags."""
    if "flags" not in changes:
        return dict(changes)
    return {**changes, "confidential": CONFIDENTIAL in changes["flags"]}


def fold(events: Iterable[Happened]) -> dict[str, Any]:
    """The row that the events make, in their order."""
    row = {name: value.copy() if isinstance(value, list | dict) else value for name, value in DEFAULTS.items()}
    for event in events:
        row |= changes_of(event)
    return row


def differences(row: Mapping[str, Any], events: Iterable[Happened]) -> dict[str, tuple[Any, Any]]:
    """Column -> (what the row says, what the events say), where they are not the same."""
    wanted = fold(events)
    return {name: (row.get(name), value) for name, value in wanted.items() if row.get(name) != value}
