"""A caller's place in a queue: what the call does when the distributor rings seats, connects one, or gives up."""

import logging
from typing import TYPE_CHECKING

from hotline.errors import ConflictError, HotlineError, NotFoundError
from ivr.acd.events import CallerJoined, CallerLeft, ConversationEnded, SeatNotAnswered
from ivr.acd.events import SeatAnswered as SeatTookCall
from ivr.calls.party import Party
from ivr.media.mixer import Role
from ivr.menu.machine import QueueLeft, QueuePosition, SeatAnswered
from ivr.sip import EndReason

if TYPE_CHECKING:
    from ivr.acd.local import Acd
    from ivr.calls.call import Call

log = logging.getLogger(__name__)


class QueuePlace:
    """The queue side of one call. `by_staff`: a seat has put the caller there, and no flow waits for the outcome."""

    def __init__(self, call: "Call", acd: "Acd") -> None:
        self._call = call
        self._acd = acd
        self.queue = ""
        self._since_ms = 0
        self.by_staff = False

    def enter(self, queue: str) -> None:
        """The caller waits from now on."""
        self.queue = queue
        self._since_ms = self._call.offset_ms()
        self._call.note("queued", queue=queue, offset_ms=self._since_ms)
        self._call.publish("call.queued", queue=queue)
        self._join()

    def _join(self) -> None:
        waited_s = (self._call.offset_ms() - self._since_ms) / 1000
        try:
            self._acd.submit(CallerJoined(self._call.call_id, self.queue, waited_s=waited_s))
        except NotFoundError as error:
            log.error("call %s: %s", self._call.call_id, error)
            self._call.post(lambda: self.overflow("closed"))

    def leave(self) -> None:
        """The caller waits no longer; again, nothing."""
        if self.queue:
            self._acd.submit(CallerLeft(self._call.call_id))
            self._left("left")
            self.cancel(tuple(party.name for party in self._call.parties.values() if party.queued))

    def transfer(self, party: Party, queue: str) -> None:
        """A seat puts the caller back into a queue and leaves; the caller hears music."""
        call = self._call
        if call.flow is None or party.is_caller or not call.caller.connected:
            raise ConflictError("only a seat can put a caller of the hotline into a queue")
        if any(other.queued and other.connected for other in call.parties.values() if other is not party):
            raise ConflictError("another seat of a queue talks to the caller")
        if queue not in call.services.flow.flow.queues:
            raise NotFoundError(f"no queue named {queue}")
        self.leave()
        self.by_staff = True
        call.remove(party)
        self.enter(queue)

    def ring(self, seats: tuple[str, ...]) -> None:
        """The distributor found seats for the caller."""
        for seat in seats:
            self._ring(seat)

    def _ring(self, seat: str) -> None:
        call = self._call

        def answered(party: Party) -> None:
            party.queued = call.call_id
            self._acd.submit(SeatTookCall(call.call_id, seat))

        def failed(reason: str) -> None:
            self._acd.submit(SeatNotAnswered(call.call_id, seat, busy=reason == EndReason.BUSY))

        try:
            call.ring(call.services.inside(seat), role=Role.SEAT, answered=answered, failed=failed)
        except HotlineError as error:
            log.warning("call %s: seat %s cannot be rung: %s", call.call_id, seat, error)
            reason = EndReason.BUSY if isinstance(error, ConflictError) else EndReason.UNREACHABLE
            call.post(lambda: failed(reason))

    def cancel(self, seats: tuple[str, ...]) -> None:
        """The seats are wanted no more."""
        for seat in seats:
            party = self._call.parties.get(seat)
            if party is not None and not party.connected:
                party.queued = ""
            self._call.cancel_ringing(seat)

    def connect(self, seat: str) -> None:
        """The distributor gives the caller to a seat that answered."""
        call = self._call
        party = call.parties.get(seat)
        if party is None or not self.queue:  # one of the two is gone meanwhile
            self._acd.submit(ConversationEnded(call.call_id, seat))
            if self.queue:
                self._join()
            else:
                call.cancel_ringing(seat)
            return
        self._left("connected")
        if self.by_staff:
            self.by_staff = False
            call.connect(party)
        else:
            call.step(SeatAnswered(seat))

    def announce(self, position: int, wait_s: float) -> None:
        """Where the caller stands."""
        self._call.publish("call.queue_position", position=position, wait_s=wait_s)
        if not self.by_staff:
            self._call.step(QueuePosition(position, wait_s))

    def overflow(self, reason: str) -> None:
        """The queue gives the caller up: `full`, `closed` or `timeout`."""
        self._left(reason)
        if self.by_staff:
            self.by_staff = False
            self._call.settle()
        else:
            self._call.step(QueueLeft(reason))

    def party_left(self, party: Party) -> None:
        """A seat that the distributor chose is free again."""
        call_id, party.queued = party.queued, ""
        if call_id and party.extension is not None:
            self._acd.submit(ConversationEnded(call_id, party.extension))

    def _left(self, reason: str) -> None:
        if self.queue:
            self._call.note("unqueued", reason=reason, offset_ms=self._call.offset_ms())
            self._call.publish("call.queue_left", queue=self.queue, reason=reason)
            self.queue = ""
