"""Tickets of demands that come otherwise than by a recorded call: written, told at a counter, sent by another system.

What the demand does not say of itself is taken from its text by the same rules as from what callers say. Never commits.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from asr.recognizer import Word
from hotline.errors import InvalidInputError
from tickets.commands import Desk, refresh_due
from tickets.events import record_event
from tickets.extraction import OBSERVED, Extraction, extract
from tickets.lifecycle import Command, State, next_state
from tickets.models import Evidence, Ticket
from tickets.notices.occasions import tell_created
from tickets.numbering import LOOKUP_DIGITS
from tickets.projection import CONFIDENTIAL
from tickets.roles import Actor
from tickets.service import next_number
from tickets.speech import Speech, SpokenSegment

ANONYMOUS = "anonymous"
WRITTEN = "text"
_SENTENCE = re.compile(r"[^\n。！？；!?;]+")


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What somebody wants, and what is known of it; what is empty is looked for in `content`."""

    channel: str
    content: str
    title: str = ""
    category: str = ""
    type: str = ""
    tier: str = ""
    caller_name: str = ""
    phone: str = ""
    caller_kind: str = "person"
    anonymous: bool = False
    confidential: bool = False
    place: str = ""
    address: str = ""
    town: str = ""
    community: str = ""
    latitude: float | None = None
    longitude: float | None = None


def written(text: str) -> Speech:
    """A text as the rules of extraction read it: a sentence is an utterance."""
    sentences = filter(None, ("".join(match.group().split()) for match in _SENTENCE.finditer(text)))
    return Speech([SpokenSegment(at, text, (Word(text, 0, 0, 1.0),)) for at, text in enumerate(sentences)])


def take_demand(
    session: Session, demand: Demand, *, actor: Actor, desk: Desk, prefix: str, zone: ZoneInfo, now: datetime
) -> Ticket:
    """A new ticket with a number, accepted and waiting for dispatch; raises `InvalidInputError` for a category that
    the site does not have."""
    if demand.category and demand.category not in desk.site.taxonomy.categories:
        raise InvalidInputError(f"没有类别 {demand.category[:64]}", hint="写成“一级/二级”，例如 市政园林/路灯")
    code = f"{secrets.randbelow(10**LOOKUP_DIGITS):0{LOOKUP_DIGITS}}"
    number = next_number(session, prefix=prefix, lookup_code=code, now=now, zone=zone)
    found = extract(
        written(demand.content),
        caller_id=demand.phone,
        taxonomy=desk.site.taxonomy,
        gazetteer=desk.site.gazetteer,
        now=now.astimezone(zone),
        area_code=desk.site.area_code,
        learned=desk.site.learned,
    )
    fields = _fields(demand, found, desk)
    state = next_state(State.ACCEPTING, Command.ACCEPT)
    ticket = Ticket(
        number=number.number,
        lookup_code=code,
        state=state.value,
        channel=demand.channel,
        confidential=CONFIDENTIAL in fields["flags"],
        created_at=now,
        updated_at=now,
        **fields,
    )
    session.add(ticket)
    session.flush()
    _explain(session, ticket, demand, found)
    by = {"actor": actor.username, "origin": actor.origin}
    created = {
        "number": ticket.number,
        "call_id": None,
        "channel": ticket.channel,
        "set": fields,
        "clocks": desk.site.clocks(ticket.tier, ticket.overlay),
    }
    told = {"from": State.ACCEPTING.value, "to": state.value}
    events = [
        record_event(session, ticket, "created", now=now, data=created, sequence=1, **by),
        record_event(session, ticket, "accepted", now=now, data=told, sequence=2),
    ]
    refresh_due(ticket, events, desk, now=now)
    session.flush()
    tell_created(session, ticket, plan=desk.notices, now=now)
    return ticket


def _fields(demand: Demand, found: Extraction, desk: Desk) -> dict[str, Any]:
    """The columns: what was given, else what was found; tier and type follow a category that was given."""
    category = desk.site.taxonomy.categories.get(demand.category)
    named = {"tier": category.tier, "type": category.type} if category else {}
    given: Mapping[str, Any] = {
        name: getattr(demand, name) or named.get(name) or getattr(found, name)
        for name in (
            "category",
            "type",
            "tier",
            "title",
            "caller_name",
            "phone",
            "place",
            "address",
            "town",
            "community",
        )
    }
    flags = [*found.flags]
    flags += [ANONYMOUS] if demand.anonymous else []
    flags += [CONFIDENTIAL] if demand.confidential else []
    return {
        **given,
        "caller_name": "" if demand.anonymous else given["caller_name"],
        "overlay": found.overlay if given["category"] == found.category else "",
        "content": demand.content,
        "keywords": list(found.keywords),
        "flags": list(dict.fromkeys(flags)),
        "anonymous": demand.anonymous or ANONYMOUS in found.flags,
        "caller_kind": demand.caller_kind if demand.caller_kind != "person" else found.caller_kind,
        "petitioner": {} if demand.anonymous else dict(found.petitioner),
        "latitude": demand.latitude,
        "longitude": demand.longitude,
    }


def _explain(session: Session, ticket: Ticket, demand: Demand, found: Extraction) -> None:
    """The evidence of what was found in the text and is in the ticket."""
    for item in found.findings:
        kept = item.field in ticket.flags or item.field in OBSERVED or item.field in ticket.petitioner
        if not kept and getattr(ticket, item.field, None) != item.value:
            continue
        if getattr(demand, item.field, ""):
            continue
        session.add(
            Evidence(
                ticket_id=ticket.id,
                field=item.field,
                value=item.value[:200],
                source=WRITTEN if item.span and not item.quote else item.source,
                confidence=item.confidence,
                quote=(item.quote or (item.span.quote if item.span else ""))[:200],
            )
        )
