"""One bounded HTTP exchange with a far end that may be slow, hostile, or somewhere it should not be.

No redirect is followed, no proxy or cookie used. The address that was checked is the one that is connected to, so a
name that resolves differently a moment later (DNS rebinding) leads nowhere. One deadline covers the whole exchange,
also against a far end that sends an octet now and then.
"""

import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any
from urllib.parse import urlsplit

import httpcore

from hotline.errors import InvalidInputError
from tickets.notices.delivery import DelayedError, UnsureError

MAX_ANSWER_BYTES = 64 * 1024
OUR_HEADERS = (("User-Agent", "hotline"), ("Accept-Encoding", "identity"), ("Connection", "close"))
Address = IPv4Address | IPv6Address
AddressCheck = Callable[[Address], bool]


@dataclass(frozen=True)
class Answer:
    """What came back. `complete`: `body` is all of it, and not cut at `MAX_ANSWER_BYTES`."""

    status: int
    headers: dict[str, str]
    body: bytes
    complete: bool


def is_public(address: Address) -> bool:
    """Whether an address belongs to the internet at large: not private, loopback, link-local, multicast or reserved."""
    mapped = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
    if mapped is not None:
        return is_public(mapped)
    return address.is_global and not address.is_multicast and not address.is_reserved


def public_or_within(networks: Iterable[IPv4Network | IPv6Network]) -> AddressCheck:
    """A check that lets public addresses pass, and those of `networks`."""
    allowed = tuple(networks)

    def check(address: Address) -> bool:
        mapped = getattr(address, "ipv4_mapped", None) or address
        return is_public(address) or any(mapped in network for network in allowed)

    return check


def exchange(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes,
    timeout_s: float,
    check: AddressCheck | None = None,
    tls: ssl.SSLContext | None = None,
) -> Answer:
    """Sends one request, at most `timeout_s` long, to an address that passes `check` (None: any).

    Raises `DelayedError` where the far end certainly has not got the request, `UnsureError` where it may have.
    The texts of errors hold no part of the address but its host.
    """
    deadline = _Deadline(time.monotonic() + timeout_s)
    backend = _Backend(check, deadline)
    host = urlsplit(url).hostname or ""
    sent = [*OUR_HEADERS, *headers.items()]
    try:
        with (
            httpcore.ConnectionPool(
                network_backend=backend, ssl_context=tls or ssl.create_default_context(), max_connections=1
            ) as pool,
            pool.stream(method, url, headers=sent, content=body) as response,
        ):
            return _read(response)
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError) as error:
        reason = str(error) or type(error).__name__
        if backend.requested:
            raise UnsureError(f"{host}: 请求已发出，没有等到答复：{reason}"[:300]) from error
        raise DelayedError(f"{host}: {reason}"[:300], whole=True) from error


def parse_http_url(url: str) -> tuple[str, str]:
    """Scheme and host of an address that may be sent to; raises `InvalidInputError`."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    plain = url.isascii() and url.isprintable() and not {" ", "\\", "#", "@"} & set(url.partition("?")[0])
    if not usable or not plain or "#" in url:
        raise InvalidInputError(
            "不是可用的地址", hint="形如 https://主机/路径，不含用户名、空格、反斜杠和 #；中文写成百分号编码"
        )
    return parts.scheme, str(parts.hostname)


class _Deadline:
    def __init__(self, at: float) -> None:
        self._at = at

    def left(self) -> float:
        """Seconds; raises `TimeoutError` when none are."""
        left = self._at - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left


class _Backend(httpcore.NetworkBackend):
    """Connects to checked addresses only. `requested`: the far end has, or may have, the whole request."""

    def __init__(self, check: AddressCheck | None, deadline: _Deadline) -> None:
        self._check = check
        self._deadline = deadline
        self.requested = False

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        problem: OSError = OSError("no address")
        for address in _resolve(host, port):
            if self._check is not None and not self._check(ip_address(address.partition("%")[0])):
                problem = OSError(f"{address} is not an address that may be sent to")
                continue
            try:
                connection = socket.create_connection((address, port), self._deadline.left())
            except OSError as error:
                problem = error
                continue
            return _Stream(connection, self._deadline, self)
        raise httpcore.ConnectError(str(problem))


class _Stream(httpcore.NetworkStream):
    def __init__(self, connection: socket.socket, deadline: _Deadline, backend: _Backend) -> None:
        self._connection = connection
        self._deadline = deadline
        self._backend = backend

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._connection.settimeout(self._deadline.left())
        return self._connection.recv(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._backend.requested = False  # until this part has left too
        self._connection.settimeout(self._deadline.left())
        self._connection.sendall(buffer)
        self._backend.requested = True

    def close(self) -> None:
        self._connection.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        self._connection.settimeout(self._deadline.left())
        try:
            wrapped = ssl_context.wrap_socket(self._connection, server_hostname=server_hostname)
        except BaseException:
            self._connection.close()
            raise
        return _Stream(wrapped, self._deadline, self._backend)

    def get_extra_info(self, info: str) -> Any:
        return None


def _resolve(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(item[4][0]) for item in found))


def _read(response: httpcore.Response) -> Answer:
    names = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
    body = bytearray()
    for chunk in response.iter_stream():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            return Answer(response.status, names, bytes(body[:MAX_ANSWER_BYTES]), complete=False)
    return Answer(response.status, names, bytes(body), complete=True)
