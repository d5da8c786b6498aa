"""Ringing somebody: all phones of an extension at once, or one carrier after another, until one answers."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from hotline.errors import HotlineError
from ivr.calls.party import Party
from ivr.media.mixer import Role
from ivr.sip import CallEnd, Dialog, EndReason, OutgoingHandler, SipTarget, Timer

log = logging.getLogger(__name__)

TRY_NEXT = frozenset({EndReason.UNREACHABLE, EndReason.ERROR})
"""Reasons that speak of the way and not of the party: another carrier may reach it."""
FINAL = (EndReason.BUSY, EndReason.REJECTED, EndReason.NO_ANSWER)
"""What is told of several phones that failed: the first of these that was among their reasons."""

REFUSALS: Mapping[str, int] = {
    EndReason.BUSY: 486,
    EndReason.NO_ANSWER: 480,
    EndReason.REJECTED: 603,
    EndReason.UNREACHABLE: 480,
    EndReason.CANCELLED: 487,
}
"""The status that a phone gets which wanted to have somebody rung."""


class Signalling(Protocol):
    """What calls need of the SIP server."""

    def post(self, function: Callable[[], None]) -> None: ...

    def call_later(self, seconds: float, function: Callable[[], None]) -> Timer: ...

    def host_towards(self, target: SipTarget) -> str:
        """Our address as the target reaches it; raises `InvalidInputError` where it has no numeric address."""
        ...

    def dial(
        self,
        target: SipTarget,
        *,
        caller: str,
        display_name: str = "",
        sdp: str,
        handler: OutgoingHandler,
        timeout_s: float,
    ) -> Dialog: ...


class Ringing:
    """A `Setup`. `open_party` makes a leg for a target, `close_party` frees it; then exactly one of the two is called
    once: `answered`, or `failed` with a reason; neither after `cancel`."""

    def __init__(
        self,
        targets: Sequence[SipTarget],
        *,
        at_once: bool,
        role: Role,
        signalling: Signalling,
        caller: str,
        display_name: str,
        timeout_s: float,
        open_party: Callable[[SipTarget], Party],
        close_party: Callable[[Party], None],
        ringing: Callable[[], None],
        answered: Callable[[Party], None],
        failed: Callable[[str], None],
    ) -> None:
        self._targets = list(targets)
        self._at_once = at_once
        self.role = role
        self._signalling = signalling
        self._caller = caller
        self._display_name = display_name
        self._timeout_s = timeout_s
        self._open_party = open_party
        self._close_party = close_party
        self._ringing: Callable[[], None] | None = ringing
        self._answered = answered
        self._failed = failed
        self._parties: list[Party] = []
        self._reasons: list[str] = []
        self._over = False

    def start(self) -> None:
        """Sends the first INVITEs; what is refused at once is told a little later."""
        if not self._targets:
            self._reasons.append(EndReason.UNREACHABLE)
        self._next()
        self._signalling.post(self._look)

    def cancel(self) -> None:
        """Nobody is wanted any more."""
        self._over = True
        for party in self._parties:
            self._drop(party)
        self._parties.clear()

    def give_up(self) -> None:
        """Somebody does not want to wait any more: it has failed."""
        if not self._over:
            self.cancel()
            self._failed(EndReason.CANCELLED)

    def on_ringing(self, party: Party) -> None:
        told, self._ringing = self._ringing, None
        if told is not None and not self._over:
            told()

    def on_answered(self, party: Party) -> None:
        if self._over:
            self._drop(party)
            return
        self._over = True
        others = [other for other in self._parties if other is not party]
        self._parties.clear()
        for other in others:
            self._drop(other)
        self._answered(party)

    def on_failed(self, party: Party, end: CallEnd) -> None:
        if party in self._parties:
            self._parties.remove(party)
            self._close_party(party)
            self._reasons.append(end.reason)
            self._look()

    def _next(self) -> None:
        count = len(self._targets) if self._at_once else 1
        now, self._targets = self._targets[:count], self._targets[count:]
        for target in now:
            self._dial(target)

    def _dial(self, target: SipTarget) -> None:
        try:
            party = self._open_party(target)
        except HotlineError as error:
            log.warning("cannot ring: %s", error)
            self._reasons.append(EndReason.UNREACHABLE)
            return
        self._parties.append(party)
        party.setup = self
        try:
            party.dialog = self._signalling.dial(
                target,
                caller=self._caller,
                display_name=self._display_name,
                sdp=party.sdp_offer(),
                handler=party,
                timeout_s=self._timeout_s,
            )
        except HotlineError as error:
            log.warning("cannot ring: %s", error)
            self._parties.remove(party)
            self._close_party(party)
            self._reasons.append(EndReason.UNREACHABLE)

    def _look(self) -> None:
        """Whether anything is left to wait for."""
        while not self._over and not self._parties:
            if not self._targets or self._reasons[-1] not in TRY_NEXT:
                self._over = True
                self._failed(next((reason for reason in FINAL if reason in self._reasons), self._reasons[-1]))
                return
            self._next()

    def _drop(self, party: Party) -> None:
        party.hang_up()
        self._close_party(party)
