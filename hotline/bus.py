"""Events between the processes: publish/subscribe on Valkey, and an in-memory adapter.

An event may be lost (a subscriber was away): whatever must not be lost is a row or a journal entry, and pages
re-read on reconnect. Publishing from the media process goes through `BackgroundPublisher`, which never blocks.
"""

import contextlib
import json
import logging
import queue
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import redis

from hotline.errors import ProtocolError, UnavailableError

log = logging.getLogger(__name__)
CHANNEL_PREFIX = "hotline:events:"
RETRY_S = 0.3
STATE_PREFIX = "hotline:state:"


@dataclass(frozen=True, kw_only=True)
class Event:
    """What happened. `name` is dotted, `topic.verb` (`call.answered`); subscribers choose topics."""

    name: str
    at: datetime
    data: dict[str, Any]
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __post_init__(self) -> None:
        if "." not in self.name or self.at.tzinfo is None:
            raise ValueError(f"not an event: {self.name!r} at {self.at!r}")

    @property
    def topic(self) -> str:
        return self.name.partition(".")[0]

    def serialize(self) -> str:
        """One line of JSON."""
        return json.dumps(
            {"id": self.id, "name": self.name, "at": self.at.isoformat(), "data": self.data}, ensure_ascii=False
        )

    @classmethod
    def parse(cls, text: str | bytes) -> "Event":
        """The inverse of `serialize`; raises `ProtocolError`."""
        try:
            raw = json.loads(text)
            return cls(
                name=raw["name"], at=datetime.fromisoformat(raw["at"]), data=dict(raw["data"]), id=str(raw["id"])
            )
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ProtocolError(f"not an event: a message of length {len(text)}") from error


class Subscription(Protocol):
    """A stream of events; `get` returns None when `timeout_s` passes without one."""

    def get(self, timeout_s: float) -> Event | None: ...

    def close(self) -> None: ...


class Bus(Protocol):
    """Publish/subscribe by topic, and short-lived states (`call`: the calls in progress) for pages that open late."""

    def publish(self, event: Event) -> None: ...

    def subscribe(self, *topics: str) -> Subscription: ...

    def put_state(self, kind: str, key: str, data: dict[str, Any], *, ttl_s: int) -> None: ...

    def drop_state(self, kind: str, key: str) -> None: ...

    def states(self, kind: str) -> dict[str, dict[str, Any]]: ...

    def ping(self) -> None: ...

    def close(self) -> None: ...


class ValkeyBus:
    """The bus of a site. Raises `UnavailableError` while the broker is away; subscriptions reconnect by themselves."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url, socket_connect_timeout=2, socket_timeout=5, health_check_interval=30)

    def publish(self, event: Event) -> None:
        with broker_errors():
            self._client.publish(CHANNEL_PREFIX + event.topic, event.serialize())

    def subscribe(self, *topics: str) -> "ValkeySubscription":
        return ValkeySubscription(self._client, topics)

    def put_state(self, kind: str, key: str, data: dict[str, Any], *, ttl_s: int) -> None:
        with broker_errors():
            self._client.set(f"{STATE_PREFIX}{kind}:{key}", json.dumps(data, ensure_ascii=False), ex=ttl_s)

    def drop_state(self, kind: str, key: str) -> None:
        with broker_errors():
            self._client.delete(f"{STATE_PREFIX}{kind}:{key}")

    def states(self, kind: str) -> dict[str, dict[str, Any]]:
        prefix = f"{STATE_PREFIX}{kind}:"
        with broker_errors():
            keys = [key.decode() for key in self._client.scan_iter(match=f"{prefix}*", count=500)]
            values = self._client.mget(keys) if keys else []
        return {key.removeprefix(prefix): json.loads(value) for key, value in zip(keys, values, strict=True) if value}

    def ping(self) -> None:
        with broker_errors():
            self._client.ping()

    def close(self) -> None:
        self._client.close()


@contextlib.contextmanager
def broker_errors() -> Iterator[None]:
    """The client's errors become `UnavailableError`."""
    try:
        yield
    except redis.RedisError as error:
        raise UnavailableError(f"broker: {error}") from error


class ValkeySubscription:
    """Reads one pub/sub connection; after a broken connection it subscribes anew at the next `get`."""

    def __init__(self, client: redis.Redis, topics: tuple[str, ...]) -> None:
        self._client = client
        self._channels = [CHANNEL_PREFIX + topic for topic in topics]
        self._pubsub: Any = None
        self._closed = threading.Event()
        self._absence = Absence("subscription")

    def get(self, timeout_s: float) -> Event | None:
        if self._closed.is_set():
            return None
        try:
            if self._pubsub is None:
                pubsub = self._client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
                pubsub.subscribe(*self._channels)
                self._pubsub = pubsub
            message = self._next_message(timeout_s)
        except (redis.RedisError, OSError, ValueError) as error:
            self._drop()
            if not self._closed.is_set():
                self._absence.noticed(error)
                self._closed.wait(min(timeout_s, 0.5))
            return None
        self._absence.over()
        if message is None:
            return None
        try:
            return Event.parse(message["data"])
        except ProtocolError as error:
            log.warning("%s", error)
            return None

    def _next_message(self, timeout_s: float) -> Any:
        """redis-py also returns None for the answers to SUBSCRIBE: those are no reason to stop waiting."""
        deadline = time.monotonic() + timeout_s
        while (remaining := deadline - time.monotonic()) > 0:
            message = self._pubsub.get_message(timeout=remaining)
            if message is not None:
                return message
        return None

    def _drop(self) -> None:
        pubsub, self._pubsub = self._pubsub, None
        if pubsub is not None:
            with contextlib.suppress(redis.RedisError, OSError):
                pubsub.close()

    def close(self) -> None:
        self._closed.set()
        self._drop()


