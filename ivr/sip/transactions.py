"""sippy's transactions (RFC 3261 section 17) behind a door that only allowed peers pass."""

import logging
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import sippy.Core.EventDispatcher
import sippy.Network_server
import sippy.SipTransactionManager
import sippy.Udp_server
from sippy.SipResponse import SipResponse
from sippy.SipTransactionManager import RINGING, TRYING, SipTransactionManager

from ivr.sip.sanity import Refusal, check

if TYPE_CHECKING:
    from ivr.sip.server import SipServer

log = logging.getLogger(__name__)

MAX_DATAGRAM = 8192


class TransactionManager(SipTransactionManager):  # type: ignore[misc] # sippy is untyped
    """sippy's transactions behind a door that only allowed peers, and those we call, pass."""

    def __init__(self, global_config: dict[str, Any], callback: Any, server: "SipServer") -> None:
        self._door = server
        super().__init__(global_config, callback)

    def handleIncoming(self, data_in: bytes, ra: Any, server: Any, rtime: Any) -> None:  # noqa: N802 - sippy's name
        if not self._door.hears(ra.address[0]) and not self._door.probed_by(ra.address[0], data_in):
            self._door.counters["refused_peer"] += 1
            return
        if self._door.admission.ignores(ra.address[0], data_in):
            return
        if len(data_in) >= MAX_DATAGRAM:  # sippy reads no more, so the rest is lost
            self._door.counters["too_large"] += 1
            return
        if not data_in.strip():  # a phone keeps its way through a NAT open
            return
        message = check(data_in, source=ra.address)
        if isinstance(message, Refusal):
            self._door.counters[f"malformed_{message.reason}"] += 1
            log.info("message refused: %s", message.reason)
            if self._door.admission.is_phone(ra.address[0]):
                self._door.admission.offended(ra.address[0])
                return  # a stranger learns nothing
            if message.response:
                server.send_to(message.response, (ra.address[0], message.port))
            return
        super().handleIncoming(message, ra, server, rtime)

    def incomingResponse(self, msg: Any, t: Any, checksum: Any) -> None:  # noqa: N802 - sippy's name
        try:
            for name in ("to", "contact", "record-route"):
                msg.getHFBodys(name)
        except Exception:  # what cannot be read would leave the transaction half done
            self._door.counters["malformed_response"] += 1
            return
        if msg.getSCode()[0] >= 300 and t.needack and t.resp_cb is not None and t.state in (TRYING, RINGING):
            self._failed(msg, t, checksum)
        else:
            super().incomingResponse(msg, t, checksum)

    def _failed(self, msg: Any, t: Any, checksum: Any) -> None:
        """A failed INVITE: its ACK first, to where the INVITE went whatever Contact says (RFC 3261 section 17.1.1.3);
        then whoever asked may try anew."""
        headers, callback, version = msg.headers, t.resp_cb, t.cb_ifver
        t.resp_cb = None
        msg.headers = [item for item in headers if item.name not in ("contact", "record-route")]
        super().incomingResponse(msg, t, checksum)
        msg.headers = headers
        callback(msg) if version == 1 else callback(msg, t)

    def transmitReq(self, t: Any, msg: Any, address: Any, checksum: Any) -> None:  # noqa: N802 - sippy's name
        """An ACK follows Contact and route set only to the host that the INVITE went to, or from trunk to trunk, and
        never to a name: a phone behind NAT says where it thinks it is."""
        host, asked = str(address[0]), str(t.address[0])
        allowed = host == asked or (self._door.allows(asked) and self._door.allows(host))
        super().transmitReq(t, msg, address if allowed else t.address, checksum)

    def transmitMsg(self, userv: Any, msg: Any, address: Any, cachesum: Any, compact: Any = False) -> None:  # noqa: N802 - sippy's name
        """What sippy answers by itself, to a CANCEL above all, gets a To tag too (RFC 3261 section 8.2.6.2)."""
        if isinstance(msg, SipResponse) and msg.getHFBody("to").getTag() is None:
            msg.getHFBody("to").genTag()
        super().transmitMsg(userv, msg, address, cachesum, compact)

    def abandon(self, t: Any) -> None:
        """A request that is no INVITE is repeated no more, and an answer to it is no longer wanted."""
        if self.tclient.pop(t.tid, None) is not None:
            for timer in (t.teA, t.teB, t.teC):
                if timer is not None:
                    timer.cancel()
            t.cleanup()

    def answer(self, response: Any, t: Any, *, on_ack: Callable[[Any], None], on_no_ack: Callable[[], None]) -> None:
        """Answers an INVITE within a dialog with a 2xx, repeated until it is acknowledged."""
        self.sendResponse(response, t, ack_cb=on_ack)
        t.noack_cb = on_no_ack


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
