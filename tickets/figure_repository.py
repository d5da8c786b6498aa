"""Queries for figures: facts of clocks and calls, sums of days, marks and drafts."""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import delete, func, insert, select, tuple_, update
from sqlalchemy.orm import Session

from recordings.models import Call
from tickets import figures
from tickets.figure_models import CallOutcome, ClockOutcome, DailyFigure, FigureMark, RateDraft
from tickets.figures import Figures, Span
from tickets.models import Ticket, TicketEvent
from tickets.outcomes import MET, MISSED, RUNNING, ClockFacts, call_figures
from tickets.rate_repository import chunks

MARK = 1
TICKET_KINDS = (figures.TICKETS, figures.CLOSED)
CLOCK_KINDS = (figures.CLOCK_MET, figures.CLOCK_MISSED)
CALL_KINDS = (
    figures.CALLS,
    figures.ANSWERED,
    figures.FAST,
    figures.QUEUED,
    figures.CONNECTED,
    figures.CONNECTED_FAST,
    figures.ABANDONED,
    figures.WAITED_MS,
)
Counts = Counter[tuple[str, str, str]]


def figures_of(session: Session, span: Span, *, unit: str | None = None) -> Figures:
    """The sums of a span. `unit`: only what is counted by that unit, as if nothing else were."""
    query = (
        select(DailyFigure.kind, DailyFigure.dimension, DailyFigure.key, func.sum(DailyFigure.count))
        .where(DailyFigure.day >= span.first.isoformat(), DailyFigure.day <= span.last.isoformat())
        .group_by(DailyFigure.kind, DailyFigure.dimension, DailyFigure.key)
    )
    if unit is not None:
        query = query.where(DailyFigure.dimension == "unit", DailyFigure.key == unit)
    rows = [(kind, dimension, key, int(count)) for kind, dimension, key, count in session.execute(query)]
    if unit is not None:
        rows += [(kind, figures.TOTAL, figures.TOTAL, count) for kind, _, _, count in rows]
    return figures.summed(rows)


def by_day(session: Session, span: Span, kind: str, *, unit: str | None = None) -> dict[str, int]:
    """Day -> how many of a kind."""
    query = select(DailyFigure.day, DailyFigure.count).where(
        DailyFigure.day >= span.first.isoformat(),
        DailyFigure.day <= span.last.isoformat(),
        DailyFigure.kind == kind,
        DailyFigure.dimension == (figures.TOTAL if unit is None else "unit"),
        DailyFigure.key == (unit or figures.TOTAL),
    )
    return {day: count for day, count in session.execute(query)}  # noqa: C416 - rows are unpacked


def mark(session: Session) -> FigureMark | None:
    """How far the sums have come."""
    return session.get(FigureMark, MARK)


def set_mark(session: Session, *, changed_at: datetime, ticket_id: int, days: Collection[str], now: datetime) -> None:
    """The sums have come so far."""
    session.merge(FigureMark(id=MARK, changed_at=changed_at, ticket_id=ticket_id, days=sorted(days), refreshed_at=now))


def changed_tickets(session: Session, after: tuple[datetime, int], until: datetime, limit: int) -> Sequence[Ticket]:
    """The tickets that changed behind a mark, in the order they did."""
    query = (
        select(Ticket)
        .where(tuple_(Ticket.updated_at, Ticket.id) > tuple_(*after), Ticket.updated_at <= until)
        .order_by(Ticket.updated_at, Ticket.id)
        .limit(limit)
    )
    return session.scalars(query).all()


def events_of_tickets(session: Session, ticket_ids: Collection[int]) -> dict[int, list[Any]]:
    """Ticket -> its history in order, as plain rows."""
    found: dict[int, list[Any]] = defaultdict(list)
    query = (
        select(TicketEvent.ticket_id, TicketEvent.kind, TicketEvent.at, TicketEvent.data)
        .where(TicketEvent.ticket_id.in_(ticket_ids))
        .order_by(TicketEvent.ticket_id, TicketEvent.sequence)
    )
    for row in session.execute(query):
        found[row.ticket_id].append(row)
    return found


