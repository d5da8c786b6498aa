import ctypes
import errno
import socket

import numpy as np
import pytest

from hotline.errors import UnavailableError
from ivr.media.uring import OPERATION, Uring

SEND, RECEIVE = 26, 27


@pytest.fixture
def ring():
    try:
        ring = Uring(4)
    except UnavailableError as error:
        pytest.skip(error.message)
    yield ring
    ring.close()


@pytest.fixture
def pipe():
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    yield [end.fileno() for end in ends]
    for end in ends:
        end.close()


def operations(opcode, descriptors, rows):
    made = np.zeros(len(descriptors), OPERATION)
    made["opcode"], made["descriptor"], made["length"] = opcode, descriptors, rows.shape[1]
    made["message_flags"] = socket.MSG_DONTWAIT
    made["address"] = rows.ctypes.data + rows.strides[0] * np.arange(len(rows), dtype=np.uint64)
    return made


@pytest.mark.parametrize("count", [0, 1, 4, 11])
def test_operations_are_done_in_order_however_often_and_many(ring, pipe, count):
    for turn in range(5):
        sent = np.arange(count * 8, dtype=np.uint8).reshape(count, 8) + np.uint8(turn)
        received = np.zeros_like(sent)
        assert ring.run(operations(SEND, [pipe[1]] * count, sent)).tolist() == [8] * count
        assert ring.run(operations(RECEIVE, [pipe[0]] * count, received)).tolist() == [8] * count
        assert np.array_equal(received, sent)


def test_each_error_is_its_own_operation_s(ring, pipe):
    row = np.zeros((3, 8), np.uint8)
    results = ring.run(operations(SEND, [pipe[1], 1_000_000, pipe[1]], row))
    assert results.tolist() == [8, -errno.EBADF, 8]


@pytest.mark.parametrize("before", [0, 1])
def test_what_the_kernel_refuses_as_a_whole_is_not_done_later(ring, pipe, monkeypatch, before):
    sent, row = np.arange(16, dtype=np.uint8).reshape(2, 8), np.zeros((1, 8), np.uint8)
    enter, calls = ring._call, iter(range(9))

    def fail(number, descriptor, submit, *rest):
        if next(calls) < before:
            return enter(number, descriptor, 1, 0, *rest[1:])
        ctypes.set_errno(errno.EAGAIN)
        return -1

    monkeypatch.setattr(ring, "_call", fail)
    with pytest.raises(OSError, match="unavailable"):
        ring.run(operations(SEND, [pipe[1]] * 2, sent))
    monkeypatch.setattr(ring, "_call", enter)
    for number in range(before):
        assert ring.run(operations(RECEIVE, [pipe[0]], row)).tolist() == [8]
        assert row[0].tolist() == sent[number].tolist()
    assert ring.run(operations(RECEIVE, [pipe[0]], row)).tolist() == [-errno.EAGAIN]
    assert ring.run(operations(SEND, [pipe[1]] * 2, sent)).tolist() == [8, 8]


def test_nothing_to_read_is_told_and_not_waited_for(ring, pipe):
    row = np.zeros((1, 8), np.uint8)
    assert ring.run(operations(RECEIVE, [pipe[0]], row)).tolist() == [-errno.EAGAIN]


def test_a_ring_that_the_kernel_refuses_is_unavailable():
    with pytest.raises(UnavailableError, match="no io_uring"):
        Uring(0)
