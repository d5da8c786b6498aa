"""Commands on Valkey streams: one stream a node and a shared one, each read by one consumer group.

An entry stays in its stream until its command has an outcome: one transaction writes it and deletes the entry. So the
length of a stream is the number of commands without an outcome. A stream that nobody reads expires with the commands in
it; ids expire when no copy of them can be valid any more.
"""

import contextlib
import json
import logging
import threading
from collections import deque
from dataclasses import dataclass
from typing import Any

import redis

from hotline.bus import Absence, broker_errors
from hotline.clock import Clock, SystemClock
from hotline.commands import LEASE_S, Command, Delivery, Outcome, judge, remembered_s, too_many
from hotline.settings import Settings

log = logging.getLogger(__name__)

SHARED_STREAM = "hotline:commands"
NODE_STREAM_PREFIX = "hotline:commands:node:"
RECORD_PREFIX = "hotline:command:"
GROUP = "media"
FIELD = "command"
SOCKET_TIMEOUT_S = 10.0
MAX_BLOCK_S = 1.0
PAUSE_S = 0.5
FORGOTTEN = ("NOGROUP", "UNBLOCKED")
"""What a broker says that lost its memory, or where an idle stream expired: we join anew."""


class ValkeyCommands:
    """Implements `Commands` for a site. `max_age_s`: how long commands are valid; `max_waiting`: bound of a stream."""

    def __init__(
        self,
        url: str,
        *,
        max_age_s: float,
        max_waiting: int = 1000,
        lease_s: float = LEASE_S,
        clock: Clock | None = None,
    ) -> None:
        self.client = redis.Redis.from_url(url, socket_connect_timeout=2, socket_timeout=SOCKET_TIMEOUT_S)
        self.clock = clock or SystemClock()
        self.lease_s = lease_s
        self._kept_s = remembered_s(max_age_s)
        self._max_waiting = max_waiting

    def send(self, command: Command, *, node: str | None = None) -> None:
        text = command.serialize()
        stream = SHARED_STREAM if node is None else NODE_STREAM_PREFIX + node
        with broker_errors(), self.client.pipeline(transaction=True) as transaction:
            waiting = int(self.client.xlen(stream))
            if waiting >= self._max_waiting:
                raise too_many(waiting)
            transaction.xadd(stream, {FIELD: text})
            transaction.expire(stream, self._kept_s)
            transaction.execute()

    def outcome(self, command_id: str) -> Outcome | None:
        with broker_errors():
            record = self.client.get(RECORD_PREFIX + command_id)
        found = None if record is None else _read_record(record)
        return found if isinstance(found, Outcome) else None

    def receiver(self, node: str) -> "ValkeyReceiver":
        return ValkeyReceiver(self, node)

    def hold(self, command_id: str, holder: str) -> str | Outcome:
        """The entry that holds the id, from now on `holder` where none did, or its outcome."""
        record = json.dumps({"holder": holder})
        before = self.client.set(RECORD_PREFIX + command_id, record, nx=True, get=True, ex=self._kept_s)
        return holder if before is None else _read_record(before)

    def settle(self, delivery: Delivery, outcome: Outcome) -> None:
        """Keeps the outcome and drops the entry, both or neither."""
        record = json.dumps({"error": outcome.error}, ensure_ascii=False)
        with broker_errors(), self.client.pipeline(transaction=True) as transaction:
            transaction.set(RECORD_PREFIX + delivery.command.id, record, ex=self._kept_s)
            transaction.xack(delivery.stream, GROUP, delivery.entry)
            transaction.xdel(delivery.stream, delivery.entry)
            transaction.execute()

    def close(self) -> None:
        self.client.close()


def open_commands(settings: Settings) -> ValkeyCommands:
    """The commands of a site."""
    return ValkeyCommands(
        settings.effective_valkey_url(),
        max_age_s=settings.media.command_max_age_s,
        max_waiting=settings.media.max_commands,
    )


def _read_record(record: Any) -> str | Outcome:
    values = json.loads(record)
    return str(values["holder"]) if "holder" in values else Outcome(values["error"])


@dataclass(frozen=True, kw_only=True)
class _Taken:
    """An entry in hand, and when it was taken."""

    stream: str
    entry: str
    text: bytes
    at: float
    deliveries: int = 1


