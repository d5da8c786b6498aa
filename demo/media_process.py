"""The product's media process started alone, with no broker, database or recognizer: for benchmarks and tests.

It is used as a trunk sees it (SIP, RTP) and as an operator does (journals and recordings in the spool folder).
"""

import contextlib
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import time
import wave
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from demo.sip import SipMessage
from hotline.errors import ProtocolError, UnavailableError

START_S, STOP_S = 20.0, 8.0
PORTS, PORT_TRIES = (10000, 20000), 100
HOST = "127.0.0.1"


@dataclass(frozen=True)
class RecordedCall:
    """A call as the spool folder shows it: the journal's lines and the WAV beside it."""

    journal: tuple[dict[str, Any], ...]
    audio_path: Path

    def first(self, kind: str) -> dict[str, Any]:
        """The first line of a kind, empty where there is none."""
        return next((line for line in self.journal if line["kind"] == kind), {})

    @property
    def closed(self) -> bool:
        return bool(self.first("closed"))

    def channels(self, *, sample_rate: int = 8000) -> NDArray[np.int16]:
        """The recording: (samples, 2), left the caller, right our side. Raises `ProtocolError` for any other format."""
        with wave.open(str(self.audio_path), "rb") as wav:
            if (wav.getnchannels(), wav.getsampwidth(), wav.getframerate()) != (2, 2, sample_rate):
                raise ProtocolError(f"{self.audio_path}: not stereo, 16 bit, {sample_rate} Hz")
            return np.frombuffer(wav.readframes(wav.getnframes()), "<i2").reshape(-1, 2)


class MediaProcess:
    """`hotline run media` on free loopback ports; a context manager that waits until it answers and stops it."""

    def __init__(self, directory: Path, *, host: str = HOST, **settings: str) -> None:
        self._directory = directory
        self.host = host
        self.sip_port = free_port(host)
        rtp_port = random.randrange(20000, 50000, 2)  # noqa: S311 - the engine skips busy ports
        clean = {key: value for key, value in os.environ.items() if not key.startswith("HOTLINE_")}
        self._environment = clean | {
            "HOTLINE_DATA_DIR": str(directory),
            "HOTLINE_SIP__ADDRESS": host,
            "HOTLINE_SIP__PORT": str(self.sip_port),
            "HOTLINE_MEDIA__RTP_PORT_MIN": str(rtp_port),
            "HOTLINE_MEDIA__RTP_PORT_MAX": str(rtp_port + 8000),
            "HOTLINE_ASR__MAX_LIVE_CALLS": "0",
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "MediaProcess":
        self._directory.mkdir(parents=True, exist_ok=True)
        with open(self.log_path, "ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "hotline.cli", "run", "media"],
                env=self._environment,
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_S
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise UnavailableError(f"the media process does not answer; its log ends:\n{self.log()[-3000:]}")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.sip_port

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def data_dir(self) -> Path:
        return self._directory

    @property
    def log_path(self) -> Path:
        return self._directory / "media.log"

    def log(self) -> str:
        """What the process has logged."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def stop(self) -> None:
        """Ends the process as an operator does (SIGTERM), at last by force; idempotent."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def answers(self, *, timeout_s: float = 0.3) -> bool:
        """Whether an OPTIONS gets its 200."""
        return answers(self.sip_port, host=self.host, timeout_s=timeout_s)

    def recordings(self) -> list[Path]:
        """All recordings of the spool folder, whether a journal belongs to them or not."""
        return sorted(self._directory.glob("spool/*/*.wav"))

    def calls(self) -> list[RecordedCall]:
        """All calls of the spool folder, oldest first."""
        paths = sorted(self._directory.glob("spool/*/*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
        calls = []
        for path in paths:
            lines = path.read_text(encoding="utf-8").split("\n")[:-1]  # what has no newline yet is being written
            calls.append(RecordedCall(tuple(json.loads(line) for line in lines), path.with_suffix(".wav")))
        return calls

    def wait_for_calls(self, count: int, *, timeout_s: float = 10.0) -> list[RecordedCall]:
        """Waits until `count` calls are closed; returns all calls. Raises `UnavailableError` when they don't close."""
        deadline = time.monotonic() + timeout_s
        while sum(call.closed for call in self.calls()) < count:
            if time.monotonic() > deadline:
                raise UnavailableError(f"{count} closed calls awaited; there are {self.calls()}\n{self.log()[-3000:]}")
            time.sleep(0.05)
        return self.calls()

    def calls_of(self, caller: str, *, count: int = 1, timeout_s: float = 10.0) -> list[RecordedCall]:
        """All calls of a caller, once `count` of them are closed: an answer may be out before its journal is written.

        Raises `UnavailableError` when they don't close.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            calls = [call for call in self.calls() if call.first("opened").get("caller") == caller]
            if sum(call.closed for call in calls) >= count:
                return calls
            if time.monotonic() > deadline:
                raise UnavailableError(f"{count} closed calls of {caller} awaited: {calls}\n{self.log()[-3000:]}")
            time.sleep(0.05)

    def cpu_seconds(self) -> float:
        """CPU time of the process so far, all threads."""
        return cpu_seconds(self.pid)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process (proc(5): fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port(host: str = HOST, *, count: int = 1) -> int:
    """An even port, the first of `count` that were free a moment ago, for UDP and for TCP.

    None that the system hands out by itself (ip_local_port_range), so nobody else gets it by chance before it is taken.
    Raises `UnavailableError` where there is none.
    """
    for _ in range(PORT_TRIES):
        first = random.randrange(*PORTS, 2)  # noqa: S311 - no secret
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(first, first + count):
                for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                    stack.enter_context(socket.socket(family_of(host), kind)).bind((host, port))
            return first
    raise UnavailableError(f"no free port at {host}")


def family_of(host: str) -> socket.AddressFamily:
    """IPv4 or IPv6."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def answers(sip_port: int, *, host: str = HOST, timeout_s: float = 0.3) -> bool:
    """Whether an OPTIONS to a loopback port gets its 200."""
    with socket.socket(family_of(host), socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        probe.sendto(options(probe.getsockname()[1], sip_port, host=host), (host, sip_port))
        if not select.select([probe], [], [], timeout_s)[0]:
            return False
        try:
            return SipMessage.parse(probe.recv(65536)).status == 200
        except (OSError, ProtocolError):
            return False


def options(from_port: int, to_port: int, *, host: str = HOST) -> bytes:
    """An OPTIONS request between two loopback ports (RFC 3261 section 11)."""
    host = f"[{host}]" if ":" in host else host
    name = f"{random.getrandbits(64):016x}"
    headers = (
        ("Via", f"SIP/2.0/UDP {host}:{from_port};rport;branch=z9hG4bK{name}"),
        ("Max-Forwards", "70"),
        ("From", f"<sip:probe@{host}:{from_port}>;tag={name[:8]}"),
        ("To", f"<sip:{host}:{to_port}>"),
        ("Call-ID", f"{name}@probe"),
        ("CSeq", "1 OPTIONS"),
        ("Contact", f"<sip:probe@{host}:{from_port}>"),
    )
    return SipMessage(start=f"OPTIONS sip:{host}:{to_port} SIP/2.0", headers=headers).serialize()
