"""The RTP sockets of all legs: what came and what goes, in tables by slot. Nothing here knows what is in a datagram.

`Sockets` asks each socket by itself; `UringSockets` reads a datagram of each by one system call and sends to all by
another, so the interpreter is given away twice a tick and not twice a leg. `open_sockets` takes what the kernel allows.
"""

import logging
import select
import socket
import struct
import time
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hotline.errors import UnavailableError
from ivr.media.arrival import ANCILLARY_OCTETS, Arrival, arrivals_of, stamp_arrivals, stamp_of
from ivr.media.latch import SocketAddress
from ivr.media.ring import Slots
from ivr.media.rtp import PLAIN_FRAME, PLAIN_FRAME_SIZE, VERSION_2
from ivr.media.uring import OPERATION, RECVMSG, SENDMSG, Uring

logger = logging.getLogger(__name__)

DATAGRAM_SIZE = 2048
_NAME_OCTETS: Final = 28  # struct sockaddr_in6, the longer
_CONTROL_OCTETS: Final = 64
_STAMP = slice(16, 32)  # of the ancillary data: after struct cmsghdr
_VECTOR = np.dtype([("address", "u8"), ("length", "u8")])  # struct iovec
_MESSAGE = np.dtype(  # struct msghdr
    [
        ("name", "u8"),
        ("name_length", "u4"),
        ("gap", "u4"),
        ("vectors", "u8"),
        ("vector_count", "u8"),
        ("control", "u8"),
        ("control_length", "u8"),
        ("flags", "i4"),
        ("end", "u4"),
    ]
)


