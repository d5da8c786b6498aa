"""A call in progress as pages see it: its state on the bus, put there again before it expires."""

from collections.abc import Callable
from typing import Any

from hotline.bus import BackgroundPublisher
from ivr.sip import Timer

STATE_TTL_S = 60
STATE_REFRESH_S = 20.0


class CallBoard:
    """`describe` gives the state. Nothing is put before `begin` or after `finish`. Only on the SIP thread."""

    def __init__(
        self,
        call_id: str,
        publisher: BackgroundPublisher,
        *,
        call_later: Callable[[float, Callable[[], None]], Timer],
        describe: Callable[[], dict[str, Any]],
    ) -> None:
        self._call_id = call_id
        self._publisher = publisher
        self._call_later = call_later
        self._describe = describe
        self._timer: Timer | None = None

    def begin(self) -> None:
        """Pages see the call from now on."""
        self._timer = self._call_later(STATE_REFRESH_S, self.begin)
        self.put()

    def put(self) -> None:
        """Something changed."""
        if self._timer is not None:
            self._publisher.put_state("call", self._call_id, self._describe(), ttl_s=STATE_TTL_S)

    def finish(self) -> None:
        """Pages see it no longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._publisher.drop_state("call", self._call_id)
