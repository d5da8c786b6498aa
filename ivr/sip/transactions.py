"""sippy's transactions (RFC 3261 section 17) behind a door that only allowed peers pass."""

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

import sippy.Core.EventDispatcher
import sippy.Network_server
import sippy.SipTransactionManager
import sippy.Udp_server
from sippy.SipTransactionManager import SipTransactionManager

if TYPE_CHECKING:
    from ivr.sip.server import SipServer

log = logging.getLogger(__name__)

ASCII_ONLY = bytes(range(128)) + b"?" * 128


class TransactionManager(SipTransactionManager):  # type: ignore[misc] # sippy is untyped
    """sippy's transactions behind a door that only allowed peers pass."""

    def __init__(self, global_config: dict[str, Any], callback: Any, server: "SipServer") -> None:
        self._door = server
        super().__init__(global_config, callback)

    def handleIncoming(self, data_in: bytes, ra: Any, server: Any, rtime: Any) -> None:  # noqa: N802 - sippy's name
        if not self._door.allows(ra.address[0]) and not self._door.probed_by(ra.address[0], data_in):
            self._door.counters["refused_peer"] += 1
            return
        head, gap, body = data_in.partition(b"\r\n\r\n")
        try:
            head.decode()
        except UnicodeDecodeError:
            self._door.counters["malformed"] += 1
            return
        # sippy counts Content-Length in characters; of an SDP we need nothing beyond ASCII
        super().handleIncoming(head + gap + body.translate(ASCII_ONLY), ra, server, rtime)


class SilentLogger:
    """Messages hold callers' numbers: they are not logged."""

    def write(self, *_arguments: Any, **_options: Any) -> None:
        """Drops the message."""

    def shutdown(self) -> None:
        """Nothing is open."""


def quieten_sippy(counters: Counter[str]) -> None:
    """sippy prints exceptions with the whole message to standard output; here they are counted and named."""

    def dump(message: str, f: Any = None, extra: Any = None) -> None:
        counters["sippy_exception"] += 1
        log.info("%s", message[:200], exc_info=log.isEnabledFor(logging.DEBUG))

    for module in (
        sippy.SipTransactionManager,
        sippy.Network_server,
        sippy.Udp_server,
        sippy.Core.EventDispatcher,
    ):
        module.dump_exception = dump
