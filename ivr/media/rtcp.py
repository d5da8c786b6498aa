"""RTCP packets and their arithmetic (RFC 3550 section 6.4-6.6, appendix A): bytes in, packets out, and back.

| type | packet | here |
|---|---|---|
| 200, 201 | sender report, receiver report | `Report`, with `sender` or without |
| 202 | source description | `SourceDescription` |
| 203 | goodbye | `Goodbye` |
| any other | application-defined, feedback, extended reports | `OtherPacket`, kept as it came |
"""

import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hotline.errors import ProtocolError

SENDER_REPORT = 200
RECEIVER_REPORT = 201
SOURCE_DESCRIPTION = 202
GOODBYE = 203
CNAME = 1

LEAST_INTERVAL_S = 5.0
BANDWIDTH_OCTETS_S = 0.05 * 2 * 80_000 / 8
"""5 % of two G.711 streams with their headers (section 6.2)."""
COMPENSATION = math.e - 1.5
"""Timer reconsideration makes intervals shorter than meant; this corrects for it (section 6.3.1)."""

CLOCK_TOLERANCE_S = 0.005
"""Where the network takes no time, clocks that are read some work apart tell of less than none."""

UNIX_TO_NTP_S = 2_208_988_800
_VERSION_2 = 0x80
_PADDING = 0x20
_HEADER = struct.Struct("!BBH")
_WORD = struct.Struct("!I")
_SENDER = struct.Struct("!QIII")
_BLOCK = struct.Struct("!II4I")


@dataclass(frozen=True)
class SenderInfo:
    """What the sender sent. `ntp`: 64 bits of its wall clock at the same moment as `timestamp` of its RTP clock."""

    ntp: int
    timestamp: int
    packets: int
    octets: int

    def __post_init__(self) -> None:
        _check(0 <= self.ntp < 1 << 64 and _words(self.timestamp, self.packets, self.octets), self)


@dataclass(frozen=True)
class ReportBlock:
    """How one source is received. `fraction_lost` in 1/256; `lost` may be negative, with duplicates; `jitter` in
    timestamp units; `last_report` and `delay` (since that report) in 1/65536 s, both 0 before the first report."""

    ssrc: int
    fraction_lost: int
    lost: int
    highest_sequence: int
    jitter: int
    last_report: int
    delay: int

    def __post_init__(self) -> None:
        words = _words(self.ssrc, self.highest_sequence, self.jitter, self.last_report, self.delay)
        _check(words and 0 <= self.fraction_lost <= 255 and -(1 << 23) <= self.lost < 1 << 23, self)


@dataclass(frozen=True)
class Report:
    """A sender report where `sender` is there, else a receiver report. `extension` is the profile's own."""

    ssrc: int
    blocks: tuple[ReportBlock, ...] = ()
    sender: SenderInfo | None = None
    extension: bytes = b""

    def __post_init__(self) -> None:
        _check(_words(self.ssrc) and len(self.blocks) <= 31 and len(self.extension) % 4 == 0, self)


@dataclass(frozen=True)
class SourceItems:
    """One source's items (number, text); the texts should be UTF-8 and are not always."""

    ssrc: int
    items: tuple[tuple[int, bytes], ...]

    def __post_init__(self) -> None:
        _check(_words(self.ssrc) and all(0 < kind <= 255 and len(text) <= 255 for kind, text in self.items), self)


@dataclass(frozen=True)
class SourceDescription:
    """Who the sources are; every compound packet that is sent must say the canonical name of its sender."""

    sources: tuple[SourceItems, ...]

    def __post_init__(self) -> None:
        _check(len(self.sources) <= 31, self)

    @classmethod
    def of(cls, ssrc: int, cname: str) -> "SourceDescription":
        """The canonical name alone; ValueError where it is longer than 255 octets."""
        return cls(sources=(SourceItems(ssrc=ssrc, items=((CNAME, cname.encode()),)),))


@dataclass(frozen=True)
class Goodbye:
    """Sources that leave; the reason is None where none is given."""

    sources: tuple[int, ...]
    reason: bytes | None = None

    def __post_init__(self) -> None:
        _check(len(self.sources) <= 31 and _words(*self.sources) and len(self.reason or b"") <= 255, self)


@dataclass(frozen=True)
class OtherPacket:
    """A type that is not read here: its five bits of count, and what follows the header."""

    kind: int
    count: int
    body: bytes

    def __post_init__(self) -> None:
        known = SENDER_REPORT <= self.kind <= GOODBYE
        _check(0 <= self.kind <= 255 and not known and 0 <= self.count <= 31 and len(self.body) % 4 == 0, self)


