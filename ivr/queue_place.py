"""A caller's place in a queue: what the call does when the distributor rings seats, connects one, or gives up."""

import logging
from typing import TYPE_CHECKING

from hotline.errors import ConflictError, HotlineError, NotFoundError
from ivr.media.mixer import Role
from ivr.menu import QueueLeft, QueuePosition, SeatAnswered
from ivr.party import Party
from ivr.queue_events import CallerJoined, CallerLeft, ConversationEnded, SeatNotAnswered
from ivr.queue_events import SeatAnswered as SeatTookCall
from ivr.sip import EndReason

if TYPE_CHECKING:
    from ivr.acd import Acd
    from ivr.call import Call

log = logging.getLogger(__name__)


class QueuePlace:
    """The queue side of one call. `by_staff`: a seat has put the caller there, and no flow waits for the outcome."""

    def __init__(self, call: "Call", acd: "Acd") -> None:
        self._call = call
        self._acd = acd
        self.queue = ""
        self.by_staff = False

    def enter(self, queue: str) -> None:
        """The caller waits from now on."""
        self.queue = queue
        self._call.note("queued", queue=queue, offset_ms=self._call.offset_ms())
        self._call.publish("call.queued", queue=queue)
        try:
            self._acd.submit(CallerJoined(self._call.call_id, queue))
        except NotFoundError as error:
            log.error("call %s: %s", self._call.call_id, error)
            self._call.post(lambda: self.overflow("closed"))

    def leave(self) -> None:
        """The caller waits no longer; again, nothing."""
        if self.queue:
            self._acd.submit(CallerLeft(self._call.call_id))
            self._left("left")

    def transfer(self, party: Party, queue: str) -> None:
        """A seat puts the caller back into a queue and leaves; the caller hears music."""
        call = self._call
        if self.queue == queue:
            return
        if call.flow is None or party.is_caller:
            raise ConflictError("only a seat can put a caller of the hotline into a queue")
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
            party.queued = True
            self._acd.submit(SeatTookCall(call.call_id, seat))

        def failed(reason: str) -> None:
            self._acd.submit(SeatNotAnswered(call.call_id, seat, busy=reason == EndReason.BUSY))

        try:
            call.ring(call.services.inside(seat), role=Role.SEAT, answered=answered, failed=failed)
        except HotlineError as error:
            log.warning("call %s: seat %s cannot be rung: %s", call.call_id, seat, error)
            call.post(lambda: failed(EndReason.UNREACHABLE))

    def cancel(self, seats: tuple[str, ...]) -> None:
        """The seats are wanted no more."""
        for seat in seats:
            party = self._call.parties.get(seat)
            if party is not None:
                party.queued = False
            self._call.cancel_ringing(seat)

    def connect(self, seat: str) -> None:
        """The distributor gives the caller to a seat that answered."""
        call = self._call
        party = call.parties.get(seat)
        if call.ended or party is None:  # gone meanwhile
            self._acd.submit(ConversationEnded(call.call_id, seat))
            if not call.ended and self.queue:
                self.enter(self.queue)
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
        if party.queued:
            party.queued = False
            self._acd.submit(ConversationEnded(self._call.call_id, party.name))

    def _left(self, reason: str) -> None:
        if self.queue:
            self._call.note("unqueued", reason=reason, offset_ms=self._call.offset_ms())
            self._call.publish("call.queue_left", queue=self.queue, reason=reason)
            self.queue = ""
