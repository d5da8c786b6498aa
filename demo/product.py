"""The whole product started by `hotline serve` with a folder and ports of its own: for benchmarks and tests."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from sqlalchemy import select

from demo.media_process import HOST, free_port
from hotline.db import Database
from hotline.errors import UnavailableError
from ivr.journal import Journal
from recordings.models import Call, Recording
from tickets.models import Ticket

START_S, STOP_S = 60.0, 20.0
Found = TypeVar("Found")


def wait_for(find: Callable[[], Found | None], *, seconds: float, what: str) -> Found:
    """What `find` returns once it is not None; raises `UnavailableError` after `seconds`."""
    deadline = time.monotonic() + seconds
    while (found := find()) is None:
        if time.monotonic() > deadline:
            raise UnavailableError(f"{what} did not come within {seconds} s")
        time.sleep(0.1)
    return found


@dataclass
class Product:
    """A running `hotline serve`."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None

    def __post_init__(self) -> None:
        rtp = random.randrange(20000, 50000, 2)  # noqa: S311 - the engine skips busy ports
        self.sip_port = free_port()
        self.console_port = free_port()
        own = {
            "DATA_DIR": str(self.folder),
            "NODE": "n1",
            "SIP__ADDRESS": HOST,
            "SIP__PORT": str(self.sip_port),
            "MEDIA__RTP_PORT_MIN": str(rtp),
            "MEDIA__RTP_PORT_MAX": str(rtp + 1000),
            "ASR__PORT": str(free_port()),
            "CONSOLE__PORT": str(self.console_port),
        }
        kept = {key: value for key, value in os.environ.items() if not key.startswith("HOTLINE_")}
        self.environment = kept | {f"HOTLINE_{key}": value for key, value in own.items()} | self.environment

    @property
    def log_path(self) -> Path:
        return self.folder / "serve.log"

    @property
    def pid(self) -> int:
        """Of the supervisor."""
        assert self.process is not None
        return self.process.pid

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
        wait_for(self._ready, seconds=START_S, what=f"the product (log: {self.log_path})")

    def _ready(self) -> bool | None:
        assert self.process is not None
        text = self.log_path.read_text(encoding="utf-8", errors="replace")
        if self.process.poll() is not None:
            raise UnavailableError(f"the product ended at start; its log:\n{text[-3000:]}")
        return True if "Ctrl-C" in text else None

    def stop(self) -> float:
        """Ends it as an operator would; returns the seconds it took."""
        assert self.process is not None
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_S)
        finally:
            self.process.kill()
            self.process.wait()
        return time.monotonic() - started

    def pid_of(self, name: str) -> int | None:
        """The process id of `media`, `recognizer`, `worker`, `console` or `valkey`."""
        wanted = "valkey-server" if name == "valkey" else f"hotline.cli\0run\0{name}\0"
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.pid and wanted in (path / "cmdline").read_text():
                    return int(path.name)
        return None

    def kill(self, name: str) -> int:
        """kill -9; returns the process id it had (of several media processes: one). Raises `UnavailableError`."""
        pid = self.pid_of(name)
        if pid is None:
            raise UnavailableError(f"no process {name}")
        os.kill(pid, signal.SIGKILL)
        return pid

    def tickets(self) -> list[Ticket]:
        """All tickets, oldest first."""
        with contextlib.closing(Database(self.database_url)) as database, database.transaction() as session:
            return list(session.scalars(select(Ticket).order_by(Ticket.id)))

    def calls(self) -> list[Call]:
        """All calls that have become rows, oldest first."""
        with contextlib.closing(Database(self.database_url)) as database, database.transaction() as session:
            return list(session.scalars(select(Call).order_by(Call.started_at)))

    def recordings(self) -> list[Recording]:
        """The recordings of the calls that have become rows."""
        with contextlib.closing(Database(self.database_url)) as database, database.transaction() as session:
            return list(session.scalars(select(Recording)))

    @property
    def database_url(self) -> str:
        return self.environment.get("HOTLINE_DATABASE_URL") or f"sqlite:///{self.folder / 'hotline.db'}"

    def spooled(self) -> list[Journal]:
        """Journals that are not yet rows."""
        found = []
        for path in sorted(self.folder.glob("spool/*/*.jsonl")):
            with contextlib.suppress(FileNotFoundError):  # archived meanwhile
                found.append(Journal.read(path))
        return found

    def await_tickets(self, count: int, *, seconds: float = 60.0) -> list[Ticket]:
        """Waits until there are `count` tickets."""
        return wait_for(
            lambda: found if len(found := self.tickets()) >= count else None, seconds=seconds, what=f"ticket {count}"
        )
