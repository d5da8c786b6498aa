"""The console's ASGI application."""

import contextlib
import logging
import re
from collections.abc import AsyncIterator

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from asr.engines.loading import read_model_info
from console import errors
from console.api.app import PATH as API_PATH
from console.api.app import create_api, share
from console.context import ConsoleContext
from console.headers import SecurityHeaders
from console.open311.app import PATH as OPEN311_PATH
from console.open311.app import create_open311
from console.pages import (
    access,
    attachments,
    audit,
    calendar,
    catalogue,
    commands,
    exports,
    field,
    field_links,
    figures,
    health,
    knowledge,
    live,
    notices,
    recordings,
    related,
    reports,
    reviews,
    search,
    tickets,
    topics,
)
from console.rendering import STATIC, make_environment
from console.stream import EventHub
from console.throttle import Throttle
from hotline.errors import ConfigurationError
from hotline.settings import Settings
from tickets.commands import load_desk
from tickets.scripts import load_scripts
from tickets.service import load_site_data
from tickets.working_time import load_working_time

log = logging.getLogger(__name__)
MAX_BODY_BYTES = 64 * 1024


def create_app(context: ConsoleContext) -> FastAPI:
    """The application; its lifespan reads the bus. `app.state.events` is the hub whose streams a stop must end."""
    hub = EventHub(context.bus, max_streams=context.settings.console.max_event_streams)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        hub.start()
        try:
            yield
        finally:
            await hub.close()

    app = FastAPI(
        title="hotline console",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=lifespan,
        max_body_size=MAX_BODY_BYTES,
        middleware=[Middleware(SecurityHeaders)],
    )
    app.state.context = context
    app.state.events = hub
    app.state.templates = make_environment(context.settings.zone)
    app.state.site = load_site_data(context.settings.tickets)
    app.state.scripts = load_scripts(context.settings.tickets.scripts_path)
    app.state.working = load_working_time(context.settings)
    app.state.desk = load_desk(context.settings)
    app.state.searches = Throttle(context.settings.search.per_minute)
    app.state.demo_model = uses_demo_model(context.settings)
    errors.install(app)
    for page in (
        health,
        access,
        tickets,
        commands,
        exports,
        reviews,
        search,
        live,
        topics,
        knowledge,
        related,
        recordings,
        notices,
        figures,
        reports,
        audit,
        calendar,
    ):
        app.include_router(page.router)
    app.state.link_failures = Throttle(context.settings.field.link_failures_per_minute)
    app.include_router(field_links.router)
    for page in (attachments, field):
        app.include_router(page.router, max_body_size=context.settings.field.max_file_bytes + MAX_BODY_BYTES)
    app.include_router(catalogue.router, max_body_size=context.settings.tickets.max_import_bytes + MAX_BODY_BYTES)
    app.state.key_rates = Throttle(context.settings.api.per_minute)
    app.state.key_failures = Throttle(context.settings.api.refusals_per_minute)
    app.state.started_at = context.clock.now()
    mounted = [(API_PATH, create_api(context.settings))]
    if context.settings.open311.enabled:
        mounted.append((OPEN311_PATH, create_open311(context.settings)))
    for path, part in mounted:
        share(part, app)
        app.router.routes.append(_mount(path, part))
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app


def _mount(path: str, part: FastAPI) -> Mount:
    """A part with everything below its path: also addresses with a line break, which a plain mount leaves to us."""
    route = Mount(path, app=part)
    route.path_regex = re.compile(route.path_regex.pattern, re.DOTALL)
    return route


def uses_demo_model(settings: Settings) -> bool:
    """Whether recognition runs on a model that does not understand real people; a broken model is doctor's to tell."""
    try:
        return read_model_info(settings.effective_model_path(), engine=settings.asr.engine).demo
    except ConfigurationError as error:
        log.warning("%s", error)
        return False
