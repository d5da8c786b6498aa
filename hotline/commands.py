"""Commands to media processes: what a call, a seat or a console wants done, carried out once.

A command goes to one node (it has the call) or to whichever media process takes it first. It may be sent twice, and it
is delivered again when the process that took it died before it told the outcome: its `id` makes it one command. The
first entry of an id holds it, a later one only hears the outcome. Ids are remembered longer than commands are valid.
"""

import json
import logging
import re
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Protocol

from hotline.bus import Bus, Event
from hotline.clock import Clock, SystemClock
from hotline.errors import InvalidInputError, ProtocolError, UnavailableError

log = logging.getLogger(__name__)

LEASE_S = 5.0
"""What was taken and has no outcome after so long is another's to carry out; it may be begun in the first half only."""
MAX_DELIVERIES = 3
"""A command that so many processes took and none survived is given up rather than be the end of the next."""
MAX_COMMAND_BYTES = 16_384
TOPIC = "control"
HINT = "`hotline doctor --process media` tells whether a media process is there"
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_NAME = re.compile(r"[a-z][a-z_]{0,39}")
_ACTOR = re.compile(r"[^\x00-\x1f\x7f]{0,64}")


@dataclass(frozen=True, kw_only=True)
class Command:
    """What is to be done. `call_id`: the call, empty where none is meant; `actor`: who wants it, for the record.

    Raises `InvalidInputError` where a field is not what it should be; `arguments` are checked by who carries it out.
    """

    name: str
    at: datetime
    call_id: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    actor: str = ""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise InvalidInputError("a command's id has 1 to 64 letters, digits and _.:-")
        if not _NAME.fullmatch(self.name):
            raise InvalidInputError("a command's name has 1 to 40 small letters and _")
        if self.call_id and not _ID.fullmatch(self.call_id):
            raise InvalidInputError("a call's id has 1 to 64 letters, digits and _.:-")
        if not _ACTOR.fullmatch(self.actor):
            raise InvalidInputError("an actor has at most 64 characters, no control characters")
        if self.at.tzinfo is None:
            raise InvalidInputError("a command's time has a time zone")

    def serialize(self) -> str:
        """One line of JSON; raises `InvalidInputError` where it is none or too long."""
        try:
            text = json.dumps({**asdict(self), "at": self.at.isoformat()}, ensure_ascii=True, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidInputError(f"command {self.name}: arguments are JSON") from error
        if len(text) > MAX_COMMAND_BYTES:
            raise InvalidInputError(f"command {self.name}: {len(text)} bytes, at most {MAX_COMMAND_BYTES} allowed")
        return text

    @classmethod
    def parse(cls, text: str | bytes) -> "Command":
        """The inverse of `serialize`; raises `ProtocolError`, which does not repeat what was said."""
        problem = f"not a command: a message of length {len(text)}"
        if len(text) > MAX_COMMAND_BYTES:
            raise ProtocolError(problem)
        try:
            raw = json.loads(text)
            return cls(
                id=_text(raw["id"]),
                name=_text(raw["name"]),
                call_id=_text(raw["call_id"]),
                arguments=dict(raw["arguments"]),
                actor=_text(raw["actor"]),
                at=datetime.fromisoformat(raw["at"]),
            )
        except InvalidInputError as error:
            raise ProtocolError(f"{problem}: {error.message}") from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ProtocolError(problem) from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a {type(value).__name__} for a text")
    return value


@dataclass(frozen=True)
class Outcome:
    """What became of a command: done, or failed with `error`, a sentence for whoever sent it."""

    error: str | None = None

    @property
    def done(self) -> bool:
        return self.error is None

    def event(self, command: Command, now: datetime) -> Event:
        """`control.done` or `control.failed`."""
        data = {"command_id": command.id, "name": command.name, "call_id": command.call_id, "actor": command.actor}
        if self.done:
            return Event(name=f"{TOPIC}.done", at=now, data=data)
        return Event(name=f"{TOPIC}.failed", at=now, data={**data, "error": self.error})


GIVEN_UP = Outcome("given up: the media processes that took it did not survive")


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """A command in hand. `outcome`: known already, nothing is to be carried out. `begin_by`: monotonic seconds of the
    receiver's clock; not begun until then, it is left to whoever takes it over."""

    command: Command
    stream: str
    entry: str
    begin_by: float
    outcome: Outcome | None = None


class CommandReceiver(Protocol):
    """A media process's end; `receive` and `finish` may be called from different threads."""

    def receive(self, timeout_s: float) -> Delivery | None:
        """The next command for this node or for any; None when `timeout_s` passes. Raises nothing, it reconnects."""
        ...

    def finish(self, delivery: Delivery, outcome: Outcome) -> None:
        """Tells the outcome, so that nobody takes the command over; raises `UnavailableError`: try again."""
        ...

    def close(self) -> None:
        """Receives no more. What is in hand can still be finished."""
        ...


class Commands(Protocol):
    """Where commands are handed in, and the outcomes are to be had."""

    def send(self, command: Command, *, node: str | None = None) -> None:
        """Hands a command to `node`, or to whichever takes it; raises `UnavailableError`, also where too many wait."""
        ...

    def outcome(self, command_id: str) -> Outcome | None:
        """What became of a command; None where it is not known, or not any more."""
        ...

    def receiver(self, node: str) -> CommandReceiver:
        """The end of a media process. A node has one at a time; a new one takes up what its forerunner left."""
        ...

    def close(self) -> None: ...


def remembered_s(max_age_s: float) -> int:
    """How long ids are kept when commands are valid for `max_age_s` before or after their time: no copy outlives it."""
    return int(2 * max_age_s + 10 * LEASE_S)


def send_and_wait(commands: Commands, bus: Bus, command: Command, *, node: str | None, timeout_s: float) -> Outcome:
    """Sends a command and returns its outcome; raises `UnavailableError` where none is known in time."""
    subscription = bus.subscribe(TOPIC)
    try:
        subscription.get(0.001)  # the first read subscribes
        commands.send(command, node=node)
        deadline = time.monotonic() + timeout_s
        while (remaining := deadline - time.monotonic()) > 0:
            event = subscription.get(min(remaining, 0.5))
            if event is None or event.data.get("command_id") == command.id:
                outcome = commands.outcome(command.id)  # an event may be lost, the outcome is not
                if outcome is not None:
                    return outcome
    finally:
        subscription.close()
    raise UnavailableError(
        f"{command.name}: no media process answered within {timeout_s:g} s",
        hint=HINT,
    )


def judge(
    text: str | bytes,
    *,
    stream: str,
    entry: str,
    begin_by: float,
    deliveries: int,
    hold: Callable[[str, str], str | Outcome],
) -> Delivery | None:
    """What an adapter does with an entry it took: deliver, or (None) drop it, being no command or a copy of one in
    progress. `hold(id, holder)` returns who holds the id, from now on `holder` where nobody did, or the outcome."""
    try:
        command = Command.parse(text)
    except ProtocolError as error:
        log.warning("%s", error)
        return None
    holder = f"{stream}/{entry}"
    record = hold(command.id, holder)
    if isinstance(record, str) and record != holder:
        return None
    outcome = record if isinstance(record, Outcome) else GIVEN_UP if deliveries > MAX_DELIVERIES else None
    return Delivery(command=command, stream=stream, entry=entry, begin_by=begin_by, outcome=outcome)


def too_many(waiting: int) -> UnavailableError:
    """A stream is full."""
    return UnavailableError(f"{waiting} commands wait already and nobody takes them", hint=HINT)


@dataclass(kw_only=True)
class _Entry:
    id: str
    text: str
    taken_at: float | None = None
    deliveries: int = 0


class MemoryCommands:
    """The in-memory adapter: for the receivers of this process. Remembers the last `remembered` ids."""

    def __init__(
        self,
        *,
        max_waiting: int = 1000,
        lease_s: float = LEASE_S,
        remembered: int = 10_000,
        clock: Clock | None = None,
    ) -> None:
        self.clock = clock or SystemClock()
        self.lease_s = lease_s
        self.changed = threading.Condition()
        self.streams: dict[str, list[_Entry]] = {}
        self._records: dict[str, str | Outcome] = {}  # the entry that holds an id, or its outcome
        self._max_waiting = max_waiting
        self._remembered = remembered
        self._sent = 0

    def send(self, command: Command, *, node: str | None = None) -> None:
        text = command.serialize()
        with self.changed:
            entries = self.streams.setdefault(node or "", [])
            if len(entries) >= self._max_waiting:
                raise too_many(len(entries))
            self._sent += 1
            entries.append(_Entry(id=str(self._sent), text=text))
            self.changed.notify_all()

    def outcome(self, command_id: str) -> Outcome | None:
        record = self._records.get(command_id)
        return record if isinstance(record, Outcome) else None

    def receiver(self, node: str) -> "MemoryReceiver":
        with self.changed:
            for entry in self.streams.get(node, ()):
                entry.taken_at = None
        return MemoryReceiver(self, node)

    def hold(self, command_id: str, holder: str) -> str | Outcome:
        """The entry that holds the id, from now on `holder` where none did, or its outcome."""
        record = self._records.setdefault(command_id, holder)
        while len(self._records) > self._remembered:
            self._records.pop(next(iter(self._records)))
        return record

    def settle(self, delivery: Delivery, outcome: Outcome) -> None:
        """Keeps the outcome and drops the entry."""
        with self.changed:
            self._records[delivery.command.id] = outcome
            self.drop(delivery.stream, delivery.entry)

    def drop(self, stream: str, entry: str) -> None:
        """Takes an entry out."""
        self.streams[stream] = [kept for kept in self.streams[stream] if kept.id != entry]

    def close(self) -> None:
        """Nothing to close."""


class MemoryReceiver:
    """Implements `CommandReceiver` on `MemoryCommands`."""

    def __init__(self, commands: MemoryCommands, node: str) -> None:
        self._commands = commands
        self._node = node
        self._closed = False

    def receive(self, timeout_s: float) -> Delivery | None:
        found: Delivery | None = None

        def look() -> bool:
            nonlocal found
            found = None if self._closed else self._take()
            return self._closed or found is not None

        with self._commands.changed:
            self._commands.changed.wait_for(look, timeout_s)
        return found

    def _take(self) -> Delivery | None:
        now = self._commands.clock.monotonic()
        for stream in (self._node, ""):
            for entry in tuple(self._commands.streams.get(stream, ())):
                if entry.taken_at is not None and now - entry.taken_at < self._commands.lease_s:
                    continue
                entry.taken_at, entry.deliveries = now, entry.deliveries + 1
                delivery = judge(
                    text=entry.text,
                    stream=stream,
                    entry=entry.id,
                    begin_by=now + self._commands.lease_s / 2,
                    deliveries=entry.deliveries,
                    hold=self._commands.hold,
                )
                if delivery is not None:
                    return delivery
                self._commands.drop(stream, entry.id)
        return None

    def finish(self, delivery: Delivery, outcome: Outcome) -> None:
        self._commands.settle(delivery, outcome)

    def close(self) -> None:
        with self._commands.changed:
            self._closed = True
            self._commands.changed.notify_all()
