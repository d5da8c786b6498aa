"""Rows as the interface tells them: pure functions, personal data masked unless told otherwise."""

from asr.masking import mask_numbers, mask_phone
from asr.models import Transcript
from console import views
from console.api import schemas
from tickets.command_rules import RULES
from tickets.extraction import PERSONAL
from tickets.intake import ANONYMOUS
from tickets.lifecycle import Command, State
from tickets.models import Evidence, Ticket, TicketEvent, Unit
from tickets.roles import Role

_WHO = frozenset({"caller_name", "phone", *PERSONAL})


def summary(ticket: Ticket) -> schemas.TicketSummary:
    """A line of the list."""
    return schemas.TicketSummary(**_summary(ticket))


def _summary(ticket: Ticket) -> dict[str, object]:
    return {
        "number": ticket.number,
        "state": State(ticket.state),
        "title": mask_numbers(ticket.title),
        "category": ticket.category,
        "type": ticket.type,
        "tier": ticket.tier,
        "channel": ticket.channel,
        "flags": [str(flag) for flag in ticket.flags],
        "confidential": ticket.confidential,
        "unit": ticket.unit,
        "town": ticket.town,
        "place": ticket.place,
        "due_step": ticket.due_step,
        "due_at": ticket.due_at,
        "created_at": ticket.created_at,
        "updated_at": ticket.updated_at,
        "closed_at": ticket.closed_at,
        "version": ticket.version,
    }


def detail(ticket: Ticket, *, merged_into: str | None, full: bool) -> schemas.TicketDetail:
    """All of a ticket; `full`: nothing is masked."""

    def shown(text: str) -> str:
        return text if full else mask_numbers(text)

    return schemas.TicketDetail(
        **{
            **_summary(ticket),
            "title": shown(ticket.title),
            "content": shown(ticket.content),
            "caller": _caller(ticket, full=full),
            "address": shown(ticket.address),
            "community": ticket.community,
            "latitude": ticket.latitude,
            "longitude": ticket.longitude,
            "keywords": [shown(str(word)) for word in ticket.keywords],
            "overlay": ticket.overlay,
            "co_units": [item.unit for item in ticket.units if not item.lead],
            "handler": ticket.handler,
            "merged_into": merged_into,
            "passes": ticket.passes,
            "measures": shown(ticket.measures),
            "result": shown(ticket.result),
            "reply": shown(ticket.reply),
            "fee_cents": ticket.fee_cents,
            "dispatched_at": ticket.dispatched_at,
            "signed_at": ticket.signed_at,
            "contacted_at": ticket.contacted_at,
            "on_site_at": ticket.on_site_at,
            "submitted_at": ticket.submitted_at,
            "has_call": ticket.call_id is not None,
            "unmasked": full,
        }
    )


def may_tell(ticket: Ticket, field: str) -> bool:
    """Whether a field is told without a reason: nothing that says who an anonymous petitioner is."""
    return field not in _WHO or not _anonymous(ticket)


def _anonymous(ticket: Ticket) -> bool:
    return ticket.anonymous or ANONYMOUS in ticket.flags


def _caller(ticket: Ticket, *, full: bool) -> schemas.Petitioner:
    anonymous = _anonymous(ticket)
    told = full or not anonymous
    return schemas.Petitioner(
        kind=ticket.caller_kind,
        name=ticket.caller_name if told else "",
        phone=ticket.phone if full else mask_phone(ticket.phone) if told else "",
        anonymous=anonymous,
        details=dict(ticket.petitioner) if full else None,
    )


def event(item: TicketEvent) -> schemas.TicketEventOut:
    """One event; of its data only the states, since the rest may be personal."""
    return schemas.TicketEventOut(
        sequence=item.sequence,
        at=item.at,
        kind=item.kind,
        actor=item.actor,
        reason=mask_numbers(item.reason),
        state_from=str(item.data.get("from", "")),
        state_to=str(item.data.get("to", "")),
    )


def evidence(item: Evidence) -> schemas.EvidenceOut:
    """One piece of evidence, masked."""
    return schemas.EvidenceOut(
        field=item.field,
        value=mask_phone(item.value) if item.field == "phone" else mask_numbers(item.value),
        source=item.source,
        confidence=item.confidence,
        quote=mask_numbers(item.quote),
        start_ms=item.start_ms,
        end_ms=item.end_ms,
    )


def transcript(found: Transcript, *, full: bool) -> schemas.TranscriptOut:
    """A transcript in the order of time."""
    return schemas.TranscriptOut(
        call_id=found.call_id,
        version=found.version,
        origin=found.origin,
        demo_model=found.demo_model,
        utterances=[
            schemas.UtteranceOut(speaker=item.speaker, start_ms=item.start_ms, end_ms=item.end_ms, text=item.text)
            for item in views.utterances(found, masked=not full)
        ],
    )


def unit(found: Unit) -> schemas.UnitOut:
    """A unit; how to reach its people is not for programs."""
    return schemas.UnitOut(code=found.code, name=found.name, kind=found.kind, active=found.active)


def command(item: Command) -> schemas.CommandOut:
    """What the table says of a command."""
    rule = RULES[item]
    return schemas.CommandOut(
        command=item,
        label=item.label,
        roles=[role.value for role in Role if role in rule.roles or role is Role.ADMIN],
        needs_reason=rule.reason,
        arguments=rule.arguments.model_json_schema(),
    )