class Absence:
    """Logs once that the broker is away and once that it is back, however often it is asked meanwhile."""

    def __init__(self, who: str) -> None:
        self._who = who
        self._away = False

    def noticed(self, error: Exception) -> None:
        """The broker did not answer."""
        if not self._away:
            self._away = True
            log.warning("%s: the broker is away, trying again: %s", self._who, error)

    def over(self) -> None:
        """The broker answered."""
        if self._away:
            self._away = False
            log.warning("%s: the broker is back", self._who)


class MemoryBus:
    """The in-memory adapter: every subscription of this process gets every event of its topics."""

    def __init__(self) -> None:
        self.published: list[Event] = []
        self._subscriptions: list[MemorySubscription] = []
        self._states: dict[tuple[str, str], dict[str, Any]] = {}

    def put_state(self, kind: str, key: str, data: dict[str, Any], *, ttl_s: int) -> None:
        self._states[kind, key] = data

    def drop_state(self, kind: str, key: str) -> None:
        self._states.pop((kind, key), None)

    def states(self, kind: str) -> dict[str, dict[str, Any]]:
        return {key: data for (of, key), data in self._states.items() if of == kind}

    def publish(self, event: Event) -> None:
        self.published.append(event)
        for subscription in self._subscriptions:
            subscription.offer(event)

    def subscribe(self, *topics: str) -> "MemorySubscription":
        subscription = MemorySubscription(topics)
        self._subscriptions.append(subscription)
        return subscription

    def ping(self) -> None:
        """Always there."""

    def close(self) -> None:
        for subscription in self._subscriptions:
            subscription.close()


class MemorySubscription:
    """A queue of events."""

    def __init__(self, topics: tuple[str, ...]) -> None:
        self._topics = topics
        self._events: queue.Queue[Event | None] = queue.Queue()

    def offer(self, event: Event) -> None:
        """Takes an event of one of the topics, ignores others."""
        if event.topic in self._topics:
            self._events.put(event)

    def get(self, timeout_s: float) -> Event | None:
        try:
            return self._events.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def close(self) -> None:
        self._events.put(None)


class BackgroundPublisher:
    """Talks to the bus from a thread of its own, so that callers never wait for the broker.

    Keeps at most `limit` messages; when the broker is away longer the oldest are dropped and counted in `dropped`.
    """

    def __init__(self, bus: Bus, *, limit: int = 10_000) -> None:
        self._bus = bus
        self._queue: queue.Queue[Callable[[], None]] = queue.Queue(limit)
        self._closing = threading.Event()
        self._abandoned = threading.Event()
        self._absence = Absence("publisher")
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._thread.start()

    def publish(self, event: Event) -> None:
        """Returns at once."""
        self.submit(lambda: self._bus.publish(event))

    def put_state(self, kind: str, key: str, data: dict[str, Any], *, ttl_s: int) -> None:
        """Returns at once."""
        self.submit(lambda: self._bus.put_state(kind, key, data, ttl_s=ttl_s))

    def drop_state(self, kind: str, key: str) -> None:
        """Returns at once."""
        self.submit(lambda: self._bus.drop_state(kind, key))

    def submit(self, send: Callable[[], None]) -> None:
        """Runs `send` on the publisher's thread, again while it raises `UnavailableError`; returns at once.

        A `send` that raises anything else is logged and given up.
        """
        while True:
            try:
                self._queue.put_nowait(send)
                return
            except queue.Full:
                with contextlib.suppress(queue.Empty):
                    self._queue.get_nowait()
                    self.dropped += 1

    def _pending(self) -> Iterator[Callable[[], None]]:
        while True:
            try:
                yield self._queue.get(timeout=0.2)
            except queue.Empty:
                if self._closing.is_set():
                    return

    def _run(self) -> None:
        for send in self._pending():
            while not self._done(send):
                if self._abandoned.wait(RETRY_S):
                    return

    def _done(self, send: Callable[[], None]) -> bool:
        try:
            send()
        except UnavailableError as error:
            self._absence.noticed(error)
            return False
        except Exception:  # one message's fault must not keep back the others
            log.exception("publisher: a message was given up")
        else:
            self._absence.over()
        return True

    def close(self, timeout_s: float = 2.0) -> None:
        """Sends what is queued, for at most `timeout_s`, and stops."""
        self._closing.set()
        self._thread.join(timeout_s)
        self._abandoned.set()