def replace_clocks(session: Session, facts: Iterable[tuple[Ticket, list[ClockFacts]]], zone: ZoneInfo) -> set[str]:
    """Writes the clocks of tickets anew; the days whose sums that changes."""
    facts = list(facts)
    ids = [ticket.id for ticket, _ in facts]
    days: set[str] = set(session.scalars(select(ClockOutcome.day).where(ClockOutcome.ticket_id.in_(ids)).distinct()))
    session.execute(delete(ClockOutcome).where(ClockOutcome.ticket_id.in_(ids)))
    rows = [
        {
            "ticket_id": ticket.id,
            "step": fact.step,
            "number": fact.number,
            "unit": fact.unit,
            "tier": ticket.tier,
            "outcome": fact.outcome,
            "started_at": fact.started_at,
            "due_at": fact.due_at,
            "day": local_day(fact.decided_at, zone) if fact.decided_at else "",
        }
        for ticket, own in facts
        for fact in own
    ]
    if rows:
        session.execute(insert(ClockOutcome), rows)
    return (days | {str(row["day"]) for row in rows}) - {""}


def miss_overdue(session: Session, now: datetime, zone: ZoneInfo, limit: int) -> set[str]:
    """Clocks whose time has passed are missed; the days on which that was."""
    due = select(ClockOutcome).where(ClockOutcome.outcome == RUNNING, ClockOutcome.due_at < now).limit(limit)
    days = set()
    for row in session.scalars(due):
        assert row.due_at is not None
        row.outcome, row.day = MISSED, local_day(row.due_at, zone)
        days.add(row.day)
    session.flush()
    return days


def count_tickets(session: Session, day: date, zone: ZoneInfo) -> Counts:
    """Of the tickets of a day: those made, by all dimensions, and those closed, by unit."""
    begin, end = bounds(day, zone)
    counts: Counts = Counter()
    made = select(
        Ticket.created_at, Ticket.channel, Ticket.type, Ticket.category, Ticket.town, Ticket.unit, Ticket.tier
    ).where(Ticket.created_at >= begin, Ticket.created_at < end)
    for row in session.execute(made):
        counts[figures.TICKETS, figures.TOTAL, figures.TOTAL] += 1
        counts[figures.TICKETS, "hour", f"{row.created_at.astimezone(zone).hour:02}"] += 1
        for dimension in ("channel", "type", "category", "town", "unit", "tier"):
            counts[figures.TICKETS, dimension, getattr(row, dimension)] += 1
    closed = (
        select(Ticket.unit, func.count()).where(Ticket.closed_at >= begin, Ticket.closed_at < end).group_by(Ticket.unit)
    )
    for unit, count in session.execute(closed):
        counts[figures.CLOSED, figures.TOTAL, figures.TOTAL] += count
        counts[figures.CLOSED, "unit", unit] += count
    return counts


def count_clocks(session: Session, day: date) -> Counts:
    """Of the clocks that were decided on a day."""
    counts: Counts = Counter()
    columns = (ClockOutcome.step, ClockOutcome.tier, ClockOutcome.unit, ClockOutcome.outcome)
    query = select(*columns, func.count()).where(ClockOutcome.day == day.isoformat()).group_by(*columns)
    for step, tier, unit, outcome, count in session.execute(query):
        kind = figures.CLOCK_MET if outcome == MET else figures.CLOCK_MISSED
        counts[kind, figures.TOTAL, figures.TOTAL] += count
        for dimension, key in (("step", step), ("tier", tier), ("step_tier", f"{step}/{tier}"), ("unit", unit)):
            counts[kind, dimension, key] += count
    return counts