class Sockets:
    """Tables over `slots` legs. `incoming` holds the last datagram read of each, `outgoing` the plain frame to send."""

    def __init__(self, *, slots: int) -> None:
        self.incoming = np.zeros((slots, DATAGRAM_SIZE), np.uint8)
        self.outgoing = np.zeros(slots, PLAIN_FRAME)
        self.outgoing["flags"] = VERSION_2
        self.lengths = np.zeros(slots, np.intp)
        self._known = np.zeros(slots, bool)
        self._stamps = np.zeros((slots, 2), np.int64)  # seconds and nanoseconds
        self._timed = True
        self._reachable = np.zeros(slots, bool)
        self._endpoints: dict[int, socket.socket] = {}
        self._slots: dict[int, int] = {}  # by descriptor
        self._locked: dict[int, SocketAddress | None] = {}
        self._destinations: dict[int, SocketAddress | None] = {}
        self._sources: dict[int, SocketAddress] = {}
        self._epoll = select.epoll()
        octets = memoryview(self.incoming.reshape(-1).data)
        self._buffers = [octets[start : start + DATAGRAM_SIZE] for start in range(0, len(octets), DATAGRAM_SIZE)]
        octets = memoryview(self.outgoing.view(np.uint8).data)
        self._frames = [octets[start : start + PLAIN_FRAME_SIZE] for start in range(0, len(octets), PLAIN_FRAME_SIZE)]

    def open(self, slot: int, endpoint: socket.socket) -> None:
        """Begins with a leg's socket."""
        stamp_arrivals(endpoint)
        self._endpoints[slot] = endpoint
        self._slots[endpoint.fileno()] = slot
        self._epoll.register(endpoint.fileno(), select.EPOLLIN)
        self.aim(slot, source=None, destination=None)

    def aim(self, slot: int, *, source: SocketAddress | None, destination: SocketAddress | None) -> None:
        """Whose datagrams are `known`, and where ours go; None: nobody's, and nowhere."""
        self._locked[slot], self._destinations[slot] = source, destination
        self._reachable[slot] = destination is not None

    def close(self, slot: int) -> None:
        """Leaves a leg's socket alone."""
        endpoint = self._endpoints.pop(slot)
        del self._slots[endpoint.fileno()]
        self._epoll.unregister(endpoint.fileno())
        self._reachable[slot] = False

    def stop(self) -> None:
        """Frees what the kernel holds; all legs are closed."""
        self._epoll.close()

    def read(self, *, again: bool, timed: bool, only: Slots | None = None) -> Slots:
        """Reads one datagram of each socket that has one; returns of which. `again`: the tick has read already;
        `timed`: `arrivals` are wanted; `only`: of these sockets."""
        self._timed = timed
        slots, lengths, stamps = [], [], []
        for slot in (self._ready() if only is None else only).tolist():
            endpoint = self._endpoints[slot]
            try:
                if timed:
                    length, ancillary, _, source = endpoint.recvmsg_into((self._buffers[slot],), ANCILLARY_OCTETS)
                    stamps.append(stamp_of(ancillary))
                else:
                    length, source = endpoint.recvfrom_into(self._buffers[slot])
            except OSError:
                continue
            slots.append(slot)
            lengths.append(length)
            self._sources[slot] = source
            self._known[slot] = source == self._locked[slot]
        self.lengths[slots] = lengths
        if timed:
            self._stamps[slots] = np.frombuffer(b"".join(stamps), np.int64).reshape(-1, 2)
        return np.array(slots, np.intp)

    def known(self, slots: Slots) -> NDArray[np.bool_]:
        """Whether the datagrams read last came from the sources that the legs are locked to."""
        known: NDArray[np.bool_] = self._known[slots]
        return known

    def arrivals(self, slots: Slots) -> Arrival | None:
        """When they came, as `arrival` tells it, where that was asked for or costs nothing."""
        return arrivals_of(self._stamps[slots]) if self._timed else None

    def datagram(self, slot: int) -> bytes:
        """The one read last."""
        return bytes(self._buffers[slot][: self.lengths[slot]])

    def source(self, slot: int) -> SocketAddress:
        """Where that came from."""
        return self._sources[slot]

    def send(self, slots: Slots) -> int:
        """Sends the frames of those of `slots` that have a destination; returns how many could not be sent."""
        return sum(not self.send_one(slot, self._frames[slot]) for slot in slots[self._reachable[slots]].tolist())

    def send_one(self, slot: int, octets: bytes | memoryview) -> bool:
        """Sends a datagram of its own; false where that failed."""
        destination = self._destinations[slot]
        if destination is not None:
            try:
                self._endpoints[slot].sendto(octets, destination)
            except OSError:
                return False
        return True

    def _ready(self) -> Slots:
        """Sockets with something to read."""
        events = self._epoll.poll(0, max(1, len(self._endpoints)))
        return np.array([self._slots[descriptor] for descriptor, _ in events], np.intp)


