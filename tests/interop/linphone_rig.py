"""linphonec, Linphone's phone for a terminal, driven as a person would: by typing, and by reading what it prints."""

import os
import re
import select
import subprocess
import time
from pathlib import Path

from demo.media_process import MediaProcess, free_port

START_S = 10.0
CONFIG = """[sip]
bind_address={host}
use_ipv6=0
sip_port={sip_port}
sip_tcp_port=0
sip_tls_port=0
guess_hostname=0
contact=sip:{name}@{host}
media_encryption=none
default_proxy=0
[rtp]
audio_rtp_port={rtp_port}
[sound]
echocancellation=0
[proxy_0]
reg_proxy=<sip:{server};transport=udp>
reg_identity=sip:{name}@{server_host}
reg_expires=60
reg_sendregister=1
[auth_info_0]
username={name}
passwd={secret}
"""


class Linphone:
    """An extension's phone, started when it is made: it plays and records files in the place of a sound card."""

    def __init__(
        self, program: str, folder: Path, media: MediaProcess, *, name: str, host: str, secret: str, voice: Path
    ) -> None:
        (folder / ".local/share/linphone").mkdir(parents=True)  # its own database, else it complains
        self.name, self._server = name, f"{media.address[0]}:{media.address[1]}"
        given = {"server": self._server, "server_host": media.address[0], "name": name, "secret": secret, "host": host}
        ports = {"sip_port": free_port(host), "rtp_port": free_port(host, count=4)}
        (folder / "linphonerc").write_text(CONFIG.format(**given, **ports))
        self._voice, self._heard = voice, folder / "heard.wav"
        self._output = ""
        self._process = subprocess.Popen(
            [program, "-c", str(folder / "linphonerc"), "-d", "0"],
            cwd=folder,
            env=os.environ | {"HOME": str(folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def start(self) -> None:
        """Waits until it has signed in."""
        self.type("soundcard use files")
        self.type(f"play {self._voice}")
        self.type(f"record {self._heard}")
        deadline = time.monotonic() + START_S
        while True:
            self.type("status register")
            if self.wait(r"registered(, identity|=\S+)")[1].startswith(","):
                return
            assert time.monotonic() < deadline, f"{self.name} does not sign in"
            time.sleep(0.05)

    def close(self) -> None:
        """Signs out and ends; idempotent."""
        if self._process.poll() is None:
            try:
                self._process.communicate(b"quit\n", timeout=5.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.communicate()

    def type(self, line: str) -> None:
        """One command, or a digit of a call."""
        assert self._process.stdin is not None  # piped above
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    def call(self, called: str) -> None:
        """Calls a number or an extension of the hotline."""
        self.type(f"call sip:{called}@{self._server}")

    def wait(self, pattern: str, *, timeout_s: float = 10.0) -> re.Match[str]:
        """Reads on until it has printed this; what stood before is done with."""
        assert self._process.stdout is not None  # piped above
        deadline = time.monotonic() + timeout_s
        while (found := re.search(pattern, self._output)) is None:
            left = deadline - time.monotonic()
            assert left > 0, f"{self.name}: no {pattern!r} in {self._output}"
            if select.select([self._process.stdout], [], [], left)[0]:
                data = os.read(self._process.stdout.fileno(), 65536)
                assert data, self._output
                self._output += data.decode("utf-8", "replace")
        self._output = self._output[found.end() :]
        return found
