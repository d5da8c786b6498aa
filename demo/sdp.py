"""The session description of a phone (RFC 4566, offer and answer as in RFC 3264)."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal

from demo.g711 import Law
from hotline.errors import ProtocolError

TELEPHONE_EVENT = 101
Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
_REVERSED: dict[Direction, Direction] = {"sendonly": "recvonly", "recvonly": "sendonly"}


@dataclass(frozen=True)
class Media:
    """Where the far end wants our packets, and which payload types it takes. `events` is None without digits."""

    host: str
    port: int
    law: Law
    events: int | None
    direction: Direction


def describe(host: str, port: int, law: Law, *, direction: Direction = "sendrecv", version: int = 1) -> bytes:
    """Our side as SDP: one law and telephone events."""
    family = f"IN IP{ip_address(host).version} {host}"
    lines = (
        "v=0",
        f"o=- {port} {version} {family}",
        "s=call",
        f"c={family}",
        "t=0 0",
        f"m=audio {port} RTP/AVP {law.value} {TELEPHONE_EVENT}",
        f"a=rtpmap:{law.value} {law.name}/8000",
        f"a=rtpmap:{TELEPHONE_EVENT} telephone-event/8000",
        f"a=fmtp:{TELEPHONE_EVENT} 0-15",
        "a=ptime:20",
        f"a={direction}",
    )
    return "".join(f"{line}\r\n" for line in lines).encode()


def parse(body: bytes) -> Media:
    """The first audio stream; raises `ProtocolError` when we can't talk to it."""
    text = body.decode("utf-8", "replace")
    media = re.search(r"^m=audio (\d+) RTP/AVP ([\d ]+?)\s*$", text, re.MULTILINE)
    connections = re.findall(r"^c=IN IP[46] (\S+)", text, re.MULTILINE)
    if media is None or not connections:
        raise ProtocolError("no audio in the session description")
    port, types = int(media[1]), [int(item) for item in media[2].split()]
    try:
        host = str(ip_address(connections[-1]))
        law = next(Law(item) for item in types if item in (0, 8))
    except (ValueError, StopIteration) as error:
        raise ProtocolError(f"no address or no G.711 in {text!r}") from error
    if not 1 <= port <= 65535:
        raise ProtocolError(f"audio port {port}")
    events = re.search(r"^a=rtpmap:(\d+) telephone-event/8000", text, re.MULTILINE)
    direction = re.search(r"^a=(sendrecv|sendonly|recvonly|inactive)\s*$", text, re.MULTILINE)
    return Media(
        host=host,
        port=port,
        law=law,
        events=int(events[1]) if events and int(events[1]) in types else None,
        direction=direction[1] if direction else "sendrecv",  # type: ignore[arg-type]  # the pattern allows no other
    )


def answer_direction(offered: Direction) -> Direction:
    """What we answer to an offer: we take part in all that the far end allows (RFC 3264 section 6.1)."""
    return _REVERSED.get(offered, offered)
