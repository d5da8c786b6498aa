"""What is told when something happens to a ticket, to whom. Never commits.

It runs within the transaction of the change and only writes rows, so no far end holds a ticket up. Anonymous callers
are told nothing; of a confidential ticket a unit learns the number and not the matter.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy.orm import Session

from asr.masking import mask_numbers
from hotline.errors import InvalidInputError
from tickets.lifecycle import ENDED, Command, State
from tickets.models import Ticket, TicketEvent, Unit
from tickets.notices import repository
from tickets.notices.kinds import Channel, Recipient
from tickets.notices.outbox import caller_number, notify
from tickets.notices.plan import NoticePlan
from tickets.notices.subscriptions import CLOSED, CREATED, STATE_CHANGED, publish_event
from tickets.ticket_clocks import STEP_RULES

log = logging.getLogger(__name__)

LIFE_AND_SAFETY = "T1"
ANONYMOUS = "anonymous"
SEE_TICKET = "见工单"
HIDDEN_TITLE = "保密工单"
UNKNOWN = "-"


class Reminded(Protocol):
    """A share of a step's time that is used up (`tickets.reminders.Reminder`)."""

    @property
    def step(self) -> str: ...

    @property
    def share(self) -> float: ...

    @property
    def due_at(self) -> datetime: ...

    @property
    def overdue(self) -> bool: ...


@dataclass(frozen=True)
class _News:
    """A change with what its notices need."""

    session: Session
    ticket: Ticket
    events: Sequence[TicketEvent]
    plan: NoticePlan
    now: datetime

    @property
    def event(self) -> TicketEvent:
        return self.events[-1]

    @property
    def key(self) -> str:
        return f"{self.ticket.number}:{self.event.sequence}"

    @property
    def due(self) -> str:
        return local(self.ticket.due_at, self.plan)

    def unit_name(self) -> str:
        code = self.ticket.unit
        return repository.units_of(self.session, [code])[code].name if code else UNKNOWN


def tell_created(session: Session, ticket: Ticket, *, plan: NoticePlan, now: datetime) -> None:
    """A ticket is there: its caller gets number and lookup code."""
    publish_event(session, CREATED, ticket, {}, now, max_age=plan.event_age)
    values = {"number": ticket.number, "code": ticket.lookup_code}
    _tell_caller(session, ticket, "received", values, key=f"{ticket.number}:created", plan=plan, now=now)


def tell_change(
    session: Session, ticket: Ticket, events: Sequence[TicketEvent], *, plan: NoticePlan, now: datetime
) -> None:
    """A command was done, and its event is the last of `events`."""
    event = events[-1]
    before, after = str(event.data["from"]), str(event.data["to"])
    if before != after:
        data = {"command": event.kind, "from": before}
        publish_event(session, STATE_CHANGED, ticket, data, now, max_age=plan.event_age)
        if State(after) in ENDED and State(before) not in ENDED:
            publish_event(session, CLOSED, ticket, data, now, max_age=plan.event_age)
    tell = OCCASIONS.get(Command(event.kind))
    if tell is not None:
        tell(_News(session, ticket, events, plan, now))


def tell_reminder(session: Session, ticket: Ticket, reminder: Reminded, now: datetime, *, plan: NoticePlan) -> None:
    """A step of a ticket has used up a share of its time: its unit is told."""
    values = {
        "number": ticket.number,
        "step": STEP_RULES[reminder.step].label,
        "due": local(reminder.due_at, plan),
    }
    if not reminder.overdue:
        values["percent"] = f"{reminder.share * 100:.0f}"
    kind = "overdue" if reminder.overdue else "reminder"
    key = f"{ticket.number}:{reminder.step}:{reminder.share:g}:{reminder.due_at.isoformat()}"
    _tell_unit(session, ticket, ticket.unit, kind, values, key=key, plan=plan, now=now)


def local(moment: datetime | None, plan: NoticePlan) -> str:
    """2026-01-05 09:30, or a dash."""
    return f"{moment.astimezone(plan.hours.zone):%Y-%m-%d %H:%M}" if moment else UNKNOWN


def _dispatched(news: _News) -> None:
    ticket = news.ticket
    _callers(news, "dispatched", unit=news.unit_name())
    title = HIDDEN_TITLE if ticket.confidential else mask_numbers(ticket.title)
    _units(news, "to_sign", title=title or UNKNOWN, tier=ticket.tier or UNKNOWN, due=news.due)


