"""SIPp: runs one scenario of `scenarios/` as a phone or a trunk; its exit code says whether all went as written."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from demo.media_process import free_port
from ivr.sip.headers import in_uri

SCENARIOS = Path(__file__).with_name("scenarios")
LIMIT_S = 20


class Sipp:
    """One call of SIPp, started when it is made; `server` is called where the scenario calls. `keys` stand in brackets
    in the scenario, such as [caller]."""

    def __init__(
        self,
        program: str,
        scenario: str,
        server: tuple[str, int],
        folder: Path,
        *,
        host: str,
        service: str = "12345",
        secret: str = "",
        keys: Mapping[str, str],
        port: int = 0,
    ) -> None:
        text = (SCENARIOS / f"{scenario}.xml").read_text(encoding="utf-8")
        for key, value in keys.items():  # SIPp's own -key does not reach into actions
            text = text.replace(f"[{key}]", value)
        folder.mkdir(exist_ok=True)
        self._folder, self._scenario = folder, scenario
        path = folder / f"{scenario}.xml"
        path.write_text(text, encoding="utf-8")
        self.port = port or free_port(host)
        self._process = subprocess.Popen(
            [
                *(program, f"{in_uri(server[0])}:{server[1]}", "-sf", str(path), "-m", "1", "-s", service),
                *("-i", host, "-p", str(self.port), "-mi", host, "-mp", str(free_port(host, count=4))),
                *("-au", keys.get("caller", ""), "-ap", secret, "-nostdin", "-trace_err"),
                *("-timeout", f"{LIMIT_S}s", "-timeout_error"),
            ],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def succeeds(self) -> None:
        """Waits for the end of the scenario; all must have gone as it is written."""
        _, errors = self._process.communicate(timeout=LIMIT_S + 5)
        log = "".join(path.read_text(errors="replace") for path in self._folder.glob(f"{self._scenario}_*_errors.log"))
        assert self._process.returncode == 0, errors[-1000:] + log[-4000:]
        self.close()

    def close(self) -> None:
        """Stops it, whatever it does."""
        self._process.kill()
        self._process.communicate()
