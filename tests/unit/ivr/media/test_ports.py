import contextlib
import os
import resource
import socket
from contextlib import closing

import pytest

from hotline.errors import ConfigurationError, UnavailableError
from ivr.media.ports import PortPool


def bind(stack, pool):
    """The next pair's ports, held until the stack ends."""
    return tuple(stack.enter_context(closing(endpoint)).getsockname()[1] for endpoint in pool.bind())


def test_rtp_ports_are_even_within_the_range_and_rtcp_s_are_the_next():
    pool = PortPool(address="127.0.0.1", port_min=47001, port_max=47008)
    with contextlib.ExitStack() as stack:
        pairs = [bind(stack, pool) for _ in range(4)]
        assert sorted(pairs) == [(47002, 47003), (47004, 47005), (47006, 47007), (47008, 47009)]
        with pytest.raises(UnavailableError, match="no free pair of RTP ports"):
            pool.bind()


@pytest.mark.parametrize("taken", [47012, 47013])
def test_a_pair_of_which_either_port_is_busy_is_passed_over_whole(taken):
    pool = PortPool(address="127.0.0.1", port_min=47012, port_max=47015)
    with contextlib.ExitStack() as stack:
        busy = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        busy.bind(("127.0.0.1", taken))
        assert bind(stack, pool) == (47014, 47015)
        with pytest.raises(UnavailableError, match="no free pair"):
            pool.bind()
        other = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        other.bind(("127.0.0.1", 47012 + 47013 - taken))  # nothing was left bound


def test_freed_ports_are_used_again_last():
    pool = PortPool(address="127.0.0.1", port_min=47020, port_max=47024)
    seen = []
    for _ in range(6):
        with contextlib.ExitStack() as stack:
            seen.append(bind(stack, pool))
    assert len(set(seen[:3])) == 3
    assert seen[:3] == seen[3:]


@pytest.mark.parametrize(("low", "high"), [(47001, 47001), (47010, 47000), (65535, 65537)])
def test_range_without_an_even_port_is_a_configuration_error(low, high):
    with pytest.raises(ConfigurationError):
        PortPool(address="127.0.0.1", port_min=low, port_max=high)


def test_address_that_is_not_ours_is_unavailable():
    with pytest.raises(UnavailableError, match=r"203\.0\.113\.1"):
        PortPool(address="203.0.113.1", port_min=47030, port_max=47040).bind()


def test_without_descriptors_no_pair_is_taken_and_none_leaks():
    pool = PortPool(address="127.0.0.1", port_min=47050, port_max=47060)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    first, second = os.dup(0), os.dup(0)  # the lowest that are free: of these only the first may be used
    os.close(first)
    os.close(second)
    resource.setrlimit(resource.RLIMIT_NOFILE, (second, hard))
    try:
        for _ in range(3):
            with pytest.raises(UnavailableError, match="Too many open files"):
                pool.bind()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
