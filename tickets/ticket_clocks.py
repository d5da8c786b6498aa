"""The clocks of a ticket, from its events: pure. What starts, stops and pauses each step is one table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from tickets.clocks import Clock, Pause
from tickets.deadlines import parse_period
from tickets.lifecycle import Command, State

CREATED = "created"


class Happened(Protocol):
    """What is read of an event."""

    @property
    def kind(self) -> str: ...

    @property
    def at(self) -> datetime: ...


@dataclass(frozen=True)
class StepRule:
    """Events that start a step's clock, the last one counts, and that stop it."""

    starts: frozenset[str]
    stops: frozenset[str]


_ENDED = {Command.ANSWER_DIRECTLY, Command.TRANSFER, Command.MERGE, Command.REFUSE}
STEP_RULES: Mapping[str, StepRule] = {
    "dispatch": StepRule(
        starts=frozenset({CREATED, Command.GRANT_RETURN.value}),
        stops=frozenset(command.value for command in {Command.DISPATCH, *_ENDED}),
    ),
    "sign_in": StepRule(
        starts=frozenset({Command.DISPATCH.value, Command.REDO.value}),
        stops=frozenset({Command.SIGN_IN.value, Command.GRANT_RETURN.value}),
    ),
    "reply": StepRule(
        starts=frozenset({Command.DISPATCH.value, Command.REDO.value}),
        stops=frozenset({Command.SUBMIT.value, Command.GRANT_RETURN.value}),
    ),
}
STEP_OF_STATE: Mapping[State, str] = {
    State.TO_DISPATCH: "dispatch",
    State.TO_SIGN: "sign_in",
    State.RETURN_REVIEW: "sign_in",
    State.HANDLING: "reply",
    State.DELIBERATING: "reply",
    State.EXTENSION_REVIEW: "reply",
    State.SUSPENDED: "reply",
}
"""The step that a ticket in this state waits for."""
_PAUSES = {
    Command.SUSPEND.value: Command.RESUME.value,
    Command.ASK_RETURN.value: Command.DENY_RETURN.value,
}


def clock_of(step: str, events: Sequence[Happened], *, periods: Mapping[str, str], any_day: bool) -> Clock | None:
    """The clock of a step of `STEP_RULES`; None where it has not started. `events` in order; `periods`: step -> how
    long it may take, in the form of the deadlines' file."""
    rule = STEP_RULES[step]
    starts = [index for index, event in enumerate(events) if event.kind in rule.starts]
    if not starts:
        return None
    begun, after = events[starts[-1]], events[starts[-1] + 1 :]
    return Clock(
        started_at=begun.at,
        period=parse_period(periods[step]),
        any_day=any_day,
        pauses=_pauses(after),
        stopped_at=next((event.at for event in after if event.kind in rule.stops), None),
    )


def _pauses(events: Sequence[Happened]) -> tuple[Pause, ...]:
    pauses = []
    for index, event in enumerate(events):
        if event.kind in _PAUSES:
            later = events[index + 1 :]
            end = next((other.at for other in later if other.kind == _PAUSES[event.kind]), None)
            pauses.append(Pause(event.at, end))
    return tuple(pauses)
