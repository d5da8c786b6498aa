import socket

import pytest

from hotline.errors import ConfigurationError, UnavailableError
from ivr.media.ports import PortPool


def test_ports_are_even_within_the_range_and_differ():
    pool = PortPool(address="127.0.0.1", port_min=47001, port_max=47008)
    endpoints = [pool.bind() for _ in range(4)]
    try:
        assert sorted(endpoint.getsockname()[1] for endpoint in endpoints) == [47002, 47004, 47006, 47008]
        with pytest.raises(UnavailableError, match="no free RTP port"):
            pool.bind()
    finally:
        for endpoint in endpoints:
            endpoint.close()


def test_busy_port_is_passed_over():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as busy:
        busy.bind(("127.0.0.1", 47012))
        with PortPool(address="127.0.0.1", port_min=47012, port_max=47015).bind() as endpoint:
            assert endpoint.getsockname()[1] == 47014


def test_freed_port_is_used_again_last():
    pool = PortPool(address="127.0.0.1", port_min=47020, port_max=47024)
    seen = []
    for _ in range(6):
        with pool.bind() as endpoint:
            seen.append(endpoint.getsockname()[1])
    assert len(set(seen[:3])) == 3
    assert seen[:3] == seen[3:]


@pytest.mark.parametrize(("low", "high"), [(47001, 47001), (47010, 47000), (65535, 65537)])
def test_range_without_an_even_port_is_a_configuration_error(low, high):
    with pytest.raises(ConfigurationError):
        PortPool(address="127.0.0.1", port_min=low, port_max=high)


def test_address_that_is_not_ours_is_unavailable():
    with pytest.raises(UnavailableError, match=r"203\.0\.113\.1"):
        PortPool(address="203.0.113.1", port_min=47030, port_max=47040).bind()
