"""Reading tickets through the interface: who sees what, masked how, page by page; and who is refused."""

import json
from datetime import timedelta

import pytest
from api_site import HIDDEN_NUMBER, NUMBER, TICKET, assert_problem, bearer, make_key, numbers, program, seed_tickets
from console_browser import make_context
from console_seed import PHONE, seed_many
from sqlalchemy import select

from console.api.app import create_api
from console.api.key_service import disable_key
from console.api.models import ApiKey
from console.api.problems import KINDS
from console.api.scopes import Scope
from console.context import ConsoleContext
from console.models import AuditEntry
from hotline.clock import ManualClock
from hotline.db import Database
from hotline.settings import Settings
from hotline.settings_sections import ApiSettings
from tickets.models import Ticket, TicketReader
from tickets.roles import Role

LIST = "/api/v1/tickets"
OPERATIONS = [
    (method.upper(), path) for path, methods in create_api(Settings()).openapi()["paths"].items() for method in methods
]


@pytest.fixture
def context(settings: Settings, database: Database) -> ConsoleContext:
    made = make_context(settings, database)
    seed_tickets(made)
    return made


def later(context: ConsoleContext, **span: float) -> None:
    assert isinstance(context.clock, ManualClock)
    context.clock.advance(timedelta(**span).total_seconds())


def audit(context: ConsoleContext) -> list[tuple[str, str, str, str]]:
    with context.database.reading() as session:
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
        return [(entry.username, entry.action, entry.subject, entry.reason) for entry in entries]


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
async def test_every_operation_wants_a_key_with_its_scope(context: ConsoleContext, method: str, path: str) -> None:
    address = "/api/v1" + path.replace("{number}", NUMBER)
    other = make_key(context, Scope.OPEN311)
    async with program(context) as client:
        for headers in ({}, bearer("hl_000000000000_" + "a" * 43), {"Authorization": f"Basic {other}"}, bearer("")):
            refused = await client.request(method, address, headers=headers)
            assert_problem(refused, 401)
            assert refused.headers["www-authenticate"] == "Bearer"
        if path != "/key":  # which tells a key about itself
            assert_problem(await client.request(method, address, headers=bearer(other)), 403)


@pytest.mark.parametrize(
    ("role", "unit", "seen"),
    [
        (Role.DISPATCHER, "", [NUMBER]),
        (Role.ADMIN, "", [NUMBER]),
        (Role.UNIT_HANDLER, "T07", [NUMBER]),
        (Role.UNIT_HANDLER, "T01", []),
        (Role.UNIT_HEAD, "T07", [NUMBER]),
        (Role.UNIT_HEAD, "T01", []),
    ],
)
async def test_a_key_sees_what_an_account_of_its_role_and_unit_sees(
    context: ConsoleContext, role: Role, unit: str, seen: list[str]
) -> None:
    key = make_key(context, role=role, unit=unit)
    async with program(context, key) as client:
        assert numbers(await client.get(LIST)) == seen
        for number in (NUMBER, HIDDEN_NUMBER):
            for part in ("", "/events", "/evidence", "/transcript"):
                answer = await client.get(f"{LIST}/{number}{part}")
                assert answer.status_code == (200 if number in seen else 404), f"{number}{part}"


async def test_a_key_that_is_named_for_a_confidential_ticket_sees_it(context: ConsoleContext) -> None:
    key = make_key(context)
    with context.database.transaction() as session:
        hidden = session.scalars(select(Ticket).where(Ticket.number == HIDDEN_NUMBER)).one()
        session.add(TicketReader(ticket_id=hidden.id, username="api:platform"))
    async with program(context, key) as client:
        assert (await client.get(f"{LIST}/{HIDDEN_NUMBER}")).json()["confidential"] is True


