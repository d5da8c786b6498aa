"""Whether a process of the product does its work: asked as a user of it would."""

import json
import re
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from hotline.bus import Bus
from hotline.errors import UnavailableError
from hotline.settings import Settings, mask_url

PROCESSES = ("recognizer", "worker", "media", "console")
HEARTBEAT_S = 5
TIMEOUT_S = 2.0


def probe(process: str, settings: Settings, bus: Bus) -> None:
    """Raises `UnavailableError` where `process` (one of `PROCESSES`) does not answer."""
    _PROBES[process](settings, bus)


def reachable(host: str) -> str:
    """The address under which a server bound to `host` is reached from this machine."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104


def _media(settings: Settings, _bus: Bus) -> None:
    for own in settings.media_processes():
        _sip(reachable(own.sip.address), own.sip.port)


def _sip(host: str, port: int) -> None:
    family, shown = (socket.AF_INET6, f"[{host}]") if ":" in host else (socket.AF_INET, host)
    request = (
        f"OPTIONS sip:probe@{shown}:{port} SIP/2.0\r\n"
        "Via: SIP/2.0/UDP {local};rport;branch=z9hG4bK{tag}\r\n"
        "Max-Forwards: 5\r\nFrom: <sip:probe@{local}>;tag={tag}\r\n"
        f"To: <sip:probe@{shown}:{port}>\r\n"
        "Call-ID: probe-{tag}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(TIMEOUT_S)
        try:
            sock.connect((host, port))
            own = sock.getsockname()[:2]
            local = "[{}]:{}".format(*own) if family is socket.AF_INET6 else "{}:{}".format(*own)
            sock.send(request.format(local=local, tag=re.sub("[^0-9a-f]", "", local)).encode())
            answer = sock.recv(4096)
        except OSError as error:
            raise UnavailableError(f"no SIP answer from {shown}:{port}: {error}") from error
    if not answer.startswith(b"SIP/2.0 200"):
        raise UnavailableError(f"SIP answer from {shown}:{port}: {answer[:40]!r}")


def _recognizer(settings: Settings, _bus: Bus) -> None:
    """A WebSocket handshake with each: whatever speaks vosk-server's protocol answers that."""
    for url in settings.effective_asr_urls():
        try:
            with connect(url, open_timeout=TIMEOUT_S, close_timeout=TIMEOUT_S, proxy=None):
                pass
        except (OSError, ValueError, WebSocketException) as error:
            raise UnavailableError(f"no recognizer at {mask_url(url)}: {error}") from error


def _console(settings: Settings, _bus: Bus) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # whether it answers is asked, not who it is
    _get(f"https://{reachable(settings.console.address)}:{settings.console.port}/readyz", context)


def _worker(_settings: Settings, bus: Bus) -> None:
    if not bus.states("worker"):
        raise UnavailableError("no worker has reported lately")


def _get(url: str, context: ssl.SSLContext | None) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(url, timeout=TIMEOUT_S) as response:
            response.read()
    except (urllib.error.URLError, OSError, json.JSONDecodeError) as error:
        raise UnavailableError(f"no answer from {url}: {error}") from error


_PROBES: dict[str, Callable[[Settings, Bus], None]] = {
    "media": _media,
    "recognizer": _recognizer,
    "console": _console,
    "worker": _worker,
}
