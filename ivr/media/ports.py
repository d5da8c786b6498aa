"""UDP sockets for calls: an even port of a range for RTP, the next one for RTCP (RFC 3550 section 11).

Each pair is used again as late as possible.
"""

import errno
import random
import socket
from contextlib import ExitStack
from ipaddress import ip_address

from hotline.errors import ConfigurationError, UnavailableError


class PortPool:
    """Binds sockets at `address`. Not thread-safe."""

    def __init__(self, *, address: str, port_min: int, port_max: int) -> None:
        # An even port is at most 65534, so the next is one too.
        self._ports = range(port_min + port_min % 2, port_max + 1, 2)
        if not self._ports or not 1 <= port_min <= port_max <= 65535:
            raise ConfigurationError(f"no even port between {port_min} and {port_max}")
        self.version = ip_address(address).version
        self._address = address
        self._next = random.randrange(len(self._ports))  # noqa: S311 - spreads ports, hides nothing

    def bind(self) -> tuple[socket.socket, socket.socket]:
        """Non-blocking sockets on the next free pair of ports, RTP's and RTCP's; raises `UnavailableError` where none
        is free, or no descriptor."""
        for _ in self._ports:
            port = self._ports[self._next]
            self._next = (self._next + 1) % len(self._ports)
            if (pair := self._bind_pair(port)) is not None:
                return pair
        raise UnavailableError(f"no free pair of RTP ports among {len(self._ports)} at {self._address}")

    def _bind_pair(self, port: int) -> tuple[socket.socket, socket.socket] | None:
        """Both or, where either is in use, None."""
        with ExitStack() as opened:
            try:
                pair = (opened.enter_context(self._socket()), opened.enter_context(self._socket()))
                for endpoint, own in zip(pair, (port, port + 1), strict=True):
                    endpoint.bind((self._address, own))
            except OSError as error:
                if error.errno in (errno.EADDRINUSE, errno.EACCES):
                    return None
                raise UnavailableError(f"RTP address {self._address}: {error.strerror}") from error
            opened.pop_all()
            return pair

    def _socket(self) -> socket.socket:
        endpoint = socket.socket(socket.AF_INET if self.version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
        endpoint.setblocking(False)
        return endpoint