RtcpPacket = Report | SourceDescription | Goodbye | OtherPacket


def serialize(packets: Sequence[RtcpPacket]) -> bytes:
    """One datagram. ValueError unless a report comes first (section 6.1)."""
    if not packets or not isinstance(packets[0], Report):
        raise ValueError("a compound RTCP packet begins with a report")
    return b"".join(_serialize(packet) for packet in packets)


def parse(datagram: bytes) -> tuple[RtcpPacket, ...]:
    """Reads one datagram; `ProtocolError` where it is no compound packet by appendix A.2 or any length is wrong."""
    packets: list[RtcpPacket] = []
    start, end = 0, len(datagram)
    while start < end:
        if end - start < _HEADER.size:
            raise ProtocolError("RTCP packet ends within its header")
        flags, kind, words = _HEADER.unpack_from(datagram, start)
        after = start + 4 * (words + 1)
        if flags >> 6 != 2:
            raise ProtocolError(f"RTCP version {flags >> 6}")
        if not packets and kind not in (SENDER_REPORT, RECEIVER_REPORT):
            raise ProtocolError(f"compound RTCP packet begins with type {kind}")
        if after > end:
            raise ProtocolError("RTCP packet longer than its datagram")
        body = datagram[start + _HEADER.size : after]
        if flags & _PADDING:
            body = _without_padding(body, last=after == end)
        packets.append(_parse(kind, flags & 31, body))
        start = after
    if not packets:
        raise ProtocolError("empty RTCP packet")
    return tuple(packets)


def ntp_time(unix_s: float) -> int:
    """64 bits, 32 of them a fraction; wraps in 2036 as the RFC allows."""
    return int((unix_s + UNIX_TO_NTP_S) * (1 << 32)) & 0xFFFF_FFFF_FFFF_FFFF


def middle(ntp: int) -> int:
    """The middle 32 bits of an NTP time, 1/65536 s, as reports refer to each other."""
    return ntp >> 16 & 0xFFFF_FFFF


def round_trip_s(block: ReportBlock, *, ntp: int) -> float | None:
    """The round trip that a block about our stream tells, received at `ntp` (section 6.4.1); None where it tells none.

    A delay longer than the time since our report, from clocks that disagree or a hostile sender, tells none either,
    but for `CLOCK_TOLERANCE_S`.
    """
    since = (middle(ntp) - block.last_report) & 0xFFFF_FFFF
    seconds = (since - block.delay) / 65536
    if not block.last_report or seconds < -CLOCK_TOLERANCE_S:
        return None
    return max(seconds, 0.0)


def transmission_interval_s(
    *, uniform: float, initial: bool, members: int = 2, senders: int = 2, we_sent: bool = True, size: float = 120
) -> float:
    """Seconds to the next report (section 6.3.1, appendix A.7). `uniform` is random, 0 to 1; `size` the mean octets of
    reports with their IP and UDP headers."""
    bandwidth, sharing = BANDWIDTH_OCTETS_S, members
    if senders <= members * 0.25:
        bandwidth *= 0.25 if we_sent else 0.75
        sharing = senders if we_sent else members - senders
    least = LEAST_INTERVAL_S / 2 if initial else LEAST_INTERVAL_S
    return max(least, size * sharing / bandwidth) * (0.5 + uniform) / COMPENSATION


def _serialize(packet: RtcpPacket) -> bytes:
    match packet:
        case Report():
            return _serialize_report(packet)
        case SourceDescription():
            body = b"".join(_serialize_source(source) for source in packet.sources)
            return _pack(SOURCE_DESCRIPTION, len(packet.sources), body)
        case Goodbye():
            text = b"" if packet.reason is None else bytes([len(packet.reason)]) + packet.reason
            body = b"".join(map(_WORD.pack, packet.sources)) + text + bytes(-len(text) % 4)
            return _pack(GOODBYE, len(packet.sources), body)
        case OtherPacket():
            return _pack(packet.kind, packet.count, packet.body)


