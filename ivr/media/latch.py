"""Symmetric RTP (RFC 4961): answer to where the packets come from, and hear nobody else.

Whoever guesses a port could send there (CVE-2017-14099, "RTP bleed"), so a source other than the one that signalling
named must show for some packets that it is a stream, and the named one is preferred as soon as it speaks.

| state | valid packet from | what happens |
|---|---|---|
| learning: no source yet, or `TAKEOVER_S` without a packet from it | the address named by the SDP | heard, locked |
| learning | the source left by the last re-INVITE | refused |
| learning | any other | kept; heard and locked at the `LEARN_PACKETS`th in a row of one SSRC |
| locked | the source | heard |
| locked | any other | refused |
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from ipaddress import ip_address

from ivr.media.types import RtpAddress

TAKEOVER_S = 2.0
LEARN_PACKETS = 3
MAX_STEP = 10
"""Sequence numbers of one stream are no further apart, whatever was lost."""
MAX_CANDIDATES = 32
"""More sources than can send `LEARN_PACKETS` times in the ticks a phone needs for it, as a tick reads few packets."""

SocketAddress = tuple[str, int] | tuple[str, int, int, int]
"""As `recvfrom` gives it, for IPv4 or IPv6."""


@dataclass
class _Candidate:
    """A source's latest packets in a row."""

    ssrc: int
    sequence: int
    silent_s: float
    datagrams: list[bytes] = field(default_factory=list)

    def continues(self, *, ssrc: int, sequence: int, silent_s: float) -> bool:
        """Whether a packet is the stream's next, and the locked source was silent all the while."""
        step = (sequence - self.sequence) & 0xFFFF
        return ssrc == self.ssrc and 1 <= step <= MAX_STEP and silent_s >= self.silent_s


class Latch:
    """Where one leg's packets come from and go to. `address` None: signalling has named none yet."""

    def __init__(self, address: RtpAddress | None) -> None:
        self.source: SocketAddress | None = None
        self.destination: SocketAddress | None = None
        self._named: SocketAddress | None = None
        self._left: SocketAddress | None = None
        self._candidates: OrderedDict[SocketAddress, _Candidate] = OrderedDict()
        if address is not None:
            self.move(address)

    def learning(self, *, silent_s: float) -> bool:
        """Whether packets of a source the leg is not locked to matter, `silent_s` after the last valid packet."""
        return self.source is None or silent_s >= TAKEOVER_S

    def learn(
        self, source: SocketAddress, datagram: bytes, *, ssrc: int, sequence: int, silent_s: float
    ) -> list[bytes] | None:
        """A valid packet came from a source the leg is not locked to. Returns the datagrams that are to be heard now,
        the newest first: none while it is learned, all that were kept once it is locked; None where it is refused."""
        if not self.learning(silent_s=silent_s) or source == self._left:
            return None
        if source[:2] == self._named:
            self._lock(source)
            return [datagram]
        known = self._candidates.pop(source, None)
        if known is None or not known.continues(ssrc=ssrc, sequence=sequence, silent_s=silent_s):
            known = _Candidate(ssrc, sequence, silent_s)
        known.sequence, known.silent_s = sequence, silent_s
        known.datagrams.append(datagram)
        if len(known.datagrams) == LEARN_PACKETS:
            self._lock(source)
            return known.datagrams[::-1]
        self._candidates[source] = known
        if len(self._candidates) > MAX_CANDIDATES:
            self._candidates.popitem(last=False)
        return []

    def move(self, address: RtpAddress) -> None:
        """Signalling names an address. Where it is a new one, packets of the old source still on their way must not
        lock it again; where it is the old one, a session refresh, what was learned stays."""
        named = (str(ip_address(address.host)), address.port)
        if named == self._named:
            return
        self._named = named
        self.destination = named
        self._candidates.clear()
        if self.source is not None and self.source[:2] != named:
            self._left, self.source = self.source, None

    def _lock(self, source: SocketAddress) -> None:
        self.source = self.destination = source
        self._left = None
        self._candidates.clear()
