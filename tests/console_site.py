"""The real console process for tests: TLS on a free loopback port, a real broker, stopped by its event."""

import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr

from console.server import serve_console
from hotline.bus import Event, ValkeyBus
from hotline.settings import Settings
from hotline.settings_sections import ConsoleSettings

START_S = 20.0


@dataclass
class Site:
    """A running console."""

    settings: Settings
    bus: ValkeyBus
    stop: threading.Event
    thread: threading.Thread
    errors: list[BaseException] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"https://127.0.0.1:{self.settings.console.port}"

    @property
    def authority(self) -> Path:
        return self.settings.data_dir / "certificates" / "ca.pem"

    def trust(self) -> ssl.SSLContext:
        """A client context that trusts the site CA and checks names."""
        return ssl.create_default_context(cafile=str(self.authority))

    def publish(self, name: str, **data: object) -> None:
        self.bus.publish(Event(name=name, at=datetime.now(UTC), data=data))


@contextmanager
def run_console(settings: Settings, *, database_url: str, valkey_url: str) -> Iterator[Site]:
    """Serves on a free port until the block ends; raises what the server raised."""
    site = prepare(settings, database_url=database_url, valkey_url=valkey_url)
    site.thread.start()
    try:
        _wait(site)
        yield site
    finally:
        site.stop.set()
        site.thread.join(10)
        site.bus.close()
    if site.errors:
        raise site.errors[0]
    assert not site.thread.is_alive(), "the console did not stop"


def prepare(settings: Settings, *, database_url: str, valkey_url: str) -> Site:
    """The console on a free port, not yet started."""
    chosen = settings.model_copy(
        update={
            "database_url": SecretStr(database_url),
            "valkey_url": SecretStr(valkey_url),
            "console": ConsoleSettings(port=_free_port()),
        }
    )
    stop, errors = threading.Event(), list[BaseException]()

    def serve() -> None:
        try:
            serve_console(chosen, stop)
        except BaseException as error:
            errors.append(error)

    return Site(chosen, ValkeyBus(valkey_url), stop, threading.Thread(target=serve), errors)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _wait(site: Site) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            opener = urllib.request.build_opener(
                urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=site.trust())
            )
            with opener.open(f"{site.address}/readyz", timeout=2) as answer:
                answer.read()
            return
        except OSError:  # also a CA that is not yet written
            if site.errors:
                raise site.errors[0] from None
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