async def test_numbers_are_masked_unless_a_reason_is_given_and_each_reason_is_logged(context: ConsoleContext) -> None:
    async with program(context, make_key(context)) as client:
        for path in (LIST, TICKET, f"{TICKET}/events", f"{TICKET}/evidence", f"{TICKET}/transcript"):
            assert PHONE not in (await client.get(path)).text, path
        assert audit(context) == []
        for path in (TICKET, f"{TICKET}/transcript"):
            assert PHONE in (await client.get(path, params={"unmask": "市平台核对回访号码"})).text
        assert_problem(await client.get(TICKET, params={"unmask": " "}), 422)
    assert audit(context) == [("api:platform", "unmask", NUMBER, "市平台核对回访号码")] * 2


async def test_a_key_without_the_scope_unmasks_nothing(context: ConsoleContext) -> None:
    key = make_key(context, Scope.READ, Scope.TRANSCRIPTS)
    async with program(context, key) as client:
        for path in (TICKET, f"{TICKET}/transcript"):
            assert_problem(await client.get(path, params={"unmask": "好奇"}), 403)
    assert audit(context) == []


async def test_of_who_stays_anonymous_nothing_is_told(context: ConsoleContext) -> None:
    with context.database.transaction() as session:
        session.scalars(select(Ticket).where(Ticket.number == NUMBER)).one().anonymous = True
    async with program(context, make_key(context)) as client:
        caller = (await client.get(TICKET)).json()["caller"]
        assert (caller["name"], caller["phone"], caller["anonymous"]) == ("", "", True)
        proofs = {item["field"] for item in (await client.get(f"{TICKET}/evidence")).json()}
        assert "category" in proofs
        assert not proofs & {"caller_name", "phone"}
        told = (await client.get(TICKET, params={"unmask": "法院调取"})).json()["caller"]
        assert told["phone"] == PHONE


async def test_pages_follow_each_other_without_gaps_or_repeats(context: ConsoleContext) -> None:
    with context.database.transaction() as session:
        seed_many(session, count=47, now=context.clock.now())
    async with program(context, make_key(context)) as client:
        seen, path, pages = list[str](), f"{LIST}?limit=10", 0
        while path:
            page = await client.get(path)
            seen += numbers(page)
            link = page.links.get("next", {}).get("url", "")
            assert bool(link) is (page.json()["next"] is not None)
            path, pages = link, pages + 1
        assert pages == 5
        assert len(seen) == len(set(seen)) == 48
        times = [(await client.get(f"{LIST}/{number}")).json()["created_at"] for number in seen[:5]]
        assert times == sorted(times, reverse=True)


async def test_a_page_never_has_more_than_the_setting_allows(settings: Settings, database: Database) -> None:
    bounded = settings.model_copy(update={"api": ApiSettings(page_size=2, max_page_size=3)})
    context = make_context(bounded, database)
    seed_tickets(context)
    with context.database.transaction() as session:
        seed_many(session, count=9, now=context.clock.now())
    async with program(context, make_key(context)) as client:
        assert len(numbers(await client.get(LIST))) == 2
        assert len(numbers(await client.get(LIST, params={"limit": 100_000}))) == 3


@pytest.mark.parametrize("cursor", ["x", "=" * 28, "é" * 28, "A" * 28, "_" * 28])
async def test_a_made_up_cursor_is_refused(context: ConsoleContext, cursor: str) -> None:
    async with program(context, make_key(context)) as client:
        assert_problem(await client.get(LIST, params={"cursor": cursor}), 400)


