import logging
import socket
import time

import numpy as np
import pytest

from hotline.errors import UnavailableError
from ivr.media import sockets as module
from ivr.media.rtp import PLAIN_FRAME_SIZE
from ivr.media.sockets import DATAGRAM_SIZE, Sockets, UringSockets, open_sockets

SLOTS = 4


@pytest.fixture(params=[Sockets, UringSockets])
def table(request):
    try:
        table = request.param(slots=SLOTS)
    except UnavailableError as error:
        pytest.skip(error.message)
    yield table
    table.stop()


@pytest.fixture(params=["127.0.0.1", "::1"])
def endpoints(request):
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    made = []
    for _ in range(5):
        endpoint = socket.socket(family, socket.SOCK_DGRAM)
        endpoint.setblocking(False)
        try:
            endpoint.bind((request.param, 0))
        except OSError:
            pytest.skip("no IPv6 here")
        made.append(endpoint)
    yield made
    for endpoint in made:
        endpoint.close()


def test_one_datagram_of_each_socket_is_read_at_a_time_until_none_is_left(table, endpoints):
    one, two, quiet, far, stranger = endpoints
    for slot, endpoint in ((3, one), (1, two), (0, quiet)):
        table.open(slot, endpoint)
        table.aim(slot, source=far.getsockname(), destination=None)
    far.sendto(b"first", one.getsockname())
    far.sendto(b"", one.getsockname())
    stranger.sendto(b"foreign", two.getsockname())
    slots = np.sort(table.read(again=False, timed=True))
    assert slots.tolist() == [1, 3]
    assert table.known(slots).tolist() == [False, True]
    assert [table.datagram(slot) for slot in slots] == [b"foreign", b"first"]
    assert [table.source(slot) for slot in slots] == [stranger.getsockname(), far.getsockname()]
    slots = table.read(again=True, timed=True)
    assert slots.tolist() == [3]
    assert table.datagram(3) == b""
    assert not len(table.read(again=True, timed=True))
    assert not len(table.read(again=False, timed=True))


def test_arrival_is_the_kernel_s_clock_in_samples(table, endpoints):
    endpoint, far = endpoints[:2]
    table.open(2, endpoint)
    before = time.time()
    far.sendto(b"x", endpoint.getsockname())
    slots = table.read(again=False, timed=True)
    after = time.time()
    arrival = int(table.arrivals(slots)[0])
    assert 0 <= (arrival - int(before * 8000)) % (1 << 32) <= (after - before) * 8000 + 1


def test_arrival_may_be_left_out_where_it_costs(table, endpoints):
    endpoint, far = endpoints[:2]
    table.open(2, endpoint)
    table.aim(2, source=far.getsockname(), destination=None)
    far.sendto(b"x", endpoint.getsockname())
    slots = table.read(again=False, timed=False)
    assert table.known(slots).tolist() == [True]
    assert table.datagram(2) == b"x"
    assert (table.arrivals(slots) is None) == (type(table) is Sockets)


def test_longer_datagrams_are_cut(table, endpoints):
    endpoint, far = endpoints[:2]
    table.open(0, endpoint)
    far.sendto(bytes(DATAGRAM_SIZE + 1), endpoint.getsockname())
    assert table.read(again=False, timed=True).tolist() == [0]
    assert table.lengths[0] == DATAGRAM_SIZE


def test_frames_go_to_those_who_have_a_destination(table, endpoints):
    near, other, far = endpoints[:3]
    for slot, endpoint, destination in ((0, near, far.getsockname()), (3, other, None)):
        table.open(slot, endpoint)
        table.aim(slot, source=None, destination=destination)
    table.outgoing["sequence"] = [7, 0, 0, 9]
    assert table.send(np.array([0, 3])) == 0
    assert table.send_one(0, b"a short one")
    assert table.send_one(3, b"to nobody")
    data, source = far.recvfrom(2048)
    assert (len(data), data[2:4]) == (PLAIN_FRAME_SIZE, b"\0\x07")
    assert source == near.getsockname()
    assert far.recv(2048) == b"a short one"
    with pytest.raises(BlockingIOError):
        far.recv(2048)
    table.aim(0, source=None, destination=other.getsockname()[:2])
    table.outgoing["payload"][0] = 5
    assert table.send(np.array([0])) == 0
    assert other.recv(2048)[12:] == bytes([5] * 160)
    assert table.send(np.array([], np.intp)) == 0


def test_what_cannot_be_sent_is_counted(table, endpoints):
    near = endpoints[0]
    table.open(0, near)
    table.aim(0, source=None, destination=(near.getsockname()[0], 0))
    assert table.send(np.array([0])) == 1
    assert not table.send_one(0, b"x")


def test_closed_slots_are_neither_read_nor_sent_from(table, endpoints):
    near, far = endpoints[:2]
    table.open(0, near)
    table.aim(0, source=None, destination=far.getsockname())
    table.close(0)
    far.sendto(b"x", near.getsockname())
    assert not len(table.read(again=False, timed=True))
    assert table.send(np.array([0])) == 0
    with pytest.raises(BlockingIOError):
        far.recv(2048)
    table.open(0, near)
    assert table.read(again=False, timed=True).tolist() == [0]
    assert not table.known(np.array([0]))[0]


def test_without_io_uring_each_socket_is_asked_by_itself(monkeypatch, caplog):
    def refuse(entries):
        raise UnavailableError("no io_uring: Operation not permitted")

    monkeypatch.setattr(module, "Uring", refuse)
    with caplog.at_level(logging.WARNING):
        table = open_sockets(slots=SLOTS)
    assert type(table) is Sockets
    assert "not permitted" in caplog.text
    table.stop()
