"""SDP as text (RFC 8866): split into sections and read line by line, without a view on what is acceptable. Pure.

Whatever cannot be read is refused with `InvalidInputError`, except where a stream works without it (a=ptime, a=rtcp).
"""

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, ip_address

from hotline.errors import InvalidInputError
from ivr.media.types import PTIMES_MS, RtpAddress

MAX_SDP_BYTES = 8192
MAX_LINES = 200
DEFAULT_PTIME_MS = 20
STATIC_NAMES = {0: "PCMU/8000", 8: "PCMA/8000", 9: "G722/8000", 13: "CN/8000"}
"""RFC 3551 section 6. G.722 samples at 16 kHz, but its clock is 8000 for ever."""


class Direction(Enum):
    """RFC 8866 section 6.7, seen from the one who wrote it."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def sends(self) -> bool:
        return self in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def receives(self) -> bool:
        return self in (Direction.SENDRECV, Direction.RECVONLY)

    @classmethod
    def of(cls, *, sends: bool, receives: bool) -> "Direction":
        """The direction of one who sends or not, receives or not."""
        return next(item for item in cls if (item.sends, item.receives) == (sends, receives))


@dataclass(frozen=True)
class MediaLine:
    """An m= line. `formats` are payload types where `protocol` is an RTP profile."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]


@dataclass(frozen=True)
class MediaSection:
    """An m= line with the lines that follow it; what the session says for all media comes first in `attributes`."""

    line: MediaLine
    connections: tuple[str, ...]
    attributes: tuple[str, ...]

    def payload_types(self) -> tuple[int, ...]:
        """In the writer's order of preference. Raises `InvalidInputError`."""
        return tuple(_number(item, 127, "payload type") for item in self.line.formats)

    def names(self) -> dict[int, str]:
        """Payload type to encoding name and clock, such as `PCMA/8000`, in capitals; static types keep theirs."""
        names = {}
        for value in self._values("rtpmap"):
            payload, _, name = value.partition(" ")
            names[_number(payload, 127, "payload type")] = name.strip().upper().removesuffix("/1")
        return names | STATIC_NAMES

    def direction(self) -> Direction:
        """The last direction counts, and sending to no address (RFC 2543's way to hold) is inactive."""
        found = [item for attribute in self.attributes for item in Direction if item.value == attribute]
        if self.host() in ("0.0.0.0", "::"):  # noqa: S104 - nothing is bound here
            return Direction.INACTIVE
        return found[-1] if found else Direction.SENDRECV

    def ptime_ms(self) -> int:
        """What the writer wants in one packet, brought to one of `PTIMES_MS`; an unreadable wish is none."""
        wish = _whole_ptime(self._values("ptime"))
        limit = _whole_ptime(self._values("maxptime"))
        return min(wish or DEFAULT_PTIME_MS, limit or PTIMES_MS[-1])

    def host(self) -> str:
        """The numeric address of the first c= line. Raises `InvalidInputError` where there is none or a name."""
        if not self.connections:
            raise InvalidInputError("SDP without c= line")
        return _host(self.connections[0])

    def rtcp(self) -> RtpAddress | None:
        """RFC 3605; None where reports go to the port after the media's, or where the line can't be read."""
        for value in self._values("rtcp"):
            port, _, connection = value.partition(" ")
            try:
                return RtpAddress(_host(connection) if connection else self.host(), _number(port, 65535, "port"))
            except (InvalidInputError, ValueError):
                return None
        return None

    def _values(self, name: str) -> list[str]:
        return [item.removeprefix(f"{name}:") for item in self.attributes if item.startswith(f"{name}:")]


def parse_sections(text: str) -> tuple[MediaSection, ...]:
    """The media sections of a description, in order. Raises `InvalidInputError`, also for one without any."""
    if len(text) > MAX_SDP_BYTES:
        raise InvalidInputError(f"SDP of {len(text)} bytes")
    lines = [line.strip() for line in text.replace("\r\n", "\n").split("\n") if line.strip()]
    if len(lines) > MAX_LINES:
        raise InvalidInputError(f"SDP of {len(lines)} lines")
    if not lines or lines[0] != "v=0":
        raise InvalidInputError("SDP does not begin with v=0")
    blocks: list[list[str]] = [[]]
    for line in lines:
        if line[1:2] != "=":
            raise InvalidInputError(f"SDP line {line[:40]!r}")
        if line.startswith("m="):
            blocks.append([])
        blocks[-1].append(line)
    session, *media = blocks
    if not media:
        raise InvalidInputError("SDP without m= line")
    return tuple(
        MediaSection(
            line=_media_line(block[0]),
            connections=(*_of_type("c", block), *_of_type("c", session)),
            attributes=(*_of_type("a", session), *_of_type("a", block)),
        )
        for block in media
    )


def _of_type(kind: str, lines: list[str]) -> list[str]:
    return [line[2:].strip() for line in lines if line[0] == kind]


def _media_line(line: str) -> MediaLine:
    parts = line[2:].split()
    if len(parts) < 4:
        raise InvalidInputError(f"SDP media line {line[:80]!r}")
    kind, port, protocol, *formats = parts
    return MediaLine(
        kind=kind,
        port=_number(port.partition("/")[0], 65535, "port"),
        protocol=protocol,
        formats=tuple(formats),
    )


def _host(connection: str) -> str:
    """The unicast or zero address of `IN IP4 192.0.2.1`: a name would mean DNS, a group or a scope our own network."""
    parts = connection.split()
    if len(parts) != 3 or parts[0] != "IN" or parts[1] not in ("IP4", "IP6"):
        raise InvalidInputError(f"SDP connection line {connection[:80]!r}")
    try:
        address = ip_address(parts[2])
    except ValueError as error:
        raise InvalidInputError(f"SDP address {parts[2][:80]!r}") from error
    if parts[1] != f"IP{address.version}" or address.is_multicast or "%" in parts[2]:
        raise InvalidInputError(f"SDP address {parts[2][:80]!r}")
    if address == IPv4Address("255.255.255.255"):
        raise InvalidInputError(f"SDP address {parts[2]!r}")
    return str(address)


def _whole_ptime(values: list[str]) -> int | None:
    for value in values:
        if value.isascii() and value.isdigit() and int(value[:9]) > 0:
            return max(item for item in PTIMES_MS if item <= max(int(value[:9]), PTIMES_MS[0]))
    return None


def _number(text: str, highest: int, what: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) > highest:
        raise InvalidInputError(f"SDP {what} {text[:20]!r}")
    return int(text)