async def test_a_cursor_of_another_list_is_refused(context: ConsoleContext) -> None:
    with context.database.transaction() as session:
        seed_many(session, count=5, now=context.clock.now())
    async with program(context, make_key(context)) as client:
        cursor = (await client.get(LIST, params={"limit": 2})).json()["next"]
        assert (await client.get(LIST, params={"limit": 3, "cursor": cursor})).status_code == 200
        assert_problem(await client.get(LIST, params={"cursor": cursor, "state": "closed"}), 400)


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"state": "to_dispatch"}, True),
        ({"state": ["closed", "to_dispatch"]}, True),
        ({"state": "closed"}, False),
        ({"category": "供暖"}, True),
        ({"category": "供暖/煤改电设备"}, True),
        ({"category": "供"}, False),
        ({"unit": "T07"}, True),
        ({"unit": "T01"}, False),
        ({"tier": "T2"}, True),
        ({"tier": "T1"}, False),
        ({"channel": "web"}, False),
        ({"flag": "emergency"}, True),
        ({"flag": "emergenc_"}, False),
        ({"created_from": "2026-01-05T09:30:00+08:00"}, True),
        ({"created_before": "2026-01-05T09:30:00+08:00"}, False),
        ({"due_before": "2026-01-05T10:00:00Z"}, True),
        ({"due_before": "2026-01-05T09:00:00Z"}, False),
        ({"q": "煤改电"}, True),
        ({"q": "%"}, False),
    ],
)
async def test_filters(context: ConsoleContext, filters: dict[str, str], found: bool) -> None:
    with context.database.transaction() as session:
        ticket = session.scalars(select(Ticket).where(Ticket.number == NUMBER)).one()
        ticket.flags = ["emergency", "untranscribed"]
        ticket.due_at = context.clock.now() + timedelta(hours=8)
    async with program(context, make_key(context)) as client:
        assert numbers(await client.get(LIST, params=filters)) == ([NUMBER] if found else [])


@pytest.mark.parametrize("text", ["138", "幺三八", "13800138000"])
async def test_nobody_finds_hidden_numbers_by_searching(context: ConsoleContext, text: str) -> None:
    async with program(context, make_key(context)) as client:
        assert_problem(await client.get(LIST, params={"q": text}), 400)


async def test_errors_name_each_wrong_field_and_repeat_nothing_of_it(context: ConsoleContext) -> None:
    wrong = {"limit": "0", "created_from": "1767576600", "tier": "13800138000", "flag": "13800138000"}
    async with program(context, make_key(context)) as client:
        answer = await client.get(LIST, params=wrong)
        assert_problem(answer, 422)
        assert {item["field"] for item in answer.json()["errors"]} == set(wrong)
        assert PHONE not in answer.text
        assert_problem(await client.get(f"{LIST}/13800138000"), 422)
        assert_problem(await client.get(f"{LIST}/a%0Ab"), 422)
        for path in (LIST, TICKET):  # a misspelt parameter would do nothing and nobody would notice
            assert_problem(await client.get(path, params={"unmsk": "核对"}), 422)
        assert_problem(await client.get(f"{LIST}/YQ20260105999999"), 404)
        assert_problem(await client.get("/api/v1/nothing"), 404)
        refused = await client.delete(LIST)
        assert_problem(refused, 405)
        assert "GET" in refused.headers["allow"]


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00%2B23:00", "9999-12-31T23:59:59-23:00", "2026-01-05T09:30:00"])
async def test_times_without_a_zone_or_out_of_reach_are_refused(context: ConsoleContext, moment: str) -> None:
    async with program(context, make_key(context)) as client:
        assert_problem(await client.get(f"{LIST}?created_from={moment}"), 422)


async def test_text_that_no_database_takes_is_refused(context: ConsoleContext) -> None:
    async with program(context, make_key(context)) as client:
        answer = await client.get(LIST, params={"q": "\0"})
        assert answer.status_code in (200, 400)


async def test_a_ticket_that_did_not_change_is_not_sent_again(context: ConsoleContext) -> None:
    async with program(context, make_key(context)) as client:
        etag = (await client.get(TICKET)).headers["etag"]
        for header in (etag, f'"0", {etag}', f"W/{etag}", "*"):
            again = await client.get(TICKET, headers={"If-None-Match": header})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
        with context.database.transaction() as session:
            session.scalars(select(Ticket).where(Ticket.number == NUMBER)).one().result = "已修复"
        changed = await client.get(TICKET, headers={"If-None-Match": etag})
        assert changed.status_code == 200
        assert changed.headers["etag"] != etag


