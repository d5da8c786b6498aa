"""What media processes that share one call distributor say to each other: frames of queue events or commands.

A frame is plain data (JSON on the bus). Frames may be lost, doubled or overtaken: `ivr.acd.channel` makes of them an
ordered stream each way. `parse` is the inverse of `serialize` and refuses everything else.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from hotline.errors import ProtocolError
from ivr.acd.events import (
    Announce,
    CallerJoined,
    CallerLeft,
    CancelRinging,
    Connect,
    ConversationEnded,
    ConversationResumed,
    Overflow,
    QueueCommand,
    QueueEvent,
    RingSeats,
    SeatAnswered,
    SeatAway,
    SeatNotAnswered,
    SeatReady,
    SeatSignedIn,
    SeatSignedOut,
    TalkTimeMeasured,
    WrapUpResumed,
)

Item = QueueEvent | QueueCommand

KINDS: dict[str, type[Any]] = {
    "caller_joined": CallerJoined,
    "caller_left": CallerLeft,
    "seat_signed_in": SeatSignedIn,
    "seat_signed_out": SeatSignedOut,
    "seat_ready": SeatReady,
    "seat_away": SeatAway,
    "seat_answered": SeatAnswered,
    "seat_not_answered": SeatNotAnswered,
    "conversation_resumed": ConversationResumed,
    "wrap_up_resumed": WrapUpResumed,
    "talk_time_measured": TalkTimeMeasured,
    "conversation_ended": ConversationEnded,
    "ring_seats": RingSeats,
    "cancel_ringing": CancelRinging,
    "connect": Connect,
    "announce": Announce,
    "overflow": Overflow,
}
_NAMES = {kind: name for name, kind in KINDS.items()}
COMMANDS = (RingSeats, CancelRinging, Connect, Announce, Overflow)
MAX_TEXT = 256


@dataclass(frozen=True, kw_only=True)
class Frame:
    """`items` of one direction from number `first` on, and how many of the other direction have been `received`.

    `term` is the leader's, `session` the member's: it counts how often the member has joined. A leader that does not
    know the session says so by `received` -1.
    """

    sender: str
    to: str
    term: int
    session: int
    first: int
    received: int
    items: tuple[Item, ...] = ()

    def serialize(self) -> dict[str, Any]:
        """Plain data."""
        plain = {item.name: getattr(self, item.name) for item in fields(self)}
        return {**plain, "items": [_serialize_item(item) for item in self.items]}

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> "Frame":
        """The inverse of `serialize`; raises `ProtocolError`."""
        items = data.get("items")
        if data.keys() != {item.name for item in fields(cls)} or not isinstance(items, list):
            raise ProtocolError("no frame of a shared call distributor")
        return cls(
            sender=_text(data["sender"]),
            to=_text(data["to"]),
            term=_count(data["term"]),
            session=_count(data["session"]),
            first=_count(data["first"]),
            received=_integer(data["received"], least=-1),
            items=tuple(_parse_item(item) for item in items),
        )


def _serialize_item(item: Item) -> dict[str, Any]:
    plain: dict[str, Any] = {"kind": _NAMES[type(item)]}
    for part in fields(item):
        value = getattr(item, part.name)
        match value:
            case frozenset():
                value = sorted(value)
            case tuple():
                value = list(value)
        plain[part.name] = value
    return plain


def _parse_item(plain: Any) -> Item:
    kind = KINDS.get(plain.get("kind", "")) if isinstance(plain, dict) and isinstance(plain.get("kind"), str) else None
    if kind is None:
        raise ProtocolError("neither an event nor a command of a queue")
    parts = {part.name: part.type for part in fields(kind)}
    if plain.keys() != {"kind", *parts}:
        raise ProtocolError(f"{plain['kind']}: other fields than {', '.join(parts)}")
    item: Item = kind(**{name: _READERS[of](plain[name]) for name, of in parts.items()})
    return item


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise ProtocolError("a text is awaited")
    return value


def _integer(value: Any, *, least: int | None = None) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or (least is not None and value < least):
        raise ProtocolError("a whole number is awaited")
    return value


def _count(value: Any) -> int:
    return _integer(value, least=0)


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise ProtocolError("a number is awaited")
    return float(value)


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ProtocolError("true or false is awaited")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ProtocolError("a list of texts is awaited")
    return tuple(_text(item) for item in value)


_READERS: dict[Any, Callable[[Any], Any]] = {
    str: _text,
    int: _integer,
    float: _number,
    bool: _truth,
    tuple[str, ...]: _texts,
    frozenset[str]: lambda value: frozenset(_texts(value)),
}
