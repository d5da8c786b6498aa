"""Registered phones that several media processes know of: each keeps all in memory, and tells the others of its own.

A call may reach any media process, while a phone signs in at one. What a process learns it writes to the bus: as a
state that goes when the registration is over, for those that start later, and as an event. Nothing here waits for the
broker; what was missed while it was away is read again.
"""

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from hotline.bus import BackgroundPublisher, Bus, Event
from hotline.errors import UnavailableError
from ivr.access.registrar import Binding

log = logging.getLogger(__name__)

KIND = "binding"
CHANGED = "binding.changed"
READ_AGAIN_S = 30.0
Key = tuple[str, str]  # extension, contact


class SharedBindings:
    """A `BindingStore` of which every media process has a copy. Only on the SIP thread.

    `on_change` is told of the extensions whose phones another process changed.
    """

    def __init__(
        self,
        publisher: BackgroundPublisher,
        *,
        node: str,
        now: Callable[[], datetime],
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._publisher = publisher
        self._node = node
        self._now = now
        self._elapsed = elapsed
        self._bindings: dict[str, dict[str, Binding]] = {}
        self._heard: dict[Key, float] = {}  # when another process told of it; what is missing here is our own
        self._missed: set[Key] = set()  # our own that the broker did not know when it was read last
        self.on_change: Callable[[str], None] = lambda _extension: None

    def get(self, extension: str) -> tuple[Binding, ...]:
        return tuple(self._bindings.get(extension, {}).values())

    def put(self, extension: str, bindings: tuple[Binding, ...]) -> None:
        before = self._bindings.get(extension, {})
        after = {binding.contact: binding for binding in bindings}
        self._set(extension, after)
        for contact, binding in after.items():
            if before.get(contact) != binding:
                self._heard.pop((extension, contact), None)
                self._put_state(binding)
                self._publish(extension, contact, binding)
        for contact in before.keys() - after.keys():
            self._heard.pop((extension, contact), None)
            if before[contact].expires_at > self._now():  # what is over goes by itself, here as everywhere
                self._publisher.drop_state(KIND, _state_key(extension, contact))
                self._publish(extension, contact, None)

    def extensions(self) -> tuple[str, ...]:
        return tuple(self._bindings)

    def on_event(self, event: Event) -> None:
        """Another process changed a binding."""
        if event.data.get("node") == self._node:
            return
        try:
            extension, contact = str(event.data["extension"]), str(event.data["contact"])
            binding = None if event.data["binding"] is None else from_data(event.data["binding"])
        except (KeyError, TypeError, ValueError):
            log.warning("an event about a phone that cannot be read")
            return
        self._learn(extension, contact, binding, self._elapsed())

    def load(self, states: Mapping[str, Mapping[str, Any]], *, asked_at: float) -> None:
        """What the broker knows, as it was asked at `asked_at`: what others told before and is missing is gone, what is
        our own and missing twice is told again: the broker has forgotten it, and nobody is just taking it back."""
        known: dict[Key, Binding] = {}
        for state in states.values():
            try:
                binding = from_data(state)
            except (KeyError, TypeError, ValueError):
                log.warning("a state of a phone that cannot be read")
                continue
            known[binding.extension, binding.contact] = binding
        for key, heard_at in list(self._heard.items()):
            if key not in known and heard_at < asked_at:
                self._learn(*key, None, asked_at)
        for key, binding in known.items():
            mine = self._bindings.get(key[0], {}).get(key[1])
            if mine is None or (key in self._heard and self._heard[key] < asked_at and mine != binding):
                self._learn(*key, binding, asked_at)
        now = self._now()
        own = {
            (name, contact): each
            for name, held in self._bindings.items()
            for contact, each in held.items()
            if each.expires_at > now
        }
        missed = own.keys() - self._heard.keys() - known.keys()
        for key in missed & self._missed:
            self._put_state(own[key])
        self._missed = missed

    def _put_state(self, binding: Binding) -> None:
        seconds = max(1, binding.expires_s(self._now()))
        key = _state_key(binding.extension, binding.contact)
        self._publisher.put_state(KIND, key, to_data(binding), ttl_s=seconds)

    def _learn(self, extension: str, contact: str, binding: Binding | None, heard_at: float) -> None:
        after = {key: each for key, each in self._bindings.get(extension, {}).items() if key != contact}
        self._heard.pop((extension, contact), None)
        if binding is not None and binding.expires_at > self._now():
            after[contact] = binding
            self._heard[extension, contact] = heard_at
        self._set(extension, after)
        self.on_change(extension)

    def _set(self, extension: str, bindings: dict[str, Binding]) -> None:
        if bindings:
            self._bindings[extension] = bindings
        else:
            self._bindings.pop(extension, None)

    def _publish(self, extension: str, contact: str, binding: Binding | None) -> None:
        data = {"node": self._node, "extension": extension, "contact": contact}
        given = None if binding is None else to_data(binding)
        self._publisher.publish(Event(name=CHANGED, at=self._now(), data={**data, "binding": given}))


class BindingFeed:
    """A thread that brings what other processes tell to the SIP thread: `post` runs a function there."""

    def __init__(self, bus: Bus, bindings: SharedBindings, *, post: Callable[[Callable[[], None]], None]) -> None:
        self._bus = bus
        self._bindings = bindings
        self._post = post
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bindings", daemon=True)

    def start(self) -> None:
        """Begins to read."""
        self._thread.start()

    def close(self) -> None:
        """Stops reading."""
        self._closed.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        subscription = self._bus.subscribe(KIND)
        read_at = -READ_AGAIN_S
        while not self._closed.is_set():
            event = subscription.get(0.5)
            if event is not None:
                self._post(lambda event=event: self._bindings.on_event(event))  # type: ignore[misc]
            if time.monotonic() - read_at >= READ_AGAIN_S and self._read():
                read_at = time.monotonic()
        subscription.close()

    def _read(self) -> bool:
        asked_at = time.monotonic()
        try:
            states = self._bus.states(KIND)
        except UnavailableError:
            return False
        self._post(lambda: self._bindings.load(states, asked_at=asked_at))
        return True


def to_data(binding: Binding) -> dict[str, Any]:
    """A binding as JSON values."""
    return {
        "extension": binding.extension,
        "contact": binding.contact,
        "call_id": binding.call_id,
        "cseq": binding.cseq,
        "expires_at": binding.expires_at.isoformat(),
        "source": list(binding.source),
        "path": list(binding.path),
        "user_agent": binding.user_agent,
    }


def from_data(data: Mapping[str, Any]) -> Binding:
    """The inverse of `to_data`; raises `KeyError`, `TypeError` or `ValueError`."""
    host, port = data["source"]
    expires_at = datetime.fromisoformat(data["expires_at"])
    if expires_at.tzinfo is None:
        raise ValueError("a time without a zone")
    return Binding(
        extension=str(data["extension"]),
        contact=str(data["contact"]),
        call_id=str(data["call_id"]),
        cseq=int(data["cseq"]),
        expires_at=expires_at,
        source=(str(host), int(port)),
        path=tuple(map(str, data["path"])),
        user_agent=str(data["user_agent"]),
    )


def _state_key(extension: str, contact: str) -> str:
    return f"{extension}:{hashlib.sha256(contact.encode()).hexdigest()[:16]}"
