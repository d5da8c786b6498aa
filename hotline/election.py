"""Which process of a site does what only one may do: a lease in Valkey, and an in-memory adapter.

Each new holder begins a new term, numbered upwards for ever, so a late word of a former one is known as such. A holder
must regard its lease as over `lease_s` after it asked, by its own clock: the broker's begins later.
"""

import threading
from dataclasses import dataclass
from typing import Protocol

import redis

from hotline.clock import Clock
from hotline.errors import UnavailableError

PREFIX = "hotline:election:"

# KEYS: the lease, its last term; ARGV: the candidate, lease in ms. Returns holder and term after the question.
_ASK = """
local held = redis.call('HMGET', KEYS[1], 'holder', 'term')
if not held[1] then
  held = {ARGV[1], redis.call('INCR', KEYS[2])}
  redis.call('HSET', KEYS[1], 'holder', held[1], 'term', held[2])
end
if held[1] == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return held
"""
_RESIGN = "if redis.call('HGET', KEYS[1], 'holder') == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


@dataclass(frozen=True)
class Leadership:
    """Who leads, and in which term."""

    holder: str
    term: int


class Election(Protocol):
    """Raises `UnavailableError` while the broker is away."""

    def ask(self, candidate: str) -> Leadership:
        """Who leads now: the candidate where nobody did. A holder that asks has its lease renewed."""
        ...

    def resign(self, candidate: str) -> None:
        """Gives the lease back, if the candidate holds it."""
        ...


class ValkeyElection:
    """The election called `name` of a site."""

    def __init__(self, url: str, name: str, *, lease_s: float) -> None:
        self._client = redis.Redis.from_url(url, socket_connect_timeout=1, socket_timeout=1)
        self._keys = [PREFIX + name, f"{PREFIX}{name}:term"]
        self._lease_ms = round(1000 * lease_s)
        self._ask = self._client.register_script(_ASK)
        self._resign = self._client.register_script(_RESIGN)

    def ask(self, candidate: str) -> Leadership:
        try:
            holder, term = self._ask(keys=self._keys, args=[candidate, self._lease_ms])
        except redis.RedisError as error:
            raise UnavailableError(f"broker: {error}") from error
        return Leadership(holder.decode(), int(term))

    def resign(self, candidate: str) -> None:
        try:
            self._resign(keys=self._keys[:1], args=[candidate])
        except redis.RedisError as error:
            raise UnavailableError(f"broker: {error}") from error

    def close(self) -> None:
        """Frees the connections."""
        self._client.close()


class MemoryElection:
    """The in-memory adapter, for candidates of one process. `away`: as if the broker did not answer."""

    def __init__(self, clock: Clock, *, lease_s: float) -> None:
        self.away = False
        self._clock = clock
        self._lease_s = lease_s
        self._leader = Leadership("", 0)
        self._until = 0.0
        self._lock = threading.Lock()

    def ask(self, candidate: str) -> Leadership:
        if self.away:
            raise UnavailableError("broker: away")
        with self._lock:
            now = self._clock.monotonic()
            if not self._leader.holder or now >= self._until:
                self._leader = Leadership(candidate, self._leader.term + 1)
            if self._leader.holder == candidate:
                self._until = now + self._lease_s
            return self._leader

    def resign(self, candidate: str) -> None:
        if self._leader.holder == candidate:
            self._leader = Leadership("", self._leader.term)
