"""A recognizer server in a thread, for tests."""

import os
import socket
import subprocess
import sys
import threading
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from asr.recognizer import Recognizer
from asr.server import RecognizerServer
from hotline.settings_sections import PACKAGE_ROOT

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


class RecognizerProcess:
    """The recognizer as a process of its own, with the bundled model."""

    PROGRAM = (
        "import signal, threading\n"
        "from asr.server import serve_recognizer\n"
        "from hotline.settings import load_settings\n"
        "stop = threading.Event()\n"
        "signal.signal(signal.SIGTERM, lambda *_: stop.set())\n"
        "serve_recognizer(load_settings(), stop, on_listening=lambda port: print(port, flush=True))\n"
    )

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"ws://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", self.PROGRAM],
            env={**os.environ, "HOTLINE_ASR__PORT": str(self.port)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        assert int(self.process.stdout.readline()) == self.port

    def kill(self) -> None:
        assert self.process.stdout is not None
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


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
