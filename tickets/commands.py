"""The one way in which a ticket is changed: a command, checked, done and told in one transaction. Never commits.

A command is done once: its key is kept with its event, and sending it again gives that event back. Two people who
change one ticket do so one after the other; who gives the version that he saw is told when it is not the newest.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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
from tickets.due import due_of
from tickets.events import record_event
from tickets.guards import Situation, check_guards
from tickets.lifecycle import ENDED, Command, State, next_state
from tickets.models import Evidence, Ticket, TicketEvent, TicketUnit
from tickets.projection import encode, with_derived
from tickets.roles import Actor
from tickets.service import SiteData, load_site_data
from tickets.survey import cancel_surveys, schedule_survey
from tickets.survey_rules import SurveyPlan, load_survey
from tickets.taxonomy import TYPES
from tickets.ticket_clocks import clock_of
from tickets.unit_repository import check_units
from tickets.working_time import WorkingTime, load_working_time

CHANGED = "ticket.changed"
HUMAN = "human"
MERGED_IN = "merged_in"
MAX_KEY = 64


@dataclass(frozen=True)
class Desk:
    """What the commands of a site need to know."""

    site: SiteData
    working: WorkingTime
    survey: SurveyPlan
    settings: TicketSettings


def load_desk(settings: Settings) -> Desk:
    """From the site's data files; raises `ConfigurationError`."""
    return Desk(load_site_data(settings.tickets), load_working_time(settings), load_survey(settings), settings.tickets)


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
    changes = effect(session, ticket, arguments, _Context(actor, desk, now, reason)) if effect else {}
    if after in ENDED and before not in ENDED:
        changes["closed_at"] = now
    said = {name: value for name, value in arguments.model_dump(mode="json").items() if value is not None}
    data = {**said, "from": before.value, "to": after.value, "unit": said.get("unit", ticket.unit)}
    if command is Command.DECIDE_EXTENSION:
        data["period"] = _asked_period(events)
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
        schedule_survey(session, ticket, plan=desk.survey, now=now)
    elif before is State.TO_CALL_BACK and before is not after:
        cancel_surveys(session, ticket, now=now)
    session.flush()
    return Outcome(ticket, event, repeated=False)


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


def co_units_of(ticket: Ticket) -> list[str]:
    """The codes of the units that help, sorted."""
    return sorted(link.unit for link in ticket.units if not link.lead)


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


@dataclass(frozen=True)
class _Context:
    actor: Actor
    desk: Desk
    now: datetime
    reason: str


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


Effect = Callable[[Session, Ticket, Any, _Context], dict[str, Any]]
_AFRESH: Mapping[str, Any] = dict.fromkeys(("signed_at", "contacted_at", "on_site_at", "submitted_at"))


def _dispatch(session: Session, ticket: Ticket, said: rules.DispatchArguments, context: _Context) -> dict[str, Any]:
    if said.unit in said.co_units:
        raise InvalidInputError("主办单位不能同时是协办单位")
    check_units(session, [said.unit, *said.co_units])
    changes = {
        "unit": said.unit,
        "co_units": sorted(set(said.co_units)),
        "dispatched_at": context.now,
        "handler": "",
        **_AFRESH,
    }
    if said.readers:
        changes["readers"] = sorted({*repository.readers_of(session, ticket.id), *said.readers})
    return changes


def _sign_in(_session: Session, _ticket: Ticket, said: rules.SignInArguments, context: _Context) -> dict[str, Any]:
    return {"handler": said.handler or context.actor.username, "signed_at": context.now}


def _grant_return(_session: Session, _ticket: Ticket, _said: rules.Arguments, _context: _Context) -> dict[str, Any]:
    return {"unit": "", "co_units": [], "handler": "", "dispatched_at": None}


def _deliberate(
    session: Session, ticket: Ticket, said: rules.DeliberateArguments, _context: _Context
) -> dict[str, Any]:
    check_units(session, said.units)
    return {"co_units": sorted({*co_units_of(ticket), *said.units} - {ticket.unit})}


def _contact(_session: Session, ticket: Ticket, said: rules.ContactArguments, context: _Context) -> dict[str, Any]:
    return {"contacted_at": context.now} if said.reached and ticket.contacted_at is None else {}


def _arrive(_session: Session, ticket: Ticket, _said: rules.Arguments, context: _Context) -> dict[str, Any]:
    return {"on_site_at": context.now} if ticket.on_site_at is None else {}


