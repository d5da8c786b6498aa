"""The one way in which a ticket is changed: a command, checked, done and told in one transaction. Never commits.

A command is done once: its key is kept with its event, and sending it again gives that event back. Two people who
change one ticket do so one after the other; who gives the version that he saw is told when it is not the newest.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from hotline.bus import Bus, Event
from hotline.clock import Clock
from hotline.db import Database
from hotline.errors import ConflictError, InvalidInputError
from hotline.settings import Settings
from hotline.settings_sections import TicketSettings
from tickets import command_rules as rules
from tickets import repository
from tickets.access import Viewer
from tickets.call_back import UNREASONABLE, judge
from tickets.classifier.site import SiteClassifier
from tickets.due import due_of
from tickets.effects import EFFECTS, Context, co_units_of
from tickets.events import record_event
from tickets.guards import Situation, check_guards
from tickets.lifecycle import ENDED, Command, State, next_state
from tickets.models import Ticket, TicketEvent, TicketUnit
from tickets.notices.occasions import tell_change
from tickets.notices.plan import NoticePlan, load_plan
from tickets.projection import encode, with_derived
from tickets.roles import SYSTEM_ACTOR, Actor
from tickets.service import SiteData, load_site_data
from tickets.survey import cancel_surveys, schedule_survey
from tickets.survey_repository import surveys_of_ticket
from tickets.survey_rules import SurveyPlan, load_survey
from tickets.ticket_clocks import clock_of
from tickets.working_time import WorkingTime, load_working_time

CHANGED = "ticket.changed"
MAX_KEY = 64


@dataclass(frozen=True)
class Desk:
    """What the commands of a site need to know."""

    site: SiteData
    working: WorkingTime
    survey: SurveyPlan
    settings: TicketSettings
    notices: NoticePlan
    automatic_call_back: bool = True


def load_desk(settings: Settings) -> Desk:
    """From the site's data files; raises `ConfigurationError`."""
    site = load_site_data(settings.tickets)
    return Desk(
        replace(site, learned=SiteClassifier(settings, site.taxonomy.categories)),
        load_working_time(settings),
        load_survey(settings),
        settings.tickets,
        load_plan(settings),
        settings.surveys.automatic,
    )


@dataclass(frozen=True)
class CommandRequest:
    """A command as it is given. `key`: names it, so that sending it again changes nothing; `expected_version`: of the
    ticket as the person saw it, None where that does not matter."""

    command: Command
    arguments: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    key: str | None = None
    expected_version: int | None = None


@dataclass(frozen=True)
class Outcome:
    """`repeated`: it had been done before."""

    ticket: Ticket
    event: TicketEvent
    repeated: bool


def execute(
    database: Database,
    bus: Bus,
    clock: Clock,
    *,
    number: str,
    request: CommandRequest,
    actor: Actor,
    viewer: Viewer | None,
    desk: Desk,
) -> Outcome:
    """`perform` for the edge: in a transaction of its own, told to the pages after it. `viewer`: None for rules and
    jobs, which see every ticket; raises `NotFoundError` for a ticket that the viewer may not know of."""
    with database.transaction() as session:
        ticket = repository.lock_ticket(session, number, viewer)
        outcome = perform(session, ticket, request, actor=actor, desk=desk, now=clock.now())
    if not outcome.repeated:
        data = {"number": number, "ticket_id": ticket.id, "command": request.command.value, "state": ticket.state}
        bus.publish(Event(name=CHANGED, at=clock.now(), data=data))
    return outcome


