"""Who may open what: every route of the application by every role, about tickets of all kinds.

The table below is written out, not derived: a route without a line fails, and so does a line that is wrong.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_site import bearer, make_key
from console_browser import TOWN, add_users, make_context
from console_seed import seed_heating_call
from sqlalchemy import select
from starlette.routing import Mount

from console import service
from console.app import create_app
from console.auth import SESSION_COOKIE, csrf_token
from console.context import ConsoleContext
from console.models import LoginSession, User
from hotline.db import Database
from hotline.settings import Settings
from hotline.settings_sections import ConsoleSettings, Open311Settings
from tickets.duplicate_models import DuplicateSuggestion
from tickets.models import Ticket, TicketReader, TicketUnit, Unit
from tickets.roles import Role

BUREAU = "cgw"
ALL = frozenset(role.value for role in Role)
UNIT = frozenset({"unit_handler", "unit_head"})
TOLD = ALL - {"auditor"}
LIVE = TOLD - UNIT
LISTEN = TOLD - {"viewer"}
FIGURES = ALL - {"viewer", "operator"}
EDIT, DOWNLOAD, AUDIT = frozenset({"reviewer", "admin"}), frozenset({"admin"}), frozenset({"auditor", "admin"})
HOLD = NOTICES = frozenset({"supervisor", "admin"})
CATALOGUE = frozenset({"dispatcher", "admin"})
MERGE = frozenset({"operator", "reviewer", "dispatcher", "admin"})

# name -> (confidential, unit, named): `named` says whether the people of the table are, or somebody else
TICKETS = {
    "own": (False, TOWN, False),
    "other": (False, BUREAU, False),
    "hidden": (True, BUREAU, False),
    "own_hidden": (True, TOWN, False),
    "named": (True, BUREAU, True),
    "own_named": (True, TOWN, True),
    "unnamed": (True, "", None),
}
NUMBERS = {name: f"YQ20260105{index:06}" for index, name in enumerate(TICKETS, start=10)}
INSIDE = frozenset({"own", "other", "named", "own_named"})
SEES: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(ALL, INSIDE),
    "supervisor": INSIDE | {"unnamed"},
    "unit_handler": frozenset({"own", "own_named"}),
    "unit_head": frozenset({"own", "own_named", "own_hidden"}),
}
PUBLIC_SEES = frozenset({"own", "other"})


@dataclass(frozen=True)
class Entry:
    """What a route answers. `roles`: who gets past its guard, the others 403. `late`: who gets 403 once the ticket is
    found. `about`: "ticket", "call" or "" for neither. `public`: needs no sign-in."""

    roles: frozenset[str] = ALL
    ok: tuple[int, ...] = (200,)
    about: str = ""
    query: Mapping[str, Any] = field(default_factory=dict)
    form: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    path: Mapping[str, str] = field(default_factory=dict)
    late: frozenset[str] = frozenset()
    public: bool = False


EDITING = {"base": 1, "key": "a" * 16}
REASON = {"reason": "核对情况"}
ROUTES: dict[tuple[str, str], Entry] = {
    ("GET", "/healthz"): Entry(public=True),
    ("GET", "/readyz"): Entry(public=True),
    ("GET", "/login"): Entry(public=True),
    ("POST", "/login"): Entry(ok=(401,), public=True),
    ("GET", "/"): Entry(ok=(303,), public=True),
    ("GET", "/calendar/{token}.ics"): Entry(ok=(404,), path={"token": "x"}, public=True),
    ("GET", "/tickets"): Entry(),
    ("GET", "/search"): Entry(TOLD, query={"q": "煤改电"}),
    ("GET", "/live"): Entry(LIVE),
    ("GET", "/live/calls"): Entry(LIVE),
    ("GET", "/events"): Entry(LIVE, query={"topics": "caption"}),
    ("GET", "/topics"): Entry(TOLD),
    ("GET", "/topics/{topic_id}"): Entry(TOLD, ok=(404,), path={"topic_id": "1"}),
    ("GET", "/knowledge"): Entry(),
    ("GET", "/knowledge/{code}"): Entry(ok=(404,), path={"code": "x"}),
    ("GET", "/review"): Entry(EDIT),
    ("GET", "/review/next"): Entry(EDIT, ok=(303,)),
    ("GET", "/review/quality"): Entry(EDIT),
    ("GET", "/notices"): Entry(NOTICES),
    ("POST", "/notices/{notice_id}/retry"): Entry(NOTICES, ok=(404,), path={"notice_id": "1"}),
    ("POST", "/webhook-deliveries/{delivery_id}/retry"): Entry(NOTICES, ok=(404,), path={"delivery_id": "1"}),
    ("GET", "/figures"): Entry(FIGURES),
    ("GET", "/figures.{ending}"): Entry(FIGURES, path={"ending": "csv"}),
    ("GET", "/rates"): Entry(FIGURES),
    ("GET", "/rates.{ending}"): Entry(FIGURES, path={"ending": "csv"}),
    ("GET", "/rates/units/{code}"): Entry(FIGURES, path={"code": TOWN}),
    ("GET", "/rates/units/{code}/tickets.{ending}"): Entry(FIGURES - UNIT, path={"code": BUREAU, "ending": "csv"}),
    ("GET", "/reports/{month}.{ending}"): Entry(FIGURES - UNIT, path={"month": "2026-01", "ending": "docx"}),
    ("GET", "/audit"): Entry(AUDIT),
    ("GET", "/catalogue"): Entry(CATALOGUE),
    ("POST", "/catalogue"): Entry(CATALOGUE, ok=(400,)),
    ("GET", "/catalogue/{version_id}"): Entry(CATALOGUE, ok=(404,), path={"version_id": "1"}),
    ("POST", "/catalogue/{version_id}/confirm"): Entry(CATALOGUE, ok=(400, 404), path={"version_id": "1"}),
    ("POST", "/catalogue/{version_id}/discard"): Entry(CATALOGUE, ok=(404,), path={"version_id": "1"}),
    ("GET", "/catalogue/{version_id}/export.{ending}"): Entry(
        CATALOGUE, ok=(404,), path={"version_id": "1", "ending": "csv"}
    ),
    ("GET", "/units"): Entry(CATALOGUE),
    ("GET", "/tickets/{number}"): Entry(about="ticket"),
    ("POST", "/tickets/{number}/hold"): Entry(HOLD, (303, 409), "ticket", form=REASON),
    ("POST", "/tickets/{number}/release"): Entry(HOLD, (303, 404, 409), "ticket", form=REASON),
    ("GET", "/tickets/{number}/transcript.{ending}"): Entry(TOLD, about="ticket", path={"ending": "txt"}),
    ("GET", "/tickets/{number}/transcript/versions/{version}"): Entry(TOLD, about="ticket", path={"version": "1"}),
    ("GET", "/tickets/{number}/recording/span"): Entry(
        DOWNLOAD, about="ticket", query={"start_ms": 0, "end_ms": 900, "format": "wav"}
    ),
    ("POST", "/tickets/{number}/transcript/edits"): Entry(
        EDIT,
        about="ticket",
        form={**EDITING, "operations": json.dumps([{"do": "text", "at": 1, "text": "我姓张"}])},
    ),
    ("POST", "/tickets/{number}/transcript/confirm"): Entry(EDIT, about="ticket", form={"base": 2, "at": 1}),
    ("POST", "/tickets/{number}/transcript/restore"): Entry(
        EDIT, (303,), "ticket", form={"base": 2, "key": "b" * 16, "version": 1}
    ),
    ("GET", "/recordings/{call_id}/audio"): Entry(LISTEN, about="call"),
    ("GET", "/recordings/{call_id}/peaks"): Entry(LISTEN, about="call"),
    ("POST", "/recordings/{call_id}/download"): Entry(DOWNLOAD, about="call"),
    ("POST", "/tickets/{number}/unmask"): Entry(LISTEN, (303,), "ticket", form=REASON),
    ("POST", "/tickets/{number}/commands/{command}"): Entry(
        ALL,
        (303,),
        "ticket",
        form={"text": "家里有老人"},
        path={"command": "note"},
        late=frozenset({"viewer", "auditor"}),
    ),
    ("POST", "/tickets/{number}/duplicates/{suggestion}/dismiss"): Entry(MERGE, (303,), "ticket"),
    ("POST", "/tickets/{number}/duplicates/{suggestion}/accept"): Entry(
        ALL, (303, 404, 409), "ticket", late=ALL - MERGE
    ),
    ("POST", "/tickets/{number}/attachments"): Entry(ok=(404,)),  # without a file and a ticket
    ("POST", "/tickets/{number}/links"): Entry(ALL, (303, 400, 403, 409), "ticket"),
    ("POST", "/tickets/{number}/links/{link_id}/revoke"): Entry(ALL, (403, 404), "ticket", path={"link_id": "1"}),
    ("GET", "/attachments/{attachment_id}/{size}"): Entry(TOLD, (404,), path={"attachment_id": "1", "size": "shown"}),
    ("GET", "/attachments/{attachment_id}/file/content"): Entry(TOLD, (403, 404), path={"attachment_id": "1"}),
    ("POST", "/attachments/{attachment_id}/original"): Entry(DOWNLOAD, (404,), path={"attachment_id": "1"}),
    ("GET", "/field/{number}"): Entry(TOLD, about="ticket"),
    ("POST", "/field/{number}/commands/{command}"): Entry(
        TOLD, (403, 409), "ticket", path={"command": "contact"}, form={"method": "phone", "reached": "true"}
    ),
    ("POST", "/field/{number}/files"): Entry(ok=(404,)),
    ("POST", "/field/{number}/call"): Entry(TOLD, (403,), "ticket"),
    ("GET", "/field/{number}/pictures/{attachment_id}/{size}"): Entry(
        TOLD, (404,), "ticket", path={"attachment_id": "1", "size": "shown"}
    ),
    ("GET", "/f/{token}"): Entry(ok=(404,), path={"token": "x"}, public=True),
    ("POST", "/f/{token}/open"): Entry(ok=(403, 404), path={"token": "x"}, public=True),
    ("POST", "/f/{token}/commands/{command}"): Entry(
        ok=(403, 404), path={"token": "x", "command": "contact"}, public=True
    ),
    ("POST", "/f/{token}/files"): Entry(ok=(403, 404), path={"token": "x"}, public=True),
    ("POST", "/f/{token}/call"): Entry(ok=(403, 404), path={"token": "x"}, public=True),
    ("GET", "/f/{token}/pictures/{attachment_id}/{size}"): Entry(
        ok=(404,), path={"token": "x", "attachment_id": "1", "size": "shown"}, public=True
    ),
    ("POST", "/logout"): Entry(ok=(303,)),
    ("GET", "/api/v1/openapi.json"): Entry(public=True),
    ("GET", "/api/v1/docs"): Entry(public=True),
    ("GET", "/api/v1/tickets"): Entry(TOLD),
    ("GET", "/api/v1/tickets/{number}"): Entry(TOLD, about="ticket"),
    ("GET", "/api/v1/tickets/{number}/events"): Entry(TOLD, about="ticket"),
    ("GET", "/api/v1/tickets/{number}/evidence"): Entry(TOLD, about="ticket"),
    ("GET", "/api/v1/tickets/{number}/transcript"): Entry(TOLD, about="ticket"),
    ("POST", "/api/v1/tickets"): Entry(TOLD, (422,), body={}),
    ("POST", "/api/v1/tickets/{number}/commands"): Entry(
        TOLD,
        about="ticket",
        body={"command": "note", "arguments": {"text": "家里有老人"}},
        late=frozenset({"viewer"}),
    ),
    ("GET", "/api/v1/units"): Entry(TOLD),
    ("GET", "/api/v1/categories"): Entry(TOLD),
    ("GET", "/api/v1/commands"): Entry(TOLD),
    ("GET", "/api/v1/key"): Entry(TOLD),
    ("GET", "/open311/discovery.{form}"): Entry(path={"form": "json"}, public=True),
    ("GET", "/open311/v2/services.{form}"): Entry(path={"form": "json"}, public=True),
    ("GET", "/open311/v2/services/{code}.{form}"): Entry(ok=(404,), path={"code": "x", "form": "json"}, public=True),
    ("GET", "/open311/v2/requests.{form}"): Entry(path={"form": "json"}, public=True),
    ("GET", "/open311/v2/requests/{number}.{form}"): Entry(about="ticket", path={"form": "json"}, public=True),
    ("POST", "/open311/v2/requests.{form}"): Entry(ok=(400, 401, 403), path={"form": "json"}, public=True),
}


def call_of(name: str) -> str:
    """The call that a ticket of the table was."""
    return f"c{list(TICKETS).index(name)}"


def seed(context: ConsoleContext) -> None:
    """The tickets, each with a recorded call and a suggestion to merge it into another of its kind; and a call that is
    no ticket yet."""
    add_users(context)
    now = context.clock.now()
    with context.database.transaction() as session:
        session.add_all(
            [Unit(code=TOWN, name="张山营镇", kind="town"), Unit(code=BUREAU, name="区城管委", kind="department")]
        )
        session.flush()
        for index, (name, (confidential, unit, named)) in enumerate(TICKETS.items(), start=1):
            ticket = seed_heating_call(session, context.store, now=now, call_id=call_of(name), number=NUMBERS[name])
            twin = Ticket(number=f"YQ20260106{index:06}", lookup_code="000000", state="to_dispatch", channel="web",
                          created_at=now, updated_at=now)  # fmt: skip
            session.add(twin)
            session.flush()
            people = [f"{prefix}{role}" for role in Role for prefix in ("", "api:")] if named else ["somebody"]
            for each in (ticket, twin):
                each.confidential, each.unit = confidential, unit
                each.units = [TicketUnit(unit=unit, lead=True)] if unit else []
                if confidential and named is not None:
                    session.add_all(TicketReader(ticket_id=each.id, username=person) for person in people)
            session.add(DuplicateSuggestion(id=index, ticket_id=twin.id, other_id=ticket.id, score=0.9, created_at=now))
        fresh = seed_heating_call(session, context.store, now=now, call_id="fresh", number="YQ20260105000990")
        fresh.call_id = None
        fresh.confidential = True


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite_file: Path) -> Path:
    """A folder with the seeded database and its recordings."""
    folder = tmp_path_factory.mktemp("matrix")
    shutil.copy(migrated_sqlite_file, folder / "hotline.db")
    with closing(Database(f"sqlite:///{folder / 'hotline.db'}")) as database:
        seed(make_context(Settings(data_dir=folder), database))
    return folder


@pytest.fixture
def context(seeded: Path, settings: Settings) -> Iterator[ConsoleContext]:
    shutil.copytree(seeded, settings.data_dir)
    changed = settings.model_copy(
        update={
            "open311": Open311Settings(enabled=True),
            "console": ConsoleSettings(event_stream_minutes=1e-6),
        }
    )
    with closing(Database(f"sqlite:///{settings.data_dir / 'hotline.db'}")) as database:
        yield make_context(changed, database)


def sign_in(context: ConsoleContext, role: str) -> str:
    """A session of the person with that role, without a password's cost."""
    now, token = context.clock.now(), f"token-of-{role}"
    with context.database.transaction() as session:
        user = session.scalars(select(User).where(User.username == role)).one()
        session.add(
            LoginSession(
                token_hash=service.token_digest(token),
                user_id=user.id,
                created_at=now,
                expires_at=now + timedelta(hours=1),
                address="",
            )
        )
    return token


