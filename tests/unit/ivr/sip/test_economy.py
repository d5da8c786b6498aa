import socket
import types

import pytest

from ivr.sip.economy import DirectSender


@pytest.fixture
def ends():
    near, far = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    far.bind(("127.0.0.1", 0))
    far.setblocking(False)
    yield types.SimpleNamespace(skt=near, sendqueue=None), far
    near.close()
    far.close()


def test_datagram_has_left_when_put_returns(ends):
    server, far = ends
    DirectSender(server)
    server.sendqueue.put((b"OPTIONS", far.getsockname()))
    assert far.recv(100) == b"OPTIONS"


def test_names_the_end_and_unreachable_addresses_send_nothing(ends):
    server, far = ends
    sender = DirectSender(server)
    port = far.getsockname()[1]
    for item in ((b"x", ("localhost", port)), (b"x", ("::1", port)), (b"x" * 70000, ("127.0.0.1", port)), None):
        server.sendqueue.put(item)
    sender.join()
    with pytest.raises(BlockingIOError):
        far.recv(100)