def perform(
    session: Session, ticket: Ticket, request: CommandRequest, *, actor: Actor, desk: Desk, now: datetime
) -> Outcome:
    """Changes a ticket that `repository.lock_ticket` holds.

    Raises `ForbiddenError` for who may not, `ConflictError` where state, rules or version do not allow it,
    `InvalidInputError` for what the command says.
    """
    command = request.command
    if request.key is not None and not 0 < len(request.key) <= MAX_KEY:
        raise InvalidInputError(f"操作标识须为 1 至 {MAX_KEY} 个字符")
    events = list(repository.events_of(session, ticket.id))
    done = next((event for event in events if request.key is not None and event.key == request.key), None)
    if done is not None:
        if done.kind != command.value:
            raise ConflictError("同一操作标识已用于另一操作", hint="请刷新页面后重试")
        return Outcome(ticket, done, repeated=True)
    rules.check_role(command, actor)
    rules.check_unit(command, actor, lead=ticket.unit, units=frozenset(link.unit for link in ticket.units))
    before = State(ticket.state)
    after = next_state(before, command)
    if request.expected_version not in (None, ticket.version):
        raise ConflictError("工单已被他人更新", hint="请查看最新内容后重试")
    arguments = rules.parse_arguments(command, request.arguments)
    reason = rules.check_reason(command, request.reason)
    if isinstance(arguments, rules.FlagArguments):
        rules.check_flag(arguments.flag, actor)
    situation = _situation(ticket, events, desk, by_person=not actor.is_system, reason=reason, now=now)
    check_guards(command, situation, arguments)
    effect = EFFECTS.get(command)
    context = Context(actor, desk.site, desk.survey, now, reason)
    changes = effect(session, ticket, arguments, context) if effect else {}
    if after in ENDED and before not in ENDED:
        changes["closed_at"] = now
    said = {name: value for name, value in arguments.model_dump(mode="json").items() if value is not None}
    data = {**said, "from": before.value, "to": after.value, "unit": said.get("unit", ticket.unit)}
    if command is Command.DECIDE_EXTENSION:
        data["period"] = _asked_period(events)
    if command is Command.EDIT:
        data["was"] = encode({name: getattr(ticket, name) for name in changes})
    apply_changes(session, ticket, {"state": after.value, **changes}, now=now)
    if changes:
        data["set"] = encode(changes)
    event = record_event(
        session,
        ticket,
        command.value,
        now=now,
        data=data,
        actor=actor.username,
        origin=actor.origin,
        reason=reason,
        key=request.key,
        sequence=len(events) + 1,
    )
    refresh_due(ticket, [*events, event], desk, now=now)
    if after is State.TO_CALL_BACK and before is not after:
        for phone in repository.phones_of(session, ticket):
            schedule_survey(session, ticket, phone, plan=desk.survey, now=now)
    elif before is State.TO_CALL_BACK and before is not after:
        cancel_surveys(session, ticket, now=now)
    session.flush()
    tell_change(session, ticket, [*events, event], plan=desk.notices, now=now)
    if command is Command.CALL_BACK:
        conclude_call_back(session, ticket, desk=desk, now=now)
    return Outcome(ticket, event, repeated=False)


def conclude_call_back(session: Session, ticket: Ticket, *, desk: Desk, now: datetime) -> Outcome | None:
    """Does what the answers of all callers of a ticket ask for, once they are there; None where a person decides.

    `ticket` is held by this transaction.
    """
    if ticket.state != State.TO_CALL_BACK.value or UNREASONABLE in ticket.flags or not desk.automatic_call_back:
        return None
    surveys = [item for item in surveys_of_ticket(session, ticket.id) if item.pass_number == ticket.passes]
    verdict = judge(surveys, passes=ticket.passes, max_redos=desk.settings.max_redos)
    if verdict is None:
        return None
    request = CommandRequest(verdict.command, reason=verdict.reason)
    return perform(session, ticket, request, actor=SYSTEM_ACTOR, desk=desk, now=now)


def apply_changes(session: Session, ticket: Ticket, changes: Mapping[str, Any], *, now: datetime) -> None:
    """Writes columns of `tickets.projection` to the row and to the rows that belong to it."""
    for name, value in with_derived(changes).items():
        if name == "readers":
            repository.set_readers(session, ticket.id, value)
        elif name != "co_units":
            setattr(ticket, name, value)
    if {"unit", "co_units"} & set(changes):
        co_units = changes.get("co_units", co_units_of(ticket))
        wanted = {**dict.fromkeys(co_units, False), **({ticket.unit: True} if ticket.unit else {})}
        ticket.units = [TicketUnit(ticket_id=ticket.id, unit=unit, lead=lead) for unit, lead in wanted.items()]
    ticket.updated_at = now


def refresh_due(ticket: Ticket, events: list[TicketEvent], desk: Desk, *, now: datetime) -> None:
    """Reckons anew what the ticket waits for. `events`: all of them, in order."""
    due = due_of(
        State(ticket.state),
        events,
        tier=ticket.tier,
        overlay=ticket.overlay,
        site=desk.site,
        working=desk.working,
        now=now,
    )
    ticket.due_at, ticket.due_step, ticket.check_at = due.at, due.step, due.check_at


def _situation(
    ticket: Ticket, events: list[TicketEvent], desk: Desk, *, by_person: bool, reason: str, now: datetime
) -> Situation:
    known = ticket.tier in desk.site.deadlines
    periods = desk.site.clocks(ticket.tier, ticket.overlay) if known else {}
    any_day = desk.site.deadlines[ticket.tier].any_day if known else False
    return Situation(
        unit=ticket.unit,
        passes=ticket.passes,
        flags=ticket.flags,
        events=events,
        sign_in=clock_of("sign_in", events, periods=periods, any_day=any_day),
        reply=clock_of("reply", events, periods=periods, any_day=any_day),
        max_redos=desk.settings.max_redos,
        by_person=by_person,
        reason=reason,
        now=now,
        working=desk.working,
    )


def _asked_period(events: list[TicketEvent]) -> str:
    asked = [event for event in events if event.kind == Command.ASK_EXTENSION.value]
    return str(asked[-1].data["period"]) if asked else ""
