"""The console as a process sees it: TLS, event streams over a real broker, and a quick stop."""

import re
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest
from console_browser import PAGE, add_users, make_context
from console_site import Site, prepare, run_console

from hotline.db import Database
from hotline.errors import ConfigurationError, UnavailableError
from hotline.probes import probe
from hotline.settings import Settings


@pytest.fixture
def site(settings: Settings, site_database_url: str, valkey: str) -> Iterator[Site]:
    with closing(Database(site_database_url)) as database:
        add_users(make_context(settings, database))
    with run_console(settings, database_url=site_database_url, valkey_url=valkey) as running:
        yield running


@pytest.fixture
def client(site: Site) -> Iterator[httpx.Client]:
    """Signed in as a viewer, over TLS that checks the site CA."""
    with httpx.Client(base_url=site.address, verify=site.trust(), timeout=5, trust_env=False) as client:
        form = re.search(r'name="csrf" value="(\w+)"', client.get("/login", headers=PAGE).text)
        assert form
        answer = client.post(
            "/login", data={"csrf": form.group(1), "username": "viewer", "password": "correct horse"}, headers=PAGE
        )
        assert answer.status_code == 303
        yield client


def read_message(lines: Iterator[str]) -> dict[str, str]:
    """The next SSE message that is not a comment."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "event" in fields:
            return fields
        else:
            fields = {}
    raise AssertionError("the stream ended")


def wait_for_hub(site: Site) -> None:
    deadline = time.monotonic() + 5
    while not dict(site.bus._client.pubsub_numsub("hotline:events:caption"))[b"hotline:events:caption"]:
        assert time.monotonic() < deadline, "the hub did not subscribe"
        time.sleep(0.01)


def test_the_site_ca_vouches_for_the_certificate_and_http_is_not_spoken(site: Site) -> None:
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{site.address}/healthz", trust_env=False)
    assert httpx.get(f"{site.address}/healthz", verify=site.trust(), trust_env=False).json() == {"status": "ok"}
    with pytest.raises(httpx.HTTPError):
        httpx.get(site.address.replace("https", "http") + "/healthz", trust_env=False)


def test_tls_older_than_1_2_is_refused(site: Site) -> None:
    old = site.trust()
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", site.settings.console.port), 5) as raw, pytest.raises(ssl.SSLError):
        old.wrap_socket(raw, server_hostname="localhost")


def test_an_event_of_the_broker_reaches_the_page_with_its_id(site: Site, client: httpx.Client) -> None:
    wait_for_hub(site)
    with client.stream("GET", "/events?topics=caption") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = response.iter_lines()
        assert next(lines) == "retry: 2000"
        site.publish("ticket.created", confidential=False, number="YQ1", call_id="c", ticket_id=1)
        site.publish("caption.final", call_id="c", speaker="caller", text="水管爆了", start_ms=1, end_ms=2)
        message = read_message(lines)
        assert message["event"] == "caption.final"
        assert len(message["id"]) == 32
        assert "水管爆了" in message["data"]


def test_events_need_a_sign_in_and_known_topics(site: Site, client: httpx.Client) -> None:
    assert client.get("/events?topics=secrets").status_code == 400
    client.cookies.clear()
    assert client.get("/events").status_code == 401


def test_it_stops_within_three_seconds_while_pages_follow_events(site: Site, client: httpx.Client) -> None:
    with client.stream("GET", "/events") as response:
        lines = response.iter_lines()
        assert next(lines) == "retry: 2000"
        started = time.monotonic()
        site.stop.set()
        assert [line for line in lines if line] == []
        site.thread.join(5)
        assert not site.thread.is_alive()
        assert time.monotonic() - started < 3
    assert site.errors == []


@pytest.mark.usefixtures("site_database_url")
def test_a_console_without_its_broker_is_alive_and_not_well(settings: Settings) -> None:
    site = prepare(settings, database_url="", valkey_url="redis://127.0.0.1:1/0")
    site.thread.start()
    try:
        _wait_until_alive(site)
        with pytest.raises(UnavailableError, match="503"):
            probe("console", site.settings, site.bus)
    finally:
        site.stop.set()
        site.thread.join(10)
        site.bus.close()


def test_a_console_that_can_serve_is_well(site: Site) -> None:
    probe("console", site.settings, site.bus)


def _wait_until_alive(site: Site) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            httpx.get(f"{site.address}/healthz", verify=site.trust(), trust_env=False)
            return
        except (OSError, httpx.TransportError):  # also a CA that is not yet written
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_taken_port_is_a_configuration_error_that_names_it(settings: Settings, valkey: str) -> None:
    site = prepare(settings, database_url="", valkey_url=valkey)
    with socket.create_server(("127.0.0.1", site.settings.console.port)):
        site.thread.start()
        site.thread.join(10)
    site.bus.close()
    (error,) = site.errors
    assert isinstance(error, ConfigurationError)
    assert str(site.settings.console.port) in error.message
