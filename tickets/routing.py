"""Which units a ticket could be sent to, best first, each with the rule, a reason and a confidence. Pure.

1. Disputed: two units have returned it, so the fallback unit calls them together and divides the duty on site.
2. 首接负责: who first took the same matter keeps it, unless it was allowed to return it.
3. The catalogue; the more exact entry first.
4. What people did with the like, where the catalogue is silent; where it is not, that speaks for an entry.
5. Nobody: the fallback unit (the district office).

A unit that has returned the ticket, or is closed, is never suggested as lead. The same input gives the same answer.
Confidence is 0 to 1: how exact the rule is, times how sure category and place are. Nothing is sent because of it alone:
`leave_to_send` tells whether a rule of the site lets the first suggestion go without a person.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tickets.catalogue import TOWN_UNIT, Entry, town_unit
from tickets.units import UnitData

Basis = Literal["catalogue", "direct", "first_responder", "division_of_duty", "district_office"]
EMERGENCY_TIER = "T1"
DISPUTED_FROM = 2  # units that have returned it
DIVISION, FIRST_RESPONDER, NOBODY, LAST_RESORT = 0.9, 0.9, 0.3, 0.1
PLACE_AND_CATEGORY, PLACE, CATEGORY, FIRST_LEVEL = 0.98, 0.95, 0.92, 0.85
HABIT = 0.7
ENOUGH = 10  # tickets of the like, for a habit to count in full
AGREEMENT = 0.3  # of what is missing to certainty, where everybody did the same


@dataclass(frozen=True, kw_only=True)
class Matter:
    """What is to be sent. `places`: what the gazetteer calls the spot, the most exact first; the confidences are those
    of the evidence, 1 where a person said so."""

    category: str
    town: str = ""
    places: tuple[str, ...] = ()
    tier: str = ""
    overlay: str = ""
    flags: tuple[str, ...] = ()
    category_confidence: float = 1.0
    place_confidence: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Past:
    """`leads`: who had the ticket, oldest first; `returned`: who was allowed to return it; `first`: who took an earlier
    ticket of the same matter."""

    leads: tuple[str, ...] = ()
    returned: tuple[str, ...] = ()
    first: str = ""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Of the site. `fallback`: a unit's code, empty for the first district office; `town_joins`: tiers in which the
    town's unit works along."""

    fallback: str = ""
    town_joins: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class AutoRules:
    """What may go without a person: `categories` (first level or both), none by default."""

    categories: frozenset[str] = frozenset()
    min_confidence: float = 1.0
    emergencies: bool = False


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """One lead, and who works along. `entry`: of the catalogue, where it was that."""

    unit: str
    co_units: tuple[str, ...]
    basis: Basis
    reason: str
    confidence: float
    entry: Entry | None = field(default=None)


NEVER, NO_RULES = Past(), Rules()


def suggest(
    matter: Matter,
    *,
    entries: Iterable[Entry],
    units: Iterable[UnitData],
    past: Past = NEVER,
    habits: Mapping[str, int] | None = None,
    rules: Rules = NO_RULES,
    limit: int = 3,
) -> tuple[Suggestion, ...]:
    """At most `limit` suggestions, each of another lead. `habits`: unit -> how many of the like people sent to it.
    Empty only where no unit is left that could take it."""
    site = {unit.code: unit for unit in units}
    open_units = {code: unit for code, unit in site.items() if unit.active and code not in past.returned}
    case = _Case(matter, past, rules, site, open_units, dict(habits or {}))
    ranked: dict[str, Suggestion] = {}
    for suggestion in (*_disputed(case), *_first(case), *_catalogue(case, entries), *_habit(case), *_nobody(case)):
        ranked.setdefault(suggestion.unit, suggestion)
    return tuple(_sure(case, suggestion) for suggestion in list(ranked.values())[:limit])


def leave_to_send(suggestion: Suggestion, matter: Matter, past: Past, rules: AutoRules) -> str:
    """The rule that lets a suggestion be sent without a person, in words for the ticket's history; empty: none does."""
    entry = suggestion.entry
    levels = {matter.category, matter.category.partition("/")[0]} - {""}
    if entry is None or not entry.auto_dispatch or not levels & rules.categories or past.leads:
        return ""
    if "confidential" in matter.flags or suggestion.confidence < rules.min_confidence:
        return ""
    if (matter.tier == EMERGENCY_TIER or "emergency" in matter.flags) and not rules.emergencies:
        return ""
    where = entry.category + (f"、{entry.place}" if entry.place else "")
    return f"自动派单：目录“{where}”准予自动派单，把握 {suggestion.confidence:.0%}"


@dataclass(frozen=True)
class _Case:
    matter: Matter
    past: Past
    rules: Rules
    site: Mapping[str, UnitData]
    open_units: Mapping[str, UnitData]
    habits: Mapping[str, int]

    @property
    def fallback(self) -> str:
        """The unit that takes what is nobody's, empty where none is open."""
        if self.rules.fallback in self.open_units:
            return self.rules.fallback
        return min((code for code, unit in self.open_units.items() if unit.kind == "office"), default="")

    def resolve(self, code: str) -> str:
        """A unit that is open, empty for any other."""
        if code == TOWN_UNIT:
            return town_unit(self.matter.town, self.open_units.values())
        return code if code in self.open_units else ""

    def along(self, lead: str, codes: Iterable[str]) -> tuple[str, ...]:
        """Who works along with `lead`."""
        wanted = [self.resolve(code) for code in codes]
        if self.matter.tier in self.rules.town_joins or self.matter.overlay:
            wanted.append(self.resolve(TOWN_UNIT))
        return tuple(code for code in dict.fromkeys(wanted) if code and code != lead)

    def name(self, code: str) -> str:
        return self.site[code].name if code in self.site else code


