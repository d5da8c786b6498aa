"""Having a caller's own carrier put him through (REFER, RFC 3515), instead of ringing the target ourselves."""

from collections.abc import Callable

from ivr.calls.party import Party
from ivr.media.mixer import Role
from ivr.sip import Timer

CallLater = Callable[[float, Callable[[], None]], Timer]


class Referral:
    """Stands where a `Ringing` would; exactly one of the three is called once, and none after `cancel`: `accepted`,
    `refused` (the carrier does not do it, or says nothing for `timeout_s`) or `given_up`."""

    role = Role.SEAT

    def __init__(
        self,
        party: Party,
        *,
        call_later: CallLater,
        timeout_s: float,
        accepted: Callable[[], None],
        refused: Callable[[], None],
        given_up: Callable[[], None],
    ) -> None:
        self._party = party
        self._call_later = call_later
        self._timeout_s = timeout_s
        self._accepted = accepted
        self._refused = refused
        self._given_up = given_up
        self._timer: Timer | None = None

    def start(self, target: str) -> None:
        """Asks the carrier to have the party's line call the URI `target`."""
        self._party.on_referred = self._told
        self._timer = self._call_later(self._timeout_s, lambda: self._told(408))
        if self._party.dialog is not None:
            self._party.dialog.refer(target)

    def cancel(self) -> None:
        """Nobody waits for it any more."""
        self._party.on_referred = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def give_up(self) -> None:
        """Somebody does not want to wait any more."""
        if self._timer is not None:
            self.cancel()
            self._given_up()

    def _told(self, code: int) -> None:
        if self._timer is not None:
            self.cancel()
            (self._accepted if code < 300 else self._refused)()