def _return_decided(news: _News) -> None:
    granted = news.event.kind == Command.GRANT_RETURN.value
    asked = [event for event in news.events if event.kind == Command.ASK_RETURN.value]
    decision, reason = "同意" if granted else "驳回", news.event.reason or (asked[-1].reason if asked else "")
    unit = str(news.event.data.get("unit", ""))
    values = {"number": news.ticket.number, "decision": decision, "reason": reason}
    _tell_unit(news.session, news.ticket, unit, "return_decided", values, key=news.key, plan=news.plan, now=news.now)


def _extension_decided(news: _News) -> None:
    granted = bool(news.event.data.get("granted"))
    if granted:
        asked = [event for event in news.events if event.kind == Command.ASK_EXTENSION.value]
        _callers(news, "extended", due=news.due, reason=mask_numbers(asked[-1].reason) if asked else UNKNOWN)
    _units(news, "extension_decided", decision="同意" if granted else "驳回", due=news.due)


def _suspended(news: _News) -> None:
    _callers(news, "suspended", reason=mask_numbers(news.event.reason))


def _done(news: _News) -> None:
    _callers(news, "done", unit=news.unit_name())


def _supervised(news: _News) -> None:
    _units(news, "supervised", reason=mask_numbers(news.event.reason), due=news.due)


def _redo(news: _News) -> None:
    _units(news, "redo", reason=mask_numbers(news.event.reason), due=news.due)


def _sent_back(news: _News) -> None:
    _units(news, "sent_back", reason=mask_numbers(news.event.reason))


OCCASIONS: Mapping[Command, Callable[[_News], None]] = {
    Command.DISPATCH: _dispatched,
    Command.GRANT_RETURN: _return_decided,
    Command.DENY_RETURN: _return_decided,
    Command.DECIDE_EXTENSION: _extension_decided,
    Command.SUSPEND: _suspended,
    Command.APPROVE: _done,
    Command.SUPERVISE: _supervised,
    Command.REDO: _redo,
    Command.SEND_BACK: _sent_back,
}


def _callers(news: _News, kind: str, **values: str) -> None:
    """The ticket's caller, and those of the tickets merged into it, each under the number that he knows."""
    for ticket in (news.ticket, *repository.merged_into(news.session, news.ticket.id)):
        given = {"number": ticket.number, **values}
        _tell_caller(news.session, ticket, kind, given, key=news.key, plan=news.plan, now=news.now)


def _units(news: _News, kind: str, **values: str) -> None:
    given = {"number": news.ticket.number, **values}
    _tell_unit(news.session, news.ticket, news.ticket.unit, kind, given, key=news.key, plan=news.plan, now=news.now)


def _tell_caller(
    session: Session,
    ticket: Ticket,
    kind: str,
    values: Mapping[str, str],
    *,
    key: str,
    plan: NoticePlan,
    now: datetime,
) -> None:
    phone = caller_number(ticket.phone)
    if phone and not (ticket.anonymous or ANONYMOUS in ticket.flags):
        urgent = ticket.tier == LIFE_AND_SAFETY
        _tell(session, ticket, kind, Channel.SMS, phone, values, key=key, plan=plan, now=now, urgent=urgent)


def _tell_unit(
    session: Session,
    ticket: Ticket,
    code: str,
    kind: str,
    values: Mapping[str, str],
    *,
    key: str,
    plan: NoticePlan,
    now: datetime,
) -> None:
    if not code or not plan.channels:
        return
    unit: Unit | None = repository.units_of(session, [code]).get(code)
    if unit is None:
        return
    phone = caller_number(unit.phone)
    for channel, address in ((Channel.EMAIL, unit.email), (Channel.SMS, phone), (Channel.WECOM, phone)):
        if address:
            _tell(session, ticket, kind, channel, address, values, key=key, plan=plan, now=now)


def _tell(
    session: Session,
    ticket: Ticket,
    kind: str,
    channel: Channel,
    address: str,
    values: Mapping[str, str],
    *,
    key: str,
    plan: NoticePlan,
    now: datetime,
    urgent: bool = False,
) -> None:
    """An address that is none is passed over: it must not hold the ticket up."""
    if ticket.confidential and "reason" in values:
        values = {**values, "reason": SEE_TICKET}
    try:
        recipient = Recipient(channel, address)
    except InvalidInputError as error:
        log.warning("ticket %s: nobody is told %s: %s", ticket.number, kind, error)
        return
    notify(session, kind, recipient, values, key=key, now=now, plan=plan, ticket=ticket.number, urgent=urgent)