def _serialize_report(report: Report) -> bytes:
    kind, parts = RECEIVER_REPORT, [_WORD.pack(report.ssrc)]
    if report.sender is not None:
        sender = report.sender
        kind = SENDER_REPORT
        parts.append(_SENDER.pack(sender.ntp, sender.timestamp, sender.packets, sender.octets))
    for block in report.blocks:
        losses = block.fraction_lost << 24 | block.lost & 0xFFFFFF
        progress = (block.highest_sequence, block.jitter, block.last_report, block.delay)
        parts.append(_BLOCK.pack(block.ssrc, losses, *progress))
    return _pack(kind, len(report.blocks), b"".join(parts) + report.extension)


def _serialize_source(source: SourceItems) -> bytes:
    """Items end with at least one zero octet, up to the next word (section 6.5)."""
    items = b"".join(bytes([kind, len(text)]) + text for kind, text in source.items)
    return _WORD.pack(source.ssrc) + items + bytes(4 - len(items) % 4)


def _pack(kind: int, count: int, body: bytes) -> bytes:
    return _HEADER.pack(_VERSION_2 | count, kind, len(body) // 4) + body


def _parse(kind: int, count: int, body: bytes) -> RtcpPacket:
    match kind:
        case 200 | 201:
            return _parse_report(kind, count, body)
        case 202:
            return SourceDescription(sources=tuple(_parse_sources(count, body)))
        case 203:
            return _parse_goodbye(count, body)
    return OtherPacket(kind=kind, count=count, body=body)


def _parse_report(kind: int, count: int, body: bytes) -> Report:
    start = _WORD.size + (_SENDER.size if kind == SENDER_REPORT else 0)
    after = start + count * _BLOCK.size
    if len(body) < after:
        raise ProtocolError(f"RTCP report of {len(body)} octets with {count} blocks")
    sender = SenderInfo(*_SENDER.unpack_from(body, _WORD.size)) if kind == SENDER_REPORT else None
    blocks = tuple(_block(*fields) for fields in _BLOCK.iter_unpack(body[start:after]))
    return Report(ssrc=_WORD.unpack_from(body)[0], blocks=blocks, sender=sender, extension=body[after:])


def _block(ssrc: int, losses: int, highest: int, jitter: int, last_report: int, delay: int) -> ReportBlock:
    lost = losses & 0xFFFFFF
    return ReportBlock(
        ssrc=ssrc,
        fraction_lost=losses >> 24,
        lost=lost - (1 << 24) if lost >= 1 << 23 else lost,
        highest_sequence=highest,
        jitter=jitter,
        last_report=last_report,
        delay=delay,
    )


def _parse_sources(count: int, body: bytes) -> Iterator[SourceItems]:
    start = 0
    for _ in range(count):
        if start + _WORD.size > len(body):
            raise ProtocolError("RTCP source description ends within a source")
        (ssrc,), start = _WORD.unpack_from(body, start), start + _WORD.size
        items = []
        while start < len(body) and body[start]:
            text = start + 2
            after = text + body[start + 1] if text <= len(body) else text
            if after >= len(body):  # at least the zero octet that ends the items is missing
                raise ProtocolError("RTCP source description ends within an item")
            items.append((body[start], body[text:after]))
            start = after
        if start >= len(body):
            raise ProtocolError("RTCP source description without an end of its items")
        yield SourceItems(ssrc=ssrc, items=tuple(items))
        start += 4 - start % 4
    if any(body[start:]):  # some stacks write a word of zeros too many
        raise ProtocolError("RTCP source description longer than its sources")


def _parse_goodbye(count: int, body: bytes) -> Goodbye:
    start = count * _WORD.size
    if start > len(body):
        raise ProtocolError(f"RTCP goodbye of {len(body)} octets with {count} sources")
    sources = tuple(source for (source,) in _WORD.iter_unpack(body[:start]))
    if start == len(body):
        return Goodbye(sources=sources)
    after = start + 1 + body[start]
    if after > len(body) or len(body) - after >= 4:
        raise ProtocolError("RTCP goodbye with a reason of another length")
    return Goodbye(sources=sources, reason=body[start + 1 : after])


def _without_padding(body: bytes, *, last: bool) -> bytes:
    """The last octet counts the padding, itself included; only the last packet may have any."""
    padding = body[-1] if body else 0
    if not last or not padding or padding % 4 or padding > len(body):
        raise ProtocolError(f"RTCP padding of {padding} octets")
    return body[:-padding]


def _words(*values: int) -> bool:
    return all(0 <= value <= 0xFFFF_FFFF for value in values)


def _check(valid: bool, packet: object) -> None:
    if not valid:
        raise ValueError(f"not an RTCP packet: {packet!r}")
