"""20 ms frames of one leg as packets of another length (ptime, RFC 4566 section 6)."""

from collections.abc import Iterator

from ivr.media.types import SAMPLE_RATE


class Packetizer:
    """Gathers G.711 octets, one a sample, until a packet is full. Positions are the timeline's."""

    def __init__(self, ptime_ms: int) -> None:
        self._size = ptime_ms * SAMPLE_RATE // 1000
        self._octets = bytearray()
        self._position = 0

    def push(self, frame: bytes, *, position: int) -> Iterator[tuple[int, bytes]]:
        """Takes a frame; yields the packets that are due, (position of its first sample, payload). What was gathered
        before a gap in the timeline goes out short."""
        if position != self._position + len(self._octets):
            yield from self.flush()
            self._position = position
        self._octets += frame
        while len(self._octets) >= self._size:
            yield self._take(self._size)

    def flush(self) -> Iterator[tuple[int, bytes]]:
        """The rest, as a packet shorter than others."""
        if self._octets:
            yield self._take(len(self._octets))

    def _take(self, count: int) -> tuple[int, bytes]:
        taken = self._position, bytes(self._octets[:count])
        del self._octets[:count]
        self._position += count
        return taken
