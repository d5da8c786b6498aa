"""The recognizer process: a model behind a WebSocket, announced on the bus. Never touches the database."""

import contextlib
import logging
import threading
from collections.abc import Callable

from asr.capacity import ANNOUNCE_S, ANNOUNCED_FOR_S, STATE
from asr.protocol import Health
from asr.server import load_server
from hotline.bus import Absence, Bus, ValkeyBus
from hotline.errors import UnavailableError
from hotline.settings import Settings

log = logging.getLogger(__name__)

EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound to


def run(settings: Settings, stop: threading.Event) -> None:
    """Recognizes until `stop` is set. The bus is no condition: without it nobody learns how busy this process is."""
    server = load_server(settings)
    url = settings.own_asr_url()
    announcer = Announcer(ValkeyBus(settings.effective_valkey_url()), url, server.health)

    def listening(_port: int) -> None:
        if settings.asr.advertised_address or settings.asr.address not in EVERYWHERE:
            announcer.start()
        else:
            log.warning("not announced: asr.advertised_address does not say how others reach %s", url)

    try:
        server.run(settings.asr.address, settings.asr.port, stop, on_listening=listening)
    finally:
        announcer.close()


class Announcer:
    """Tells the bus each second how this recognizer is, from a thread of its own."""

    def __init__(self, bus: Bus, url: str, health: Callable[[], Health]) -> None:
        self._bus, self._url, self._health = bus, url, health
        self._closed = threading.Event()
        self._absence = Absence("announcements")
        self._thread = threading.Thread(target=self._run, name="announce", daemon=True)

    def start(self) -> None:
        """Begins; only once."""
        self._thread.start()

    def close(self) -> None:
        """Nobody shall come any more."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join(1.0)
            with contextlib.suppress(UnavailableError):
                self._bus.drop_state(STATE, self._url)
        self._bus.close()

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._bus.put_state(STATE, self._url, self._health().state(), ttl_s=ANNOUNCED_FOR_S)
                self._absence.over()
            except UnavailableError as error:
                self._absence.noticed(error)
            self._closed.wait(ANNOUNCE_S)
