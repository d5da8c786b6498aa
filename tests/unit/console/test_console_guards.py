"""What must hold for every route, whichever is added later."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from console_browser import add_users, browse, make_context
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Mount

from console import auth
from console.app import create_app, uses_demo_model
from console.context import ConsoleContext
from console.errors import STATUS, status_of
from console.headers import CONTENT_SECURITY_POLICY
from console.rendering import PACKAGE, clock_time
from hotline import errors
from hotline.bus import MemoryBus
from hotline.db import Base, Database
from hotline.errors import UnavailableError
from hotline.settings import Settings
from hotline.settings_sections import AsrSettings

BY_TOKEN = {"/calendar/x.ics", "/f/x", "/f/x/pictures/x/x"}  # whose address is the key
OPEN_TO_ALL = {"/healthz", "/readyz", "/login"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


@pytest.fixture
def context(settings: Settings) -> Iterator[ConsoleContext]:
    database = Database(settings.effective_database_url())
    Base.metadata.create_all(database.engine)
    made = make_context(settings, database)
    add_users(made)
    yield made
    database.close()


def routes(app: FastAPI) -> list[tuple[str, str]]:
    """(method, path) of every endpoint, parameters filled in."""
    found: list[tuple[str, str]] = []
    waiting: list[Any] = list(app.routes)
    while waiting:
        route = waiting.pop()
        if isinstance(route, APIRoute):
            path = re.sub(r"\{[^}]+\}", "x", route.path)
            found += [(method, path) for method in route.methods]
        elif not isinstance(route, Mount):  # an included router; what is mounted has guards and tests of its own
            waiting += getattr(getattr(route, "original_router", route), "routes", [])
    return sorted(found)


def test_the_list_of_routes_is_whole(context: ConsoleContext) -> None:
    found = routes(create_app(context))
    assert len(found) == len(set(found)) >= 15
    assert {("POST", "/login"), ("GET", "/events"), ("POST", "/recordings/x/download")} <= set(found)


async def test_every_answer_carries_the_security_headers(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        paths = [path for method, path in routes(create_app(context)) if method == "GET"]
        for path in [*paths, "/static/js/live.js", "/static/none", "/no/such/page"]:
            response = await browser.get(path)
            assert response.headers["content-security-policy"] == POLICY, path
            assert response.headers["x-content-type-options"] == "nosniff", path
            assert response.headers["referrer-policy"] == "no-referrer", path
            assert response.headers["strict-transport-security"].startswith("max-age="), path
            cached = "no-cache" if path == "/static/js/live.js" else "no-"
            assert response.headers["cache-control"].startswith(cached), path
    assert CONTENT_SECURITY_POLICY == POLICY


async def test_nothing_but_health_and_sign_in_is_open(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        for method, path in routes(create_app(context)):
            page = await browser.client.request(method, path, headers={"Accept": "text/html"})
            data = await browser.client.request(method, path)
            if path in OPEN_TO_ALL:
                assert page.status_code in (200, 403), path
            elif path in BY_TOKEN:
                assert page.status_code == data.status_code == 404, path
            elif path == "/":
                assert page.headers["location"] == "/tickets"
            elif method == "POST":
                assert page.status_code == data.status_code == 403, path
            else:
                assert page.status_code == 303, path
                assert page.headers["location"].startswith("/login"), path
                assert data.status_code == 401, path


async def test_every_post_refuses_a_missing_and_a_foreign_csrf_token(context: ConsoleContext) -> None:
    async with browse(context) as browser, browse(context) as stranger:
        await browser.sign_in("admin")
        await stranger.sign_in("viewer")
        for method, path in routes(create_app(context)):
            if method != "POST":
                continue
            for token in ("", "x", stranger.csrf, "汉字"):
                response = await browser.post(
                    path, csrf=token, username="admin", password="correct horse", reason="why"
                )
                assert response.status_code == 403, (path, token)
                assert "表单已失效" in response.text
        assert (await browser.get("/tickets")).status_code == 200


async def test_sign_in_without_the_forms_cookie_is_refused(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        forged = {"csrf": auth.csrf_token(""), "username": "admin", "password": "correct horse"}
        assert (await browser.client.post("/login", data=forged)).status_code == 403


async def test_cookies_are_for_this_host_over_tls_and_for_no_script(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.get("/login")
        response = await browser.post("/login", username="admin", password="correct horse")
        cookie = response.headers.get_list("set-cookie")[0]
        assert cookie.startswith("__Host-hotline=")
        assert {"HttpOnly", "Secure", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
        assert "Domain" not in cookie


@pytest.mark.parametrize(
    ("target", "goes_to"),
    [
        ("/live", "/live"),
        ("/tickets?state=closed", "/tickets?state=closed"),
        ("", "/tickets"),
        ("https://evil.example", "/tickets"),
        ("//evil.example", "/tickets"),
        ("/\\evil.example", "/tickets"),
        ("/a\r\nSet-Cookie: x", "/tickets"),
        ("javascript:alert(1)", "/tickets"),
    ],
)
async def test_sign_in_goes_on_inside_the_site_only(context: ConsoleContext, target: str, goes_to: str) -> None:
    async with browse(context) as browser:
        response = await browser.sign_in("admin", next=target)
        assert (response.status_code, response.headers["location"]) == (303, goes_to)


async def test_an_unexpected_error_is_a_page_without_details(context: ConsoleContext) -> None:
    class Broken(MemoryBus):
        def states(self, kind: str) -> dict[str, dict[str, Any]]:
            raise ZeroDivisionError("secret detail")

    broken = make_context(context.settings, context.database, bus=Broken())
    async with browse(broken, raise_errors=False) as browser:
        await browser.sign_in("viewer")
        response = await browser.get("/live/calls")
        assert response.status_code == 500
        assert "secret detail" not in response.text
        assert "意外错误" in response.text
        assert response.headers["content-security-policy"] == POLICY


async def test_a_broker_that_is_away_is_a_503_for_pages_and_for_readiness(context: ConsoleContext) -> None:
    class Away(MemoryBus):
        def states(self, kind: str) -> dict[str, dict[str, Any]]:
            raise UnavailableError("broker: secret host")

        def ping(self) -> None:
            raise UnavailableError("broker: secret host")

    async with browse(make_context(context.settings, context.database, bus=Away())) as browser:
        ready = await browser.client.get("/readyz")
        assert (ready.status_code, ready.json()["broker"], ready.json()["database"]) == (503, "unavailable", "ok")
        assert (await browser.client.get("/healthz")).status_code == 200
        await browser.sign_in("viewer")
        response = await browser.client.get("/live/calls")
        assert (response.status_code, response.json()) == (503, {"error": "系统暂时没有响应，请稍后再试"})


async def test_a_lost_database_is_a_503(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("viewer")
        Base.metadata.drop_all(context.database.engine)
        response = await browser.get("/tickets")
        assert response.status_code == 503
        assert "SELECT" not in response.text


async def test_bad_parameters_are_named(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("admin")
        for path, name in (("/audit?before=abc", "before"), ("/tickets?state=" + "x" * 99, "state")):
            response = await browser.get(path)
            assert response.status_code == 400
            assert name in response.text


async def test_an_oversized_form_is_refused(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.get("/login")
        response = await browser.post("/login", username="a", password="x" * 200_000)
        assert response.status_code == 413


def test_every_kind_of_error_has_a_status() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and kind is not errors.HotlineError]
    assert {kind.__name__ for kind in kinds} <= {kind.__name__ for kind in STATUS}
    assert status_of(auth.SignInRequiredError("x")) == 401
    assert status_of(errors.HotlineError("x")) == 500


def test_templates_and_scripts_hold_nothing_inline_and_nothing_foreign() -> None:
    for path in [*PACKAGE.rglob("*.html"), *PACKAGE.rglob("*.js"), *PACKAGE.rglob("*.css")]:
        text = path.read_text(encoding="utf-8")
        where = path.relative_to(PACKAGE)
        assert not re.search(r"<script(?![^>]*\bsrc=\")", text), where
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=\"|javascript:", text), where
        assert not re.search(r"(src|href|url)\s*[=(]\s*[\"']?(https?:)?//", text), where
        assert "innerHTML =" not in text, where


def test_the_banner_follows_the_model_in_use(settings: Settings, tmp_path: Path) -> None:
    def site(manifest: str | None) -> Settings:
        folder = tmp_path / f"model{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        if manifest is not None:
            (folder / "model.json").write_text(manifest)
        return settings.model_copy(update={"asr": AsrSettings(model_path=folder)})

    assert uses_demo_model(site('{"name": "tiny", "demo": true}'))
    assert not uses_demo_model(site('{"name": "big", "demo": false}'))
    assert not uses_demo_model(site("{torn"))


async def test_the_banner_is_on_every_page_only_while_the_demo_model_is_in_use(context: ConsoleContext) -> None:
    banner = "演示模型：听不懂真人说话，仅供演示与测试"
    assert uses_demo_model(context.settings)
    async with browse(context) as browser:
        await browser.sign_in("admin")
        for path in ("/login", "/tickets", "/live", "/audit", "/nothing"):
            assert banner in (await browser.get(path)).text, path


@pytest.mark.parametrize(
    ("ms", "shown"), [(0, "0:00"), (999, "0:00"), (61_000, "1:01"), (3_723_000, "1:02:03"), (-5, "0:00")]
)
def test_positions_are_shown_as_clocks(ms: int, shown: str) -> None:
    assert clock_time(ms) == shown
