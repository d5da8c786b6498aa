"""A call as pages and commands find it: its state on the bus, of kind `ringing` until it stands, then `call`."""

from collections.abc import Callable
from typing import Any

from hotline.bus import BackgroundPublisher
from ivr.sip import Timer

STATE_TTL_S = 60
STATE_REFRESH_S = 20.0


class CallBoard:
    """`describe` gives the state, which is put there again before it expires. Only on the SIP thread."""

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
        self._kind = "ringing"
        self._timer: Timer | None = None  # while the state is there

    def put(self) -> None:
        """Something changed; nothing after `finish`."""
        if self._kind:
            self._publisher.put_state(self._kind, self._call_id, self._describe(), ttl_s=STATE_TTL_S)
            if self._timer is None:
                self._timer = self._call_later(STATE_REFRESH_S, self._refresh)

    def begin(self) -> None:
        """It stands: a call in progress from now on."""
        self._change("call")
        self.put()

    def finish(self) -> None:
        """Nobody finds it any longer."""
        self._change("")

    def _refresh(self) -> None:
        self._timer = None
        self.put()

    def _change(self, kind: str) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._publisher.drop_state(self._kind, self._call_id)
        self._kind = kind