def routes_of(app: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Method and path of every endpoint, parts of the application that are mounted included."""
    for route in app.routes:
        if isinstance(route, Mount):
            if route.path != "/static":
                yield from routes_of(route, prefix + route.path)
        elif inner := getattr(route, "original_router", None):
            yield from routes_of(inner, prefix)
        else:
            yield from ((method, prefix + route.path) for method in route.methods - {"HEAD"})


def test_every_route_is_in_the_table(context: ConsoleContext) -> None:
    found = list(routes_of(create_app(context)))
    assert len(found) > 50
    assert set(found) == set(ROUTES)


class Asker:
    """One person with a browser, and a program with a key of the same role."""

    def __init__(self, client: httpx.AsyncClient, context: ConsoleContext, role: str) -> None:
        self._client = client
        self._token = sign_in(context, role)
        self._key = make_key(context, role=role, unit=TOWN if role in UNIT else "", name=role)

    async def status(self, method: str, path: str, entry: Entry, **values: str) -> int:
        address = path.format(**{**entry.path, **values})
        headers = {"Accept": "text/html"}
        options: dict[str, Any] = {"params": entry.query}
        if path.startswith("/api/"):
            headers = bearer(self._key) | {"If-Match": "*"}
            options |= {"json": entry.body} if entry.body is not None else {}
        elif not path.startswith("/open311/"):
            headers["Cookie"] = f"{SESSION_COOKIE}={self._token}"
            if method == "POST":
                options["data"] = {"csrf": csrf_token(self._token), **entry.form}
        response = await self._client.request(method, address, headers=headers, **options)
        return response.status_code


@pytest.mark.parametrize("role", sorted(ALL))
async def test_each_role_opens_exactly_what_the_table_says(context: ConsoleContext, role: str) -> None:
    transport = httpx.ASGITransport(app=create_app(context), raise_app_exceptions=False)
    wrong = []
    async with httpx.AsyncClient(transport=transport, base_url="https://console.test") as client:
        asker = Asker(client, context, role)
        for (method, path), entry in sorted(ROUTES.items(), key=lambda item: item[0][1] == "/logout"):
            kinds = [""] if not entry.about else [*TICKETS, "fresh"] if entry.about == "call" else list(TICKETS)
            for index, kind in enumerate(kinds, start=1):
                values = {"number": NUMBERS.get(kind, ""), "suggestion": str(index)}
                values["call_id"] = call_of(kind) if kind in TICKETS else "fresh"
                status = await asker.status(method, path, entry, **values)
                if status not in expected(entry, role, kind):
                    wrong.append(f"{method} {path} {kind}: {status}, not {expected(entry, role, kind)}")
    assert wrong == []


def expected(entry: Entry, role: str, kind: str) -> tuple[int, ...]:
    """What the table says."""
    if entry.public:
        return entry.ok if not kind or kind in PUBLIC_SEES else (404,)
    if role not in entry.roles:
        return (403,)
    if kind == "fresh":
        return (404,) if role in UNIT else entry.ok
    if kind and kind not in SEES[role]:
        return (404,)
    return (403,) if role in entry.late else entry.ok


async def test_nobody_opens_anything_without_signing_in(context: ConsoleContext) -> None:
    transport = httpx.ASGITransport(app=create_app(context), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="https://console.test") as client:
        for (method, path), entry in ROUTES.items():
            if entry.public:
                continue
            values = {"number": NUMBERS["own"], "suggestion": "1", "call_id": call_of("own"), **entry.path}
            response = await client.request(method, path.format(**values), params=entry.query, follow_redirects=False)
            assert response.status_code in (401, 403) or response.headers["location"].startswith("/login"), path
