"""Keypad digits as named telephone events (RFC 4733 section 2.3, 2.5).

An event is known by its RTP timestamp, which all its packets share. So the first packet that arrives tells the digit,
whichever of the others are lost, repeated or late.
"""

import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from hotline.errors import ProtocolError
from ivr.media.types import FRAME_MS, FRAME_SAMPLES

DIGITS = "0123456789*#ABCD"
MAX_DURATION = 0xFFFF
END_PACKETS = 3
REMEMBERED_EVENTS = 32
"""Reordering deeper than so many events does not happen within one call's jitter."""

_PAYLOAD = struct.Struct("!BBH")


@dataclass(frozen=True)
class TelephoneEvent:
    """One payload: event 0-255, volume 0-63 (-dBm0), duration so far in timestamp units."""

    event: int
    end: bool
    volume: int
    duration: int

    def __post_init__(self) -> None:
        if not 0 <= self.event <= 255 or not 0 <= self.volume <= 63 or not 0 <= self.duration <= MAX_DURATION:
            raise ValueError(f"not a telephone event: {self!r}")

    @property
    def digit(self) -> str | None:
        """The key, or None where the event is no key (flash, tones)."""
        return DIGITS[self.event] if self.event < len(DIGITS) else None

    def serialize(self) -> bytes:
        """The four octets as sent."""
        return _PAYLOAD.pack(self.event, self.end << 7 | self.volume, self.duration)

    @classmethod
    def parse(cls, payload: bytes) -> "TelephoneEvent":
        """Reads the first event of a payload; raises `ProtocolError`."""
        if len(payload) < _PAYLOAD.size:
            raise ProtocolError(f"telephone event of {len(payload)} octets")
        event, flags, duration = _PAYLOAD.unpack_from(payload)
        return cls(event=event, end=bool(flags & 0x80), volume=flags & 0x3F, duration=duration)


class DtmfReceiver:
    """Turns the event packets of one call into digits, each exactly once."""

    def __init__(self) -> None:
        self._known: deque[tuple[int, int]] = deque(maxlen=REMEMBERED_EVENTS)
        self._held: tuple[int, int, int] | None = None  # ssrc, timestamp, event of a key not yet let go

    def receive(self, payload: bytes, *, ssrc: int, timestamp: int) -> str | None:
        """The digit that this packet is the first to tell, else None; raises `ProtocolError`."""
        event = TelephoneEvent.parse(payload)
        known = (ssrc, timestamp) in self._known
        # A key held beyond the largest duration goes on under a new timestamp (section 2.5.1.3).
        continues = self._held == (ssrc, (timestamp - MAX_DURATION) & 0xFFFFFFFF, event.event)
        if not known:
            self._known.append((ssrc, timestamp))
        if not known or self._held == (ssrc, timestamp, event.event):
            self._held = None if event.end else (ssrc, timestamp, event.event)
        return None if known or continues else event.digit


def event_payloads(digit: str, *, duration_ms: int = 160, volume: int = 10) -> Iterator[tuple[bool, bytes]]:
    """One key press: (marker, payload) for packets 20 ms apart under one timestamp, the end told three times.

    Raises ValueError where `digit` is no key or the press does not fit one event (8 s).
    """
    event = DIGITS.index(digit)
    updates = max(1, duration_ms // FRAME_MS)
    durations = [FRAME_SAMPLES * (count + 1) for count in range(updates)]
    for count, duration in enumerate(durations):
        yield count == 0, TelephoneEvent(event=event, end=False, volume=volume, duration=duration).serialize()
    last = TelephoneEvent(event=event, end=True, volume=volume, duration=durations[-1]).serialize()
    for _ in range(END_PACKETS):
        yield False, last
