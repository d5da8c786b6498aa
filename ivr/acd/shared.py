"""One call distributor for a site with several media processes: `AcdNode` with a bus, an election, a clock and threads.

The SIP thread never waits: frames and questions to the election leave through a bounded queue that a thread of its own
empties, and what comes back is posted to the SIP thread. A frame that finds no place or no broker is dropped; the
next heartbeat makes good for it.
"""

import contextlib
import logging
import queue
import threading
import uuid
from collections.abc import Callable, Iterable

from hotline.bus import Bus, Event
from hotline.clock import Clock
from hotline.election import Election
from hotline.errors import HotlineError, ProtocolError, UnavailableError
from ivr.acd.distributor import Distributor, Seat
from ivr.acd.events import QueueCommand, QueueEvent
from ivr.acd.local import AcdLoop
from ivr.acd.node import LEASE_S, AcdNode, Output, Role
from ivr.acd.rule import QueueRule
from ivr.acd.wire import Frame

log = logging.getLogger(__name__)

ELECTION = "acd"
TOPIC = "acd"
FRAME = f"{TOPIC}.frame"
TICK_S = 0.2
MAX_OUTBOX = 1000
STOP_S = 2.0
__all__ = ["ELECTION", "LEASE_S", "SharedAcd"]


class SharedAcd:
    """Implements `Acd` for one process of several, which all have the same `rules`. On the SIP thread, but for `close`.

    It takes no part, and so commands nothing, before `start`.
    """

    def __init__(
        self,
        node: str,
        rules: Iterable[QueueRule],
        *,
        bus: Bus,
        election: Election,
        loop: AcdLoop,
        clock: Clock,
        handle: Callable[[QueueCommand], None],
    ) -> None:
        queues = tuple(rules)
        self._node = AcdNode(
            f"{node}.{uuid.uuid4().hex[:8]}",  # one that is started again is another member
            queues=[rule.name for rule in queues],
            distributor=lambda: Distributor(queues),
            now=clock.monotonic(),
        )
        self._bus = bus
        self._election = election
        self._loop = loop
        self._clock = clock
        self._handle = handle
        self._outbox: queue.Queue[Frame | None] = queue.Queue(MAX_OUTBOX)  # None: ask who leads
        self._asking = False
        self._closed = threading.Event()
        self._role = self._node.role
        self._subscription = bus.subscribe(TOPIC)
        self._threads = [
            threading.Thread(target=work, name=f"acd-{work.__name__.strip('_')}", daemon=True)
            for work in (self._speak, self._listen)
        ]

    def start(self) -> None:
        """Takes part from now on."""
        for thread in self._threads:
            thread.start()
        self._tick()

    def close(self) -> None:
        """Leaves; where this process led, another may lead at once. Waits for its threads for `STOP_S` at most."""
        self._closed.set()
        for thread in self._threads:
            if thread.is_alive():  # not where the process was stopped before it took part
                thread.join(STOP_S)
        self._subscription.close()
        with contextlib.suppress(UnavailableError):
            self._election.resign(self._node.name)

    @property
    def role(self) -> Role:
        """Who distributes the calls of this process."""
        return self._node.role

    def submit(self, event: QueueEvent) -> None:
        """Something happened; raises `NotFoundError` for a queue that does not exist, `ConflictError` for a caller that
        waits or talks already."""
        self._do(self._node.submit(event, self._clock.monotonic()))

    @property
    def seats(self) -> tuple[Seat, ...]:
        """Those that this process distributes calls to: of the whole site where it leads, none where it follows."""
        return self._node.seats

    # --- the SIP thread ---

    def _tick(self) -> None:
        if self._closed.is_set():
            return
        self._loop.call_later(TICK_S, self._tick)  # first: whatever fails below, time goes on
        if not self._asking:
            self._asking = self._put(None)
        self._do(self._node.tick(self._clock.monotonic()))

    def _do(self, output: Output) -> None:
        for frame in output.frames:
            self._put(frame)
        for command in output.commands:
            self._loop.post(lambda command=command: self._handle(command))  # type: ignore[misc]
        if self._node.role is not self._role:
            self._role = self._node.role
            log.log(
                logging.WARNING if self._role is Role.ALONE else logging.INFO,
                "queues: %s, term %d of %s",
                self._role,
                self._node.leader.term,
                self._node.leader.holder or "nobody",
            )

    def _put(self, item: Frame | None) -> bool:
        try:
            self._outbox.put_nowait(item)
        except queue.Full:
            return False
        return True

    # --- the other threads ---

    def _speak(self) -> None:
        while not self._closed.is_set():
            try:
                item = self._outbox.get(timeout=TICK_S)
            except queue.Empty:
                continue
            try:
                if item is None:
                    self._ask()
                else:
                    self._bus.publish(Event(name=FRAME, at=self._clock.now(), data=item.serialize()))
            except UnavailableError:
                continue
            except HotlineError as error:
                log.error("queues: %s", error)

    def _ask(self) -> None:
        asked = self._clock.monotonic()
        try:
            found = self._election.ask(self._node.name)
        except UnavailableError:
            self._loop.post(self._answered)
            self._closed.wait(TICK_S)
            return
        self._loop.post(lambda: self._answered(lambda now: self._node.lease(found, asked=asked, now=now)))

    def _answered(self, learn: Callable[[float], Output] | None = None) -> None:
        """On the SIP thread."""
        self._asking = False
        if learn is not None and not self._closed.is_set():
            self._do(learn(self._clock.monotonic()))

    def _listen(self) -> None:
        while not self._closed.is_set():
            event = self._subscription.get(TICK_S)
            if event is None or event.name != FRAME or event.data.get("to") != self._node.name:
                continue
            try:
                frame = Frame.parse(event.data)
            except ProtocolError as error:
                log.warning("queues: a frame is ignored: %s", error)
                continue
            self._loop.post(lambda frame=frame: self._do(self._node.receive(frame, self._clock.monotonic())))  # type: ignore[misc]
