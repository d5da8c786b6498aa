"""Changing tickets through the interface: by version, once, as far as role, unit and scope go."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from api_site import HIDDEN_NUMBER, NUMBER, TICKET, assert_problem, bearer, make_key, program, seed_tickets
from console_browser import make_context
from sqlalchemy import func, select

from console.api.models import IdempotentRequest
from console.api.scopes import Scope
from console.context import ConsoleContext
from hotline.bus import MemoryBus
from hotline.clock import ManualClock
from hotline.db import Database
from hotline.settings import Settings
from tickets.models import Evidence, Ticket, TicketCounter, TicketEvent
from tickets.numbering import parse_number
from tickets.replay import replay
from tickets.roles import Role

COMMANDS = f"{TICKET}/commands"
DISPATCH = {"command": "dispatch", "arguments": {"unit": "T01"}}
NEW = {
    "channel": "web",
    "content": "永宁镇和平街路灯不亮一周了，晚上看不见路。电话13900139000",
    "caller_name": "李女士",
}


@pytest.fixture
def context(settings: Settings, database: Database) -> ConsoleContext:
    made = make_context(settings, database, bus=MemoryBus())
    seed_tickets(made)
    return made


def count(context: ConsoleContext, kind: type[Any]) -> int:
    with context.database.reading() as session:
        return session.scalar(select(func.count()).select_from(kind)) or 0


def the_ticket(context: ConsoleContext, number: str = NUMBER) -> Ticket:
    with context.database.reading() as session:
        return session.scalars(select(Ticket).where(Ticket.number == number)).one()


def once(key: str, **headers: str) -> dict[str, str]:
    return {"Idempotency-Key": key, **headers}


async def test_a_command_changes_the_ticket_and_tells_who_gave_it(context: ConsoleContext) -> None:
    async with program(context, make_key(context)) as client:
        etag = (await client.get(TICKET)).headers["etag"]
        done = await client.post(COMMANDS, json=DISPATCH, headers={"If-Match": etag})
        assert done.status_code == 200, done.text
        assert done.json()["state"] == "to_sign"
        read = await client.get(TICKET)
        assert read.headers["etag"] == done.headers["etag"] == f'"{done.json()["version"]}"'
        assert read.json()["unit"] == "T01"
        last = (await client.get(f"{TICKET}/events")).json()[-1]
        assert (last["kind"], last["actor"], last["state_to"]) == ("dispatch", "api:platform", "to_sign")
    assert isinstance(context.bus, MemoryBus)


async def test_who_saw_an_older_version_is_told_the_newest(context: ConsoleContext) -> None:
    async with program(context, make_key(context)) as client:
        etag = (await client.get(TICKET)).headers["etag"]
        note = {"command": "note", "arguments": {"text": "家里有老人"}}
        assert (await client.post(COMMANDS, json=note, headers={"If-Match": etag})).status_code == 200
        late = await client.post(COMMANDS, json=DISPATCH, headers={"If-Match": etag})
        assert_problem(late, 412)
        assert late.json()["version"] == the_ticket(context).version
        assert_problem(await client.post(COMMANDS, json=DISPATCH), 428)
        assert (await client.post(COMMANDS, json=DISPATCH, headers={"If-Match": "*"})).status_code == 200


async def test_the_same_key_changes_once_and_is_answered_alike(context: ConsoleContext) -> None:
    async with program(context, make_key(context)) as client:
        etag = (await client.get(TICKET)).headers["etag"]
        first, second = [
            await client.post(COMMANDS, json=DISPATCH, headers=once("dispatch-0001", **{"If-Match": etag}))
            for _ in range(2)
        ]
        assert first.status_code == second.status_code == 200
        assert first.content == second.content
        assert first.headers["etag"] == second.headers["etag"]
        assert "idempotency-replayed" not in first.headers
        assert second.headers["idempotency-replayed"] == "true"
        other = {"command": "note", "arguments": {"text": "别的"}}
        assert_problem(await client.post(COMMANDS, json=other, headers=once("dispatch-0001")), 422)
    assert [event.kind for event in events(context)].count("dispatch") == 1


def events(context: ConsoleContext) -> list[TicketEvent]:
    with context.database.reading() as session:
        return list(session.scalars(select(TicketEvent).order_by(TicketEvent.id)))


async def test_duplicates_at_the_same_time_have_one_effect(context: ConsoleContext) -> None:
    before = count(context, Ticket)
    async with program(context, make_key(context)) as client:
        answers = await asyncio.gather(
            *(client.post("/api/v1/tickets", json=NEW, headers=once("new-ticket-1")) for _ in range(8))
        )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 7
    assert count(context, Ticket) == before + 1


async def test_keys_of_two_programs_do_not_meet(context: ConsoleContext) -> None:
    keys = [make_key(context, name=name) for name in ("one", "two")]
    async with program(context) as client:
        numbers = [
            (await client.post("/api/v1/tickets", json=NEW, headers=once("same-key-1", **bearer(key)))).json()["number"]
            for key in keys
        ]
    assert len(set(numbers)) == 2


async def test_a_request_that_failed_may_be_sent_again_and_an_old_one_is_forgotten(context: ConsoleContext) -> None:
    async with program(context, make_key(context)) as client:
        wrong = {**NEW, "category": "没有/这类"}
        assert_problem(await client.post("/api/v1/tickets", json=wrong, headers=once("new-ticket-1")), 400)
        assert (await client.post("/api/v1/tickets", json=NEW, headers=once("new-ticket-1"))).status_code == 201
        assert count(context, IdempotentRequest) == 1
        assert isinstance(context.clock, ManualClock)
        context.clock.advance(timedelta(hours=24, seconds=1).total_seconds())
        assert (await client.post("/api/v1/tickets", json=NEW, headers=once("new-ticket-2"))).status_code == 201
        assert count(context, IdempotentRequest) == 1


async def test_a_new_ticket_says_what_was_given_and_what_its_text_tells(context: ConsoleContext) -> None:
    async with program(context, make_key(context)) as client:
        made = await client.post("/api/v1/tickets", json=NEW)
        assert made.status_code == 201, made.text
        number = made.json()["number"]
        parse_number(number)
        assert made.headers["location"] == f"/api/v1/tickets/{number}"
        assert len(made.json()["lookup_code"]) == 6
        ticket = (await client.get(made.headers["location"])).json()
        assert ticket["category"] == "市政园林/路灯"
        assert (ticket["place"], ticket["channel"], ticket["state"]) == ("永宁镇", "web", "to_dispatch")
        assert ticket["caller"]["name"] == "李女士"
        assert ticket["caller"]["phone"] == "139****9000"
        assert ticket["due_step"] == "dispatch"
        assert ticket["due_at"] is not None
        proofs = {item["field"]: item for item in (await client.get(f"/api/v1/tickets/{number}/evidence")).json()}
        assert proofs["category"]["source"] == "text"
        assert "caller_name" not in proofs
        assert "13900139000" not in str(proofs)
        assert (await client.get(f"/api/v1/tickets/{number}/transcript")).status_code == 404


async def test_rows_of_new_tickets_can_be_made_again_from_their_events(context: ConsoleContext) -> None:
    given = {
        "channel": "visit",
        "content": "我要匿名反映村里账目不公开，请保密。",
        "category": "农村管理/村务公开",
        "tier": "T4",
        "anonymous": True,
        "confidential": True,
        "latitude": 40.5,
        "longitude": 116.0,
        "town": "永宁镇",
    }
    async with program(context, make_key(context)) as client:
        number = (await client.post("/api/v1/tickets", json=given)).json()["number"]
    ticket = the_ticket(context, number)
    assert (ticket.confidential, ticket.anonymous, ticket.tier) == (True, True, "T4")
    with context.database.transaction() as session:
        found = {made.number: difference for made, difference in replay(session)}
    assert found[number] is None


async def test_numbers_without_calls_stay_gap_free(context: ConsoleContext) -> None:
    async with program(context, make_key(context)) as client:
        made = await asyncio.gather(*(client.post("/api/v1/tickets", json=NEW) for _ in range(10)))
    serials = sorted(parse_number(answer.json()["number"]).serial for answer in made)
    assert serials == list(range(serials[0], serials[0] + 10))
    with context.database.reading() as session:
        assert session.scalars(select(TicketCounter.last_serial)).one() == serials[-1]


@pytest.mark.parametrize(
    ("role", "unit", "number", "status"),
    [
        (Role.DISPATCHER, "", NUMBER, 200),
        (Role.VIEWER, "", NUMBER, 403),
        (Role.UNIT_HANDLER, "T07", NUMBER, 403),  # dispatching is not a unit's
        (Role.UNIT_HANDLER, "T01", NUMBER, 404),  # another unit's ticket
        (Role.ADMIN, "", HIDDEN_NUMBER, 404),  # named people only
    ],
)
async def test_a_command_goes_as_far_as_role_unit_and_sight(
    context: ConsoleContext, role: Role, unit: str, number: str, status: int
) -> None:
    async with program(context, make_key(context, role=role, unit=unit)) as client:
        answer = await client.post(f"/api/v1/tickets/{number}/commands", json=DISPATCH, headers={"If-Match": "*"})
        assert answer.status_code == status, answer.text
        if status != 200:
            assert_problem(answer, status)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"command": "explode"}, 422),
        ({"command": "dispatch", "arguments": {"unit": "nowhere"}}, 400),
        ({"command": "dispatch", "arguments": {}}, 400),
        ({"command": "dispatch", "arguments": {"unit": "T01", "extra": 1}}, 400),
        ({"command": "dispatch", "arguments": {"unit": "\ud800"}}, 422),
        ({"command": "close"}, 403),
        ({"command": "archive"}, 403),
        ({"command": "dispatch", "reason": "x" * 1001}, 422),
    ],
)
async def test_a_wrong_command_changes_nothing(context: ConsoleContext, body: dict[str, Any], status: int) -> None:
    before = the_ticket(context).version
    async with program(context, make_key(context)) as client:
        answer = await client.post(
            COMMANDS, content=json.dumps(body), headers={"If-Match": "*", "Content-Type": "application/json"}
        )
        assert_problem(answer, status)
    assert the_ticket(context).version == before


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b'{"command":NaN}',
        b'{"command":"note","arguments":' + b'{"a":' * 10_000 + b"1",
        b"\xff",
    ],
)
async def test_what_is_no_command_is_refused(context: ConsoleContext, body: bytes) -> None:
    async with program(context, make_key(context)) as client:
        answer = await client.post(COMMANDS, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 422)
        assert_problem(answer, answer.status_code)


@pytest.mark.parametrize(
    ("scope", "create", "command"), [(Scope.READ, 403, 403), (Scope.CREATE, 201, 403), (Scope.COMMAND, 403, 200)]
)
async def test_reading_creating_and_commanding_are_scopes_of_their_own(
    context: ConsoleContext, scope: Scope, create: int, command: int
) -> None:
    async with program(context, make_key(context, scope)) as client:
        assert (await client.post("/api/v1/tickets", json=NEW)).status_code == create
        assert (await client.post(COMMANDS, json=DISPATCH, headers={"If-Match": "*"})).status_code == command


@pytest.mark.parametrize("key", ["short", "x" * 65, "with blank", "line\\nbreak", "中文中文中文中文"])
async def test_a_key_of_another_form_is_refused(context: ConsoleContext, key: str) -> None:
    async with program(context, make_key(context)) as client:
        headers = {b"idempotency-key": key.encode()}
        answer = await client.post("/api/v1/tickets", json=NEW, headers=headers)  # type: ignore[arg-type]
        assert_problem(answer, 422)


async def test_nothing_that_was_given_becomes_a_header(context: ConsoleContext) -> None:
    """Where an answer's headers come from what a program sent, it can't add lines to them."""
    async with program(context, make_key(context)) as client:
        page = await client.get("/api/v1/tickets", params={"limit": 1, "town": "a\r\nSet-Cookie: b=c", "q": "x"})
        assert page.status_code == 200
        assert "set-cookie" not in page.headers


async def test_text_that_a_database_refuses_is_refused(context: ConsoleContext) -> None:
    async with program(context, make_key(context)) as client:
        answer = await client.post("/api/v1/tickets", json={**NEW, "content": "路灯\0不亮了"})
        assert answer.status_code in (201, 400)
        assert answer.status_code == 400 or context.database.url.startswith("sqlite")


async def test_the_longest_text_fits_however_it_is_written(context: ConsoleContext) -> None:
    body = json.dumps({**NEW, "content": "𠮷" * 10_000})  # twelve bytes a character
    async with program(context, make_key(context)) as client:
        answer = await client.post("/api/v1/tickets", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 201, answer.text
        assert len((await client.get(answer.headers["location"])).json()["content"]) == 10_000


async def test_evidence_is_kept_of_what_was_found_alone(context: ConsoleContext) -> None:
    before = count(context, Evidence)
    given = {**NEW, "category": "市政园林/路灯", "title": "路灯不亮", "place": "永宁镇"}
    async with program(context, make_key(context)) as client:
        number = (await client.post("/api/v1/tickets", json=given)).json()["number"]
        fields = {item["field"] for item in (await client.get(f"/api/v1/tickets/{number}/evidence")).json()}
    assert not fields & {"category", "title", "place"}
    assert count(context, Evidence) > before
