"""Where each extension's phones are (RFC 3261 section 10.3). Pure: time is an argument.

Bindings live in a `BindingStore`, in memory unless several media processes share them. Nothing is written to disk:
phones register anew within minutes, and a stale address would ring in the void.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from hotline.errors import InvalidInputError

DEFAULT_EXPIRES_S = 3600
MAX_URI = 512


@dataclass(frozen=True)
class Binding:
    """One phone of an extension. `source`: numeric address and port that it spoke from, the way back through a NAT;
    `path`: the route through an edge (RFC 3327)."""

    extension: str
    contact: str
    call_id: str
    cseq: int
    expires_at: datetime
    source: tuple[str, int]
    path: tuple[str, ...] = ()
    user_agent: str = ""

    def expires_s(self, now: datetime) -> int:
        """Seconds left, as a Contact's `expires` tells them."""
        return max(0, round((self.expires_at - now).total_seconds()))


@dataclass(frozen=True)
class Contact:
    """A Contact of a REGISTER; `expires_s` None: as the Expires header says."""

    uri: str
    expires_s: int | None = None


@dataclass(frozen=True)
class Registration:
    """A REGISTER of an extension that has proved its secret. `everything`: its Contact is `*`."""

    extension: str
    contacts: tuple[Contact, ...]
    call_id: str
    cseq: int
    source: tuple[str, int]
    everything: bool = False
    expires_s: int | None = None
    path: tuple[str, ...] = ()
    user_agent: str = ""


@dataclass(frozen=True)
class Registered:
    """200: all bindings of the extension, those of the request among them."""

    bindings: tuple[Binding, ...]


@dataclass(frozen=True)
class IntervalTooBrief:
    """423 with Min-Expires."""

    min_s: int


@dataclass(frozen=True)
class OutOfOrder:
    """500: an older request came after a newer one (section 10.3 step 7); nothing is changed."""


@dataclass(frozen=True)
class TooMany:
    """403: the request has more contacts than an extension may have."""


Outcome = Registered | IntervalTooBrief | OutOfOrder | TooMany


class BindingStore(Protocol):
    """Where bindings are kept, by extension."""

    def get(self, extension: str) -> tuple[Binding, ...]: ...

    def put(self, extension: str, bindings: tuple[Binding, ...]) -> None:
        """Replaces all of an extension's; none drops it."""
        ...

    def extensions(self) -> tuple[str, ...]:
        """Those that have bindings."""
        ...


class MemoryBindings:
    """The bindings of one media process."""

    def __init__(self) -> None:
        self._bindings: dict[str, tuple[Binding, ...]] = {}

    def get(self, extension: str) -> tuple[Binding, ...]:
        return self._bindings.get(extension, ())

    def put(self, extension: str, bindings: tuple[Binding, ...]) -> None:
        if bindings:
            self._bindings[extension] = bindings
        else:
            self._bindings.pop(extension, None)

    def extensions(self) -> tuple[str, ...]:
        return tuple(self._bindings)


class Registrar:
    """Answers REGISTER. `max_contacts`: phones of one extension, one more takes the place of
    the one unheard of for longest; `min_s`, `max_s`: bounds of a registration.

    `on_change` (extension, reachable) is told when an extension's first phone comes and when its last one is gone.
    """

    def __init__(
        self,
        *,
        store: BindingStore | None = None,
        min_s: int = 60,
        max_s: int = 3600,
        max_contacts: int = 5,
        on_change: Callable[[str, bool], None] = lambda _extension, _reachable: None,
    ) -> None:
        self._store: BindingStore = MemoryBindings() if store is None else store
        self._min_s = min_s
        self._max_s = max_s
        self._max_contacts = max_contacts
        self.on_change = on_change
        self._reachable: set[str] = set()
        self.counters: Counter[str] = Counter()

    def register(self, request: Registration, *, now: datetime) -> Outcome:
        """Adds, refreshes, removes or only tells bindings: all of the request's contacts, or none.

        Raises `InvalidInputError` (400): `*` with anything but `Expires: 0`, or a contact that is too long.
        """
        before = {binding.contact: binding for binding in self.bindings(request.extension, now=now)}
        after = dict(before)
        if request.everything:
            if request.contacts or request.expires_s != 0:
                raise InvalidInputError("Contact * goes with Expires: 0 and nothing else")
            if any(_newer(binding, request) for binding in before.values()):
                return self._refused(OutOfOrder())
            after = {}
        for contact in request.contacts:
            if len(contact.uri) > MAX_URI:
                raise InvalidInputError("a Contact is too long")
            wanted = _first(contact.expires_s, request.expires_s, DEFAULT_EXPIRES_S)
            if 0 < wanted < self._min_s:
                return self._refused(IntervalTooBrief(self._min_s))
            known = after.get(contact.uri)
            if known is not None and _newer(known, request):
                return self._refused(OutOfOrder())
            after.pop(contact.uri, None)
            if wanted > 0:
                after[contact.uri] = Binding(
                    extension=request.extension,
                    contact=contact.uri,
                    call_id=request.call_id,
                    cseq=request.cseq,
                    expires_at=now + timedelta(seconds=min(wanted, self._max_s)),
                    source=request.source,
                    path=request.path,
                    user_agent=request.user_agent[:128],
                )
        if len(request.contacts) > self._max_contacts:
            return self._refused(TooMany())
        while len(after) > self._max_contacts:  # a phone that started anew has another port: its old one goes
            after.pop(next(iter(after)))
            self.counters["evicted"] += 1
        if request.contacts or request.everything:
            self._store.put(request.extension, tuple(after.values()))
            self.counters["registered" if len(after) >= len(before) else "unregistered"] += 1
            self.look(request.extension, now=now)
        return Registered(tuple(after.values()))

    def bindings(self, extension: str, *, now: datetime) -> tuple[Binding, ...]:
        """The extension's phones that are reachable now, the latest last."""
        return tuple(binding for binding in self._store.get(extension) if binding.expires_at > now)

    def sources(self, *, now: datetime) -> frozenset[tuple[str, int]]:
        """Addresses that a registered phone spoke from."""
        return frozenset(
            binding.source for each in self._store.extensions() for binding in self.bindings(each, now=now)
        )

    def expire(self, *, now: datetime) -> None:
        """Drops what is over; from time to time, so that nothing piles up."""
        for extension in {*self._store.extensions(), *self._reachable}:
            kept, all_ = self.bindings(extension, now=now), self._store.get(extension)
            if len(kept) < len(all_):
                self._store.put(extension, kept)
                self.counters["expired"] += len(all_) - len(kept)
            self.look(extension, now=now)

    def forget(self, extension: str, *, now: datetime) -> None:
        """An extension was removed: its phones ring no more."""
        self._store.put(extension, ())
        self.look(extension, now=now)

    def look(self, extension: str, *, now: datetime) -> None:
        """Tells of an extension that became reachable or unreachable."""
        reachable = bool(self.bindings(extension, now=now))
        if reachable != (extension in self._reachable):
            (self._reachable.add if reachable else self._reachable.discard)(extension)
            self.on_change(extension, reachable)

    def _refused(self, outcome: Outcome) -> Outcome:
        self.counters[f"refused_{type(outcome).__name__}"] += 1
        return outcome


def _newer(binding: Binding, request: Registration) -> bool:
    """Whether `binding` was made by a later request than `request` of the same phone."""
    return binding.call_id == request.call_id and binding.cseq >= request.cseq


def _first(*values: int | None) -> int:
    return next(value for value in values if value is not None)
