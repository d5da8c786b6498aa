"""The console process: uvicorn with TLS, stopped by an event within three seconds even while pages follow events."""

import asyncio
import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import Iterator

import uvicorn

from console.app import create_app
from console.certificates import ensure_certificates, server_context
from console.context import ConsoleContext
from hotline.bus import ValkeyBus
from hotline.clock import SystemClock
from hotline.db import Database
from hotline.errors import ConfigurationError
from hotline.settings import Settings
from recordings.store import open_store

log = logging.getLogger(__name__)
GRACE_S = 1


class _Server(uvicorn.Server):
    """Leaves the signals to the process that runs it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def serve_console(settings: Settings, stop: threading.Event) -> None:
    """Serves until `stop` is set. Raises `ConfigurationError` for a wrong certificate or a taken port."""
    clock = SystemClock()
    files = ensure_certificates(settings, now=clock.now())
    context = ConsoleContext(
        settings=settings,
        database=Database(settings.effective_database_url()),
        bus=ValkeyBus(settings.effective_valkey_url()),
        store=open_store(settings),
        clock=clock,
    )
    try:
        asyncio.run(_serve(context, server_context(files), stop))
    finally:
        context.bus.close()
        context.database.close()


async def _serve(context: ConsoleContext, tls: ssl.SSLContext, stop: threading.Event) -> None:
    console = context.settings.console
    app = create_app(context)
    config = uvicorn.Config(
        app,
        ssl_context_factory=lambda _config, _default: tls,
        log_config=None,
        access_log=False,  # addresses hold ticket numbers and searches; the audit log says who saw what
        proxy_headers=False,
        server_header=False,
        lifespan="on",
        ws="none",
        timeout_graceful_shutdown=GRACE_S,
    )
    server = _Server(config)
    loop = asyncio.get_running_loop()

    def finish() -> None:
        app.state.events.end_streams()
        server.should_exit = True

    def watch() -> None:
        stop.wait()
        with contextlib.suppress(RuntimeError):  # the server ended by itself, and its loop with it
            loop.call_soon_threadsafe(finish)

    with _listen(console.address, console.port) as listener:
        threading.Thread(target=watch, name="stop", daemon=True).start()
        log.info("console on https://%s:%d", console.address, console.port)
        await server.serve(sockets=[listener])
    for connection in list(server.server_state.connections):  # a browser that does not answer TLS's good-bye
        if connection.transport is not None:
            connection.transport.abort()
    await asyncio.sleep(0)


def _listen(address: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return socket.create_server((address, port), family=family)
    except OSError as error:
        raise ConfigurationError(
            f"the console cannot listen on {address} port {port}: {error}", hint="set console.address and console.port"
        ) from error
