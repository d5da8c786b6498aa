"""A recognizer server in a thread, for tests."""

import threading
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from asr.recognizer import Recognizer
from asr.server import RecognizerServer
from hotline.settings import PACKAGE_ROOT

CALLERS = PACKAGE_ROOT / "demo/callers"
MODEL = PACKAGE_ROOT / "asr/zh_tiny"


class RunningServer:
    """Listens on a port that stays the same over stops and starts."""

    def __init__(self, recognizer: Recognizer, *, max_connections: int = 16, max_message_bytes: int = 1 << 20) -> None:
        self._make: Callable[[], RecognizerServer] = lambda: RecognizerServer(
            recognizer, threads=2, max_connections=max_connections, max_message_bytes=max_message_bytes
        )
        self.port = 0

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def start(self) -> None:
        listening = threading.Event()

        def on_listening(port: int) -> None:
            self.port = port
            listening.set()

        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._make().run,
            args=("127.0.0.1", self.port, self._stop),
            kwargs={"on_listening": on_listening},
            daemon=True,
        )
        self._thread.start()
        assert listening.wait(5), "the recognizer did not come up"

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(5)
        assert not self._thread.is_alive(), "the recognizer did not stop"


@contextmanager
def running_server(recognizer: Recognizer, **bounds: int) -> Iterator[RunningServer]:
    server = RunningServer(recognizer, **bounds)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def speech(name: str = "heating_zhang") -> bytes:
    """A demo caller as s16le mono 8 kHz."""
    return pcm_of(CALLERS / f"{name}.wav")


def pcm_of(path: Path) -> bytes:
    with wave.open(str(path)) as file:
        return file.readframes(file.getnframes())
