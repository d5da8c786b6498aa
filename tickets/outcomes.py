"""What became of each clock of a ticket and of each call, as figures count them. Pure: history in, facts out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from recordings.models import FLOW, INBOUND
from tickets.clocks import ClockState, read_clock
from tickets.lifecycle import ENDED, State
from tickets.ticket_clocks import STEP_RULES, Happened, clock_of
from tickets.working_time import WorkingTime

MET, MISSED, RUNNING = "met", "missed", "running"
_OUTCOMES = {
    ClockState.MET: MET,
    ClockState.MISSED: MISSED,
    ClockState.OVERDUE: MISSED,
    ClockState.RUNNING: RUNNING,
    ClockState.PAUSED: RUNNING,
}


@dataclass(frozen=True, kw_only=True)
class ClockFacts:
    """A step's clock, once for each time that it was started (`number`). It is decided when the step was done or its
    time was over, whichever came first; `due_at`: None while the clock stands."""

    step: str
    number: int
    unit: str
    outcome: str
    started_at: datetime
    due_at: datetime | None
    decided_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class CallFigures:
    """A call of a caller. `answer_ms`: from the call to our answer, None where there was none; `waited_ms`: in queues;
    `left`: how the last one was left: connected, left (hung up), full, closed, timeout, empty without a queue."""

    answer_ms: int | None
    queue: str = ""
    waited_ms: int | None = None
    left: str = ""


def clock_facts(
    state: State,
    events: Sequence[Happened],
    *,
    periods: Mapping[str, str],
    any_day: bool,
    working: WorkingTime,
    now: datetime,
) -> list[ClockFacts]:
    """Of a ticket with these events, in order. A clock that was dropped before its time (sent elsewhere, or the ticket
    ended otherwise) was neither met nor missed and is left out."""
    found = []
    for step, rule in STEP_RULES.items():
        starts = [index for index, event in enumerate(events) if event.kind in rule.starts]
        for number, (begin, end) in enumerate(pairwise([*starts, len(events)]), start=1):
            part = events[begin:end]
            clock = clock_of(step, part, periods=periods, any_day=any_day)
            if clock is None:
                continue
            last = end == len(events)
            until = max(now if last and state not in ENDED else part[-1].at, clock.started_at)
            reading = read_clock(clock, working, now=until)
            outcome = _OUTCOMES[reading.state]
            if outcome == RUNNING and (not last or state in ENDED):
                continue
            decided = None
            if outcome != RUNNING:
                decided = clock.stopped_at if outcome == MET else reading.due_at
            found.append(
                ClockFacts(
                    step=step,
                    number=number,
                    unit=str(part[0].data.get("unit") or ""),
                    outcome=outcome,
                    started_at=clock.started_at,
                    due_at=reading.due_at,
                    decided_at=decided,
                )
            )
    return found


def call_figures(
    *, direction: str, purpose: str, answer_ms: float | None, entries: Sequence[Mapping[str, Any]]
) -> CallFigures | None:
    """Of a call's row and its journal; None for calls that no caller made. Several queues are waited for together."""
    if direction != INBOUND or purpose != FLOW:
        return None
    queue, left, waited, since = "", "", 0, None
    for entry in entries:
        if entry["kind"] == "queued":
            queue, since, left = str(entry.get("queue", ""))[:64], _offset(entry), ""
        elif entry["kind"] == "unqueued" and since is not None:
            waited, since, left = waited + max(0, _offset(entry) - since), None, str(entry.get("reason", ""))[:16]
        elif entry["kind"] == "ended" and since is not None:
            waited, since, left = waited + max(0, int(entry.get("duration_ms") or 0) - since), None, "left"
    answered = None if answer_ms is None else max(0, round(answer_ms))
    if not queue:
        return CallFigures(answer_ms=answered)
    return CallFigures(answer_ms=answered, queue=queue, waited_ms=waited, left=left or "left")


def _offset(entry: Mapping[str, Any]) -> int:
    value = entry.get("offset_ms")
    return value if isinstance(value, int) else 0