async def test_a_disabled_or_expired_key_is_no_key(context: ConsoleContext) -> None:
    lasting, brief = make_key(context), make_key(context, name="brief", days=1)
    async with program(context) as client:
        assert (await client.get(LIST, headers=bearer(brief))).status_code == 200
        later(context, hours=24)
        assert_problem(await client.get(LIST, headers=bearer(brief)), 401)
        with context.database.transaction() as session:
            disable_key(session, "platform")
        assert_problem(await client.get(LIST, headers=bearer(lasting)), 401)


async def test_a_key_has_its_own_rate(context: ConsoleContext) -> None:
    slow, other = make_key(context, per_minute=2), make_key(context, name="other")
    async with program(context) as client:
        for _ in range(2):
            assert (await client.get(LIST, headers=bearer(slow))).status_code == 200
        later(context, seconds=20)
        refused = await client.get(LIST, headers=bearer(slow))
        assert_problem(refused, 429)
        assert refused.headers["retry-after"] == "40"
        assert (await client.get(LIST, headers=bearer(other))).status_code == 200
        later(context, seconds=40)
        assert (await client.get(LIST, headers=bearer(slow))).status_code == 200


async def test_wrong_keys_are_throttled_and_logged_once_while_good_ones_go_on(context: ConsoleContext) -> None:
    good = make_key(context)
    async with program(context) as client:
        for _ in range(context.settings.api.refusals_per_minute):
            assert_problem(await client.get(LIST, headers=bearer(good[:-1] + "!")), 401)
        assert_problem(await client.get(LIST), 429)
        assert (await client.get(LIST, headers=bearer(good))).status_code == 200
    assert [(action, subject) for _, action, subject, _ in audit(context)] == [("api_refused", "")]


async def test_of_a_key_only_its_digest_is_stored_and_its_use_is_noted(context: ConsoleContext) -> None:
    key = make_key(context)
    async with program(context, key) as client:
        await client.get(LIST)
    with context.database.reading() as session:
        row = session.scalars(select(ApiKey)).one()
        assert row.last_used_at == context.clock.now()
        assert key.rpartition("_")[2] not in json.dumps([str(value) for value in vars(row).values()])


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_that_is_too_large_is_refused_whether_it_was_announced_or_not(
    context: ConsoleContext, announced: bool
) -> None:
    async def pieces():  # type: ignore[no-untyped-def]
        for _ in range(270):
            yield b"x" * 1024

    body = b"x" * 270 * 1024 if announced else pieces()
    headers = {"Content-Type": "application/json"}
    async with program(context, make_key(context)) as client:
        answer = await client.post(f"{TICKET}/commands", content=body, headers=headers)
        if answer.status_code != 404:  # an address that takes none does not read it
            assert_problem(answer, 413)


async def test_the_documentation_has_all_operations_and_loads_nothing_from_elsewhere(context: ConsoleContext) -> None:
    async with program(context) as client:
        page = await client.get("/api/v1/docs")
        document = (await client.get("/api/v1/openapi.json")).json()
        for path in document["paths"]:
            assert f"/api/v1{path}" in page.text
        for _, (name, _) in KINDS.items():
            assert f'id="{name}"' in page.text
        assert "://" not in page.text.replace("http://www.w3.org", "")
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert document["openapi"].startswith("3.1")
        assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"


async def test_what_breaks_inside_is_not_told(context: ConsoleContext, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object, **_options: object) -> None:
        raise RuntimeError("geheim")

    monkeypatch.setattr("tickets.list_repository.list_tickets", broken)
    async with program(context, make_key(context)) as client:
        answer = await client.get(LIST)
        assert_problem(answer, 500)
        assert "geheim" not in answer.text
