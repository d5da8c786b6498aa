"""RTCP of all legs at their sockets: the far ends' reports in, ours out when they are due (RFC 3550 section 6).

| datagram | what happens |
|---|---|
| from neither the host that media comes from nor the address that signalling names | foreign: dropped |
| no compound packet | malformed: dropped |
| about streams that are not the leg's | unrelated: dropped |
| any other | taken; our reports go to where it came from (RFC 4961), which passes address translation |
"""

import base64
import logging
import os
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address

import numpy as np

from hotline.errors import ProtocolError
from ivr.media.arrival import ANCILLARY_OCTETS, age_s, stamp_arrivals
from ivr.media.latch import SocketAddress
from ivr.media.leg import EngineLeg
from ivr.media.reports import RtcpReports
from ivr.media.types import Codec, DirectionQuality, RtpAddress, StreamQuality

logger = logging.getLogger(__name__)

DATAGRAM_SIZE = 2048
READ_AT_ONCE, ROUNDS = 64, 4
"""Sockets read in a round and rounds a tick: far more than a thousand legs need, and a flood costs little."""
UNSPECIFIED = ("0.0.0.0", "::")  # noqa: S104 - nothing is bound there
BUFFER_OCTETS = 8192
"""Small: what is genuine must not wait behind a flood, it would tell of a long round trip."""


@dataclass(frozen=True)
class ControlCounters:
    """Datagrams since the start; the last three were dropped."""

    sent: int = 0
    send_errors: int = 0
    received: int = 0
    foreign: int = 0
    malformed: int = 0
    unrelated: int = 0


class ControlChannel:
    """Belongs to the engine thread but `quality` and `counters`. `guard(leg, action, *arguments)` runs the action and
    ends the leg's media should it raise."""

    def __init__(self, *, slots: int, guard: Callable[..., None]) -> None:
        self.reports = RtcpReports(
            slots=slots,
            # A name that says nothing about the machine (RFC 7022 section 4.2).
            cname=base64.b64encode(os.urandom(12)).decode(),
            unix_offset_s=time.time() - time.monotonic(),
            random=np.random.default_rng(),
        )
        self._guard = guard
        self._epoll = select.epoll()
        self._legs: dict[int, EngineLeg] = {}
        self._by_slot: dict[int, EngineLeg] = {}
        self._timestamp_base: dict[int, int] = {}
        self._learned: dict[int, SocketAddress] = {}
        self._sent = self._send_errors = self._received = 0
        self._foreign = self._malformed = self._unrelated = 0

    def open(self, leg: EngineLeg, *, ssrc: int, timestamp_base: int, now: float) -> None:
        """Begins a leg that sends as `ssrc`, with a timestamp of `timestamp_base` at position 0."""
        endpoint = leg.control_endpoint
        stamp_arrivals(endpoint)
        endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_OCTETS)
        self._legs[endpoint.fileno()] = self._by_slot[leg.slot] = leg
        self._timestamp_base[leg.slot] = timestamp_base
        self._epoll.register(endpoint.fileno(), select.EPOLLIN)
        self.reports.open(leg.slot, ssrc=ssrc, now=now)

    def close(self, leg: EngineLeg, *, now: float, head: int) -> StreamQuality:
        """Reads what waits, the far end's last report among it, and says goodbye; returns how the stream fared."""
        for _ in range(ROUNDS):
            if not self._read(leg, now=now):
                break
        if self.reports.introduced(leg.slot):
            self._guard(leg, self._send, leg, now, head, True)
        quality = self.quality(leg)
        self.reports.close(leg.slot)
        self._epoll.unregister(leg.control_endpoint.fileno())
        del self._legs[leg.control_endpoint.fileno()], self._by_slot[leg.slot], self._timestamp_base[leg.slot]
        self._learned.pop(leg.slot, None)
        return quality

    def stop(self) -> None:
        """Frees the poll; all legs are closed."""
        self._epoll.close()

    def exchange(self, *, now: float, head: int) -> None:
        """Takes what came and sends what is due; `head` is the timeline's position at `now`."""
        for _ in range(ROUNDS):
            events = self._epoll.poll(0, READ_AT_ONCE)
            if not events:
                break
            for descriptor, _event in events:
                if (leg := self._legs.get(descriptor)) is not None:  # else another's failure just ended it
                    self._read(leg, now=now)
        for slot in self.reports.due(now).tolist():
            if (leg := self._by_slot.get(slot)) is not None:
                self._guard(leg, self._send, leg, now, head, False)

    def quality(self, leg: EngineLeg) -> StreamQuality:
        """Both directions of an open leg so far; nothing yet where its timeline has not begun."""
        if self._by_slot.get(leg.slot) is not leg:
            return StreamQuality(received=DirectionQuality())
        return self.reports.quality(leg.slot, codec=Codec.PCMA if leg.remote is None else leg.remote.codec)

    def counters(self) -> ControlCounters:
        """A snapshot."""
        return ControlCounters(
            sent=self._sent,
            send_errors=self._send_errors,
            received=self._received,
            foreign=self._foreign,
            malformed=self._malformed,
            unrelated=self._unrelated,
        )

    def _read(self, leg: EngineLeg, *, now: float) -> bool:
        """Reads one datagram; False where none waits."""
        try:
            datagram, ancillary, _, source = leg.control_endpoint.recvmsg(DATAGRAM_SIZE, ANCILLARY_OCTETS)
        except OSError:
            return False
        if not _is_far_end(leg, source):
            self._foreign += 1
        else:
            self._guard(leg, self._take, leg, datagram, source, now - age_s(ancillary))
        return True

    def _take(self, leg: EngineLeg, datagram: bytes, source: SocketAddress, arrival: float) -> None:
        try:
            related = self.reports.receive(leg.slot, datagram, now=arrival)
        except ProtocolError as error:
            logger.debug("RTCP of port %d: %s", leg.local_port, error.message)
            self._malformed += 1
            return
        if related:
            self._received += 1
            self._learned[leg.slot] = source
        else:
            self._unrelated += 1

    def _send(self, leg: EngineLeg, now: float, head: int, leaves: bool) -> None:
        timestamp = self._timestamp_base[leg.slot] + head
        datagram = self.reports.build(leg.slot, now=now, timestamp=timestamp, leaves=leaves)
        destination = self._destination(leg)
        if destination is None:
            return
        try:
            leg.control_endpoint.sendto(datagram, destination)
            self._sent += 1
        except OSError:
            self._send_errors += 1

    def _destination(self, leg: EngineLeg) -> SocketAddress | None:
        """None where the far end can't be told: not known yet, or it holds by an address of zeros."""
        learned = self._learned.get(leg.slot)
        if learned is not None and _is_far_end(leg, learned):
            return learned
        media = leg.latch.destination
        if leg.remote is None or media is None:
            return None
        if leg.remote.rtcp is not None:
            media = _socket_address(leg.remote.rtcp)
        else:
            media = (media[0], media[1] + 1, *media[2:])
        return None if media[1] > 65535 or media[0] in UNSPECIFIED else media


def _is_far_end(leg: EngineLeg, source: SocketAddress) -> bool:
    media = leg.latch.destination
    if media is not None and source[0] == media[0]:
        return True
    return leg.remote is not None and leg.remote.rtcp is not None and source[:2] == _socket_address(leg.remote.rtcp)


def _socket_address(address: RtpAddress) -> tuple[str, int]:
    return str(ip_address(address.host)), address.port
