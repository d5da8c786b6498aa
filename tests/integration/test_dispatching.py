"""Whom tickets could be sent to, from rows; and those that a rule sends by itself, on both databases."""

from collections.abc import Iterable
from datetime import timedelta

import pytest
from ticket_people import BUREAU, COMPANY, MONDAY, NUMBER, OFFICE, TOWN, Counter, add_ticket, seed_units

from hotline.bus import MemoryBus
from hotline.clock import ManualClock
from hotline.db import Database
from hotline.jobs import MemoryJobs
from hotline.settings import Settings
from hotline.settings_sections import TicketSettings
from tickets.auto_dispatch import AutoDispatchJobs
from tickets.catalogue import TOWN_UNIT, Entry, Vocabulary
from tickets.catalogue_service import add_version, put_in_force
from tickets.commands import CHANGED, load_desk
from tickets.dispatching import Advice, advise
from tickets.lifecycle import Command
from tickets.repository import lock_ticket
from tickets.roles import Actor, Role
from tickets.unit_repository import all_units
from tickets.unit_service import change_unit, unit_data

HEATER = "供暖/煤改电设备"
ENTRY = Entry(HEATER, "", TOWN_UNIT, (COMPANY,), "属地组织维修", auto_dispatch=True)
OTHER = "YQ20260105000029"


def counter_of(database: Database, **settings: object) -> Counter:
    desk = load_desk(Settings(timezone="Asia/Shanghai", tickets=TicketSettings(**settings)))
    return Counter(database, desk)


@pytest.fixture
def counter(database: Database) -> Counter:
    with database.transaction() as session:
        seed_units(session)
        ticket = add_ticket(session, NUMBER, "c0ffee")
        ticket.category, ticket.town, ticket.place = HEATER, "张山营镇", "张山营镇"
    return counter_of(database)


def put(database: Database, entries: Iterable[Entry]) -> int:
    at = MONDAY - timedelta(days=1)
    with database.transaction() as session:
        units = {row.code: unit_data(row) for row in all_units(session)}
        version = add_version(session, b"", entries, source="a.csv", actor="pai", now=at)
        known = Vocabulary(frozenset({HEATER}), {"张山营镇": "张山营镇"}, units)
        put_in_force(session, version, known, effective_from=at, now=at)
        return version.id


def advice(counter: Counter, number: str = NUMBER) -> Advice:
    with counter.database.reading() as session:
        ticket = lock_ticket(session, number, None)
        return advise(session, ticket, settings=counter.desk.settings, now=counter.now)


def units(found: Advice) -> list[tuple[str, str]]:
    return [(each.unit, each.basis) for each in found.suggestions]


def test_the_catalogue_in_force_and_the_evidence_make_the_suggestion(counter: Counter) -> None:
    assert units(advice(counter)) == [(OFFICE, "district_office")]
    version = put(counter.database, [ENTRY])
    found = advice(counter)
    assert found.catalogue == version
    assert units(found) == [(TOWN, "catalogue"), (OFFICE, "district_office")]
    assert found.suggestions[0].co_units == (COMPANY,)
    assert found.names[TOWN] == "张山营镇"
    assert found.matter.category_confidence < 1
    assert found.suggestions[0].confidence < 0.92
    counter.give(Command.EDIT, category="供暖/煤改气")
    counter.give(Command.EDIT, category=HEATER)
    assert advice(counter).matter.category_confidence == 1.0


def test_a_unit_that_returned_it_is_out_and_two_returns_are_a_dispute(counter: Counter) -> None:
    put(counter.database, [ENTRY, Entry("供暖", "", COMPANY)])
    counter.give(Command.DISPATCH, Command.ASK_RETURN, Command.GRANT_RETURN)
    assert units(advice(counter)) == [(COMPANY, "catalogue"), (OFFICE, "district_office")]
    counter.give(Command.DISPATCH, unit=COMPANY)
    head = Actor("li", Role.UNIT_HEAD, COMPANY)
    counter.give(Command.ASK_RETURN, actor=head, code="not_our_duty")
    counter.give(Command.GRANT_RETURN)
    (found,) = advice(counter).suggestions
    assert (found.unit, found.basis, found.co_units) == (OFFICE, "division_of_duty", (TOWN, COMPANY))