def _record(_session: Session, _ticket: Ticket, said: rules.RecordArguments, _context: _Context) -> dict[str, Any]:
    changes = said.model_dump(exclude_none=True)
    if not changes:
        raise InvalidInputError("没有填写办理情况")
    return changes


def _submit(_session: Session, _ticket: Ticket, said: rules.SubmitArguments, context: _Context) -> dict[str, Any]:
    return said.model_dump(exclude_none=True) | {"submitted_at": context.now}


def _send_back(_session: Session, _ticket: Ticket, _said: rules.Arguments, _context: _Context) -> dict[str, Any]:
    return {"submitted_at": None}


def _answer(_session: Session, _ticket: Ticket, said: rules.AnswerArguments, _context: _Context) -> dict[str, Any]:
    return {"reply": said.reply}


def _merge(session: Session, ticket: Ticket, said: rules.MergeArguments, context: _Context) -> dict[str, Any]:
    target = repository.lock_ticket(session, said.into, None)
    if target.id == ticket.id:
        raise InvalidInputError("工单不能并入自己")
    if State(target.state) in ENDED:
        raise ConflictError(
            f"工单 {target.number} {State(target.state).label}，不能并入", hint="请另选一张未办结的工单"
        )
    data = {"number": ticket.number}
    record_event(
        session, target, MERGED_IN, now=context.now, data=data, actor=context.actor.username, reason=context.reason
    )
    return {"parent_id": target.id}


def _again(_session: Session, ticket: Ticket, _said: rules.Arguments, _context: _Context) -> dict[str, Any]:
    return {"passes": ticket.passes + 1, **_AFRESH}


def _flag(session: Session, ticket: Ticket, said: rules.FlagArguments, context: _Context) -> dict[str, Any]:
    changes: dict[str, Any] = {"flags": [*ticket.flags, said.flag]}
    if said.flag == "confidential":
        changes["readers"] = sorted({context.actor.username, *said.readers})
    return changes


def _unflag(_session: Session, ticket: Ticket, said: rules.FlagArguments, _context: _Context) -> dict[str, Any]:
    changes: dict[str, Any] = {"flags": [flag for flag in ticket.flags if flag != said.flag]}
    if said.flag == "confidential":
        changes["readers"] = []
    return changes


def _name_readers(_session: Session, ticket: Ticket, said: rules.ReadersArguments, context: _Context) -> dict[str, Any]:
    if not ticket.confidential:
        raise ConflictError("工单不是保密工单，不需要指定知情人")
    return {"readers": sorted({context.actor.username, *said.readers})}


def _edit(session: Session, ticket: Ticket, said: rules.EditArguments, context: _Context) -> dict[str, Any]:
    given = said.model_dump(exclude_none=True)
    changes = {name: value for name, value in given.items() if getattr(ticket, name) != value}
    if not changes:
        raise InvalidInputError("没有修改")
    site = context.desk.site
    known: dict[str, set[str]] = {
        "category": {"", *site.taxonomy.categories, *(name.partition("/")[0] for name in site.taxonomy.categories)},
        "type": {"", *TYPES},
        "tier": set(site.deadlines),
        "overlay": {"", *(overlay.name for overlay in site.taxonomy.overlays)},
    }
    for name, values in known.items():
        if name in changes and changes[name] not in values:
            raise InvalidInputError(f"{name}：没有 {changes[name]}")
    repository.forget_evidence(session, ticket.id, set(changes))
    for name, value in changes.items():
        if name != "petitioner":
            session.add(Evidence(ticket_id=ticket.id, field=name, value=str(value)[:200], source=HUMAN, confidence=1.0))
    return changes


EFFECTS: Mapping[Command, Effect] = {
    Command.DISPATCH: _dispatch,
    Command.SIGN_IN: _sign_in,
    Command.GRANT_RETURN: _grant_return,
    Command.DELIBERATE: _deliberate,
    Command.CONTACT: _contact,
    Command.ARRIVE: _arrive,
    Command.RECORD: _record,
    Command.SUBMIT: _submit,
    Command.SEND_BACK: _send_back,
    Command.ANSWER_DIRECTLY: _answer,
    Command.MERGE: _merge,
    Command.REDO: _again,
    Command.SUPERVISE: _again,
    Command.FLAG: _flag,
    Command.UNFLAG: _unflag,
    Command.NAME_READERS: _name_readers,
    Command.EDIT: _edit,
}
