"""Probes ask as a user would."""

import socket
import threading

import pytest
from websockets.sync.server import ServerConnection, serve

from hotline.bus import MemoryBus
from hotline.errors import UnavailableError
from hotline.probes import probe
from hotline.settings import Settings


def with_recognizer(settings: Settings, url: str) -> Settings:
    return settings.model_copy(update={"asr": settings.asr.model_copy(update={"url": url})})


def test_any_server_of_the_recognizers_protocol_is_accepted(settings: Settings) -> None:
    def listen(connection: ServerConnection) -> None:
        for _ in connection:
            pass

    with serve(listen, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        port = server.socket.getsockname()[1]
        probe("recognizer", with_recognizer(settings, f"ws://127.0.0.1:{port}"), MemoryBus())
        server.shutdown()
        thread.join()


def test_a_recognizer_that_is_away_is_named_without_its_password(settings: Settings) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"ws://asr:geheim@127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(UnavailableError, match="no recognizer at") as caught:
            probe("recognizer", with_recognizer(settings, url), MemoryBus())
    assert "geheim" not in str(caught.value)


def test_a_worker_is_there_when_it_has_reported_lately(settings: Settings) -> None:
    bus = MemoryBus()
    with pytest.raises(UnavailableError):
        probe("worker", settings, bus)
    bus.put_state("worker", "n1", {}, ttl_s=15)
    probe("worker", settings, bus)
