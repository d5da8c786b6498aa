"""What a ticket waits for, until when, and when that is to be looked at again. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tickets.clocks import Clock, moment_of
from tickets.lifecycle import State
from tickets.service import SiteData
from tickets.ticket_clocks import Happened, most_urgent, open_clocks
from tickets.working_time import WorkingTime

SHARES = (0.5, 0.8, 1.0)
"""Of the time that a step may take: when the people are reminded; at the last it is overdue."""


@dataclass(frozen=True)
class Due:
    """`at`: None while every clock stands, or none runs; `step`: the one that is due first; `check_at`: the next moment
    at which something is to be done about it."""

    at: datetime | None = None
    step: str = ""
    check_at: datetime | None = None


def due_of(
    state: State,
    events: Sequence[Happened],
    *,
    tier: str,
    overlay: str,
    site: SiteData,
    working: WorkingTime,
    now: datetime,
) -> Due:
    """Of a ticket with these events, in order."""
    clocks = clocks_of(state, events, tier=tier, overlay=overlay, site=site)
    first = most_urgent(clocks, working, now=now)
    if first is None:
        return Due()
    step, _, reading = first
    moments = [moment for clock in clocks.values() if (moment := next_moment(clock, working, now=now)) is not None]
    return Due(reading.due_at, step, min(moments, default=None))


def clocks_of(state: State, events: Sequence[Happened], *, tier: str, overlay: str, site: SiteData) -> dict[str, Clock]:
    """The clocks that run or stand, by step; none for a tier that the site does not know."""
    if tier not in site.deadlines:
        return {}
    periods, any_day = site.clocks(tier, overlay), site.deadlines[tier].any_day
    return open_clocks(state, events, periods=periods, any_day=any_day)


def next_moment(clock: Clock, working: WorkingTime, *, now: datetime) -> datetime | None:
    """The first of `SHARES` that is still to come; None where the clock stands before it, or all are past."""
    moments = (moment_of(clock, working, share=share) for share in SHARES)
    return next((moment for moment in moments if moment is not None and moment > now), None)
