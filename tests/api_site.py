"""Programs for tests of the interface: keys, and clients over ASGI on a fresh application."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
from console_seed import seed_heating_call

from console.api.key_service import add_key
from console.api.problems import KINDS
from console.api.scopes import Scope
from console.app import create_app
from console.context import ConsoleContext
from tickets.models import Ticket, TicketUnit, Unit
from tickets.roles import Role

NUMBER = "YQ20260105000011"
HIDDEN_NUMBER = "YQ20260105000029"
TICKET = f"/api/v1/tickets/{NUMBER}"


def make_key(
    context: ConsoleContext,
    *scopes: Scope,
    role: str = Role.DISPATCHER,
    unit: str = "",
    name: str = "platform",
    per_minute: int = 10_000,
    days: float | None = None,
) -> str:
    """The text of a new key."""
    now = context.clock.now()
    with context.database.transaction() as session:
        _, text = add_key(
            session,
            name=name,
            role=role,
            unit=unit,
            scopes=scopes or tuple(Scope),
            per_minute=per_minute,
            expires_at=now + timedelta(days=days) if days else None,
            created_by="test",
            now=now,
        )
        return text


def seed_tickets(context: ConsoleContext) -> None:
    """Two units; a ticket of a call, which the first unit handles; a confidential one of nobody's."""
    with context.database.transaction() as session:
        session.add(Unit(code="T07", name="张山营镇", kind="town"))
        session.add(Unit(code="T01", name="永宁镇", kind="town"))
        session.flush()
        ticket = seed_heating_call(session, None, now=context.clock.now(), number=NUMBER)
        ticket.unit = "T07"
        ticket.units = [TicketUnit(unit="T07", lead=True)]
        session.add(
            Ticket(
                number=HIDDEN_NUMBER,
                lookup_code="111111",
                state="to_dispatch",
                channel="web",
                title="保密诉求",
                confidential=True,
                created_at=context.clock.now(),
                updated_at=context.clock.now(),
            )
        )


def bearer(key: str) -> dict[str, str]:
    """The header that gives a key."""
    return {"Authorization": f"Bearer {key}"}


@asynccontextmanager
async def program(context: ConsoleContext, key: str = "") -> AsyncIterator[httpx.AsyncClient]:
    """A client of a fresh application; what the server raises does not reach it, as over a network."""
    transport = httpx.ASGITransport(app=create_app(context), raise_app_exceptions=False)
    headers = bearer(key) if key else {}
    async with httpx.AsyncClient(transport=transport, base_url="https://console.test", headers=headers) as client:
        yield client


def numbers(page: httpx.Response) -> Sequence[str]:
    """The tickets of a page."""
    return [item["number"] for item in page.json()["items"]]


def assert_problem(response: httpx.Response, status: int) -> None:
    """An error says what it is, in the form of RFC 9457."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert (body["status"], body["type"]) == (status, f"/api/v1/docs#{KINDS[status][0]}")
    assert body["title"]
    assert body["detail"]
