"""baresip as a desk phone or a caller, driven through its control port (ctrl_tcp: JSON in netstrings)."""

import contextlib
import itertools
import json
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from office_rig import share_heard

from demo.media_process import MediaProcess, free_port
from demo.phone import write_audio

MODULES = Path("/usr/lib/baresip/modules")
START_S = 10.0
KEY_S = 0.25
CONFIG = """sip_listen {host}:{sip_port}
ctrl_tcp_listen {host}:{control_port}
audio_source aufile,{folder}/voice.wav
audio_alert aufile,/dev/null
audio_srate {rate}-{rate}
audio_channels 1-1
net_interface {host}
rtp_ports {rtp_port}-{rtp_port_end}
module_path {modules}
module g711.so
module g722.so
module aufile.so
module sndfile.so
snd_path {folder}
module ctrl_tcp.so
module_tmp uuid.so
module_tmp account.so
module_app menu.so
"""


class Baresip:
    """One phone, started when it is made. It says `voice` (int16) in every call, and `secret` makes it register.

    `name` is its extension or number, `codec` what it offers and takes.
    """

    def __init__(
        self,
        program: str,
        folder: Path,
        media: MediaProcess,
        *,
        name: str,
        host: str,
        voice: NDArray[np.int16],
        rate: int = 8000,
        codec: str = "PCMA",
        secret: str = "",
        patience_s: float = 8.0,
    ) -> None:
        folder.mkdir()
        self._patience_s = patience_s  # with its registration
        self.name, self.voice, self._folder = name, voice, folder
        self._server = f"{media.address[0]}:{media.address[1]}"
        self._control = (host, free_port(host))
        rtp_port = free_port(host, count=20)
        (folder / "config").write_text(
            CONFIG.format(
                host=host,
                sip_port=free_port(host, count=2),
                control_port=self._control[1],
                folder=folder,
                rate=rate,
                rtp_port=rtp_port,
                rtp_port_end=rtp_port + 18,
                modules=MODULES,
            )
        )
        for file in ("accounts", "contacts"):
            (folder / file).write_text("")
        write_audio(folder / "voice.wav", voice, sample_rate=rate)
        with open(folder / "baresip.log", "wb") as log:
            self._process = subprocess.Popen(
                [program, "-f", str(folder), "-s"],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._data = b""
        self._events: list[dict[str, Any]] = []
        self._answers: list[dict[str, Any]] = []
        self._tokens = itertools.count()
        self._socket: socket.socket | None = None
        self._account = f"<{self.address_of(name)}>;regint={60 if secret else 0};audio_codecs={codec}"
        if secret:
            self._account += f';auth_user={name};auth_pass="{secret}"'

    def start(self) -> None:
        """Waits until it can be driven; an extension's phone signs in."""
        self._socket = self._connect()
        self.do("uanew", self._account)
        if "auth_user" in self._account:
            self.wait("REGISTER_OK", timeout_s=self._patience_s)

    def _connect(self) -> socket.socket:
        deadline = time.monotonic() + START_S
        while True:
            try:
                return socket.create_connection(self._control, timeout=1.0)
            except OSError:
                assert self._process.poll() is None, self.log()
                assert time.monotonic() < deadline, self.log()
                time.sleep(0.02)

    def close(self) -> None:
        """Signs out and ends; idempotent."""
        if self._process.poll() is None:
            if self._socket is not None:
                with contextlib.suppress(AssertionError, OSError):
                    self.do("quit")
            try:
                self._process.wait(3.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._socket is not None:
            self._socket.close()

    def log(self) -> str:
        """What it said, every SIP message included."""
        return (self._folder / "baresip.log").read_text(errors="replace")[-6000:]

    def heard(self) -> NDArray[np.int16]:
        """What it heard in the last call, which must be over (int16)."""
        data = max(self._folder.glob("dump-*-dec.wav")).read_bytes()
        return np.frombuffer(data[44 : len(data) & ~1], "<i2")

    def hears(self, voice: NDArray[np.int16]) -> float:
        """The share of `voice` that it heard in the last call unchanged."""
        return share_heard(self.heard(), voice)

    # --- what it is told to do ---

    def do(self, command: str, parameters: str = "") -> str:
        """Carries a command out and returns what it says to that."""
        token = str(next(self._tokens))
        message = json.dumps({"command": command, "params": parameters, "token": token}).encode()
        assert self._socket is not None, "not started"
        self._socket.sendall(b"%d:%s," % (len(message), message))
        deadline = time.monotonic() + 3.0
        while time.monotonic() < deadline:
            self._read(0.1)
            for answer in self._answers:
                if answer.get("token") == token:
                    return str(answer.get("data", ""))
        raise AssertionError(f"no answer to {command}\n{self.log()}")

    def address_of(self, called: str) -> str:
        """A number or an extension at the hotline."""
        return f"sip:{called}@{self._server}"

    def dial(self, called: str) -> None:
        """Calls a number at the hotline, and waits until somebody answers."""
        self.do("dial", self.address_of(called))
        self.wait("CALL_ESTABLISHED")

    def accept(self) -> None:
        """Waits for a call and takes it."""
        self.wait("CALL_INCOMING")
        self.do("accept")
        self.wait("CALL_ESTABLISHED")

    def press(self, digits: str) -> None:
        """Sends digits as telephone events (RFC 4733), one after another."""
        for digit in digits:
            self.do("sndcode", digit)
            time.sleep(KEY_S)

    def sign_out(self) -> None:
        """Its registration is over; it stays there."""
        self.do("uadel", self.address_of(self.name))
        time.sleep(0.2)

    def hang_up(self) -> None:
        """Ends its call."""
        self.do("hangup")
        self.wait("CALL_CLOSED")

    # --- what happens to it ---

    def wait(self, kind: str, *, timeout_s: float = 8.0) -> dict[str, Any]:
        """The next event of a kind; each is told once. Earlier ones of other kinds stay."""
        deadline = time.monotonic() + timeout_s
        while True:
            for event in self._events:
                if event.get("type") == kind:
                    self._events.remove(event)
                    return event
            assert time.monotonic() < deadline, f"{self.name}: no {kind}, only {self._events}\n{self.log()}"
            self._read(0.1)

    def _read(self, timeout_s: float) -> None:
        assert self._socket is not None, "not started"
        self._socket.settimeout(timeout_s)
        try:
            data = self._socket.recv(65536)
        except TimeoutError:
            return
        assert data, self.log()
        self._data += data
        while b":" in self._data:
            length, _, rest = self._data.partition(b":")
            if len(rest) <= int(length):
                return
            message, self._data = json.loads(rest[: int(length)]), rest[int(length) + 1 :]
            (self._events if message.get("event") else self._answers).append(message)
