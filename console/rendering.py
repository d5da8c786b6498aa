"""Templates: one environment, the values that every page has, and the filters."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse

from console import labels
from console.auth import csrf_token, form_secret
from console.context import context_of
from console.permissions import Permission

PACKAGE = Path(__file__).resolve().parent
STATIC = PACKAGE / "static"


def clock_time(milliseconds: int) -> str:
    """A position in a recording: 1:05, 1:02:03."""
    minutes, seconds = divmod(max(0, milliseconds) // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def local_time(moment: datetime, zone: ZoneInfo) -> str:
    """2026-01-05 09:30:00 in the site's zone."""
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def make_environment(zone: ZoneInfo) -> jinja2.Environment:
    """The templates' environment: everything is escaped, an unknown name is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PACKAGE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["clock_time"] = clock_time
    environment.filters["local_time"] = lambda moment: local_time(moment, zone)
    environment.globals.update(labels=labels, Permission=Permission)
    return environment


def render(
    request: Request,
    template: str,
    values: Mapping[str, Any],
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    secret: str | None = None,
) -> HTMLResponse:
    """A page. `secret` is what its forms are bound to where the request's own cookie is not it."""
    state = request.app.state
    shared = {
        "site_name": context_of(request).settings.site_name,
        "principal": getattr(request.state, "principal", None),
        "path": request.url.path,
        "demo_model": state.demo_model,
        "csrf": csrf_token(form_secret(request) if secret is None else secret),
    }
    environment: jinja2.Environment = state.templates
    content = environment.get_template(template).render({**shared, **values})
    return HTMLResponse(content, status_code=status, headers=dict(headers or {}))
