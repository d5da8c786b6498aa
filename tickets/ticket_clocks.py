"""The clocks of a ticket, from its events: pure. What starts, stops and pauses each step is one table.

A unit's clocks start when the ticket is sent to it, and again when it has to do it over. What it hands in stops them;
what is sent back takes them up again, without the time that the review took.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from tickets.clocks import Clock, Pause, Reading, read_clock
from tickets.deadlines import Period, parse_period
from tickets.lifecycle import ENDED, Command, State
from tickets.working_time import WorkingTime

CREATED = "created"


class Happened(Protocol):
    """What is read of an event."""

    @property
    def kind(self) -> str: ...

    @property
    def at(self) -> datetime: ...

    @property
    def data(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class StepRule:
    """Events that start a step's clock, the last one counts, and that stop it."""

    label: str
    starts: frozenset[str]
    stops: frozenset[str]


def _kinds(*commands: Command) -> frozenset[str]:
    return frozenset(command.value for command in commands)


_REFUSALS = (Command.ANSWER_DIRECTLY, Command.TRANSFER, Command.MERGE, Command.REFUSE)
_SENT = _kinds(Command.DISPATCH, Command.REDO)
_HANDED_IN = _kinds(Command.SUBMIT, Command.GRANT_RETURN)
STEP_RULES: Mapping[str, StepRule] = {
    "dispatch": StepRule("派单", _kinds(Command.GRANT_RETURN) | {CREATED}, stops=_kinds(Command.DISPATCH, *_REFUSALS)),
    "sign_in": StepRule("签收", _SENT, stops=_kinds(Command.SIGN_IN, Command.GRANT_RETURN)),
    "first_contact": StepRule("联系诉求人", _SENT, stops=_HANDED_IN | _kinds(Command.CONTACT, Command.ARRIVE)),
    "on_site": StepRule("到场", _SENT, stops=_HANDED_IN | _kinds(Command.ARRIVE)),
    "done": StepRule("修复", _SENT, stops=_HANDED_IN),
    "reply": StepRule("答复", _SENT | _kinds(Command.SUPERVISE), stops=_HANDED_IN),
}
"""`on_site` and `done` run only where an overlay gives them a time."""
EXTENDED = "reply"  # what an extension prolongs
_PAUSES = {
    Command.SUSPEND.value: Command.RESUME.value,
    Command.ASK_RETURN.value: Command.DENY_RETURN.value,
    Command.SUBMIT.value: Command.SEND_BACK.value,
}


def clock_of(step: str, events: Sequence[Happened], *, periods: Mapping[str, str], any_day: bool) -> Clock | None:
    """The clock of a step of `STEP_RULES`; None where it has not started or has no time. `events` in order;
    `periods`: step -> how long it may take, in the form of the deadlines' file."""
    rule = STEP_RULES[step]
    starts = [index for index, event in enumerate(events) if event.kind in rule.starts]
    if not starts or step not in periods:
        return None
    begun, after = events[starts[-1]], events[starts[-1] + 1 :]
    return Clock(
        started_at=begun.at,
        period=parse_period(periods[step]),
        any_day=any_day,
        extension=_extension(after) if step == EXTENDED else None,
        pauses=_pauses(after),
        stopped_at=_stopped(rule, after),
    )


def open_clocks(
    state: State, events: Sequence[Happened], *, periods: Mapping[str, str], any_day: bool
) -> dict[str, Clock]:
    """The clocks that still want something done, by step."""
    if state in ENDED:
        return {}
    clocks = {step: clock_of(step, events, periods=periods, any_day=any_day) for step in STEP_RULES}
    return {step: clock for step, clock in clocks.items() if clock is not None and clock.stopped_at is None}


def most_urgent(
    clocks: Mapping[str, Clock], working: WorkingTime, *, now: datetime
) -> tuple[str, Clock, Reading] | None:
    """The clock that is due first; one that stands only where none runs; None without clocks."""
    readings = [
        (step, clock, read_clock(clock, working, now=max(now, clock.started_at))) for step, clock in clocks.items()
    ]
    running = [item for item in readings if item[2].due_at is not None]
    return min(running, key=lambda item: item[2].due_at or now, default=readings[0] if readings else None)


def _stopped(rule: StepRule, after: Sequence[Happened]) -> datetime | None:
    """When the step was done; what was handed in and sent back was not done."""
    stop = None
    for event in after:
        if stop is None and event.kind in rule.stops:
            stop = event
        elif stop is not None and stop.kind == Command.SUBMIT.value and event.kind == Command.SEND_BACK.value:
            stop = None
    return stop.at if stop else None


def _extension(after: Sequence[Happened]) -> Period | None:
    granted = [
        event.data
        for event in after
        if event.kind == Command.DECIDE_EXTENSION.value and event.data.get("granted") and event.data.get("period")
    ]
    return parse_period(granted[0]["period"]) if granted else None


def _pauses(events: Sequence[Happened]) -> tuple[Pause, ...]:
    pauses = []
    for index, event in enumerate(events):
        if event.kind in _PAUSES:
            end = next((other.at for other in events[index + 1 :] if other.kind == _PAUSES[event.kind]), None)
            if end is not None or event.kind != Command.SUBMIT.value:
                pauses.append(Pause(event.at, end))
    return tuple(pauses)
