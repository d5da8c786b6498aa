"""G.711 as tables computed from ITU-T G.711 (11/1988): 16-bit linear samples to and from PCMU and PCMA octets.

Tables have one row a law, so that many calls of both laws are coded by one indexing: `ENCODE[law, samples]`.
"""

import numpy as np
from numpy.typing import NDArray

from ivr.media.types import Codec, Samples

Octets = NDArray[np.uint8]


def law(codec: Codec) -> int:
    """The row of `codec` in the tables. Static payload types 0 and 8 become 0 and 1, which also works on arrays."""
    return codec.value >> 3


def decode(payload: bytes, *, codec: Codec) -> Samples:
    """One sample an octet."""
    samples: Samples = DECODE[law(codec), np.frombuffer(payload, dtype=np.uint8)]
    return samples


def encode(samples: Samples, *, codec: Codec) -> bytes:
    """One octet a sample."""
    return bytes(ENCODE[law(codec), samples.view(np.uint16)])


def decode_frames(payload: Octets, *, laws: NDArray[np.integer]) -> Samples:
    """Many calls at once, (calls, length), by their rows in the tables: one look-up in one table is the fastest."""
    samples: Samples = _ALL_DECODE.take(payload + (laws.astype(np.uint16) << 8)[:, None])
    return samples


def encode_frames(samples: Samples, *, laws: NDArray[np.integer]) -> Octets:
    """The inverse."""
    octets: Octets = _ALL_ENCODE.take(samples.view(np.uint16) + (laws.astype(np.uint32) << 16)[:, None])
    return octets


def _decode_mu_law() -> Samples:
    """Table 2a/2b, scaled from 14 to 16 bits."""
    code = ~np.arange(256, dtype=np.uint8)
    exponent, mantissa = (code >> 4 & 7).astype(np.int32), (code & 15).astype(np.int32)
    magnitude = ((mantissa << 3) + 0x84 << exponent) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _decode_a_law() -> Samples:
    """Table 1a/1b, scaled from 13 to 16 bits; even bits are inverted on the line."""
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    exponent, mantissa = (code >> 4 & 7).astype(np.int32), (code & 15).astype(np.int32)
    magnitude = np.where(exponent == 0, (mantissa << 4) + 8, (mantissa << 4) + 0x108 << np.maximum(exponent, 1) - 1)
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def _encode_mu_law() -> Octets:
    sample = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32) >> 2
    magnitude = np.minimum(np.abs(sample), 8158) + 33
    segment = np.searchsorted((0x40 << np.arange(8)) - 1, magnitude)
    code = segment << 4 | (magnitude >> segment + 1 & 15)
    octets: Octets = (code ^ np.where(sample < 0, 0x7F, 0xFF)).astype(np.uint8)
    return octets


def _encode_a_law() -> Octets:
    sample = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32) >> 3
    magnitude = np.where(sample < 0, -sample - 1, sample)
    segment = np.searchsorted((0x20 << np.arange(8)) - 1, magnitude)
    code = segment << 4 | (magnitude >> np.maximum(segment, 1) & 15)
    octets: Octets = (code ^ np.where(sample < 0, 0x55, 0xD5)).astype(np.uint8)
    return octets


DECODE: Samples = np.stack([_decode_mu_law(), _decode_a_law()])
ENCODE: Octets = np.stack([_encode_mu_law(), _encode_a_law()])
"""Rows by `law`; ENCODE's columns are samples viewed as uint16."""

_ALL_DECODE, _ALL_ENCODE = DECODE.reshape(-1), ENCODE.reshape(-1)

SILENCE: Octets = ENCODE[:, 0]
"""The octet of a zero sample, by `law`."""

SILENT: Samples = DECODE[[0, 1], SILENCE]
"""What that octet sounds like: A-law knows no zero."""
