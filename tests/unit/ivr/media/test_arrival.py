import socket
import struct
import time
from contextlib import closing

import numpy as np
import pytest

from ivr.media.arrival import ANCILLARY_OCTETS, age_s, arrivals_of, stamp_arrivals


def stamp(seconds, nanoseconds=0):
    return struct.pack("@ll", seconds, nanoseconds)


def test_a_datagram_s_age_is_that_since_the_kernel_took_it():
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as endpoint:
        endpoint.bind(("127.0.0.1", 0))
        stamp_arrivals(endpoint)
        before = time.time()
        endpoint.sendto(b"x", endpoint.getsockname())
        endpoint.settimeout(5)
        _, ancillary, _, _ = endpoint.recvmsg(16, ANCILLARY_OCTETS)
        assert ancillary
        assert 0 < age_s(ancillary) <= time.time() - before


@pytest.mark.parametrize(("ahead_s", "age"), [(-3600, 1.0), (3600, 0.0)])
def test_a_clock_that_was_set_makes_no_absurd_age(ahead_s, age):
    assert age_s([(socket.SOL_SOCKET, 35, stamp(int(time.time() + ahead_s)))]) == age


def test_without_a_stamp_a_datagram_came_just_now():
    assert age_s([]) < 0.5


def test_arrivals_are_timestamp_units_that_wrap():
    wrap = 2**32 // 8000  # 536870 s and 2368 units
    units = arrivals_of(np.array([(10, 0), (10, 20_000_000), (wrap, 999_999_999), (wrap + 1, 0)]))
    assert units.dtype == np.uint32
    assert units.tolist() == [80000, 80160, wrap * 8000 + 7999 - 2**32, (wrap + 1) * 8000 - 2**32]