def count_calls(session: Session, day: date) -> Counts:
    """Of the calls of a day."""
    counts: Counts = Counter()
    columns = (
        CallOutcome.hour, CallOutcome.answer_ms, CallOutcome.queue, CallOutcome.waited_ms, CallOutcome.left
    )  # fmt: skip
    for row in session.execute(select(*columns).where(CallOutcome.day == day.isoformat())):
        keys = [(figures.TOTAL, figures.TOTAL), ("hour", f"{row.hour:02}")]
        keys += [("queue", row.queue)] if row.queue else []
        for kind, amount in _call_counts(row).items():
            for dimension, key in keys:
                counts[kind, dimension, key] += amount
    return counts


def write_counts(session: Session, day: date, kinds: Collection[str], counts: Counts) -> None:
    """The sums of a day for those kinds, instead of what there was."""
    session.execute(delete(DailyFigure).where(DailyFigure.day == day.isoformat(), DailyFigure.kind.in_(kinds)))
    rows = [
        {"day": day.isoformat(), "kind": kind, "dimension": dimension, "key": key, "count": count}
        for (kind, dimension, key), count in counts.items()
        if count
    ]
    if rows:
        session.execute(insert(DailyFigure), rows)


def uncounted_calls(session: Session) -> dict[str, list[str]]:
    """Day -> the calls that its sums do not have yet."""
    found: dict[str, list[str]] = defaultdict(list)
    for row in session.execute(select(CallOutcome.day, CallOutcome.call_id).where(~CallOutcome.counted)):
        found[row.day].append(row.call_id)
    return found


def mark_counted(session: Session, call_ids: Iterable[str]) -> None:
    """The sums of their day have these calls."""
    for chunk in chunks(call_ids):
        session.execute(update(CallOutcome).where(CallOutcome.call_id.in_(chunk)).values(counted=True))


def _call_counts(row: Any) -> dict[str, int]:
    found = {figures.CALLS: 1}
    if row.answer_ms is not None:
        found |= {figures.ANSWERED: 1, figures.FAST: int(row.answer_ms <= figures.FAST_MS)}
    if row.queue:
        connected = row.left == "connected"
        found |= {
            figures.QUEUED: 1,
            figures.CONNECTED: int(connected),
            figures.CONNECTED_FAST: int(connected and row.waited_ms <= figures.FAST_MS),
            figures.ABANDONED: int(row.left == "left"),
            figures.WAITED_MS: row.waited_ms,
        }
    return found


def draft(session: Session, period: str) -> RateDraft | None:
    """The rates of a period as last reckoned."""
    return session.get(RateDraft, period)


def set_draft(
    session: Session, *, period: str, formula: str, cases: int, outputs: dict[str, Any], now: datetime
) -> None:
    """Keeps rates as they are now."""
    text = json.dumps(outputs, ensure_ascii=False)
    session.merge(RateDraft(period=period, formula=formula, computed_at=now, cases=cases, outputs=text))


def local_day(moment: datetime, zone: ZoneInfo) -> str:
    """The local day of a moment, as it is kept."""
    return moment.astimezone(zone).date().isoformat()


def bounds(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """A local day in UTC, its end not included."""
    begin = datetime.combine(day, time(), zone)
    return begin.astimezone(UTC), datetime.combine(day + timedelta(days=1), time(), zone).astimezone(UTC)


def note_call(session: Session, call: Call, zone: ZoneInfo) -> None:
    """Keeps what figures count of a call; done once."""
    found = call_figures(
        direction=call.direction,
        purpose=call.purpose,
        answer_ms=call.answer_ms,
        entries=[*call.details.get("entries", ()), {"kind": "ended", "duration_ms": call.duration_ms}],
    )
    if found is None or session.get(CallOutcome, call.id) is not None:
        return
    local = call.started_at.astimezone(zone)
    session.add(
        CallOutcome(
            call_id=call.id,
            day=local.date().isoformat(),
            hour=local.hour,
            answer_ms=found.answer_ms,
            queue=found.queue,
            waited_ms=found.waited_ms,
            left=found.left,
        )
    )
    session.flush()
