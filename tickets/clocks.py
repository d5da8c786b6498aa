"""When a step of a ticket is due, and how its clock stands. Pure: the ticket's history in, moments out.

Minutes, hours and days are clock time; where a tier does not run on days off, minutes and hours of working days alone
count, and a period of days that would end on a day off ends on the next working day. A working day counts the hours of
duty of one. Pauses do not count, whenever they were. Everything follows from the start, the period and the pauses, so
a change of the tier in mid-course or of the calendar reckons the whole clock anew and no pause is lost.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from tickets.deadlines import Period
from tickets.working_time import Span, WorkingTime

FAR = datetime.max.replace(tzinfo=UTC) - timedelta(days=2)
LENGTHS = {"min": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


@dataclass(frozen=True)
class Pause:
    """A stretch in which the clock stands; `end` None: it goes on."""

    begin: datetime
    end: datetime | None = None

    def __post_init__(self) -> None:
        if self.end is not None and self.end < self.begin:
            raise ValueError("a pause that ends before it begins")


@dataclass(frozen=True)
class Clock:
    """One step's clock. `any_day`: it also runs on days off. `extension`: granted once, on top of `period`.
    `stopped_at`: when the step was done."""

    started_at: datetime
    period: Period
    any_day: bool = False
    extension: Period | None = None
    pauses: tuple[Pause, ...] = ()
    stopped_at: datetime | None = None


class ClockState(StrEnum):
    """How a clock stands."""

    RUNNING = "running"
    PAUSED = "paused"
    OVERDUE = "overdue"
    MET = "met"
    MISSED = "missed"


@dataclass(frozen=True)
class Reading:
    """A clock at a moment. `due_at`: None while it stands with time left. `used`: share of the period, over 1 when it
    is overdue."""

    state: ClockState
    due_at: datetime | None
    used: float


def read_clock(clock: Clock, working: WorkingTime, *, now: datetime) -> Reading:
    """How `clock` stands at `now`, or stood when its step was done."""
    until = now if clock.stopped_at is None else min(now, clock.stopped_at)
    pauses = _known_at(clock.pauses, until)
    due = due_at(clock, working, pauses)
    whole = _amount(clock, working) if due is None else running_time(clock, working, pauses, until=due)
    used = running_time(clock, working, pauses, until=until) / whole
    late = due is not None and until > due
    if clock.stopped_at is not None and clock.stopped_at <= now:
        state = ClockState.MISSED if late else ClockState.MET
    elif late:
        state = ClockState.OVERDUE
    else:
        state = ClockState.PAUSED if any(pause.end is None for pause in pauses) else ClockState.RUNNING
    return Reading(state, due, used)


def due_at(clock: Clock, working: WorkingTime, pauses: Sequence[Pause] | None = None) -> datetime | None:
    """The last moment in time; None where the clock stands before it and nobody knows until when."""
    return moment_of(clock, working, pauses)


def moment_of(
    clock: Clock, working: WorkingTime, pauses: Sequence[Pause] | None = None, *, share: float = 1.0
) -> datetime | None:
    """When that share of the time is used up; None where the clock stands before it."""
    remaining = _amount(clock, working) * share
    for begin, end in _counted(clock, working, clock.pauses if pauses is None else pauses):
        if end - begin >= remaining:
            due = begin + remaining
            return due if clock.any_day or clock.period.unit != "d" else working.at_work(due)
        remaining -= end - begin
    return None


def length_of(period: Period, working: WorkingTime) -> timedelta:
    """How much a clock counts for a period: of a working day its hours of duty."""
    return period.amount * (working.day_length if period.unit == "wd" else LENGTHS[period.unit])


def running_time(clock: Clock, working: WorkingTime, pauses: Sequence[Pause], *, until: datetime) -> timedelta:
    """How long the clock has run from its start to `until`."""
    total = timedelta()
    for begin, end in _counted(clock, working, pauses):
        if begin >= until:
            break
        total += min(end, until) - begin
    return total


def _amount(clock: Clock, working: WorkingTime) -> timedelta:
    periods = [clock.period, *([clock.extension] if clock.extension else [])]
    return sum((length_of(period, working) for period in periods), timedelta())


def _counted(clock: Clock, working: WorkingTime, pauses: Sequence[Pause]) -> Iterator[Span]:
    """The stretches in which the clock runs, in order; without end unless it stands for good."""
    if clock.period.unit == "wd":
        spans: Iterable[Span] = working.duties(clock.started_at)
    elif clock.any_day or clock.period.unit == "d":
        spans = [(clock.started_at, FAR)]
    else:
        spans = working.days(clock.started_at)
    standing = sorted((pause.begin, pause.end or FAR) for pause in pauses)
    for begin, end in spans:
        at = max(begin, clock.started_at)
        for stop, go_on in standing:
            if stop >= end:
                break
            if stop > at:
                yield at, stop
            at = max(at, go_on)
        if at < end:
            yield at, end
        if at >= FAR:
            return


def _known_at(pauses: Sequence[Pause], moment: datetime) -> tuple[Pause, ...]:
    """The pauses that had begun by `moment`; one that ended later stands."""
    begun = sorted((pause for pause in pauses if pause.begin <= moment), key=lambda pause: pause.begin)
    return tuple(Pause(pause.begin, None if pause.end is None or pause.end > moment else pause.end) for pause in begun)
