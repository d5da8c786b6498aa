"""The iCalendar feed of deadlines: who reads what by its address alone, and that calendars understand it."""

from datetime import UTC, datetime, timedelta

import pytest
from api_site import HIDDEN_NUMBER, NUMBER, program, seed_tickets
from console_browser import add_users, make_context
from console_seed import PHONE
from icalendar import Calendar, Event
from sqlalchemy import select

from console.calendars import add_feed, all_feeds, revoke_feed
from console.context import ConsoleContext
from console.models import User
from hotline.clock import ManualClock
from hotline.db import Database
from hotline.errors import InvalidInputError, NotFoundError
from hotline.settings import Settings
from tickets.models import Ticket, TicketUnit


@pytest.fixture
def context(settings: Settings, database: Database) -> ConsoleContext:
    made = make_context(settings, database)
    add_users(made)
    seed_tickets(made)
    now = made.clock.now()
    with database.transaction() as session:
        for ticket in session.scalars(select(Ticket)):
            ticket.due_at, ticket.due_step = now + timedelta(hours=2), "dispatch"
    return made


def feed(context: ConsoleContext, *, username: str = "", unit: str = "") -> str:
    with context.database.transaction() as session:
        _, token = add_feed(session, username=username, unit=unit, created_by="test", now=context.clock.now())
    return f"/calendar/{token}.ics"


async def read(context: ConsoleContext, path: str) -> list[Event]:
    async with program(context) as client:
        answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    assert all(len(line) <= 75 for line in answer.content.split(b"\r\n")), "RFC 5545, section 3.1"
    return list(Calendar.from_ical(answer.content).walk("VEVENT"))


async def test_a_deadline_is_an_event_that_reminds_and_says_nothing_personal(context: ConsoleContext) -> None:
    (event,) = await read(context, feed(context, username="admin"))
    assert event["SUMMARY"] == f"{NUMBER} 派单：煤改电设备故障"
    assert event["UID"] == f"{NUMBER}-dispatch-1@hotline"
    assert event.decoded("DTSTART") == datetime(2026, 1, 5, 3, 30, tzinfo=UTC)
    (alarm,) = event.walk("VALARM")
    assert alarm.decoded("TRIGGER") == datetime(2026, 1, 5, 1, 30, tzinfo=UTC) + timedelta(hours=2) * 0.8
    text = event.to_ical().decode()
    for personal in (PHONE, "张", "老人", HIDDEN_NUMBER):
        assert personal not in text


async def test_a_unit_sees_its_own_and_another_unit_nothing(context: ConsoleContext) -> None:
    assert len(await read(context, feed(context, unit="T07"))) == 1
    assert await read(context, feed(context, unit="T01")) == []
    with context.database.transaction() as session:
        hidden = session.scalars(select(Ticket).where(Ticket.number == HIDDEN_NUMBER)).one()
        hidden.unit, hidden.units = "T01", [TicketUnit(unit="T01", lead=True)]
    assert await read(context, feed(context, unit="T01")) == [], "a confidential ticket"


async def test_what_another_person_handles_is_not_in_mine(context: ConsoleContext) -> None:
    path = feed(context, username="viewer")
    assert len(await read(context, path)) == 1
    with context.database.transaction() as session:
        session.scalars(select(Ticket).where(Ticket.number == NUMBER)).one().handler = "somebody"
    assert await read(context, path) == []


async def test_an_address_ends_with_its_feed_or_its_account(context: ConsoleContext) -> None:
    revoked, closed = feed(context, unit="T07"), feed(context, username="viewer")
    with context.database.transaction() as session:
        revoke_feed(session, all_feeds(session)[0].id)
        session.scalars(select(User).where(User.username == "viewer")).one().disabled = True
    async with program(context) as client:
        for path in (revoked, closed, "/calendar/x.ics", f"/calendar/{'a' * 43}.ics"):
            assert (await client.get(path)).status_code == 404


async def test_guesses_are_throttled(context: ConsoleContext) -> None:
    good = feed(context, unit="T07")
    async with program(context) as client:
        for _ in range(context.settings.api.refusals_per_minute):
            assert (await client.get("/calendar/x.ics")).status_code == 404
        assert (await client.get("/calendar/x.ics")).status_code == 429
        assert (await client.get(good)).status_code == 200


async def test_nothing_is_sent_again_until_something_changes(context: ConsoleContext) -> None:
    path = feed(context, unit="T07")
    async with program(context) as client:
        first = await client.get(path)
        assert isinstance(context.clock, ManualClock)
        context.clock.advance(7200)
        again = await client.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        with context.database.transaction() as session:
            ticket = session.scalars(select(Ticket).where(Ticket.number == NUMBER)).one()
            ticket.due_at = context.clock.now() + timedelta(hours=1)
        changed = await client.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert changed.status_code == 200
        assert Calendar.from_ical(changed.content).walk("VEVENT")[0]["UID"] == f"{NUMBER}-dispatch-1@hotline"
    with context.database.reading() as session:
        (row,) = all_feeds(session)
        assert row.last_read_at == context.clock.now()
        assert path[10:-4] not in str(vars(row))


def test_a_feed_is_of_one_person_or_one_unit_that_there_is(context: ConsoleContext) -> None:
    for given, error in (
        ({}, InvalidInputError),
        ({"username": "admin", "unit": "T07"}, InvalidInputError),
        ({"username": "nobody"}, NotFoundError),
        ({"unit": "T99"}, NotFoundError),
    ):
        with pytest.raises(error):
            feed(context, **given)
