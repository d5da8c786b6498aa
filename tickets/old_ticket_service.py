"""Brings the tickets of an older system in, each once, with their times and a history that the rows follow from.

Never commits.
"""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from tickets import old_ticket_repository as rows
from tickets.lifecycle import ENDED, Command, State, next_state
from tickets.numbering import LOOKUP_DIGITS, MAX_SERIAL, NumberParts, day_text, format_number
from tickets.old_tickets import OldTicket, OldTickets
from tickets.places import Fault
from tickets.projection import CONFIDENTIAL, encode
from tickets.repository import lock_counter

CHUNK = 500
IMPORTED = "imported"


@dataclass(frozen=True)
class Imported:
    """How an import went. `known`: how many had been imported before."""

    added: int
    known: int
    refused: tuple[Fault, ...]


def import_old_tickets(
    session: Session, given: OldTickets, *, source: str, prefix: str, zone: ZoneInfo, actor: str, now: datetime
) -> Imported:
    """Adds the tickets that this source has not brought before, numbered on the day they were made."""
    known = rows.known_numbers(session, source, [ticket.number for ticket in given.tickets])
    fresh = sorted((item for item in given.tickets if item.number not in known), key=lambda item: item.created_at)
    refused = list(given.refused)
    numbered = list(_numbered(session, fresh, refused, prefix=prefix, zone=zone, now=now))
    for start in range(0, len(numbered), CHUNK):
        _write(session, numbered[start : start + CHUNK], source=source, actor=actor, now=now)
    faults = tuple(sorted(refused, key=lambda fault: fault.line))
    return Imported(len(numbered), len(known), faults)


def _numbered(
    session: Session, fresh: Iterable[OldTicket], refused: list[Fault], *, prefix: str, zone: ZoneInfo, now: datetime
) -> Iterator[tuple[OldTicket, dict[str, Any]]]:
    """Each with the row of its number; the serials of a day are taken at once. A day has only so many."""
    for day, group in groupby(fresh, key=lambda item: item.created_at.astimezone(zone).date()):
        tickets = list(group)
        counter = lock_counter(session, day_text(day))
        room = MAX_SERIAL - counter.last_serial
        refused += [Fault(item.line, f"{day} 的编号已用完") for item in tickets[room:]]
        for item in tickets[:room]:
            counter.last_serial += 1
            yield (
                item,
                {
                    "number": format_number(NumberParts(prefix, day, counter.last_serial)),
                    "day": counter.day,
                    "serial": counter.last_serial,
                    "lookup_code": f"{secrets.randbelow(10**LOOKUP_DIGITS):0{LOOKUP_DIGITS}}",
                    "call_id": None,
                    "assigned_at": now,
                },
            )
        session.flush()


def _write(
    session: Session, chunk: Sequence[tuple[OldTicket, dict[str, Any]]], *, source: str, actor: str, now: datetime
) -> None:
    rows.add_numbers(session, [number for _, number in chunk])
    ids = rows.add_tickets(session, [_row(item, number, now) for item, number in chunk])
    events, old, units = [], [], []
    for ticket_id, (item, number) in zip(ids, chunk, strict=True):
        told = enumerate(_events(item, number["number"], source, now), start=1)
        events += [
            {
                "ticket_id": ticket_id,
                "sequence": at,
                "actor": actor,
                "origin": "import",
                "reason": "",
                "key": None,
                **event,
            }
            for at, event in told
        ]
        old.append({"source": source, "number": item.number, "ticket_id": ticket_id})
        units += [{"ticket_id": ticket_id, "unit": item.unit, "lead": True}] if item.unit else []
    rows.add_events(session, events)
    rows.add_old_numbers(session, old)
    rows.add_units(session, units)


def _row(item: OldTicket, number: dict[str, Any], now: datetime) -> dict[str, Any]:
    """All columns, so that many rows are one statement."""
    blank = dict.fromkeys(("measures", "result", "reply"), "")
    return {
        **blank,
        **item.fields,
        "number": number["number"],
        "lookup_code": number["lookup_code"],
        "state": item.state.value,
        "channel": item.channel,
        "confidential": CONFIDENTIAL in item.fields["flags"],
        "unit": item.unit,
        "handler": item.handler,
        "created_at": item.created_at,
        "dispatched_at": item.dispatched_at,
        "signed_at": item.signed_at,
        "closed_at": item.closed_at,
        "updated_at": now,
        "check_at": None if item.state in ENDED else now,  # the deadlines' job reckons what is due
        "keywords": [],
        "petitioner": {},
        "version": 1,
    }


def _events(item: OldTicket, number: str, source: str, now: datetime) -> Iterator[dict[str, Any]]:
    """What happened, as far as it is known: created, dispatched, signed in, and at last brought here."""
    begun = next_state(State.ACCEPTING, Command.ACCEPT)
    yield {
        "at": item.created_at,
        "kind": "created",
        "data": {
            "number": number,
            "call_id": None,
            "channel": item.channel,
            "to": begun.value,
            "set": dict(item.fields),
        },
    }
    state = begun
    if item.dispatched_at is not None:
        changes = {"unit": item.unit, "co_units": [], "dispatched_at": item.dispatched_at}
        yield _step(Command.DISPATCH, state, State.TO_SIGN, item.dispatched_at, item.unit, changes)
        state = State.TO_SIGN
    if item.signed_at is not None:
        changes = {"handler": item.handler, "signed_at": item.signed_at}
        yield _step(Command.SIGN_IN, state, State.HANDLING, item.signed_at, item.unit, changes)
        state = State.HANDLING
    left = {"unit": item.unit, "handler": item.handler, "closed_at": item.closed_at}
    yield {
        "at": now,
        "kind": IMPORTED,
        "data": {
            "from": state.value,
            "to": item.state.value,
            "source": source,
            "old_number": item.number,
            "set": encode(left),
        },
    }


def _step(
    command: Command, before: State, after: State, at: datetime, unit: str, changes: dict[str, Any]
) -> dict[str, Any]:
    data = {"from": before.value, "to": after.value, "unit": unit, "set": encode(changes)}
    return {"at": at, "kind": command.value, "data": data}
