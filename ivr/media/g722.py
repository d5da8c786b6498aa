"""G.722 at 64 kbit/s (ITU-T G.722 mode 1): an octet for every two samples of 16 kHz.

RTP counts it at 8 kHz (RFC 3551 section 4.5.2), so a frame of 20 ms is 160 octets, 160 timestamp units and 320 samples.
Both directions remember: a stream has its own encoder and decoder, and a lost frame is heard a little longer than it
lasts. The codec can also work on 8 kHz, the lower band alone, at half the cost.
"""

import numpy as np
from G722 import G722

from ivr.media.types import SAMPLE_RATE, WIDEBAND_RATE, Samples

BIT_RATE = 64000
DELAY = 22
"""Samples at 16 kHz that encoder and decoder delay together (two 24-tap quadrature mirror filters)."""


class G722Encoder:
    """One stream's sending side. `rate` of its samples: 16000, or 8000."""

    def __init__(self, *, rate: int = WIDEBAND_RATE) -> None:
        self._codec = _codec(rate)
        self._step = rate // SAMPLE_RATE

    def encode(self, samples: Samples) -> bytes:
        """Any count of samples that makes whole octets; ValueError else."""
        if samples.dtype != np.int16 or samples.ndim != 1 or len(samples) % self._step:
            raise ValueError(f"G.722 cannot encode {samples.dtype} {samples.shape}")
        payload: bytes = self._codec.encode(samples)
        return payload


class G722Decoder:
    """One stream's receiving side. `rate` of its samples: 16000, or 8000."""

    def __init__(self, *, rate: int = WIDEBAND_RATE) -> None:
        self._codec = _codec(rate)

    def decode(self, payload: bytes) -> Samples:
        """Any octets are G.722: two samples each, or one at 8 kHz."""
        samples: Samples = np.frombuffer(self._codec.decode(payload), np.int16)
        return samples


def _codec(rate: int) -> G722:
    if rate not in (SAMPLE_RATE, WIDEBAND_RATE):
        raise ValueError(f"G.722 at {rate} Hz")
    return G722(rate, BIT_RATE, use_numpy=False)
