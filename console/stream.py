"""Events for open pages: one thread reads the bus, the event loop fans out to bounded queues, pages read SSE.

Nothing here touches a database. A page that reads too slowly is cut off and comes back by itself; because every page
re-reads when its stream opens, a lost event heals. What leaves is a whitelist of fields with personal numbers masked.
Format: WHATWG HTML, section 9.2 (server-sent events).
"""

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator, Callable, Collection
from typing import Any

from asr.masking import mask_growing, mask_phone
from asr.personal import MAX_OPEN
from console.permissions import Permission, allowed
from hotline.bus import Bus, Event, Subscription
from hotline.errors import UnavailableError
from tickets.roles import UNIT_ROLES

log = logging.getLogger(__name__)

TOPICS = ("call", "caption", "ticket")
HEARTBEAT_S = 15.0
QUEUE_LIMIT = 256
RETRY_MS = 2000
POLL_S = 0.5
MASK_LIMIT = 1000


def _answered(data: dict[str, Any]) -> dict[str, Any]:
    return {
        "call_id": str(data["call_id"]),
        "caller": mask_phone(str(data.get("caller", ""))),
        "called": str(data.get("called", "")),
        "answered_at": str(data["answered_at"]),
    }


def _caption(data: dict[str, Any]) -> dict[str, Any]:
    return {
        "call_id": str(data["call_id"]),
        "speaker": str(data["speaker"]),
        "text": str(data["text"]),
        "start_ms": int(data["start_ms"]),
    }


def _created(data: dict[str, Any]) -> dict[str, Any]:
    """Of a confidential one pages hear that there is one, no more; likewise where that is not said."""
    number, call_id = str(data["number"]), str(data.get("call_id") or "")
    return {"number": number, "call_id": call_id} if data.get("confidential") is False else {}


PRESENTERS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "call.answered": _answered,
    "call.ended": lambda data: {"call_id": str(data["call_id"])},
    "caption.partial": _caption,
    "caption.final": _caption,
    "caption.behind": lambda data: {"call_id": str(data["call_id"]), "seconds": int(data["seconds"])},
    "ticket.created": _created,
    "ticket.changed": lambda _data: {},
}
_RIGHTS = {"call": Permission.LIVE, "caption": Permission.LIVE, "ticket": Permission.READ}


def followed(topics: Collection[str], role: str) -> frozenset[str]:
    """The events of the topics that pages of a role get.

    A new ticket is nothing to a unit, and its number not for it: a unit's people only hear that some ticket changed,
    and look whether it is one of theirs.
    """
    found = {
        name for name in PRESENTERS if (topic := name.partition(".")[0]) in topics and allowed(role, _RIGHTS[topic])
    }
    return frozenset(found - {"ticket.created" if role in UNIT_ROLES else "ticket.changed"})


class CaptionMask:
    """Masks captions together with what the speaker said just before: people pause while they tell a number."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, str], str] = {}

    def mask(self, caption: dict[str, Any], *, final: bool) -> dict[str, Any]:
        """The caption with its numbers hidden; a final one is remembered until the next."""
        key = (caption["call_id"], caption["speaker"])
        before = self._before.get(key, "")
        text = mask_growing(before, caption["text"], final=final)
        if final:
            if len(self._before) >= MASK_LIMIT:  # ends of calls were lost
                self._before.clear()
            self._before[key] = (before + caption["text"])[-MAX_OPEN:]
        return {**caption, "text": text}

    def forget(self, call_id: str) -> None:
        """The call is over."""
        self._before = {key: text for key, text in self._before.items() if key[0] != call_id}


def present_call(state: dict[str, Any]) -> dict[str, Any]:
    """A call in progress (a `call` state of the bus) as a browser may see it; raises like a broken dictionary."""
    mask, said = CaptionMask(), [_caption({"call_id": state["call_id"], **item}) for item in state.get("captions", [])]
    return {
        **_answered(state),
        "captions": [mask.mask(caption, final=True) for caption in said],
        "behind_s": int(state.get("captions_behind_s", 0)),
    }


def encode(event: Event, mask: CaptionMask) -> str | None:
    """The event as one SSE message; None where pages do not get it or it lacks its fields."""
    presenter = PRESENTERS.get(event.name)
    if presenter is None:
        return None
    try:
        data = presenter(event.data)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        log.warning("%s without its fields: %r", event.name, error)
        return None
    if "text" in data:
        data = mask.mask(data, final=event.name == "caption.final")
    elif event.name == "call.ended":
        mask.forget(data["call_id"])
    return f"id: {event.id}\nevent: {event.name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


class EventStream:
    """One page's queue, used on the event loop only."""

    def __init__(self, names: Collection[str]) -> None:
        self.names = frozenset(names)
        self._queue: asyncio.Queue[str | None] = asyncio.Queue(QUEUE_LIMIT)  # None ends it

    def offer(self, message: str) -> bool:
        """Queues a message; False where the page is too slow and was cut off."""
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            self.end()
            return False
        return True

    def end(self) -> None:
        """The page's stream stops; what it has not read is dropped."""
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(None)

    async def messages(self, *, life_s: float, heartbeat_s: float = HEARTBEAT_S) -> AsyncIterator[str]:
        """SSE text until `end` or `life_s` passed; a comment whenever nothing was said for `heartbeat_s`."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + life_s
        yield f"retry: {RETRY_MS}\n\n"
        while (left := deadline - clock()) > 0:
            try:
                message = await asyncio.wait_for(self._queue.get(), min(heartbeat_s, left))
            except TimeoutError:
                yield ": still here\n\n"
                continue
            if message is None:
                return
            yield message


class EventHub:
    """The pages' streams. `start`, `open`, `discard` and `close` are for the event loop."""

    def __init__(self, bus: Bus, *, max_streams: int) -> None:
        self._bus = bus
        self._max_streams = max_streams
        self._streams: set[EventStream] = set()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins to read the bus."""
        reading = (asyncio.get_running_loop(), self._bus.subscribe(*TOPICS))
        self._thread = threading.Thread(target=self._read, args=reading, name="events", daemon=True)
        self._thread.start()

    def open(self, names: Collection[str]) -> EventStream:
        """A page's stream of the events with these names; raises `UnavailableError` when too many are open or the
        console stops."""
        if self._closing.is_set() or len(self._streams) >= self._max_streams:
            raise UnavailableError("实时更新的页面过多，请稍后再试")
        stream = EventStream(names)
        self._streams.add(stream)
        return stream

    def discard(self, stream: EventStream) -> None:
        """The page has gone."""
        self._streams.discard(stream)

    def end_streams(self) -> None:
        """Ends every stream and opens no more: the server can stop."""
        self._closing.set()
        for stream in self._streams:
            stream.end()

    async def close(self) -> None:
        """Ends every stream and the reading thread."""
        self.end_streams()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    def _read(self, loop: asyncio.AbstractEventLoop, subscription: Subscription) -> None:
        mask = CaptionMask()
        try:
            while not self._closing.is_set():
                try:
                    event = subscription.get(POLL_S)
                    message = encode(event, mask) if event is not None else None
                except Exception:  # one event's fault must not keep back the others
                    log.exception("an event was given up")
                    self._closing.wait(POLL_S)
                    continue
                if event is not None and message is not None:
                    loop.call_soon_threadsafe(self._fan_out, event.name, message)
        finally:
            subscription.close()

    def _fan_out(self, name: str, message: str) -> None:
        for stream in tuple(self._streams):
            if name in stream.names and not stream.offer(message):
                log.info("a page reads too slowly and was cut off")
                self._streams.discard(stream)
