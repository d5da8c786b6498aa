"""G.711 by table, written from the ITU-T recommendation and apart from the product's own."""

from enum import Enum

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 8000
FRAME_SAMPLES = 160
FRAME_S = FRAME_SAMPLES / SAMPLE_RATE


class Law(Enum):
    """A companding law with its static RTP payload type (RFC 3551 section 6)."""

    PCMU = 0
    PCMA = 8

    @property
    def silence(self) -> int:
        """The code nearest to zero."""
        return 0xFF if self is Law.PCMU else 0xD5


def _expand_alaw(code: int) -> int:
    code ^= 0x55
    exponent, mantissa = (code >> 4) & 7, code & 15
    magnitude = (mantissa << 4) + 8 if exponent == 0 else ((mantissa << 4) + 0x108) << (exponent - 1)
    return magnitude if code & 0x80 else -magnitude


def _expand_ulaw(code: int) -> int:
    code = ~code & 0xFF
    magnitude = (((code & 15) << 3) + 0x84 << ((code >> 4) & 7)) - 0x84
    return -magnitude if code & 0x80 else magnitude


_EXPAND = {
    Law.PCMA: np.array([_expand_alaw(code) for code in range(256)], np.int16),
    Law.PCMU: np.array([_expand_ulaw(code) for code in range(256)], np.int16),
}


def _compressor(law: Law) -> NDArray[np.uint8]:
    """The nearest code of each 16-bit value, indexed by the value as uint16."""
    values = _EXPAND[law].astype(np.int32)
    order = np.argsort(values, kind="stable")
    middles = (values[order][1:] + values[order][:-1]) / 2
    linear = np.arange(65536, dtype=np.uint16).view(np.int16)
    return order[np.searchsorted(middles, linear)].astype(np.uint8)


_COMPRESS = {law: _compressor(law) for law in Law}


def encode(samples: NDArray[np.int16], law: Law) -> bytes:
    """One byte a sample."""
    return _COMPRESS[law][samples.view(np.uint16)].tobytes()


def decode(payload: bytes, law: Law) -> NDArray[np.int16]:
    """16-bit samples, full scale 32124 (mu-law) or 32256 (A-law)."""
    return _EXPAND[law][np.frombuffer(payload, np.uint8)]