class UringSockets(Sockets):
    """Raises `UnavailableError` where there is no io_uring."""

    def __init__(self, *, slots: int) -> None:
        self._ring = Uring(1 << (slots - 1).bit_length())
        super().__init__(slots=slots)
        self._all: Slots | None = None  # open slots, as far as known
        self._names, self._locked_names, self._far_names = np.zeros((3, slots, _NAME_OCTETS), np.uint8)
        self._control = np.zeros((slots, _CONTROL_OCTETS), np.uint8)
        self._in_vectors = _vectors(self.incoming)
        self._out_vectors = _vectors(self.outgoing)
        self._blank = _messages(self._names, self._in_vectors)
        self._blank["control"], self._blank["control_length"] = _rows(self._control), _CONTROL_OCTETS
        self._in_messages = self._blank.copy()
        self._out_messages = _messages(self._far_names, self._out_vectors)
        self._receiving = _operations(RECVMSG, self._in_messages)
        self._sending = _operations(SENDMSG, self._out_messages)

    def open(self, slot: int, endpoint: socket.socket) -> None:
        super().open(slot, endpoint)
        self._receiving["descriptor"][slot] = self._sending["descriptor"][slot] = endpoint.fileno()
        self._all = None

    def aim(self, slot: int, *, source: SocketAddress | None, destination: SocketAddress | None) -> None:
        super().aim(slot, source=source, destination=destination)
        for names, address in ((self._locked_names, source), (self._far_names, destination)):
            name = b"" if address is None else _name_of(address)
            names[slot] = np.frombuffer(name.ljust(_NAME_OCTETS, b"\0"), np.uint8)
            if names is self._far_names:
                self._out_messages["name_length"][slot] = len(name)

    def close(self, slot: int) -> None:
        super().close(slot)
        self._all = None

    def stop(self) -> None:
        super().stop()
        self._ring.close()

    def read(self, *, again: bool, timed: bool, only: Slots | None = None) -> Slots:
        if self._all is None:
            self._all = np.array(sorted(self._endpoints), np.intp)
        slots = only if only is not None else self._ready() if again else self._all
        if not len(slots):
            return slots
        self._in_messages[slots] = self._blank[slots]
        results = self._ring.run(self._receiving[slots])
        came = results >= 0
        slots = slots[came]
        self.lengths[slots] = results[came]
        self._known[slots] = (self._names[slots] == self._locked_names[slots]).all(axis=1)
        self._stamps[slots] = self._control[slots, _STAMP].view(np.int64)
        unstamped = slots[self._in_messages["control_length"][slots] < _STAMP.stop]
        if len(unstamped):
            self._stamps[unstamped] = divmod(time.time_ns(), 1_000_000_000)
        return slots

    def source(self, slot: int) -> SocketAddress:
        return _address_of(bytes(self._names[slot]))

    def send(self, slots: Slots) -> int:
        slots = slots[self._reachable[slots]]
        return int((self._ring.run(self._sending[slots]) < 0).sum()) if len(slots) else 0


def open_sockets(*, slots: int) -> Sockets:
    """The best that the kernel lets us have."""
    try:
        return UringSockets(slots=slots)
    except UnavailableError as error:
        logger.warning("%s: each RTP packet costs a system call of its own", error.message)
        return Sockets(slots=slots)


def _rows(table: NDArray[np.generic]) -> NDArray[np.uint64]:
    """The address of each row."""
    return table.ctypes.data + table.strides[0] * np.arange(len(table), dtype=np.uint64)


def _vectors(buffers: NDArray[np.generic]) -> NDArray[np.void]:
    vectors = np.zeros(len(buffers), _VECTOR)
    vectors["address"], vectors["length"] = _rows(buffers), buffers.strides[0]
    return vectors


def _messages(names: NDArray[np.uint8], vectors: NDArray[np.void]) -> NDArray[np.void]:
    messages = np.zeros(len(names), _MESSAGE)
    messages["name"], messages["name_length"] = _rows(names), _NAME_OCTETS
    messages["vectors"], messages["vector_count"] = _rows(vectors), 1
    return messages


def _operations(opcode: int, messages: NDArray[np.void]) -> NDArray[np.void]:
    operations = np.zeros(len(messages), OPERATION)
    operations["opcode"], operations["address"], operations["length"] = opcode, _rows(messages), 1
    operations["message_flags"] = socket.MSG_DONTWAIT
    return operations


_V4 = struct.Struct("=H2s4s8x")  # struct sockaddr_in; the port in network order
_V6 = struct.Struct("=H2s4s16sI")


def _name_of(address: SocketAddress) -> bytes:
    """An address as the kernel writes it."""
    host, port = address[0], address[1].to_bytes(2, "big")
    if ":" not in host:
        return _V4.pack(socket.AF_INET, port, socket.inet_pton(socket.AF_INET, host))
    flow, scope = address[2:] if len(address) == 4 else (0, 0)
    return _V6.pack(
        socket.AF_INET6, port, flow.to_bytes(4, "big"), socket.inet_pton(socket.AF_INET6, host.partition("%")[0]), scope
    )


def _address_of(name: bytes) -> SocketAddress:
    """The inverse."""
    family, port, host = _V4.unpack(name[: _V4.size])
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, host), int.from_bytes(port, "big")
    _, port, flow, host, scope = _V6.unpack(name)
    return socket.inet_ntop(socket.AF_INET6, host), int.from_bytes(port, "big"), int.from_bytes(flow, "big"), scope
