"""Why a ticket may be excluded from the assessment, and when a unit may appeal. Pure.

Both are flags of the ticket. A supervisor sets `excluded` with a code and a reason; `under_appeal` comes and goes by
the commands `appeal` and `decide_appeal` alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tickets.lifecycle import Command
from tickets.ticket_clocks import Happened

EXCLUDED, UNDER_APPEAL = "excluded", "under_appeal"
CODES: Mapping[str, str] = {
    "not_our_duty": "不属承办单位职责",
    "unreasonable": "诉求不合理",
    "against_policy": "法律法规或政策不允许",
    "force_majeure": "不可抗力",
    "malicious": "恶意或重复诉求",
    "wrong_call_back": "回访记录有误",
    "higher_level": "需上级统筹解决",
    "other": "其他",
}
"""Of an appeal, or of an exclusion without one."""


def exclusion_reason(code: str, reason: str) -> str:
    """As it is told with a figure."""
    named = CODES.get(code, "")
    return f"{named}（{reason}）" if named and reason else named or reason or "未填原因"


def has_appealed(events: Sequence[Happened], unit: str) -> bool:
    """Whether that unit has appealed before."""
    return any(event.kind == Command.APPEAL.value and event.data.get("unit") == unit for event in events)


def excludes(kind: str, data: Mapping[str, Any]) -> bool:
    """Whether an event took its ticket out of the assessment."""
    if kind == Command.DECIDE_APPEAL.value:
        return bool(data.get("granted"))
    return kind == Command.FLAG.value and data.get("flag") == EXCLUDED
