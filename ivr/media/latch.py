"""Symmetric RTP (RFC 4961): answer to where the packets come from, and hear nobody else.

| source known | packet from | taken |
|---|---|---|
| no | anywhere but the source left by the last re-INVITE | yes, and locked |
| yes | that source | yes |
| any | another source | only after `TAKEOVER_S` without a valid packet, and locked |
"""

from ivr.media.types import RtpAddress

TAKEOVER_S = 2.0

SocketAddress = tuple[str, int] | tuple[str, int, int, int]
"""As `recvfrom` gives it, for IPv4 or IPv6."""


class Latch:
    """Where one call's packets come from and go to."""

    def __init__(self, address: RtpAddress | None) -> None:
        self.source: SocketAddress | None = None
        self.destination: SocketAddress | None = None if address is None else (address.host, address.port)
        self._left: SocketAddress | None = None

    def admits(self, source: SocketAddress, *, silent_s: float) -> bool:
        """Whether a packet from `source` may be heard, `silent_s` after the last valid packet."""
        if source == self.source or silent_s >= TAKEOVER_S:
            return True
        return self.source is None and source != self._left

    def lock(self, source: SocketAddress) -> None:
        """A valid packet came from `source`."""
        self.source = self.destination = source
        self._left = None

    def move(self, address: RtpAddress) -> None:
        """A re-INVITE names a new address: packets of the old source still on their way must not lock it again."""
        self.destination = (address.host, address.port)
        if self.source is not None and self.source[:2] != self.destination:
            self._left, self.source = self.source, None
