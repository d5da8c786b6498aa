"""sippy's clock and sender without detours: each gave the interpreter away and waited for it, many times a call."""

import logging
import socket
import time
from typing import Any

import sippy.Time.MonoTime
import sippy.Udp_server

from ivr.access.limits import numeric_address

log = logging.getLogger(__name__)


class DirectSender:
    """In place of sippy's queue and sending thread: the datagram leaves before `put` returns.

    What the socket has no room for is lost, as on the way, and sent again by the transaction (RFC 3261 section 17).
    """

    def __init__(self, server: Any) -> None:
        self._socket: socket.socket = server.skt
        server.sendqueue = self

    def put(self, item: tuple[bytes, tuple[str, int]] | None) -> None:
        """Sends (data, address); None, sippy's sign that it shuts down, is nothing to send."""
        if item is None:
            return
        data, (host, port) = item
        if numeric_address(host) is None:  # a name would be asked for while all calls wait
            return
        try:
            self._socket.sendto(data, socket.MSG_DONTWAIT, (host, port))
        except OSError as error:
            log.debug("nothing can be sent to %s: %s", host, error.strerror)

    def join(self) -> None:
        """There is no thread to wait for."""


def lighten_sippy() -> None:
    """Before the first `SipTransactionManager` is made."""
    sippy.Udp_server.AsyncSender = DirectSender
    sippy.Time.MonoTime.clock_getdtime = time.clock_gettime