def _disputed(case: _Case) -> Iterable[Suggestion]:
    returned = tuple(dict.fromkeys(case.past.returned))
    if len(returned) < DISPUTED_FROM or not case.fallback:
        return
    names = "、".join(case.name(code) for code in returned)
    parties = tuple(code for code in returned if code in case.site and case.site[code].active)
    reason = f"{names} 均已退单，职责有争议：由{case.name(case.fallback)}召集各方现场分责"
    yield Suggestion(unit=case.fallback, co_units=parties, basis="division_of_duty", reason=reason, confidence=DIVISION)


def _first(case: _Case) -> Iterable[Suggestion]:
    kept = [code for code in case.past.leads if code in case.open_units]
    for code, what in ((kept[0] if kept else "", "本工单"), (case.past.first, "同一诉求的前一工单")):
        if code in case.open_units:
            reason = f"首接负责：{case.name(code)}最先承办{what}"
            yield Suggestion(
                unit=code,
                co_units=case.along(code, ()),
                basis="first_responder",
                reason=reason,
                confidence=FIRST_RESPONDER,
            )


def _catalogue(case: _Case, entries: Iterable[Entry]) -> Iterable[Suggestion]:
    matter = case.matter
    levels = {matter.category, matter.category.partition("/")[0]} - {""}
    spots = ("", matter.town, *matter.places)
    fitting = [entry for entry in entries if entry.category in levels and entry.place in spots]
    # of entries for several spots of the same exactness the one for the most exact spot
    order = {spot: index for index, spot in reversed(list(enumerate(matter.places)))}
    fitting.sort(
        key=lambda entry: (
            *(not each for each in entry.exactness(town=matter.town, places=matter.places)),
            order.get(entry.place, len(order)),
            entry.key,
        )
    )
    for entry in fitting:
        lead = case.resolve(entry.lead)
        if lead:
            yield Suggestion(
                unit=lead,
                co_units=case.along(lead, entry.co_units),
                basis="catalogue",
                reason=_words(case, entry),
                confidence=_certainty(matter, entry),
                entry=entry,
            )


def _words(case: _Case, entry: Entry) -> str:
    where = f"{entry.place}的“{entry.category}”" if entry.place else f"“{entry.category}”"
    who = "由属地承办" if entry.lead == TOWN_UNIT else "由其承办"
    town = f"（{case.matter.town}）" if entry.lead == TOWN_UNIT and case.matter.town != entry.place else ""
    return f"派单目录：{where}{who}{town}" + (f"；{entry.basis}" if entry.basis else "")


def _certainty(matter: Matter, entry: Entry) -> float:
    exact = "/" in entry.category
    known = entry.place or entry.lead == TOWN_UNIT
    rule = (PLACE_AND_CATEGORY if exact else PLACE) if entry.place else (CATEGORY if exact else FIRST_LEVEL)
    return rule * matter.category_confidence * (matter.place_confidence if known else 1.0)


def _habit(case: _Case) -> Iterable[Suggestion]:
    total = sum(case.habits.values())
    for code, count in sorted(case.habits.items(), key=lambda item: (-item[1], item[0])):
        if code in case.open_units:
            reason = f"惯例：近期 {total} 件同类诉求中 {count} 件派给该单位"
            confidence = HABIT * count / total * min(1.0, total / ENOUGH) * case.matter.category_confidence
            co_units = case.along(code, ())
            yield Suggestion(unit=code, co_units=co_units, basis="direct", reason=reason, confidence=confidence)


def _nobody(case: _Case) -> Iterable[Suggestion]:
    code = case.fallback
    if code:
        known = bool(case.matter.category)
        reason = "职责不清的由其先行承办" if known else "类别不明，由其先行承办"
        yield Suggestion(
            unit=code, co_units=case.along(code, ()), basis="district_office", reason=reason, confidence=NOBODY
        )


def _sure(case: _Case, suggestion: Suggestion) -> Suggestion:
    """With what people did with the like, where that speaks for it."""
    total, count = sum(case.habits.values()), case.habits.get(suggestion.unit, 0)
    confidence, reason = suggestion.confidence, suggestion.reason
    if count and suggestion.basis == "catalogue":
        confidence += (1 - confidence) * AGREEMENT * count / total * min(1.0, total / ENOUGH)
        reason += f"；近期 {total} 件同类诉求中 {count} 件派给该单位"
    return Suggestion(
        unit=suggestion.unit,
        co_units=suggestion.co_units,
        basis=suggestion.basis,
        reason=reason,
        confidence=round(min(1.0, max(0.0, confidence)), 3),
        entry=suggestion.entry,
    )


def past_of(events: Sequence[tuple[str, Mapping[str, object]]], *, first: str = "") -> Past:
    """From a ticket's events, kind and data, in their order."""
    leads = [str(data.get("unit", "")) for kind, data in events if kind == "dispatch"]
    returned = [str(data.get("unit", "")) for kind, data in events if kind == "grant_return"]
    return Past(
        leads=tuple(dict.fromkeys(filter(None, leads))),
        returned=tuple(dict.fromkeys(filter(None, returned))),
        first=first,
    )
