"""Call control in a media process: a thread waits for commands, the SIP thread carries them out."""

import logging
import threading
from collections.abc import Callable

from hotline.bus import BackgroundPublisher
from hotline.clock import Clock
from hotline.commands import CommandReceiver, Commands, Delivery
from hotline.settings import Settings
from ivr.acd.distributor import Seat
from ivr.announcements.prompts import PromptLibrary
from ivr.calls.controller import Controller, ExchangeControl

log = logging.getLogger(__name__)

RECEIVE_S = 0.5
SEATS_S = 2.0
SEATS_TTL_S = 10


class CommandListener:
    """Listens from construction until `stop` is set: what comes later is left to the next process.

    `post` runs a function on the SIP thread.
    """

    def __init__(
        self,
        commands: Commands,
        exchange: ExchangeControl,
        *,
        settings: Settings,
        post: Callable[[Callable[[], None]], None],
        publisher: BackgroundPublisher,
        prompts: PromptLibrary,
        clock: Clock,
        stop: threading.Event,
    ) -> None:
        self._receiver: CommandReceiver = commands.receiver(settings.node)
        self._post = post
        self._controller = Controller(
            exchange,
            prompts=prompts,
            clock=clock,
            max_age_s=settings.media.command_max_age_s,
            finish=lambda delivery, outcome: publisher.submit(lambda: self._receiver.finish(delivery, outcome)),
            publish=publisher.publish,
        )
        self._stop = stop
        self._thread = threading.Thread(target=self._run, name="commands", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                delivery = self._receiver.receive(RECEIVE_S)
            except Exception:  # calls go on without commands; the next one may do
                log.exception("a command was not received")
                self._stop.wait(RECEIVE_S)
                continue
            if delivery is not None and not self._stop.is_set():
                self._hand_over(delivery)

    def _hand_over(self, delivery: Delivery) -> None:
        self._post(lambda: self._controller.carry_out(delivery))

    def close(self) -> None:
        """Waits for the thread to end."""
        self._receiver.close()
        self._thread.join(1.0)


def tell_seats(
    seats: Callable[[], tuple[Seat, ...]],
    *,
    node: str,
    publisher: BackgroundPublisher,
    call_later: Callable[[float, Callable[[], None]], object],
) -> None:
    """Keeps this node's state `seats` on the bus: who is signed in and does what. On the SIP thread; repeats itself."""
    told = [
        {
            "seat": seat.name,
            "state": str(seat.state),
            "queues": list(seat.queues),
            "skills": sorted(seat.skills),
            "call_id": seat.call,
        }
        for seat in seats()
    ]
    publisher.put_state("seats", node, {"seats": told}, ttl_s=SEATS_TTL_S)
    call_later(SEATS_S, lambda: tell_seats(seats, node=node, publisher=publisher, call_later=call_later))
