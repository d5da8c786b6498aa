"""The whole product as processes, as `hotline serve` runs it, and a phone that calls it."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import select

from hotline.db import Database
from ivr.journal import Journal
from recordings.models import Call
from tickets.models import Ticket

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 60.0
Found = TypeVar("Found")


def free_port(kind: socket.SocketKind) -> int:
    """A port of 127.0.0.1 that was free a moment ago."""
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def wait_for(find: Callable[[], Found | None], *, seconds: float, what: str) -> Found:
    """What `find` returns once it is not None; fails after `seconds`."""
    pause = threading.Event()
    deadline = time.monotonic() + seconds
    while (found := find()) is None:
        assert time.monotonic() < deadline, f"{what} did not come within {seconds} s"
        pause.wait(0.1)
    return found


@dataclass
class Product:
    """A running `hotline serve` with a data folder and ports of its own."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None

    def __post_init__(self) -> None:
        rtp = 30000 + (os.getpid() * 200) % 20000
        self.sip_port = free_port(socket.SOCK_DGRAM)
        self.console_port = free_port(socket.SOCK_STREAM)
        own = {
            "DATA_DIR": str(self.folder),
            "NODE": "n1",
            "SIP__ADDRESS": "127.0.0.1",
            "SIP__PORT": str(self.sip_port),
            "MEDIA__RTP_PORT_MIN": str(rtp),
            "MEDIA__RTP_PORT_MAX": str(rtp + 1000),
            "ASR__PORT": str(free_port(socket.SOCK_STREAM)),
            "CONSOLE__PORT": str(self.console_port),
        }
        kept = {key: value for key, value in os.environ.items() if not key.startswith("HOTLINE_")}
        self.environment = kept | {f"HOTLINE_{key}": value for key, value in own.items()} | self.environment

    @property
    def log_path(self) -> Path:
        return self.folder / "serve.log"

    def start(self) -> None:
        """Returns when every process answers."""
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hotline.cli", "serve"],
                env=self.environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                umask=0o022,
            )
        wait_for(self._ready, seconds=START_TIMEOUT_S, what=f"the product (log: {self.log_path})")

    def _ready(self) -> bool | None:
        assert self.process is not None
        text = self.log_path.read_text(encoding="utf-8", errors="replace")
        assert self.process.poll() is None, text
        return True if "Ctrl-C" in text else None

    def stop(self) -> float:
        """Ends it as an operator would; returns the seconds it took."""
        assert self.process is not None
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        finally:
            self.process.kill()
        return time.monotonic() - started

    def pid_of(self, name: str) -> int | None:
        """The process id of `media`, `recognizer`, `worker`, `console` or `valkey`."""
        assert self.process is not None
        wanted = "valkey-server" if name == "valkey" else f"hotline.cli\0run\0{name}\0"
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.process.pid and wanted in (path / "cmdline").read_text():
                    return int(path.name)
        return None

    def kill(self, name: str) -> int:
        """kill -9; returns the process id it had (of several media processes: one)."""
        pid = self.pid_of(name)
        assert pid is not None, f"no process {name}"
        os.kill(pid, signal.SIGKILL)
        return pid

    def dial(self, caller: str, *options: str, port: int | None = None) -> "DialledCall":
        """A call from a phone in a process of its own."""
        return DialledCall(
            subprocess.Popen(
                [
                    *(sys.executable, "-m", "demo.phone", "--json", "--caller", caller, "--from", "13800138000"),
                    *("--to", f"sip:12345@127.0.0.1:{port or self.sip_port}", *options),
                ],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                text=True,
            )
        )

    def tickets(self) -> list[Ticket]:
        """All tickets, oldest first."""
        with contextlib.closing(Database(self.database_url)) as database, database.transaction() as session:
            return list(session.scalars(select(Ticket).order_by(Ticket.id)))

    def calls(self) -> list[Call]:
        """All calls that have become rows, oldest first."""
        with contextlib.closing(Database(self.database_url)) as database, database.transaction() as session:
            return list(session.scalars(select(Call).order_by(Call.started_at)))

    @property
    def database_url(self) -> str:
        return self.environment.get("HOTLINE_DATABASE_URL") or f"sqlite:///{self.folder / 'hotline.db'}"

    def spooled(self) -> list[Journal]:
        """Journals that are not yet rows."""
        return [Journal.read(path) for path in sorted(self.folder.glob("spool/*/*.jsonl"))]

    def await_tickets(self, count: int, *, seconds: float = 60.0) -> list[Ticket]:
        """Waits until there are `count` tickets."""
        return wait_for(
            lambda: found if len(found := self.tickets()) >= count else None, seconds=seconds, what=f"ticket {count}"
        )


@dataclass
class DialledCall:
    """A phone at work."""

    process: "subprocess.Popen[str]"
    events: list[dict[str, object]] = field(default_factory=list)

    def until(self, name: str) -> dict[str, object]:
        """Reads the phone's events until one is called `name`."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))
            if self.events[-1]["event"] == name:
                return self.events[-1]
        raise AssertionError(f"the phone ended without {name}: {self.events}")

    def end(self) -> dict[str, object]:
        """The call's last event; the phone's process is over."""
        result = self.until("result")
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process.wait(10)
        return result


@pytest.fixture
def product_folder() -> Iterator[Path]:
    """A short path: a unix socket's has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="hotline-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def product(product_folder: Path) -> Iterator[Product]:
    """A product that answers calls."""
    running = Product(product_folder)
    running.start()
    yield running
    running.stop()
