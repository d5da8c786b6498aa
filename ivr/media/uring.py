"""Many system calls by one: the part of Linux's io_uring(7) that sockets need, without liburing.

Operations are given as rows of `OPERATION`, carried out in order within one io_uring_enter(2), and their results come
back as an array. All are to be ones that never wait, so nothing is ever under way between two calls of `run`.
"""

import ctypes
import errno
import mmap
import os

import numpy as np
from numpy.typing import NDArray

from hotline.errors import UnavailableError

OPERATION = np.dtype(  # struct io_uring_sqe
    [
        ("opcode", "u1"),
        ("flags", "u1"),
        ("priority", "<u2"),
        ("descriptor", "<i4"),
        ("offset", "<u8"),
        ("address", "<u8"),
        ("length", "<u4"),
        ("message_flags", "<u4"),
        ("user_data", "<u8"),
        ("rest", "<u8", 3),
    ]
)
SENDMSG, RECVMSG = 9, 10

_COMPLETION = np.dtype([("user_data", "<u8"), ("result", "<i4"), ("flags", "<u4")])
_SETUP, _ENTER = 425, 426
_SQ_RING, _CQ_RING, _SQES = 0, 0x8000000, 0x10000000
_GETEVENTS = 1
_SINGLE_MMAP = 1
_MAX_ENTRIES = 4096
_PARAMETERS = np.dtype(
    [("sq_entries", "<u4"), ("cq_entries", "<u4"), ("flags", "<u4"), ("thread", "<u4", 2), ("features", "<u4")]
    + [("workers", "<u4", 4)]
    + [(f"sq_{name}_at", "<u4") for name in ("head", "tail", "mask", "count", "flags", "dropped", "array", "gap")]
    + [("sq_address", "<u8")]
    + [(f"cq_{name}_at", "<u4") for name in ("head", "tail", "mask", "count", "overflow", "cqes", "flags", "gap")]
    + [("cq_address", "<u8")]
)

Operations = NDArray[np.void]


class Uring:
    """A ring of `entries`, a power of two; raises `UnavailableError` where the kernel or a sandbox has none for us."""

    def __init__(self, entries: int) -> None:
        self._call = ctypes.CDLL(None, use_errno=True).syscall
        self._call.restype = ctypes.c_long
        self._call.argtypes = [ctypes.c_long] + [ctypes.c_size_t] * 6
        parameters = np.zeros(1, _PARAMETERS)
        self._entries = min(entries, _MAX_ENTRIES)
        self._descriptor = self._call(_SETUP, self._entries, parameters.ctypes.data, 0, 0, 0, 0)
        if self._descriptor < 0:
            raise UnavailableError(f"no io_uring: {os.strerror(ctypes.get_errno())}")
        told = parameters[0]
        if not told["features"] & _SINGLE_MMAP:
            os.close(self._descriptor)
            raise UnavailableError("no io_uring: the kernel is too old")
        size = max(
            int(told["sq_array_at"]) + 4 * int(told["sq_entries"]),
            int(told["cq_cqes_at"]) + _COMPLETION.itemsize * int(told["cq_entries"]),
        )
        rings = mmap.mmap(self._descriptor, size, offset=_SQ_RING)
        table = mmap.mmap(self._descriptor, OPERATION.itemsize * int(told["sq_entries"]), offset=_SQES)

        def word(offset: np.uint32) -> NDArray[np.uint32]:
            return np.frombuffer(rings, np.uint32, 1, int(offset))

        self._sq_tail, self._cq_head, self._cq_tail = (
            word(told["sq_tail_at"]),
            word(told["cq_head_at"]),
            word(told["cq_tail_at"]),
        )
        self._sq_mask, self._cq_mask = int(told["sq_entries"]) - 1, int(told["cq_entries"]) - 1
        self._operations = np.frombuffer(table, OPERATION, int(told["sq_entries"]))
        self._completions = np.frombuffer(rings, _COMPLETION, int(told["cq_entries"]), int(told["cq_cqes_at"]))
        order = np.frombuffer(rings, np.uint32, int(told["sq_entries"]), int(told["sq_array_at"]))
        order[:] = np.arange(len(order))

    def run(self, operations: Operations) -> NDArray[np.int32]:
        """Carries `operations` out; returns what each system call would have, errors as negative numbers.

        Raises OSError where the kernel refuses them as a whole.
        """
        results = np.empty(len(operations), np.int32)
        for start in range(0, len(operations), self._entries):
            part = slice(start, start + self._entries)
            self._run(operations[part], results[part])
        return results

    def close(self) -> None:
        """Frees the ring."""
        os.close(self._descriptor)

    def _run(self, operations: Operations, results: NDArray[np.int32]) -> None:
        count = len(operations)
        tail = int(self._sq_tail[0])
        places = (tail + np.arange(count)) & self._sq_mask
        self._operations[places] = operations
        self._operations["user_data"][places] = np.arange(count)
        self._sq_tail[0] = (tail + count) & 0xFFFFFFFF
        head = int(self._cq_head[0])
        submitted = 0
        while (done := (int(self._cq_tail[0]) - head) & 0xFFFFFFFF) < count:
            taken = self._call(_ENTER, self._descriptor, count - submitted, count - done, _GETEVENTS, 0, 0)
            if taken >= 0:
                submitted += taken
            elif (error := ctypes.get_errno()) != errno.EINTR:
                self._sq_tail[0] = (tail + submitted) & 0xFFFFFFFF  # the rest is not to be done later
                self._cq_head[0] = self._cq_tail[0]
                raise OSError(error, os.strerror(error))
        completions = self._completions[(head + np.arange(count)) & self._cq_mask]
        results[completions["user_data"]] = completions["result"]
        self._cq_head[0] = (head + count) & 0xFFFFFFFF
