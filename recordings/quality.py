"""How well the network carried a call, from its journal: one row a party's stream (`ivr.media.types.StreamQuality`)."""

from collections.abc import Mapping
from typing import Any

from ivr.journal import Journal
from recordings.models import CallQuality

_MOST_PACKETS = 2**31 - 1
_MOST_MS = 1e9


def quality_of(journal: Journal) -> list[CallQuality]:
    """In the journal's order. What is no number in its range counts as unknown: a call must not fail by it."""
    return [_row(entry.data, position) for position, entry in enumerate(journal.all("quality"))]


def _row(data: Mapping[str, Any], position: int) -> CallQuality:
    received, sent = _direction(data.get("received")), _direction(data.get("sent"))
    return CallQuality(
        position=position,
        party=str(data.get("party", "")).replace("\0", "")[:64],  # PostgreSQL's text holds no NUL
        received_packets=_packets(received),
        received_loss=_number(received, "loss", most=1),
        received_jitter_ms=_number(received, "jitter_ms"),
        received_mos=_number(received, "mos", most=5),
        sent_packets=_packets(sent),
        sent_loss=_number(sent, "loss", most=1),
        sent_jitter_ms=_number(sent, "jitter_ms"),
        sent_mos=_number(sent, "mos", most=5),
        round_trip_ms=_number(data, "round_trip_ms"),
    )


def _direction(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _packets(data: Mapping[str, Any]) -> int | None:
    value = _number(data, "packets", most=_MOST_PACKETS)
    return None if value is None else int(value)


def _number(data: Mapping[str, Any], key: str, *, most: float = _MOST_MS) -> float | None:
    value = data.get(key)
    return float(value) if isinstance(value, int | float) and 0 <= value <= most else None
