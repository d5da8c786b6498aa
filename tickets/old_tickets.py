"""Tickets of an older system: a table and a mapping in, checked tickets and the lines that are refused out. Pure.

The mapping (YAML) says which column of the table is which field, and what the table's words for states, types,
categories, units and channels are here. Nothing is guessed: a line with a word that the mapping does not name is
refused with that word.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, get_args
from zoneinfo import ZoneInfo

from pydantic import Field

from hotline.errors import InvalidInputError
from tickets.datafile import Table
from tickets.lifecycle import ENDED, State
from tickets.places import Fault
from tickets.sheets import Column, Record, Sheet
from tickets.taxonomy import TicketType, Tier

OldField = Literal[
    "number",
    "created_at",
    "content",
    "state",
    "title",
    "category",
    "type",
    "tier",
    "channel",
    "caller_name",
    "phone",
    "place",
    "town",
    "community",
    "address",
    "unit",
    "handler",
    "dispatched_at",
    "signed_at",
    "closed_at",
    "measures",
    "result",
    "reply",
    "anonymous",
    "confidential",
]
OldState = Literal[
    "to_dispatch", "to_sign", "handling", "closed", "archived", "answered_directly", "transferred", "refused"
]
ChannelName = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,16}$")]
DATE_FORMS = (
    *("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M"),
    *("%Y年%m月%d日 %H:%M:%S", "%Y年%m月%d日 %H:%M", "%Y年%m月%d日%H时%M分", "%Y%m%d%H%M%S"),
    *("%Y-%m-%d", "%Y/%m/%d", "%Y年%m月%d日", "%Y.%m.%d", "%Y%m%d"),
)
_YES, _NO = ("是", "1", "true", "yes", "y"), ("", "否", "0", "false", "no", "n")
_LENGTHS = {
    "number": 64, "title": 200, "caller_name": 64, "phone": 64, "place": 64, "town": 64, "community": 64,
    "address": 200, "handler": 64,
}  # fmt: skip
_TIMES = ("created_at", "dispatched_at", "signed_at", "closed_at")
_SERIAL = re.compile(r"[0-9]{5}(\.[0-9]+)?")
_EXCEL_ZERO = datetime(1899, 12, 30)  # noqa: DTZ001 - a local time, placed in the zone below
FIRST_YEAR = 1990
LONGEST_TEXT = 10_000


class OldDefaults(Table):
    """What a line has that does not say."""

    state: OldState = "closed"
    channel: ChannelName = "import"
    type: Literal[TicketType, ""] = ""
    tier: Literal[Tier, ""] = ""


class OldMapping(Table):
    """The mapping file. `columns`: field -> the table's header; the others: the table's word -> what it is here."""

    version: Literal[1]
    source: str = Field(pattern=r"^[A-Za-z0-9._-]{1,32}$")
    columns: dict[OldField, Annotated[str, Field(min_length=1, max_length=64)]]
    defaults: OldDefaults = OldDefaults()
    states: dict[str, OldState] = Field({})
    types: dict[str, TicketType] = Field({})
    tiers: dict[str, Tier] = Field({})
    categories: dict[str, str] = Field({})
    units: dict[str, str] = Field({})
    channels: dict[str, ChannelName] = Field({})
    dates: tuple[str, ...] = DATE_FORMS


@dataclass(frozen=True)
class OldTicket:
    """A line that is good. `fields`: columns of the ticket by name; the times are aware."""

    line: int
    number: str
    state: State
    channel: str
    created_at: datetime
    dispatched_at: datetime | None = None
    signed_at: datetime | None = None
    closed_at: datetime | None = None
    unit: str = ""
    handler: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class OldTickets:
    """What a table says: the good lines, and each refused one with the reason."""

    tickets: tuple[OldTicket, ...]
    refused: tuple[Fault, ...]


def columns_of(mapping: OldMapping) -> tuple[Column, ...]:
    """What the table must and may have."""
    missing = {"number", "created_at", "content"} - set(mapping.columns)
    if missing:
        raise InvalidInputError(f"映射文件的 columns 缺少：{'、'.join(sorted(missing))}")
    return tuple(Column(key, (name,), required=True) for key, name in mapping.columns.items())


def parse_old_tickets(
    sheet: Sheet,
    mapping: OldMapping,
    *,
    categories: Collection[str],
    units: Collection[str],
    zone: ZoneInfo,
    now: datetime,
) -> OldTickets:
    """The tickets of a table; of each refused line the first reason. `units`: the codes there are."""
    refused = {fault.line: fault for fault in reversed(sheet.faults)}
    good: list[OldTicket] = []
    seen: dict[str, int] = {}
    for record in sheet.records:
        if record.line in refused:
            continue
        try:
            ticket = _ticket(record, mapping, categories=categories, units=units, zone=zone, now=now)
            first = seen.setdefault(ticket.number, record.line)
            if first != record.line:
                raise InvalidInputError(f"编号 {ticket.number} 与第 {first} 行重复")
        except InvalidInputError as error:
            refused[record.line] = Fault(record.line, error.message)
            continue
        good.append(ticket)
    return OldTickets(tuple(good), tuple(sorted(refused.values(), key=lambda fault: fault.line)))


def _ticket(
    record: Record,
    mapping: OldMapping,
    *,
    categories: Collection[str],
    units: Collection[str],
    zone: ZoneInfo,
    now: datetime,
) -> OldTicket:
    for name in ("number", "content"):
        if not record[name]:
            raise InvalidInputError(f"{_header(mapping, name)}：没有填写")
    for name, most in _LENGTHS.items():
        if len(record[name]) > most:
            raise InvalidInputError(f"{_header(mapping, name)}：超过 {most} 字")
    state = State(_word(record, mapping, "state", mapping.states, set(get_args(OldState))))
    times = {name: _time(record, mapping, name, zone) for name in _TIMES}
    created = times["created_at"]
    if created is None:
        raise InvalidInputError(f"{_header(mapping, 'created_at')}：没有填写")
    _check_order(times, mapping, now)
    unit = _word(record, mapping, "unit", mapping.units, set(units))
    if unit and unit not in units:
        raise InvalidInputError(f"{_header(mapping, 'unit')}：没有代码为 {unit[:32]} 的承办单位")
    category = _word(record, mapping, "category", mapping.categories, set(categories))
    if category and category not in categories:
        raise InvalidInputError(f"{_header(mapping, 'category')}：没有类别 {category[:64]}")
    if state in (State.TO_SIGN, State.HANDLING) and not (unit and times["dispatched_at"]):
        raise InvalidInputError(f"{state.label}的工单须有承办单位和派单时间")
    if state is State.HANDLING and not times["signed_at"]:
        raise InvalidInputError(f"{state.label}的工单须有签收时间")
    if times["closed_at"] and state not in ENDED:
        raise InvalidInputError(f"{state.label}的工单不能有办结时间")
    flags = [name for name in ("anonymous", "confidential") if _yes(record, mapping, name)]
    named = {name: record[name] for name in ("caller_name", "phone", "place", "town", "community", "address")}
    done = {name: record[name] for name in ("measures", "result", "reply")}
    return OldTicket(
        line=record.line,
        number=record["number"],
        state=state,
        channel=_word(record, mapping, "channel", mapping.channels, set()),
        created_at=created,
        dispatched_at=times["dispatched_at"] if unit else None,
        signed_at=times["signed_at"] if unit and times["dispatched_at"] else None,
        closed_at=times["closed_at"],
        unit=unit,
        handler=record["handler"] if unit else "",
        fields={
            **named,
            **{name: text for name, text in done.items() if text},
            "title": record["title"] or record["content"][:40],
            "content": record["content"],
            "category": category,
            "type": _word(record, mapping, "type", mapping.types, set()),
            "tier": _word(record, mapping, "tier", mapping.tiers, {"T1", "T2", "T3", "T4"}),
            "flags": flags,
            "anonymous": "anonymous" in flags,
        },
    )


def _header(mapping: OldMapping, name: Any) -> str:
    return mapping.columns.get(name, str(name))


def _word(record: Record, mapping: OldMapping, name: Any, known: Mapping[str, str], own: Collection[str]) -> str:
    """The table's word for something as it is here; a word of ours (`own`) may stand for itself."""
    said = record[name]
    if not said:
        return str(getattr(mapping.defaults, name, ""))
    if said not in known and said not in own:
        raise InvalidInputError(f"{_header(mapping, name)}：映射文件里没有“{said[:40]}”")
    return known.get(said, said)


