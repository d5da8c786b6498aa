"""UDP sockets for calls: even ports of a range (RFC 3550 section 11), each used again as late as possible."""

import errno
import random
import socket
from ipaddress import ip_address

from hotline.errors import ConfigurationError, UnavailableError


class PortPool:
    """Binds sockets at `address`. Not thread-safe."""

    def __init__(self, *, address: str, port_min: int, port_max: int) -> None:
        self._ports = range(port_min + port_min % 2, port_max + 1, 2)
        if not self._ports or not 1 <= port_min <= port_max <= 65535:
            raise ConfigurationError(f"no even port between {port_min} and {port_max}")
        self.version = ip_address(address).version
        self._address = address
        self._next = random.randrange(len(self._ports))  # noqa: S311 - spreads ports, hides nothing

    def bind(self) -> socket.socket:
        """A non-blocking socket on the next free port; raises `UnavailableError` where none is free."""
        endpoint = socket.socket(socket.AF_INET if self.version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
        endpoint.setblocking(False)
        for _ in self._ports:
            port = self._ports[self._next]
            self._next = (self._next + 1) % len(self._ports)
            try:
                endpoint.bind((self._address, port))
            except OSError as error:
                if error.errno in (errno.EADDRINUSE, errno.EACCES):
                    continue
                endpoint.close()
                raise UnavailableError(f"RTP address {self._address}: {error.strerror}") from error
            return endpoint
        endpoint.close()
        raise UnavailableError(f"no free RTP port among {len(self._ports)} at {self._address}")