class ValkeyReceiver:
    """Implements `CommandReceiver`: reads both streams, and looks now and then for what others left behind."""

    def __init__(self, commands: ValkeyCommands, node: str) -> None:
        self._commands = commands
        self._client = commands.client
        self._node = node
        self._own = NODE_STREAM_PREFIX + node
        self._streams = (self._own, SHARED_STREAM)
        self._taken: deque[_Taken] = deque()
        self._joined = False
        self._new = True
        self._look_at = 0.0
        self._closed = threading.Event()
        self._absence = Absence("commands")

    def receive(self, timeout_s: float) -> Delivery | None:
        try:
            delivery = self._next(timeout_s)
        except (redis.RedisError, OSError) as error:
            self._joined = False
            if not str(error).startswith(FORGOTTEN):
                self._absence.noticed(error)
                self._closed.wait(min(timeout_s, PAUSE_S))
            return None
        self._absence.over()
        return delivery

    def _next(self, timeout_s: float) -> Delivery | None:
        deadline = self._now() + timeout_s
        while not self._closed.is_set():
            if not self._joined:
                self._join()
            if self._now() >= self._look_at:
                self._look_at = self._now() + self._commands.lease_s / 2
                for stream in self._streams:
                    self._take_over(stream, idle_s=self._commands.lease_s)
            while self._taken:
                delivery = self._judge(self._taken.popleft())
                if delivery is not None:
                    return delivery
            remaining = deadline - self._now()
            if remaining <= 0:
                break
            self._read(min(remaining, MAX_BLOCK_S, max(self._look_at - self._now(), 0.0)))
        return None

    def _join(self) -> None:
        """Also after the broker was away: then others get a lease's time to tell outcomes before they are robbed."""
        for stream in self._streams:
            with contextlib.suppress(redis.ResponseError):  # BUSYGROUP: it is there
                self._client.xgroup_create(stream, GROUP, id="0", mkstream=True)
        if self._new:  # a node has one receiver: what it took before is left by a process that is gone
            self._take_over(self._own, idle_s=0.0)
            self._new = False
        self._look_at = self._now() + self._commands.lease_s
        self._joined = True

    def _read(self, block_s: float) -> None:
        streams: Any = dict.fromkeys(self._streams, ">")
        answer: Any = self._client.xreadgroup(GROUP, self._node, streams, count=1, block=max(1, int(block_s * 1000)))
        for stream, entries in answer.items() if isinstance(answer, dict) else answer or ():
            self._keep(stream, entries)

    def _take_over(self, stream: str, *, idle_s: float) -> None:
        idle_ms = int(idle_s * 1000)
        answer: Any = self._client.xautoclaim(stream, GROUP, self._node, idle_ms, count=100)
        entries = answer[1]
        if entries:
            pending: Any = self._client.xpending_range(stream, GROUP, entries[0][0], entries[-1][0], 100, self._node)
            self._keep(stream, entries, {item["message_id"]: int(item["times_delivered"]) for item in pending})

    def _keep(self, stream: str | bytes, entries: Any, deliveries: dict[bytes, int] | None = None) -> None:
        name = stream.decode() if isinstance(stream, bytes) else stream
        at = self._now()
        for entry, fields in entries:
            self._taken.append(
                _Taken(
                    stream=name,
                    entry=entry.decode(),
                    text=fields.get(FIELD.encode(), b""),
                    at=at,
                    deliveries=(deliveries or {}).get(entry, 1),
                )
            )

    def _judge(self, taken: _Taken) -> Delivery | None:
        delivery = judge(
            taken.text,
            stream=taken.stream,
            entry=taken.entry,
            begin_by=taken.at + self._commands.lease_s / 2,
            deliveries=taken.deliveries,
            hold=self._commands.hold,
        )
        if delivery is None:
            self._client.xack(taken.stream, GROUP, taken.entry)
            self._client.xdel(taken.stream, taken.entry)
        return delivery

    def _now(self) -> float:
        return self._commands.clock.monotonic()

    def finish(self, delivery: Delivery, outcome: Outcome) -> None:
        self._commands.settle(delivery, outcome)

    def close(self) -> None:
        self._closed.set()
