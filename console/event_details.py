"""What an event of a ticket says, in a line for people. Pure."""

from collections.abc import Mapping
from typing import Any

from console import labels
from console.command_forms import BASES, RETURN_CODES, YES_NO
from tickets.ticket_clocks import STEP_RULES

_TEXTS = ("text", "question", "opinion", "decision", "note", "reply", "result", "measures")
_WORDS: Mapping[str, Mapping[str, str]] = {
    "basis": dict(BASES),
    "code": dict(RETURN_CODES),
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
    for name, words in _WORDS.items():
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
    if kind == "ask_extension":
        parts.append(f"延长 {data.get('period', '')}")
    if kind in ("merge", "merged_in"):
        parts.append(str(data.get("into") or data.get("number") or ""))
    if kind == "edit":
        parts.append("、".join(labels.label(labels.FIELDS, name) for name in data.get("set", {})))
    parts += [str(data[name]) for name in _TEXTS if isinstance(data.get(name), str) and data[name]]
    return "；".join(part for part in parts if part)


def _unit(code: Any, units: Mapping[str, str]) -> str:
    return units.get(str(code), str(code))
