"""The methods of GeoReport v2: services, their definitions, requests; and service discovery."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from sqlalchemy.orm import Session

from console.api.auth import identify
from console.api.changes import publish_created
from console.api.schemas import Moment
from console.api.scopes import Scope
from console.context import client_address, context_of
from console.open311 import documents
from console.throttle import Throttle
from hotline.errors import InvalidInputError, NotFoundError
from hotline.settings_sections import Open311Settings
from tickets.commands import Desk
from tickets.intake import Demand, take_demand
from tickets.models import Ticket
from tickets.public_repository import PublicQuery, public_tickets, public_tickets_named
from tickets.service import SiteData
from tickets.taxonomy import Category, category_code
from tickets.unit_repository import all_units

XML, JSON = "text/xml; charset=utf-8", "application/json; charset=utf-8"
CHANNEL = "open311"
PATH = "/open311"
SPAN = timedelta(days=90)
Format = Literal["json", "xml"]
Jurisdiction = Annotated[str, Query(max_length=100)]
_LINK = re.compile(r"https?://[^\s<>\"]{4,1990}")


def admit(request: Request) -> None:
    """Counts a public request of an address."""
    context = context_of(request)
    rates: Throttle = request.app.state.public_rates
    rates.admit(client_address(request), context.clock.now())


router = APIRouter(dependencies=[Depends(admit)])


@router.get("/discovery.{form}")
def discovery(request: Request, form: Format) -> Response:
    """Where the interface is and what it speaks."""
    settings, started = _settings(request), request.app.state.started_at
    changed = f"{started:%Y-%m-%dT%H:%M:%SZ}"
    content = {
        "changeset": changed,
        "contact": settings.contact,
        "key_service": settings.contact,
        "endpoints": [
            {
                "specification": "http://wiki.open311.org/GeoReport_v2",
                "url": f"{str(request.base_url).rstrip('/')}{PATH}/v2",
                "changeset": changed,
                "type": "production",
                "formats": ["text/xml", "application/json"],
            }
        ],
    }
    return _answer(form, "discovery", content)


@router.get("/v2/services.{form}")
def services(request: Request, form: Format, jurisdiction_id: Jurisdiction = "") -> Response:
    """What may be reported."""
    _check_jurisdiction(request, jurisdiction_id)
    return _answer(form, "services", [documents.service(item) for item in offered(request).values()])


@router.get("/v2/services/{code}.{form}")
def service_definition(request: Request, code: str, form: Format, jurisdiction_id: Jurisdiction = "") -> Response:
    """What a service asks for."""
    _check_jurisdiction(request, jurisdiction_id)
    return _answer(form, "service_definition", documents.service_definition(_service(request, code)))


@router.get("/v2/requests.{form}")
def service_requests(
    request: Request,
    form: Format,
    jurisdiction_id: Jurisdiction = "",
    service_request_id: Annotated[str, Query(max_length=20_000)] = "",
    service_code: Annotated[str, Query(max_length=2000)] = "",
    start_date: Moment | None = None,
    end_date: Moment | None = None,
    status: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """What was reported in at most 90 days, the newest first; ids override all else."""
    _check_jurisdiction(request, jurisdiction_id)
    context, settings, known = context_of(request), _settings(request), offered(request)
    ids = _parts(service_request_id)
    with context.database.reading() as session:
        if ids:
            if len(ids) > settings.max_requests:
                raise InvalidInputError(f"service_request_id 最多 {settings.max_requests} 个")
            found = public_tickets_named(session, ids, [item.name for item in known.values()])
        else:
            codes = _parts(service_code)
            since, until = _span(start_date, end_date, context.clock.now())
            wanted = PublicQuery(
                categories=[item.name for code, item in known.items() if not codes or code in codes],
                created_from=since,
                created_to=until,
                open=_status(_parts(status)),
            )
            found = public_tickets(session, wanted, limit=settings.max_requests)
        return _answer(form, "service_requests", _told(request, session, found))


@router.get("/v2/requests/{number}.{form}")
def service_request(request: Request, number: str, form: Format, jurisdiction_id: Jurisdiction = "") -> Response:
    """How one stands."""
    _check_jurisdiction(request, jurisdiction_id)
    categories = [item.name for item in offered(request).values()]
    with context_of(request).database.reading() as session:
        found = public_tickets_named(session, [number[:32]], categories)
        if not found:
            raise NotFoundError("没有这个 service_request_id，或不公开")
        return _answer(form, "service_requests", _told(request, session, found))


@router.post("/v2/requests.{form}")
async def form_of_request(request: Request, form: Format) -> Response:
    """Reports something; the form's `attribute[code]` fields have names that no signature can list."""
    async with request.form(max_files=0, max_fields=60) as fields:
        given = {name: value for name, value in fields.multi_items() if isinstance(value, str)}
    return await run_in_threadpool(post_request, request, form, given)


