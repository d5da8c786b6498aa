"""Suggestions for a ticket as it is: from its fields and their evidence, its history, the catalogue in force, and what
people did with the like. Reads only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from hotline.settings_sections import TicketSettings
from tickets import routing
from tickets.catalogue_repository import entries_for, version_in_force
from tickets.dispatch_repository import confidences, first_unit, habits_of
from tickets.models import Ticket
from tickets.repository import events_of
from tickets.routing import AutoRules, Matter, Past, Rules, Suggestion
from tickets.unit_repository import all_units
from tickets.unit_service import unit_data


@dataclass(frozen=True)
class Advice:
    """What is suggested, and from what; `catalogue`: the version in force, 0 for none."""

    suggestions: tuple[Suggestion, ...]
    matter: Matter
    past: Past
    catalogue: int
    names: dict[str, str]
    """Unit -> its name."""

    @property
    def first(self) -> Suggestion | None:
        """The best, None where no unit is left."""
        return self.suggestions[0] if self.suggestions else None


def advise(session: Session, ticket: Ticket, *, settings: TicketSettings, now: datetime, limit: int = 3) -> Advice:
    """Whom the ticket could be sent to. The first suggestion's unit is what a DISPATCH names as `suggested`."""
    units = [unit_data(row) for row in all_units(session)]
    version = version_in_force(session, now)
    since = now - timedelta(days=settings.dispatch_history_days)
    events = [(event.kind, event.data) for event in events_of(session, ticket.id)]
    past = routing.past_of(events, first=first_unit(session, ticket, since=since))
    matter = matter_of(ticket, confidences(session, ticket.id))
    suggestions = routing.suggest(
        matter,
        entries=entries_for(session, version.id, ticket.category) if version else (),
        units=units,
        past=past,
        habits=habits_of(session, ticket, since=since),
        rules=Rules(fallback=settings.fallback_unit, town_joins=frozenset(settings.town_joins_tiers)),
        limit=limit,
    )
    return Advice(suggestions, matter, past, version.id if version else 0, {unit.code: unit.name for unit in units})


def leave_of(advice: Advice, settings: TicketSettings) -> str:
    """The rule that lets the first suggestion go without a person, in words; empty: a person decides."""
    rules = AutoRules(
        categories=frozenset(settings.auto_dispatch),
        min_confidence=settings.auto_dispatch_confidence,
        emergencies=settings.auto_dispatch_emergencies,
    )
    first = advice.first
    return routing.leave_to_send(first, advice.matter, advice.past, rules) if first else ""


def matter_of(ticket: Ticket, sure: dict[str, float]) -> Matter:
    """What is to be sent; `sure`: field -> confidence of its evidence. What no evidence speaks of, a person wrote."""
    places: Sequence[str] = [ticket.address, ticket.place, ticket.community]
    located = [sure[name] for name in ("town", "place") if name in sure]
    return Matter(
        category=ticket.category,
        town=ticket.town or ticket.place,
        places=tuple(dict.fromkeys(filter(None, places))),
        tier=ticket.tier,
        overlay=ticket.overlay,
        flags=tuple(map(str, ticket.flags)),
        category_confidence=sure.get("category", 1.0),
        place_confidence=located[0] if located else 1.0,
    )
