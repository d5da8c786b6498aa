"""When the kernel took a datagram (socket(7), SO_TIMESTAMPNS): ticks are far too coarse for jitter and round trips."""

import socket
import struct
import time
from collections.abc import Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from ivr.media.types import SAMPLE_RATE

SO_TIMESTAMPNS = 35  # Python 3.11 has no name for it
_TIMESPEC = struct.Struct("@ll")
ANCILLARY_OCTETS = socket.CMSG_SPACE(_TIMESPEC.size)

Arrival = NDArray[np.uint32]
"""Of datagrams, by a clock in RTP timestamp units, which wraps as timestamps do."""

Ancillary = Sequence[tuple[int, int, bytes]]


def stamp_arrivals(endpoint: socket.socket) -> None:
    """Has the kernel tell when each datagram came; `recvmsg` is to be given room for ANCILLARY_OCTETS. A sandbox whose
    kernel cannot goes without."""
    with suppress(OSError):
        endpoint.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)


def stamp_of(ancillary: Ancillary) -> bytes:
    """The time in a datagram's ancillary data, where it is missing the present."""
    return ancillary[0][2] if ancillary else _TIMESPEC.pack(*divmod(time.time_ns(), 1_000_000_000))


def age_s(ancillary: Ancillary) -> float:
    """How long ago that was, 0 to 1 s: somebody may have set the clock."""
    seconds, nanoseconds = _TIMESPEC.unpack(stamp_of(ancillary))
    age: float = time.time() - seconds - nanoseconds / 1e9
    return min(max(age, 0.0), 1.0)


def arrivals_of(times: NDArray[np.int64]) -> Arrival:
    """Of times, (datagrams, 2): seconds and nanoseconds."""
    units: NDArray[np.uint32] = (times[:, 0] * SAMPLE_RATE + times[:, 1] * SAMPLE_RATE // 1_000_000_000).astype(
        np.uint32
    )
    return units
