"""A browser without a screen: the console's application over ASGI, with cookies and forms."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import httpx
from argon2 import PasswordHasher

from console.app import create_app
from console.context import ConsoleContext
from console.models import User
from hotline.bus import Bus, MemoryBus
from hotline.clock import ManualClock
from hotline.db import Database
from hotline.settings import Settings
from recordings.store import RecordingStore
from tickets.roles import UNIT_ROLES, Role

PASSWORD = "correct horse"
TOWN = "zsy"
PAGE = {"Accept": "text/html"}


def make_context(settings: Settings, database: Database, *, bus: Bus | None = None) -> ConsoleContext:
    """A context on a clock that stands still, its store on the disk below the settings' directory."""
    return ConsoleContext(
        settings=settings,
        database=database,
        bus=bus or MemoryBus(),
        store=RecordingStore(settings.effective_recordings_url()),
        clock=ManualClock(),
    )


@cache
def password_hash() -> str:
    """As the console stores it, but cheap to check: hundreds of tests sign in."""
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


def add_users(context: ConsoleContext) -> None:
    """An account for each role, named after it; a unit's people are of the unit `zsy`."""
    with context.database.transaction() as session:
        for role in Role:
            session.add(
                User(
                    username=role.value,
                    display_name=role.value,
                    role=role.value,
                    unit=TOWN if role in UNIT_ROLES else "",
                    password_hash=password_hash(),
                    created_at=context.clock.now(),
                )
            )


class Browser:
    """Keeps cookies; `post` brings the CSRF token of the page read last."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.csrf = ""

    async def get(self, path: str, **headers: str) -> httpx.Response:
        response = await self.client.get(path, headers=PAGE | {key.replace("_", "-"): headers[key] for key in headers})
        found = re.search(r'name="csrf" value="([0-9a-f]+)"', response.text) if _is_page(response) else None
        self.csrf = found.group(1) if found else self.csrf
        return response

    async def post(self, path: str, **form: Any) -> httpx.Response:
        return await self.client.post(path, data={"csrf": self.csrf, **form}, headers=PAGE)

    async def sign_in(self, username: str, password: str = PASSWORD, **form: str) -> httpx.Response:
        await self.get("/login")
        response = await self.post("/login", username=username, password=password, **form)
        await self.get("/tickets")
        return response


def _is_page(response: httpx.Response) -> bool:
    return response.headers.get("content-type", "").startswith("text/html")


@asynccontextmanager
async def browse(context: ConsoleContext, *, raise_errors: bool = True) -> AsyncIterator[Browser]:
    """A browser on a fresh application of `context`."""
    transport = httpx.ASGITransport(app=create_app(context), raise_app_exceptions=raise_errors)
    async with httpx.AsyncClient(transport=transport, base_url="https://console.test") as client:
        yield Browser(client)
