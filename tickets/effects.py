"""What each command writes to the ticket's row, and to rows beside it: one table. Never commits.

Columns are those of `tickets.projection`. Raises `InvalidInputError` and `ConflictError` for what cannot be.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from hotline.errors import ConflictError, InvalidInputError
from tickets import command_rules as rules
from tickets import repository
from tickets.access import viewer_of
from tickets.appeal_rules import EXCLUDED, UNDER_APPEAL
from tickets.events import record_event
from tickets.extraction import PERSONAL
from tickets.lifecycle import ENDED, Command, State
from tickets.models import Evidence, Ticket
from tickets.roles import Actor
from tickets.service import SiteData
from tickets.survey import record_call_back
from tickets.survey_rules import SurveyPlan
from tickets.taxonomy import TYPES
from tickets.unit_repository import check_units

HUMAN = "human"
MERGED_IN = "merged_in"


@dataclass(frozen=True)
class Context:
    """Beside what the command says: who, when, why, and what the site knows."""

    actor: Actor
    site: SiteData
    survey: SurveyPlan
    now: datetime
    reason: str


Effect = Callable[[Session, Ticket, Any, Context], dict[str, Any]]
_AFRESH: Mapping[str, Any] = dict.fromkeys(("signed_at", "contacted_at", "on_site_at", "submitted_at"))


def co_units_of(ticket: Ticket) -> list[str]:
    """The codes of the units that help, sorted."""
    return sorted(link.unit for link in ticket.units if not link.lead)


def _dispatch(session: Session, ticket: Ticket, said: rules.DispatchArguments, context: Context) -> dict[str, Any]:
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


def _sign_in(_session: Session, _ticket: Ticket, said: rules.SignInArguments, context: Context) -> dict[str, Any]:
    return {"handler": said.handler or context.actor.username, "signed_at": context.now}


def _grant_return(_session: Session, _ticket: Ticket, _said: rules.Arguments, _context: Context) -> dict[str, Any]:
    return {"unit": "", "co_units": [], "handler": "", "dispatched_at": None}


def _deliberate(session: Session, ticket: Ticket, said: rules.DeliberateArguments, _context: Context) -> dict[str, Any]:
    check_units(session, said.units)
    return {"co_units": sorted({*co_units_of(ticket), *said.units} - {ticket.unit})}


def _contact(_session: Session, ticket: Ticket, said: rules.ContactArguments, context: Context) -> dict[str, Any]:
    return {"contacted_at": context.now} if said.reached and ticket.contacted_at is None else {}


def _arrive(_session: Session, ticket: Ticket, _said: rules.Arguments, context: Context) -> dict[str, Any]:
    return {"on_site_at": context.now} if ticket.on_site_at is None else {}


def _record(_session: Session, _ticket: Ticket, said: rules.RecordArguments, _context: Context) -> dict[str, Any]:
    changes = said.model_dump(exclude_none=True)
    if not changes:
        raise InvalidInputError("没有填写办理情况")
    return changes


def _submit(_session: Session, _ticket: Ticket, said: rules.SubmitArguments, context: Context) -> dict[str, Any]:
    return said.model_dump(exclude_none=True) | {"submitted_at": context.now}


def _send_back(_session: Session, _ticket: Ticket, _said: rules.Arguments, _context: Context) -> dict[str, Any]:
    return {"submitted_at": None}


def _answer(_session: Session, _ticket: Ticket, said: rules.AnswerArguments, _context: Context) -> dict[str, Any]:
    return {"reply": said.reply}


def _merge(session: Session, ticket: Ticket, said: rules.MergeArguments, context: Context) -> dict[str, Any]:
    target = repository.lock_ticket(session, said.into, viewer_of(context.actor))
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


def _again(_session: Session, ticket: Ticket, _said: rules.Arguments, _context: Context) -> dict[str, Any]:
    return {"passes": ticket.passes + 1, **_AFRESH}


def _flag(session: Session, ticket: Ticket, said: rules.FlagArguments, context: Context) -> dict[str, Any]:
    changes: dict[str, Any] = {"flags": [*ticket.flags, said.flag]}
    if said.flag == "confidential":
        changes["readers"] = sorted({context.actor.username, *said.readers})
    return changes


def _unflag(_session: Session, ticket: Ticket, said: rules.FlagArguments, _context: Context) -> dict[str, Any]:
    changes: dict[str, Any] = {"flags": [flag for flag in ticket.flags if flag != said.flag]}
    if said.flag == "confidential":
        changes["readers"] = []
    return changes


def _appeal(_session: Session, ticket: Ticket, _said: rules.AppealArguments, _context: Context) -> dict[str, Any]:
    return {"flags": [*ticket.flags, UNDER_APPEAL]}


def _decide_appeal(
    _session: Session, ticket: Ticket, said: rules.DecideAppealArguments, _context: Context
) -> dict[str, Any]:
    flags = [flag for flag in ticket.flags if flag != UNDER_APPEAL]
    return {"flags": [*flags, EXCLUDED] if said.granted and EXCLUDED not in flags else flags}


def _name_readers(_session: Session, ticket: Ticket, said: rules.ReadersArguments, context: Context) -> dict[str, Any]:
    if not ticket.confidential:
        raise ConflictError("工单不是保密工单，不需要指定知情人")
    return {"readers": sorted({context.actor.username, *said.readers})}


def _edit(session: Session, ticket: Ticket, said: rules.EditArguments, context: Context) -> dict[str, Any]:
    given = said.model_dump(exclude_none=True)
    changes = {name: value for name, value in given.items() if getattr(ticket, name) != value}
    if not changes:
        raise InvalidInputError("没有修改")
    site = context.site
    known: dict[str, set[str]] = {
        "category": {"", *site.taxonomy.categories, *(name.partition("/")[0] for name in site.taxonomy.categories)},
        "type": {"", *TYPES},
        "tier": set(site.deadlines),
        "overlay": {"", *(overlay.name for overlay in site.taxonomy.overlays)},
    }
    for name, values in known.items():
        if name in changes and changes[name] not in values:
            raise InvalidInputError(f"{name}：没有 {changes[name]}")
    told = {name: value for name, value in changes.items() if name != "petitioner"}
    person = changes.get("petitioner", ticket.petitioner)
    told |= {name: person.get(name, "") for name in PERSONAL if ticket.petitioner.get(name) != person.get(name)}
    repository.forget_evidence(session, ticket.id, set(told))
    for name, value in told.items():
        session.add(Evidence(ticket_id=ticket.id, field=name, value=str(value)[:200], source=HUMAN, confidence=1.0))
    return changes


def _call_back(session: Session, ticket: Ticket, said: rules.CallBackArguments, context: Context) -> dict[str, Any]:
    phone = said.phone or ticket.phone
    if phone not in repository.phones_of(session, ticket):
        raise InvalidInputError("这不是本工单诉求人的号码")
    answers = {name: getattr(said, name) for name in ("contacted", "solved", "satisfied")}
    record_call_back(
        session,
        ticket,
        phone,
        answers=answers if said.reached else None,
        note=said.note,
        plan=context.survey,
        actor=context.actor.username,
        now=context.now,
    )
    return {}


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
    Command.APPEAL: _appeal,
    Command.DECIDE_APPEAL: _decide_appeal,
    Command.NAME_READERS: _name_readers,
    Command.EDIT: _edit,
    Command.CALL_BACK: _call_back,
}
