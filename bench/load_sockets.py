"""UDP in batches for the load generator: one sendmmsg(2) or recvmmsg(2) for many packets, tables filled by NumPy.

A carrier's gateway talks from few addresses to many; so does the generator: one socket carries the RTP of up to
`CALLS_A_SOCKET` calls. Arrival times are the kernel's (SO_TIMESTAMPNS), so a late reader does not make a late packet.
"""

import ctypes
import os
import socket
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

PACKET_SIZE = 172  # RTP header and 20 ms of G.711
DATAGRAM_SIZE = 256  # of what arrives, the rest is cut off
BATCH = 256
RECEIVE_BUFFER = 1 << 20
SO_TIMESTAMPNS = 35

# The C structures of a 64-bit Linux (sendmmsg(2), sendmsg(2), ip(7), cmsg(3)).
MESSAGE = np.dtype(
    {
        "names": ["name", "name_size", "vectors", "vector_count", "control", "control_size", "flags", "length"],
        "formats": ["u8", "u4", "u8", "u8", "u8", "u8", "i4", "u4"],
        "offsets": [0, 8, 16, 24, 32, 40, 48, 56],
        "itemsize": 64,
    }
)
VECTOR = np.dtype([("base", "u8"), ("size", "u8")])
ADDRESS = np.dtype([("family", "u2"), ("port", ">u2"), ("host", "V4"), ("padding", "V8")])
CONTROL = np.dtype([("size", "u8"), ("level", "i4"), ("kind", "i4"), ("seconds", "i8"), ("nanoseconds", "i8")])
HEADER = np.dtype([("flags", "u1"), ("type", "u1"), ("sequence", ">u2"), ("timestamp", ">u4"), ("ssrc", ">u4")])

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Arrivals:
    """Packets read: source ports, RTP headers, lengths, and the kernel's times in ns since 1970."""

    ports: NDArray[np.uint16]
    headers: NDArray[Any]
    lengths: NDArray[np.uint32]
    times: NDArray[np.int64]


class BatchSocket:
    """A bound UDP socket with tables for `BATCH` packets each way."""

    def __init__(self, host: str) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self.port: int = self.socket.getsockname()[1]
        self._descriptor = self.socket.fileno()
        self._out_addresses = np.zeros(BATCH, ADDRESS)
        self._out_addresses["family"] = socket.AF_INET
        self._out_vectors = np.zeros(BATCH, VECTOR)
        self._out_vectors["size"] = PACKET_SIZE
        self._out = _messages(self._out_addresses, self._out_vectors, control=None)
        self._in_data = np.zeros((BATCH, DATAGRAM_SIZE), np.uint8)
        self._in_addresses = np.zeros(BATCH, ADDRESS)
        self._in_control = np.zeros(BATCH, CONTROL)
        self._in_vectors = np.zeros(BATCH, VECTOR)
        self._in_vectors["base"] = _addresses_of(self._in_data)
        self._in_vectors["size"] = DATAGRAM_SIZE
        self._in = _messages(self._in_addresses, self._in_vectors, control=self._in_control)
        self._headers = self._in_data[:, : HEADER.itemsize].view(HEADER)[:, 0]

    def send(self, packets: NDArray[np.uint8], destinations: NDArray[Any]) -> int:
        """Sends rows of `packets` (n, PACKET_SIZE) to `destinations` (ADDRESS); returns how many the kernel took."""
        sent = 0
        while sent < len(packets):
            count = min(BATCH, len(packets) - sent)
            self._out_addresses[:count] = destinations[sent : sent + count]
            self._out_vectors["base"][:count] = packets.ctypes.data + PACKET_SIZE * np.arange(sent, sent + count)
            taken = _libc.sendmmsg(self._descriptor, ctypes.c_void_p(self._out.ctypes.data), count, 0)
            if taken <= 0:
                break
            sent += taken
        return sent

    def receive(self) -> Arrivals | None:
        """Up to `BATCH` waiting packets, None where none waits."""
        self._in["control_size"] = CONTROL.itemsize
        count = _libc.recvmmsg(self._descriptor, ctypes.c_void_p(self._in.ctypes.data), BATCH, 0, None)
        if count <= 0:
            return None
        stamps = self._in_control[:count]
        return Arrivals(
            ports=self._in_addresses["port"][:count].astype(np.uint16),
            headers=self._headers[:count].copy(),
            lengths=self._in["length"][:count].copy(),
            times=stamps["seconds"] * 1_000_000_000 + stamps["nanoseconds"],
        )

    def dropped(self) -> int:
        """Packets the kernel dropped because they were not read in time (the last column of /proc/net/udp)."""
        inode = str(os.fstat(self._descriptor).st_ino)
        with open("/proc/net/udp", encoding="ascii") as table:
            return next((int(row[-1]) for row in map(str.split, table) if len(row) > 9 and row[9] == inode), 0)


def addresses(host: str, count: int) -> NDArray[Any]:
    """A table of ADDRESS at `host`, ports still 0."""
    table = np.zeros(count, ADDRESS)
    table["family"] = socket.AF_INET
    table["host"] = np.void(socket.inet_aton(host))
    return table


def _messages(names: NDArray[Any], vectors: NDArray[Any], *, control: NDArray[Any] | None) -> NDArray[Any]:
    """A table of messages of one vector each, pointing into the given tables, which must outlive it."""
    messages = np.zeros(len(names), MESSAGE)
    messages["name"], messages["name_size"] = _addresses_of(names), ADDRESS.itemsize
    messages["vectors"], messages["vector_count"] = _addresses_of(vectors), 1
    if control is not None:
        messages["control"], messages["control_size"] = _addresses_of(control), CONTROL.itemsize
    return messages


def _addresses_of(table: NDArray[Any]) -> NDArray[np.uint64]:
    """Where each row of a table lies in memory."""
    return (table.ctypes.data + table.strides[0] * np.arange(len(table))).astype(np.uint64)