def post_request(request: Request, form: Format, given: Mapping[str, str]) -> Response:
    """Takes a report; raises `KeyRefusedError`, `InvalidInputError`."""
    context, settings = context_of(request), context_of(request).settings
    client = identify(request, given.get("api_key", ""))
    client.check(Scope.OPEN311)
    _check_jurisdiction(request, given.get("jurisdiction_id", ""))
    if not given.get("service_code"):
        raise InvalidInputError("service_code：必须填写")
    demand = demand_of(given, _service(request, given["service_code"]))
    desk: Desk = request.app.state.desk
    with context.database.transaction() as session:
        ticket = take_demand(
            session,
            demand,
            actor=client.actor,
            desk=desk,
            prefix=settings.tickets.number_prefix,
            zone=settings.zone,
            now=context.clock.now(),
        )
    publish_created(context, ticket)
    told = {"service_request_id": ticket.number, "service_notice": None, "account_id": None}
    return _answer(form, "service_requests", [told], status=201)


def demand_of(given: Mapping[str, str], category: Category) -> Demand:
    """What a form says, checked; raises `InvalidInputError` naming the field."""
    limits = {"description": 4000, "address_string": 200, "first_name": 30, "last_name": 30, "phone": 32}
    for name, most in limits.items():
        if len(given.get(name, "")) > most:
            raise InvalidInputError(f"{name}：最多 {most} 个字符")
    latitude, longitude = _degrees(given, "lat", 90), _degrees(given, "long", 180)
    address = given.get("address_string", "").strip()
    if (latitude is None) is not (longitude is None) or (latitude is None and not address):
        raise InvalidInputError("须给出位置：lat 和 long，或 address_string")
    phone = given.get("phone", "").strip()
    if not re.fullmatch(r"[0-9+\- ]*", phone):
        raise InvalidInputError("phone：格式不对")
    link = given.get("media_url", "").strip()
    if link and not _LINK.fullmatch(link):
        raise InvalidInputError("media_url：须为 http 或 https 地址")
    content = given.get("description", "").strip() or category.matter
    return Demand(
        channel=CHANNEL,
        content=f"{content}\n附件：{link}" if link else content,
        category=category.name,
        caller_name=(given.get("last_name", "") + given.get("first_name", "")).strip(),
        phone=phone,
        address=address,
        town=given.get("attribute[town]", "").strip()[:64],
        latitude=latitude,
        longitude=longitude,
        anonymous=given.get("attribute[anonymous]") == documents.YES,
        confidential=given.get("attribute[confidential]") == documents.YES,
    )


def offered(request: Request) -> dict[str, Category]:
    """The categories that the site offers to the public, by service code."""
    site: SiteData = request.app.state.site
    first_levels = _settings(request).categories
    return {
        category_code(item.name): item
        for item in site.taxonomy.categories.values()
        if not first_levels or item.name.partition("/")[0] in first_levels
    }


def _told(request: Request, session: Session, found: Sequence[Ticket]) -> list[dict[str, Any]]:
    by_name = {item.name: item for item in offered(request).values()}
    units = {unit.code: unit.name for unit in all_units(session)} if found else {}
    precision = _settings(request).address_precision
    return [
        documents.service_request(
            ticket, by_name[ticket.category], unit_name=units.get(ticket.unit, ""), precision=precision
        )
        for ticket in found
    ]


def _answer(form: Format, root: str, content: Any, *, status: int = 200) -> Response:
    if form == "xml":
        return Response(documents.as_xml(root, content), status_code=status, media_type=XML)
    return JSONResponse(content, status_code=status, media_type=JSON)


def _settings(request: Request) -> Open311Settings:
    return context_of(request).settings.open311


def _check_jurisdiction(request: Request, given: str) -> None:
    ours = _settings(request).jurisdiction_id
    if given and ours and given != ours:
        raise NotFoundError("没有这个 jurisdiction_id")


def _service(request: Request, code: str) -> Category:
    found = offered(request).get(code)
    if found is None:
        raise NotFoundError("没有这个 service_code")
    return found


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _status(names: list[str]) -> bool | None:
    if not set(names) <= {"open", "closed"}:
        raise InvalidInputError("status：只有 open 和 closed")
    return None if len(set(names)) != 1 else names[0] == "open"


def _span(start: datetime | None, end: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """The moments between which was reported; the standard's defaults where one is missing."""
    if start is None:
        start = (end or now) - SPAN
    if end is None:
        end = min(start + SPAN, max(now, start))
    if end - start > SPAN:
        raise InvalidInputError(f"start_date 到 end_date 最多 {SPAN.days} 天")
    return start, end


def _degrees(given: Mapping[str, str], name: str, most: float) -> float | None:
    text = given.get(name, "").strip()
    if not text:
        return None
    if not re.fullmatch(r"[+-]?[0-9]{1,3}(\.[0-9]{1,20})?", text) or abs(float(text)) > most:
        raise InvalidInputError(f"{name}：须为 -{most} 到 {most} 的度数")
    return float(text)
