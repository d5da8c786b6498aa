"""What a ticket waits for and until when, in words. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from tickets.clocks import ClockState
from tickets.due import clocks_of
from tickets.lifecycle import State
from tickets.models import Ticket
from tickets.service import SiteData
from tickets.ticket_clocks import STEP_RULES, most_urgent
from tickets.working_time import WorkingTime

TONES = {ClockState.RUNNING: "active", ClockState.PAUSED: "attention", ClockState.OVERDUE: "danger"}
NEARLY = 0.8


@dataclass(frozen=True)
class Deadline:
    """`due_at` is None while the clock stands; `tone` is a badge's."""

    text: str
    due_at: datetime | None
    tone: str


def deadline(ticket: Ticket, site: SiteData, working: WorkingTime, *, now: datetime) -> Deadline | None:
    """Of the step that is due first; None where nothing that has a limit is waited for."""
    clocks = clocks_of(State(ticket.state), ticket.events, tier=ticket.tier, overlay=ticket.overlay, site=site)
    first = most_urgent(clocks, working, now=now)
    if first is None:
        return None
    step, _, reading = first
    if reading.due_at is None:
        return Deadline("计时已暂停", None, TONES[ClockState.PAUSED])
    name = STEP_RULES[step].label
    if reading.state is ClockState.OVERDUE:
        return Deadline(f"{name}已超时 {length(now - reading.due_at)}", reading.due_at, TONES[reading.state])
    tone = "warning" if reading.used >= NEARLY else TONES[ClockState.RUNNING]
    return Deadline(f"{name}还剩 {length(reading.due_at - now)}", reading.due_at, tone)


def length(time: timedelta) -> str:
    """Its two largest units: 3 天 4 小时, 2 小时 5 分, 不到 1 分钟.

    >>> length(timedelta(days=3, hours=4, minutes=59)), length(timedelta(minutes=5))
    ('3 天 4 小时', '5 分')
    """
    minutes = max(0, time // timedelta(minutes=1))
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [f"{count} {unit}" for count, unit in ((days, "天"), (hours, "小时"), (rest, "分")) if count]
    if days:
        parts = [f"{days} 天", *([f"{hours} 小时"] if hours else [])]
    return " ".join(parts) or "不到 1 分钟"
