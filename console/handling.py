"""How a ticket is handled and what its events say, for people. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from asr.masking import mask_numbers
from console import labels
from console.attachment_views import who
from console.command_forms import BASES, RETURN_CODES, YES_NO
from tickets.appeal_rules import CODES
from tickets.attachments.service import PURPOSES
from tickets.models import Ticket, TicketEvent
from tickets.ticket_clocks import STEP_RULES

_TEXTS = ("text", "question", "opinion", "decision", "note", "reply", "result", "measures")
_WORDS: Mapping[str, Mapping[str, str]] = {
    "basis": dict(BASES),
    "contacted": dict(YES_NO),
    "solved": dict(YES_NO),
    "satisfied": {"satisfied": "满意", "basically": "基本满意", "not_satisfied": "不满意"},
    "flag": labels.FLAGS,
    "step": {step: rule.label for step, rule in STEP_RULES.items()},
}
_NAMES = {"contacted": "联系", "solved": "解决", "satisfied": "满意"}


def detail(kind: str, data: Mapping[str, Any], units: Mapping[str, str]) -> str:
    """The line, empty where there is nothing to add. `units`: the units' names by their codes."""
    parts: list[str] = []
    if kind == "dispatch":
        parts.append(f"主办 {_unit(data.get('unit'), units)}")
        if data.get("co_units"):
            parts.append(f"协办 {'、'.join(_unit(code, units) for code in data['co_units'])}")
    if kind == "deliberate":
        parts.append("、".join(_unit(code, units) for code in data.get("units", ())))
    codes: Mapping[str, str] = dict(RETURN_CODES) if kind == "ask_return" else CODES
    for name, words in {**_WORDS, "code": codes}.items():
        value = data.get(name)
        if isinstance(value, str) and value:
            shown = labels.label(words, value)
            parts.append(f"{_NAMES[name]}：{shown}" if name in _NAMES else shown)
    if kind == "reminded":
        parts.append(f"已用 {round(100 * data['share'])}%")
    if kind == "contact":
        parts.append("已联系上" if data.get("reached") else "未联系上")
    if kind == "decide_extension":
        parts.append("同意" if data.get("granted") else "不同意")
    if kind == "decide_appeal":
        parts.insert(0, "同意，不计入考核" if data.get("granted") else "驳回，照常计入")
    if kind == "ask_extension":
        parts.append(f"延长 {data.get('period', '')}")
    if kind in ("merge", "merged_in"):
        parts.append(str(data.get("into") or data.get("number") or ""))
    if kind == "attached":
        parts += [labels.label(PURPOSES, str(data.get("purpose", ""))), str(data.get("name", ""))]
    if kind in ("link_made", "link_opened", "link_revoked"):
        parts.append(str(data.get("crew", "")))
    if kind == "edit":
        parts.append("、".join(labels.label(labels.FIELDS, name) for name in data.get("set", {})))
    parts += [str(data[name]) for name in _TEXTS if isinstance(data.get(name), str) and data[name]]
    return "；".join(part for part in parts if part)


def _unit(code: Any, units: Mapping[str, str]) -> str:
    return units.get(str(code), str(code))


@dataclass(frozen=True, kw_only=True)
class Step:
    """A line of the ticket's history."""

    at: datetime
    what: str
    actor: str
    reason: str
    detail: str = ""


def history(
    events: Sequence[TicketEvent], *, units: Mapping[str, str] | None = None, masked: bool = True, told: bool = True
) -> tuple[Step, ...]:
    """The ticket's events, oldest first. `units`: the names of units by their codes. `told`: also what was said."""
    return tuple(
        Step(
            at=event.at,
            what=labels.label(labels.EVENT_KINDS, event.kind),
            actor=who(labels.label(labels.ACTORS, event.actor)),
            reason=mask_numbers(event.reason) if masked else event.reason,
            detail=_told(event, units or {}, masked=masked) if told else "",
        )
        for event in events
    )


@dataclass(frozen=True)
class Handled:
    """One thing about how a ticket is handled; `at`: a time, in place of `value`."""

    name: str
    value: str = ""
    at: datetime | None = None


def handled(ticket: Ticket, *, units: Mapping[str, str], masked: bool, told: bool = True) -> tuple[Handled, ...]:
    """Who works on it, what was done and when; only what there is. `told`: also in words."""
    co_units = [units.get(link.unit, link.unit) for link in ticket.units if not link.lead]
    fee = "" if ticket.fee_cents is None else f"{ticket.fee_cents / 100:g} 元"
    texts = {
        "主办单位": units.get(ticket.unit, ticket.unit),
        "协办单位": "、".join(co_units),
        "承办人": ticket.handler,
        "办理次数": f"第 {ticket.passes} 次" if ticket.passes > 1 else "",
        "措施": ticket.measures if told else "",
        "结果": ticket.result if told else "",
        "答复": ticket.reply if told else "",
        "收费": fee,
    }
    times = {
        "派单": ticket.dispatched_at,
        "签收": ticket.signed_at,
        "联系诉求人": ticket.contacted_at,
        "到场": ticket.on_site_at,
        "提交结果": ticket.submitted_at,
        "办结": ticket.closed_at,
    }
    said = (Handled(name, mask_numbers(text) if masked else text) for name, text in texts.items() if text)
    return (*said, *(Handled(name, at=at) for name, at in times.items() if at is not None))


def _told(event: TicketEvent, units: Mapping[str, str], *, masked: bool) -> str:
    told = detail(event.kind, event.data, units)
    return mask_numbers(told) if masked else told
