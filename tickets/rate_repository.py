"""Queries for the three rates: tickets with their call-backs of a period, and publications."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from asr.masking import mask_numbers
from hotline.errors import NotFoundError
from tickets.access import Viewer, visible_to
from tickets.appeal_rules import EXCLUDED, UNDER_APPEAL, excludes, exclusion_reason
from tickets.figure_models import Publication
from tickets.formulas import RatePeriod
from tickets.lifecycle import Command
from tickets.models import Ticket, TicketEvent, Unit
from tickets.rates import CallBack, Case
from tickets.survey_models import Survey

CHUNK = 500
MAX_MERGES = 20
EXCLUDING = (Command.FLAG.value, Command.DECIDE_APPEAL.value)
Item = TypeVar("Item")


def cases_of(session: Session, period: RatePeriod, *conditions: ColumnElement[bool]) -> list[Case]:
    """The tickets with a call-back that ended in the period, by number, as they are now. A merged ticket belongs to
    the unit of the one it was merged into. `conditions`: on `Ticket`."""
    query = (
        select(
            Ticket.id, Ticket.number, Ticket.unit, Ticket.town, Ticket.category, Ticket.channel, Ticket.flags,
            Ticket.parent_id, Survey.closed_at, Survey.pass_number, Survey.contacted, Survey.solved, Survey.satisfied,
        )
        .join(Ticket, Ticket.id == Survey.ticket_id)
        .where(Survey.closed_at >= period.begin, Survey.closed_at < period.end, *conditions)
    )  # fmt: skip
    rows = session.execute(query).all()
    units = {unit.code: unit for unit in session.scalars(select(Unit))}
    leads = _leads(session, {row.id: row.parent_id for row in rows if row.parent_id is not None})
    excluded = _exclusions(session, {row.id for row in rows if EXCLUDED in row.flags})
    call_backs: dict[int, list[CallBack]] = defaultdict(list)
    firsts: dict[int, Any] = {}
    for row in rows:
        firsts.setdefault(row.id, row)
        answers = (row.contacted, row.solved, row.satisfied)
        call_backs[row.id].append(CallBack(row.closed_at, row.pass_number, *answers))
    cases = []
    for ticket_id, row in firsts.items():
        unit = leads.get(ticket_id, row.unit)
        known = units.get(unit)
        cases.append(
            Case(
                number=row.number,
                unit=unit,
                unit_name=known.name if known else unit,
                kind=known.kind if known else "",
                town=row.town,
                category=row.category,
                source=row.channel,
                excluded=excluded.get(ticket_id, "未填原因") if EXCLUDED in row.flags else "",
                under_appeal=UNDER_APPEAL in row.flags,
                call_backs=tuple(sorted(call_backs[ticket_id], key=lambda item: (item.at, item.pass_number))),
            )
        )
    return sorted(cases, key=lambda case: case.number)


def cases_for(session: Session, period: RatePeriod, viewer: Viewer, *, unit: str) -> list[Case]:
    """Those that count for one unit and that the viewer may know of. A merged ticket counts for the unit that handles
    the one it went into, whose people see it here though they have no part in it."""
    merged = Ticket.parent_id.is_not(None)
    seen = visible_to(viewer) | (merged & ~Ticket.confidential)
    return [case for case in cases_of(session, period, (Ticket.unit == unit) | merged, seen) if case.unit == unit]


def add_publication(session: Session, publication: Publication) -> Publication:
    """Writes it."""
    session.add(publication)
    session.flush()
    return publication


def publication_by_id(session: Session, publication_id: int) -> Publication:
    """Raises `NotFoundError`."""
    found = session.get(Publication, publication_id) if 0 < publication_id < 2**31 else None
    if found is None:
        raise NotFoundError(f"没有编号为 {publication_id} 的发布", hint="`hotline rates list` 列出全部发布")
    return found


def publications(session: Session, *, period: str = "") -> Sequence[Publication]:
    """Newest first, without inputs and outputs."""
    query = select(Publication).order_by(Publication.id.desc())
    return session.scalars(query.where(Publication.period == period) if period else query).all()


def current_publication(session: Session, period: str) -> Publication | None:
    """The newest of a period: a correction is always newer than what it corrects."""
    query = select(Publication).where(Publication.period == period).order_by(Publication.id.desc()).limit(1)
    return session.scalars(query).one_or_none()


def _leads(session: Session, merged: Mapping[int, int]) -> dict[int, str]:
    """Ticket -> the unit of the ticket at the end of its merges."""
    targets, leads = dict(merged), {}
    for _ in range(MAX_MERGES):
        wanted = set(targets.values())
        found: dict[int, tuple[str, int | None]] = {}
        for chunk in chunks(wanted):
            query = select(Ticket.id, Ticket.unit, Ticket.parent_id).where(Ticket.id.in_(chunk))
            found |= {row.id: (row.unit, row.parent_id) for row in session.execute(query)}
        further = {}
        for ticket_id, target in targets.items():
            unit, parent = found[target]
            if parent is None:
                leads[ticket_id] = unit
            else:
                further[ticket_id] = parent
        targets = further
        if not targets:
            break
    return leads


def _exclusions(session: Session, ticket_ids: Iterable[int]) -> dict[int, str]:
    """Ticket -> why it was excluded, the last time; numbers of people hidden."""
    reasons: dict[int, str] = {}
    for chunk in chunks(ticket_ids):
        query = (
            select(TicketEvent.ticket_id, TicketEvent.kind, TicketEvent.reason, TicketEvent.data)
            .where(TicketEvent.ticket_id.in_(chunk), TicketEvent.kind.in_(EXCLUDING))
            .order_by(TicketEvent.sequence)
        )
        for row in session.execute(query):
            if excludes(row.kind, row.data):
                reasons[row.ticket_id] = exclusion_reason(row.data.get("code", ""), mask_numbers(row.reason))
    return reasons


def chunks(items: Iterable[Item], size: int = CHUNK) -> Iterator[list[Item]]:
    """The items, some at a time: a statement takes only so many parameters."""
    iterator = iter(items)
    while part := list(islice(iterator, size)):
        yield part
