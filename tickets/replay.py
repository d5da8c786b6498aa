"""Finds rows of tickets that are not what their events say, and makes them so again. Never commits."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from tickets import repository
from tickets.commands import apply_changes
from tickets.effects import co_units_of
from tickets.models import Ticket
from tickets.projection import DEFAULTS, differences, fold

CHUNK = 500


@dataclass(frozen=True)
class Difference:
    """What a ticket's row says and what its events say, by column."""

    number: str
    columns: dict[str, tuple[Any, Any]]


def row_of(session: Session, ticket: Ticket) -> dict[str, Any]:
    """The columns of `tickets.projection`, as they stand."""
    row = {name: getattr(ticket, name) for name in DEFAULTS if name not in ("co_units", "readers")}
    return {**row, "co_units": co_units_of(ticket), "readers": repository.readers_of(session, ticket.id)}


def replay(session: Session, *, after: int = 0, limit: int = CHUNK) -> Iterator[tuple[Ticket, Difference | None]]:
    """The tickets behind the id `after`, each with its difference, None where there is none."""
    for ticket in repository.tickets_after(session, after, limit):
        columns = differences(row_of(session, ticket), ticket.events)
        yield ticket, Difference(ticket.number, columns) if columns else None


def repair(session: Session, ticket: Ticket) -> None:
    """Writes what the events say."""
    wanted = fold(ticket.events)
    updated_at = wanted.pop("updated_at")
    apply_changes(session, ticket, wanted, now=updated_at or ticket.updated_at)