def test_the_same_callers_next_ticket_goes_to_who_took_the_first(counter: Counter) -> None:
    put(counter.database, [ENTRY])
    counter.give(Command.DISPATCH, unit=BUREAU)
    with counter.database.transaction() as session:
        ticket = add_ticket(session, OTHER, "c0ffef")
        first = lock_ticket(session, NUMBER, None)
        for name in ("category", "town", "place", "phone", "address"):
            setattr(ticket, name, getattr(first, name))
        ticket.created_at = MONDAY + timedelta(days=3)
    counter.now += timedelta(days=3)
    found = advice(counter, OTHER)
    assert units(found)[:2] == [(BUREAU, "first_responder"), (TOWN, "catalogue")]
    counter.now += timedelta(days=400)
    assert units(advice(counter, OTHER))[0] == (TOWN, "catalogue")


def sweep(counter: Counter) -> MemoryBus:
    bus = MemoryBus()
    jobs = AutoDispatchJobs(
        database=counter.database, jobs=MemoryJobs(), bus=bus, clock=ManualClock(counter.now), desk=counter.desk
    )
    jobs.sweep()
    jobs.sweep()
    return bus


def sure(counter: Counter) -> None:
    """A person has confirmed what the matter is."""
    counter.give(Command.EDIT, category="供暖/煤改气")
    counter.give(Command.EDIT, category=HEATER)


def test_nothing_is_sent_unless_setting_catalogue_and_confidence_agree(counter: Counter) -> None:
    put(counter.database, [ENTRY])
    sweep(counter)
    assert counter.ticket().state == "to_dispatch"
    allowed = counter_of(counter.database, auto_dispatch=("供暖",), auto_dispatch_confidence=0.8)
    sweep(allowed)
    assert counter.ticket().state == "to_dispatch"  # the category is not sure
    sure(allowed)
    sweep(allowed)
    ticket = allowed.ticket()
    assert (ticket.state, ticket.unit, [link.unit for link in ticket.units]) == ("to_sign", TOWN, [COMPANY, TOWN])
    events = [event for event in ticket.events if event.kind == "dispatch"]
    assert [(event.actor, event.data["basis"], event.data["suggested"]) for event in events] == [
        ("system", "catalogue", TOWN)
    ]
    assert events[0].reason == "自动派单：目录“供暖/煤改电设备”准予自动派单，把握 85%（第 1 版）"


def test_what_a_person_should_see_is_not_sent(counter: Counter) -> None:
    put(counter.database, [ENTRY])
    allowed = counter_of(counter.database, auto_dispatch=(HEATER,), auto_dispatch_confidence=0.5)
    sure(allowed)
    allowed.give(Command.EDIT, tier="T1")
    sweep(allowed)
    assert allowed.ticket().state == "to_dispatch"
    allowed.give(Command.EDIT, tier="T2")
    allowed.give(Command.DISPATCH, Command.ASK_RETURN, Command.GRANT_RETURN)
    with counter.database.transaction() as session:
        change_unit(session, COMPANY, active=False)
    sweep(allowed)
    assert allowed.ticket().state == "to_dispatch"  # it was returned: people decide


def test_old_tickets_are_left_to_people_and_the_pages_are_told_of_new_ones(counter: Counter) -> None:
    put(counter.database, [ENTRY])
    allowed = counter_of(counter.database, auto_dispatch=(HEATER,), auto_dispatch_confidence=0.1)
    allowed.now = MONDAY + timedelta(hours=2)
    sweep(allowed)
    assert allowed.ticket().state == "to_dispatch"
    allowed.now = MONDAY
    bus = sweep(allowed)
    assert allowed.ticket().state == "to_sign"
    assert [event.name for event in bus.published] == [CHANGED]
