"""The edge started alone in front of media processes: Kamailio with the configuration we ship, for bench and tests.

Loopback addresses tell the parties apart: `OUTSIDE` and `INNER` are the edge's, `TRUNK` may call, all others are
strangers.
"""

import os
import re
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from demo.media_process import HOST
from hotline.errors import UnavailableError

CONFIGURATION = Path(__file__).resolve().parent.parent / "deploy/kamailio/kamailio.cfg"
PACKAGES = "kamailio kamailio-tls-modules kamailio-websocket-modules"
OUTSIDE, TRUNK, INNER, PHONES = "127.0.0.2", "127.0.0.3", "127.0.0.5", "127.0.0.6"
START_S, STOP_S = 5.0, 5.0


def find_kamailio() -> str:
    """The program; raises `UnavailableError` where it is not installed."""
    found = shutil.which("kamailio") or shutil.which("kamailio", path="/usr/sbin")
    if found is None:
        raise UnavailableError("kamailio is not installed", hint=f"Debian packages {PACKAGES}")
    return found


def free_tcp_and_udp_port(host: str) -> int:
    """A port that was free for both a moment ago."""
    while True:
        with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagram:
            stream.bind((host, 0))
            port = int(stream.getsockname()[1])
            try:
                datagram.bind((host, port))
            except OSError:
                continue
            return port


class Edge:
    """Kamailio on free ports; a context manager that waits until the media processes at `ports` are in use.

    With a certificate (chain and key) it takes TLS and WebSocket; `settings`: further variables of the file.
    """

    def __init__(
        self,
        directory: Path,
        ports: Sequence[int],
        certificate: tuple[Path, Path] | None = None,
        **settings: str,
    ) -> None:
        self._program = find_kamailio()
        self._directory = directory
        directory.mkdir(parents=True)
        self.port, self.tls_port, self.wss_port = (free_tcp_and_udp_port(OUTSIDE) for _ in range(3))
        self.inner_port = free_tcp_and_udp_port(INNER)
        (directory / "media.list").write_text("".join(f"1 sip:{HOST}:{port}\n" for port in ports))
        self._environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("EDGE_")},
            "EDGE_ADDRESS": OUTSIDE,
            "EDGE_PORT": str(self.port),
            "EDGE_TLS_PORT": str(self.tls_port),
            "EDGE_WSS_PORT": str(self.wss_port),
            "EDGE_INNER_ADDRESS": INNER,
            "EDGE_INNER_PORT": str(self.inner_port),
            "EDGE_MEDIA_LIST": str(directory / "media.list"),
            "EDGE_MASK_KEY": secrets.token_hex(8),
            "EDGE_TRUNKS": f"192.0.2.0/24,{TRUNK}/32",
            **settings,
        }
        if certificate is not None:
            chain, private_key = certificate
            self._environment |= {"EDGE_CERTIFICATE": str(chain), "EDGE_PRIVATE_KEY": str(private_key)}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Edge":
        options = ["-f", str(CONFIGURATION), "-DD", "-E", "-m", "64", "-M", "8", "-w", ".", "-Y", "."]
        with open(self._directory / "log", "ab") as log:
            self._process = subprocess.Popen(
                [self._program, *options],
                cwd=self._directory,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_S
        while len(self._active()) < len((self._directory / "media.list").read_text().splitlines()):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise UnavailableError(f"the edge does not start:\n{self.log()[-4000:]}")
            time.sleep(0.05)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends it as an operator does; idempotent."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def log(self) -> str:
        return (self._directory / "log").read_text("utf-8", "replace")

    def control(self, *command: str) -> str:
        """What `kamcmd` answers."""
        done = subprocess.run(
            ["kamcmd", "-s", f"unixs:{self._directory / 'kamailio_ctl'}", *command],
            capture_output=True,
            text=True,
            timeout=5,
        )
        return done.stdout

    def banned(self, host: str) -> bool:
        return re.search(rf"name: {re.escape(host)}$", self.control("htable.dump", "ban"), re.MULTILINE) is not None

    def active(self, port: int) -> bool:
        """Whether calls are given to the media process at that SIP port."""
        return port in self._active()

    def _active(self) -> set[int]:
        if not (self._directory / "kamailio_ctl").exists():
            return set()
        listed = self.control("dispatcher.list")
        return {int(port) for port in re.findall(r"URI: sip:[\d.]+:(\d+)\s+FLAGS: A[PX]", listed)}