def _yes(record: Record, mapping: OldMapping, name: Any) -> bool:
    said = record[name].lower()
    if said not in (*_YES, *_NO):
        raise InvalidInputError(f"{_header(mapping, name)}：须为 是 或 否，不能是“{said[:20]}”")
    return said in _YES


def _time(record: Record, mapping: OldMapping, name: Any, zone: ZoneInfo) -> datetime | None:
    """A time in one of the mapping's forms, or as Excel counts days; in the site's zone."""
    said = record[name]
    if not said:
        return None
    found, plain = None, said.partition(".")[0] if ":" in said else said  # without parts of a second
    if _SERIAL.fullmatch(said):
        found = _EXCEL_ZERO + timedelta(seconds=round(float(said) * 86_400))
    for form in mapping.dates if found is None else ():
        try:
            found = datetime.strptime(plain, form)  # noqa: DTZ007 - placed in the zone below
            break
        except ValueError:
            continue
    if found is None or not FIRST_YEAR <= found.year <= 2200:
        raise InvalidInputError(f"{_header(mapping, name)}：看不懂时间“{said[:30]}”")
    local = found if found.tzinfo else found.replace(tzinfo=zone)
    return local.astimezone(UTC)


def _check_order(times: Mapping[str, datetime | None], mapping: OldMapping, now: datetime) -> None:
    before: tuple[str, datetime] | None = None
    for name in _TIMES:
        moment = times[name]
        if moment is None:
            continue
        if moment > now:
            raise InvalidInputError(f"{_header(mapping, name)}：在将来")
        if before is not None and moment < before[1]:
            raise InvalidInputError(f"{_header(mapping, name)}早于{_header(mapping, before[0])}")
        before = name, moment
