"""SDP offers policed and answered (RFC 8866, offer/answer RFC 3264). Pure.

Only what a trunk needs is understood: one audio stream over RTP/AVP with PCMA or PCMU and telephone-event.
Anything else is refused with `InvalidInputError`, which the signalling answers with 488.
"""

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, ip_address

from hotline.errors import InvalidInputError
from ivr.media.types import Codec, RemoteMedia, RtpAddress

MAX_SDP_BYTES = 8192
MAX_LINES = 200
STATIC_NAMES = {0: "PCMU/8000", 8: "PCMA/8000"}  # RFC 3551 section 6


class Direction(Enum):
    """RFC 8866 section 6.7, seen from the one who wrote it."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"


DIRECTIONS = {direction.value: direction for direction in Direction}
# RFC 3264 section 6.1: what we answer to the far end's direction
ANSWERED_DIRECTION = {
    Direction.SENDRECV: Direction.SENDRECV,
    Direction.SENDONLY: Direction.RECVONLY,
    Direction.RECVONLY: Direction.SENDONLY,
    Direction.INACTIVE: Direction.INACTIVE,
}


@dataclass(frozen=True)
class MediaLine:
    """One m= section as offered; `accepted` is the index rule: refused ones are answered with port 0."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]


@dataclass(frozen=True)
class Offer:
    """An acceptable offer: `remote` says how to talk to the far end, `lines` what must be answered, in order."""

    remote: RemoteMedia
    direction: Direction
    lines: tuple[MediaLine, ...]
    audio_index: int
    telephone_event: int | None


def parse_offer(text: str, *, keep: Codec | None = None) -> Offer:
    """Reads and polices an offer; raises `InvalidInputError` saying what is wrong with it.

    The offerer's first codec is taken, or in a re-INVITE the call's present one, `keep`, wherever it is listed.
    """
    if len(text) > MAX_SDP_BYTES:
        raise InvalidInputError(f"SDP of {len(text)} bytes")
    session, sections = _split(text)
    if not sections:
        raise InvalidInputError("SDP without m= line")
    lines = tuple(_media_line(section[0]) for section in sections)
    for index, (line, section) in enumerate(zip(lines, sections, strict=True)):
        if line.kind == "audio" and line.protocol == "RTP/AVP" and line.port != 0:
            return _audio_offer(session, section, lines, index, keep)
    raise InvalidInputError("no RTP/AVP audio offered")


def write_answer(offer: Offer, *, host: str, port: int, session_id: int, version: int) -> str:
    """The SDP answer with our numeric `host` and RTP `port` (RFC 3264 section 6)."""
    family = "IP4" if isinstance(ip_address(host), IPv4Address) else "IP6"
    out = [
        "v=0",
        f"o=hotline {session_id} {version} IN {family} {host}",
        "s=hotline",
        f"c=IN {family} {host}",
        "t=0 0",
    ]
    for index, line in enumerate(offer.lines):
        if index != offer.audio_index:
            out.append(f"m={line.kind} 0 {line.protocol} {' '.join(line.formats)}")
            continue
        codec = offer.remote.codec
        formats = [str(codec.value)] + ([str(offer.telephone_event)] if offer.telephone_event is not None else [])
        out += [
            f"m=audio {port} RTP/AVP {' '.join(formats)}",
            f"a=rtpmap:{codec.value} {codec.name}/8000",
            "a=ptime:20",
            f"a={ANSWERED_DIRECTION[offer.direction].value}",
        ]
        if offer.telephone_event is not None:
            out += [
                f"a=rtpmap:{offer.telephone_event} telephone-event/8000",
                f"a=fmtp:{offer.telephone_event} 0-15",
            ]
    return "\r\n".join(out) + "\r\n"


def _split(text: str) -> tuple[list[str], list[list[str]]]:
    lines = [line.strip() for line in text.replace("\r\n", "\n").split("\n") if line.strip()]
    if len(lines) > MAX_LINES:
        raise InvalidInputError(f"SDP of {len(lines)} lines")
    if not lines or lines[0] != "v=0":
        raise InvalidInputError("SDP does not begin with v=0")
    session: list[str] = []
    sections: list[list[str]] = []
    for line in lines:
        if len(line) < 2 or line[1] != "=":
            raise InvalidInputError(f"SDP line {line[:40]!r}")
        if line.startswith("m="):
            sections.append([line])
        elif sections:
            sections[-1].append(line)
        else:
            session.append(line)
    return session, sections


def _media_line(line: str) -> MediaLine:
    parts = line[2:].split()
    if len(parts) < 4:
        raise InvalidInputError(f"SDP media line {line[:80]!r}")
    kind, port_text, protocol, *formats = parts
    port = _number(port_text.partition("/")[0], 65535, "port")
    return MediaLine(kind=kind, port=port, protocol=protocol, formats=tuple(formats))


def _audio_offer(
    session: list[str], section: list[str], lines: tuple[MediaLine, ...], index: int, keep: Codec | None
) -> Offer:
    line = lines[index]
    names = dict(STATIC_NAMES)
    direction = Direction.SENDRECV
    for attribute in session + section[1:]:
        if attribute.startswith("a=rtpmap:"):
            payload, _, name = attribute.removeprefix("a=rtpmap:").partition(" ")
            names[_number(payload, 127, "payload type")] = name.strip().upper()
        elif attribute.removeprefix("a=") in DIRECTIONS:
            direction = DIRECTIONS[attribute.removeprefix("a=")]
    offered = [_number(item, 127, "payload type") for item in line.formats]
    codecs = [Codec(item) for item in offered if item in STATIC_NAMES]
    codec = keep if keep in codecs else next(iter(codecs), None)
    if codec is None:
        raise InvalidInputError("neither PCMA nor PCMU offered")
    events = next((item for item in offered if names.get(item, "").startswith("TELEPHONE-EVENT/8000")), None)
    host = _connection_host(section) or _connection_host(session)
    if host is None:
        raise InvalidInputError("SDP without c= line")
    if host == "0.0.0.0":  # noqa: S104 - RFC 2543's way to hold
        direction = Direction.INACTIVE
    try:
        address = RtpAddress(host, line.port)
    except ValueError as error:
        raise InvalidInputError(f"SDP address {host!r} port {line.port}") from error
    if ip_address(host).is_multicast or (host not in {"0.0.0.0"} and ip_address(host).is_unspecified):  # noqa: S104
        raise InvalidInputError(f"SDP address {host!r}")
    remote = RemoteMedia(
        address=address,
        codec=codec,
        telephone_event=events,
        send=direction in (Direction.SENDRECV, Direction.RECVONLY),
        receive=direction in (Direction.SENDRECV, Direction.SENDONLY),
    )
    return Offer(remote=remote, direction=direction, lines=lines, audio_index=index, telephone_event=events)


def _connection_host(lines: list[str]) -> str | None:
    for line in lines:
        if line.startswith("c="):
            parts = line[2:].split()
            if len(parts) != 3 or parts[0] != "IN" or parts[1] not in ("IP4", "IP6"):
                raise InvalidInputError(f"SDP connection line {line[:80]!r}")
            return parts[2].partition("/")[0]
    return None


def _number(text: str, highest: int, what: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text[:9]) > highest or len(text) > 9:
        raise InvalidInputError(f"SDP {what} {text[:20]!r}")
    return int(text)
