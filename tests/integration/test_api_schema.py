"""Random requests to every operation of the interface: no 5xx, and no answer that its OpenAPI document leaves out."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from api_site import NUMBER, bearer, make_key, seed_tickets
from console_browser import make_context
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from console.api.app import PATH, create_api
from console.app import create_app
from hotline.db import Database
from hotline.settings import Settings
from hotline.settings_sections import ApiSettings


class Relay:
    """Stands for the application, which the tests are collected without."""

    def __init__(self, target: ASGIApp) -> None:
        self.target = target

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.target(scope, receive, send)


relay = Relay(Starlette(routes=[Mount(PATH, create_api(Settings()))]))
schema = schemathesis.openapi.from_asgi(f"{PATH}/openapi.json", relay)


@schema.hook
def map_path_parameters(_context: Any, parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Numbers of the right form are of a ticket that exists."""
    if parameters and "number" in parameters and len(str(parameters["number"])) == len(NUMBER):
        parameters["number"] = NUMBER
    return parameters


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite_file: Path) -> Iterator[str]:
    """A key that may do everything on a real application with a few tickets."""
    folder = tmp_path_factory.mktemp("interface")
    shutil.copy(migrated_sqlite_file, folder / "hotline.db")
    with contextlib.closing(Database(f"sqlite:///{folder / 'hotline.db'}")) as database:
        context = make_context(Settings(data_dir=folder, api=ApiSettings(refusals_per_minute=1_000_000)), database)
        seed_tickets(context)
        relay.target = create_app(context)
        yield make_key(context, role="admin", per_minute=100_000)


@schema.parametrize()
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_no_operation_breaks_or_leaves_its_description(case: Any, key: str) -> None:
    """Values that the description allows and the hotline does not (a cursor of another list) may be refused."""
    case.call_and_validate(headers=bearer(key), excluded_checks=[positive_data_acceptance])
