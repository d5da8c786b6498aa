"""RTP packets (RFC 3550 section 5.1): whole packets as objects, and plain G.711 frames as arrays.

The engine reads the common case (12 octets of header, 20 ms of G.711) from arrays of `PLAIN_FRAME`; all else goes
through `RtpPacket`.
"""

import struct
from dataclasses import dataclass

import numpy as np

from hotline.errors import ProtocolError
from ivr.media.types import FRAME_SAMPLES

VERSION_2 = 0x80
MARKER = 0x80
HEADER_SIZE = 12
PLAIN_FRAME_SIZE = HEADER_SIZE + FRAME_SAMPLES
COMFORT_NOISE = 13
"""Static payload type of RFC 3389."""

PLAIN_FRAME = np.dtype(
    [
        ("flags", "u1"),
        ("type", "u1"),
        ("sequence", ">u2"),
        ("timestamp", ">u4"),
        ("ssrc", ">u4"),
        ("payload", "u1", (FRAME_SAMPLES,)),
    ]
)

_HEADER = struct.Struct("!BBHII")
_EXTENSION = struct.Struct("!HH")


@dataclass(frozen=True)
class RtpExtension:
    """A header extension (section 5.3.1): a profile-defined number and whole 32-bit words."""

    profile: int
    data: bytes

    def __post_init__(self) -> None:
        if not 0 <= self.profile <= 0xFFFF or len(self.data) % 4 or len(self.data) > 4 * 0xFFFF:
            raise ValueError(f"not an RTP header extension: {self!r}")


@dataclass(frozen=True)
class RtpPacket:
    """One packet. `padding` is the count of padding octets (the last of which tells it), 0 without."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False
    csrc: tuple[int, ...] = ()
    extension: RtpExtension | None = None
    padding: int = 0

    def __post_init__(self) -> None:
        words = (self.timestamp, self.ssrc, *self.csrc)
        if (
            not 0 <= self.payload_type <= 127
            or not 0 <= self.sequence <= 0xFFFF
            or not all(0 <= word <= 0xFFFFFFFF for word in words)
            or len(self.csrc) > 15
            or not 0 <= self.padding <= 255
        ):
            raise ValueError(f"not an RTP packet: {self!r}")

    def serialize(self) -> bytes:
        """The packet as sent."""
        flags = VERSION_2 | bool(self.padding) << 5 | (self.extension is not None) << 4 | len(self.csrc)
        parts = [
            _HEADER.pack(flags, self.marker << 7 | self.payload_type, self.sequence, self.timestamp, self.ssrc),
            struct.pack(f"!{len(self.csrc)}I", *self.csrc),
        ]
        if self.extension is not None:
            parts += [_EXTENSION.pack(self.extension.profile, len(self.extension.data) // 4), self.extension.data]
        parts.append(self.payload)
        if self.padding:
            parts.append(bytes(self.padding - 1) + bytes([self.padding]))
        return b"".join(parts)

    @classmethod
    def parse(cls, data: bytes) -> "RtpPacket":
        """Reads one datagram; raises `ProtocolError` where it is no RTP packet."""
        if len(data) < HEADER_SIZE:
            raise ProtocolError(f"RTP packet of {len(data)} octets")
        flags, kind, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
        if flags >> 6 != 2:
            raise ProtocolError(f"RTP version {flags >> 6}")
        start, end = HEADER_SIZE + 4 * (flags & 15), len(data)
        if start > end:
            raise ProtocolError("RTP packet ends within its CSRC list")
        csrc = struct.unpack_from(f"!{flags & 15}I", data, HEADER_SIZE)
        extension = None
        if flags & 0x10:
            if start + 4 > end:
                raise ProtocolError("RTP packet ends within its header extension")
            profile, words = _EXTENSION.unpack_from(data, start)
            extension_start, start = start + 4, start + 4 + 4 * words
            if start > end:
                raise ProtocolError("RTP packet ends within its header extension")
            extension = RtpExtension(profile=profile, data=data[extension_start:start])
        padding = data[-1] if flags & 0x20 else 0
        if flags & 0x20 and not 1 <= padding <= end - start:
            raise ProtocolError(f"RTP padding of {padding} octets in {end - start}")
        return cls(
            payload_type=kind & 0x7F,
            sequence=sequence,
            timestamp=timestamp,
            ssrc=ssrc,
            payload=data[start : end - padding],
            marker=bool(kind & MARKER),
            csrc=csrc,
            extension=extension,
            padding=padding,
        )
