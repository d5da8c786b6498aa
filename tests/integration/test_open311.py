"""Open311 GeoReport v2: its documents in both formats, what the public never learns, reports, and a stock client."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jsonschema  # type: ignore[import-untyped]
import pytest
from api_site import HIDDEN_NUMBER, NUMBER, make_key, program, seed_tickets
from console_browser import make_context
from console_seed import PHONE
from console_site import run_console
from georeport import GeoReport  # type: ignore[import-untyped]
from lxml import etree
from pydantic import SecretStr
from sqlalchemy import select

from console.api.scopes import Scope
from console.context import ConsoleContext
from hotline.clock import ManualClock
from hotline.db import Database
from hotline.settings import Settings
from hotline.settings_sections import Open311Settings
from tickets.models import Ticket
from tickets.taxonomy import category_code

BASE = "/open311/v2"
HEATING, LAMPS = category_code("供暖/煤改电设备"), category_code("市政园林/路灯")
SCHEMAS = Path(__file__).resolve().parents[1] / "data" / "georeport-v2"
JSON_SCHEMA = json.loads((SCHEMAS / "documents.json").read_text("utf-8"))
XML_SCHEMA = etree.XMLSchema(etree.parse(SCHEMAS / "documents.xsd"))
REPORT = {
    "service_code": LAMPS,
    "description": "和平街路灯不亮",
    "address_string": "永宁镇和平街 3 号",
    "first_name": "芳",
    "last_name": "李",
    "phone": "13900139000",
    "attribute[town]": "永宁镇",
}


@pytest.fixture
def public(settings: Settings) -> Settings:
    shown = Open311Settings(enabled=True, per_minute=1000, jurisdiction_id="hotline.example.cn", contact="数据组")
    return settings.model_copy(update={"open311": shown})


@pytest.fixture
def context(public: Settings, database: Database) -> ConsoleContext:
    made = make_context(public, database)
    seed_tickets(made)
    return made


@pytest.fixture
async def client(context: ConsoleContext) -> AsyncIterator[httpx.AsyncClient]:
    async with program(context) as made:
        yield made


def check(response: httpx.Response, document: str, status: int = 200) -> Any:
    """The document of either format, which the schemas allow; of JSON its content."""
    assert response.status_code == status, response.text
    if response.headers["content-type"].startswith("text/xml"):
        assert response.content.startswith(b'<?xml version="1.0" encoding="UTF-8"?>')
        XML_SCHEMA.assertValid(etree.fromstring(response.content))
        return None
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    content = response.json()
    jsonschema.validate(content, {**JSON_SCHEMA, "$ref": f"#/$defs/{document}"})
    return content


def change(context: ConsoleContext, **values: Any) -> None:
    with context.database.transaction() as session:
        ticket = session.scalars(select(Ticket).where(Ticket.number == NUMBER)).one()
        for name, value in values.items():
            setattr(ticket, name, value)


@pytest.mark.parametrize("form", ["json", "xml"])
async def test_documents_are_of_the_standards_form(
    client: httpx.AsyncClient, context: ConsoleContext, form: str
) -> None:
    change(context, latitude=40.4632, longitude=115.9712, town="张山营镇", due_step="reply", due_at=context.clock.now())
    check(await client.get(f"{BASE}/services.{form}"), "services")
    check(await client.get(f"{BASE}/services/{HEATING}.{form}"), "service_definition")
    check(await client.get(f"{BASE}/requests.{form}"), "service_requests")
    check(await client.get(f"{BASE}/requests/{NUMBER}.{form}"), "service_requests")
    report = {**REPORT, "api_key": make_key(context, Scope.OPEN311)}
    check(await client.post(f"{BASE}/requests.{form}", data=report), "posted", 201)
    for path, status in (
        ("services/00000000", 404),
        ("requests/nothing", 404),
        ("nothing", 404),
        ("requests.json/deeper", 404),
    ):
        answer = await client.get(f"{BASE}/{path}.{form}")
        assert (check(answer, "errors", status) or [{"code": status}])[0]["code"] == status
    wrong = await client.get(f"{BASE}/requests.{form}", params={"status": "broken", "start_date": "yesterday"})
    check(wrong, "errors", 400)
    check(await client.delete(f"{BASE}/requests.{form}"), "errors", 405)
    check(await client.post(f"{BASE}/requests.{form}", data=REPORT), "errors", 403)
    check(await client.get(f"{BASE}/services.{form}?jurisdiction_id=other"), "errors", 404)
    check(await client.post(f"{BASE}/requests.{form}", content=b"x" * 300_000), "errors", 413)


async def test_another_format_is_not_there(client: httpx.AsyncClient) -> None:
    for path in ("services.yaml", "requests.html", "services/x.csv"):
        assert (await client.get(f"{BASE}/{path}")).status_code == 404


async def test_discovery_leads_to_the_interface(client: httpx.AsyncClient) -> None:
    found = (await client.get("/open311/discovery.json")).json()
    (endpoint,) = found["endpoints"]
    assert endpoint["specification"] == "http://wiki.open311.org/GeoReport_v2"
    assert (await client.get(f"{endpoint['url']}/services.json")).status_code == 200
    tree = etree.fromstring((await client.get("/open311/discovery.xml")).content)
    assert tree.findtext("endpoints/endpoint/url") == endpoint["url"]
    assert [item.text for item in tree.findall("endpoints/endpoint/formats/format")] == endpoint["formats"]


async def test_the_public_learns_nothing_of_persons(client: httpx.AsyncClient, context: ConsoleContext) -> None:
    change(
        context,
        town="张山营镇",
        community="某村",
        address="某村 3 号",
        caller_name="张三",
        latitude=40.4632,
        longitude=1.0,
    )
    for form in ("json", "xml"):
        text = (await client.get(f"{BASE}/requests.{form}")).text
        assert NUMBER in text
        for personal in (PHONE, "张三", "某村", "3 号", "40.4", "老人", "报警"):
            assert personal not in text, personal


@pytest.mark.parametrize(
    ("precision", "address", "lat"),
    [("town", "张山营镇", None), ("community", "张山营镇某村", 40.46), ("exact", "张山营镇某村南街 3 号", 40.4632)],
)
async def test_how_exactly_a_place_is_told_is_a_setting(
    public: Settings, database: Database, precision: Any, address: str, lat: float | None
) -> None:
    exact = public.open311.model_copy(update={"address_precision": precision})
    context = make_context(public.model_copy(update={"open311": exact}), database)
    seed_tickets(context)
    change(context, town="张山营镇", community="某村", address="南街 3 号", latitude=40.4632, longitude=115.9712)
    async with program(context) as client:
        (told,) = check(await client.get(f"{BASE}/requests/{NUMBER}.json"), "service_requests")
        assert (told["address"], told["lat"]) == (address, lat)


@pytest.mark.parametrize(
    "hidden",
    [
        {"confidential": True},
        {"anonymous": True},
        {"flags": ["anonymous"]},
        {"flags": ["emergency", "confidential"]},
        {"type": "report"},
        {"category": ""},
    ],
)
async def test_what_is_not_public_is_neither_listed_nor_found(
    client: httpx.AsyncClient, context: ConsoleContext, hidden: dict[str, Any]
) -> None:
    change(context, **hidden)
    assert check(await client.get(f"{BASE}/requests.json"), "service_requests") == []
    asked = {"service_request_id": f"{NUMBER},{HIDDEN_NUMBER}"}
    assert check(await client.get(f"{BASE}/requests.json", params=asked), "service_requests") == []
    check(await client.get(f"{BASE}/requests/{NUMBER}.json"), "errors", 404)


async def test_only_the_categories_that_a_site_chose_are_offered(public: Settings, database: Database) -> None:
    chosen = public.open311.model_copy(update={"categories": ("市政园林",)})
    context = make_context(public.model_copy(update={"open311": chosen}), database)
    seed_tickets(context)
    async with program(context) as client:
        offered = check(await client.get(f"{BASE}/services.json"), "services")
        assert {item["group"] for item in offered} == {"市政园林"}
        assert check(await client.get(f"{BASE}/requests.json"), "service_requests") == []
        report = {**REPORT, "service_code": HEATING, "api_key": make_key(context)}
        check(await client.post(f"{BASE}/requests.json", data=report), "errors", 404)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, True),
        ({"status": "open"}, True),
        ({"status": "closed"}, False),
        ({"status": "open,closed"}, True),
        ({"service_code": HEATING}, True),
        ({"service_code": f"{LAMPS},{HEATING}"}, True),
        ({"service_code": LAMPS}, False),
        ({"service_code": "unknown"}, False),
        ({"start_date": "2026-01-05T09:30:00+08:00"}, True),
        ({"start_date": "2026-01-05T01:30:01Z"}, False),
        ({"end_date": "2026-01-05T01:29:59Z"}, False),
        ({"start_date": "2025-12-01T00:00:00Z", "end_date": "2026-01-31T00:00:00Z"}, True),
        ({"start_date": "2025-01-01T00:00:00Z"}, False),  # and 90 days on
        ({"service_request_id": NUMBER, "status": "closed"}, True),  # an id overrides all else
    ],
)
async def test_requests_are_found_by_the_standards_filters(
    client: httpx.AsyncClient, asked: dict[str, str], found: bool
) -> None:
    told = check(await client.get(f"{BASE}/requests.json", params=asked), "service_requests")
    assert [item["service_request_id"] for item in told] == ([NUMBER] if found else [])


async def test_more_than_ninety_days_are_refused_and_old_requests_need_their_dates(
    client: httpx.AsyncClient, context: ConsoleContext
) -> None:
    span = {"start_date": "2025-10-01T00:00:00Z", "end_date": "2026-01-05T00:00:00Z"}
    check(await client.get(f"{BASE}/requests.json", params=span), "errors", 400)
    assert isinstance(context.clock, ManualClock)
    context.clock.advance(timedelta(days=91).total_seconds())
    assert check(await client.get(f"{BASE}/requests.json"), "service_requests") == []


async def test_a_closed_ticket_tells_when_it_was_closed(client: httpx.AsyncClient, context: ConsoleContext) -> None:
    closed = datetime(2026, 1, 5, 13, 30, 7, 999, tzinfo=UTC)
    change(context, state="closed", closed_at=closed)
    (told,) = check(await client.get(f"{BASE}/requests/{NUMBER}.json"), "service_requests")
    assert (told["status"], told["status_notes"], told["updated_datetime"]) == (
        "closed",
        "已办结",
        "2026-01-05T13:30:07Z",
    )
    assert told["agency_responsible"] == "张山营镇"


async def test_a_report_becomes_a_ticket_and_is_found_again(client: httpx.AsyncClient, context: ConsoleContext) -> None:
    report = {**REPORT, "api_key": make_key(context, Scope.OPEN311), "media_url": "https://example.cn/a.jpg"}
    (told,) = check(await client.post(f"{BASE}/requests.json", data=report), "posted", 201)
    number = told["service_request_id"]
    with context.database.reading() as session:
        ticket = session.scalars(select(Ticket).where(Ticket.number == number)).one()
        assert (ticket.channel, ticket.category, ticket.town) == ("open311", "市政园林/路灯", "永宁镇")
        assert (ticket.caller_name, ticket.phone) == ("李芳", "13900139000")
        assert "和平街路灯不亮" in ticket.content
        assert "https://example.cn/a.jpg" in ticket.content
    public = await client.get(f"{BASE}/requests/{number}.json")
    check(public, "service_requests")
    for personal in ("李", "13900139000", "和平街"):
        assert personal not in public.text


async def test_a_confidential_report_is_not_public(client: httpx.AsyncClient, context: ConsoleContext) -> None:
    for wish in ("attribute[confidential]", "attribute[anonymous]"):
        report = {**REPORT, "api_key": make_key(context, name=wish[10:-1]), wish: "yes"}
        (told,) = check(await client.post(f"{BASE}/requests.json", data=report), "posted", 201)
        check(await client.get(f"{BASE}/requests/{told['service_request_id']}.json"), "errors", 404)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"service_code": ""}, "service_code"),
        ({"address_string": ""}, "lat"),
        ({"lat": "40.4"}, "lat"),
        ({"lat": "91", "long": "0"}, "lat"),
        ({"lat": "nan", "long": "0"}, "lat"),
        ({"lat": "40", "long": "1e2"}, "long"),
        ({"phone": "<script>"}, "phone"),
        ({"description": "x" * 4001}, "description"),
        ({"media_url": "javascript:alert(1)"}, "media_url"),
    ],
)
async def test_a_report_that_says_nonsense_is_refused_by_field(
    client: httpx.AsyncClient, context: ConsoleContext, wrong: dict[str, str], named: str
) -> None:
    answer = await client.post(f"{BASE}/requests.json", data={**REPORT, "api_key": make_key(context), **wrong})
    assert named in check(answer, "errors", 400)[0]["description"]


async def test_a_key_without_the_scope_reports_nothing(client: httpx.AsyncClient, context: ConsoleContext) -> None:
    report = {**REPORT, "api_key": make_key(context, Scope.READ, Scope.CREATE)}
    check(await client.post(f"{BASE}/requests.json", data=report), "errors", 403)


async def test_an_address_that_asks_too_often_waits(public: Settings, database: Database) -> None:
    few = public.open311.model_copy(update={"per_minute": 2})
    context = make_context(public.model_copy(update={"open311": few}), database)
    async with program(context) as client:
        for _ in range(2):
            assert (await client.get(f"{BASE}/services.json")).status_code == 200
        refused = await client.get(f"{BASE}/services.xml")
        check(refused, "errors", 429)
        assert int(refused.headers["retry-after"]) > 0


async def test_a_site_that_did_not_choose_it_has_none_of_it(settings: Settings, database: Database) -> None:
    async with program(make_context(settings, database)) as client:
        for path in (f"{BASE}/services.json", "/open311/discovery.json", f"{BASE}/requests.json"):
            assert (await client.get(path)).status_code == 404


def test_a_stock_client_reads_services_and_requests(
    public: Settings, valkey: str, tmp_path: Path, migrated_sqlite_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'site.db'}"
    (tmp_path / "site.db").write_bytes(migrated_sqlite_file.read_bytes())
    database = Database(url)
    context = make_context(public.model_copy(update={"database_url": SecretStr(url)}), database)
    context.clock.at = datetime.now(UTC) - timedelta(hours=1)  # type: ignore[attr-defined]
    seed_tickets(context)
    database.close()
    monkeypatch.setenv("NO_PROXY", "*")
    with run_console(public, database_url=url, valkey_url=valkey) as site:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(site.authority))
        for form in ("json", "xml"):
            reader = GeoReport(f"{site.address}{BASE}", jurisdiction="hotline.example.cn", output_format=form)
            services = {item["service_code"]: item["service_name"] for item in reader.get_service_list()}
            assert services[LAMPS] == "路灯"
            assert reader.get_service_definition(LAMPS)["service_code"] == LAMPS
            found = reader.get_service_requests(service_code=HEATING, status="open")
            first = found[0] if isinstance(found, list) else found
            assert first["service_request_id"] == NUMBER
            assert reader.get_service_request(NUMBER)["service_code"] == HEATING
