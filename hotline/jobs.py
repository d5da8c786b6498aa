"""Background jobs: Dramatiq on Valkey, and an in-memory adapter.

A job is acknowledged after its work, so the job of a killed worker runs again: every job is idempotent and keyed by
a call or ticket id. Producers name a job and need not import it; the worker registers the functions. What a caller
waits for has a queue and threads of its own, so that no long job holds it up.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AgeLimit, Retries, ShutdownNotifications

from hotline.errors import UnavailableError

log = logging.getLogger(__name__)

QUEUE = "hotline"
URGENT_QUEUE = "hotline.urgent"
LOW_QUEUE = "hotline.low"
OUTBOX_QUEUE = "hotline.outbox"
LOW = frozenset({"second_pass", "compress", "find_topics"})  # long jobs that nobody waits for
URGENT = frozenset({"assign_number", "look_up"})  # the jobs that a caller on the line waits for
OUTBOX = frozenset({"send_notices", "send_webhooks"})  # jobs that wait for systems outside
HEARTBEAT_TIMEOUT_MS = 10_000  # a killed worker's jobs are taken over after so long
POLL_MS = 100
LEASE_S = HEARTBEAT_TIMEOUT_MS / 1000  # a killed worker's leases have ended when its jobs are taken over
LEASE_PREFIX = "hotline:lease:"
JobFunction = Callable[..., None]


class Jobs(Protocol):
    """Where jobs are handed in, and where running ones keep others off what they work on."""

    def enqueue(self, name: str, **arguments: Any) -> None: ...

    def lease(self, key: str) -> AbstractContextManager[None]:
        """Holds `key` while the block runs; raises `UnavailableError` where another job holds it."""

    def leased(self, key: str) -> bool:
        """Whether a running job holds `key`."""


class ValkeyJobs:
    """The job queue of a site."""

    def __init__(self, url: str, *, max_retries: int = 20) -> None:
        self._client = redis.Redis.from_url(url, socket_connect_timeout=2, socket_timeout=10)
        self.broker = RedisBroker(  # type: ignore[no-untyped-call]
            client=self._client,
            heartbeat_timeout=HEARTBEAT_TIMEOUT_MS,
            maintenance_chance=100_000,  # per million: one poll in ten looks for dead workers' jobs
            middleware=[
                AgeLimit(),
                ShutdownNotifications(),
                Retries(max_retries=max_retries, min_backoff=1_000, max_backoff=60_000),
            ],
        )
        for queue in (QUEUE, URGENT_QUEUE, LOW_QUEUE, OUTBOX_QUEUE):
            self.broker.declare_queue(queue)

    def enqueue(self, name: str, **arguments: Any) -> None:
        """Hands in a job; raises `UnavailableError` while the broker is away."""
        message: dramatiq.Message[None] = dramatiq.Message(
            queue_name=_queue_of(name), actor_name=name, args=(), kwargs=arguments, options={}
        )
        with _broker_errors():
            self.broker.enqueue(message)

    @contextlib.contextmanager
    def lease(self, key: str) -> Iterator[None]:
        """Holds `key` while the block runs; raises `UnavailableError` where another job holds it.

        It is renewed until then, and ends by itself `LEASE_S` after its holder was killed.
        """
        lock = self._client.lock(LEASE_PREFIX + key, timeout=LEASE_S, thread_local=False)
        with _broker_errors():
            if not lock.acquire(blocking=False):
                raise UnavailableError(f"another job works on {key}")
        ended = threading.Event()

        def renew() -> None:
            while not ended.wait(LEASE_S / 4):
                with contextlib.suppress(redis.RedisError):  # the next one may do
                    lock.reacquire()

        renewing = threading.Thread(target=renew, name=f"lease-{key}", daemon=True)
        renewing.start()
        try:
            yield
        finally:
            ended.set()
            renewing.join()
            with contextlib.suppress(redis.RedisError):  # it ends by itself
                lock.release()

    def leased(self, key: str) -> bool:
        """Whether a running job holds `key`."""
        with _broker_errors():
            return bool(self._client.exists(LEASE_PREFIX + key))

    def run(
        self,
        functions: Mapping[str, JobFunction],
        *,
        threads: int,
        urgent_threads: int = 1,
        low_threads: int = 1,
        outbox_threads: int = 2,
    ) -> "Workers":
        """Starts worker threads for `functions` (name -> function of keyword arguments); stop them with `.stop()`."""
        for name, function in functions.items():
            dramatiq.Actor(
                function, broker=self.broker, actor_name=name, queue_name=_queue_of(name), priority=0, options={}
            )
        counts = {
            QUEUE: threads,
            URGENT_QUEUE: urgent_threads,
            LOW_QUEUE: low_threads,
            OUTBOX_QUEUE: outbox_threads,
        }
        return Workers(self.broker, counts)


class Workers:
    """Running worker threads: so many for each queue."""

    def __init__(self, broker: dramatiq.Broker, threads: Mapping[str, int]) -> None:
        self._workers = [
            dramatiq.Worker(broker, queues={queue}, worker_threads=count, worker_timeout=POLL_MS)
            for queue, count in threads.items()
        ]
        for worker in self._workers:
            worker.start()

    def stop(self, *, timeout_ms: int = 10_000) -> None:
        """Waits so long for the running jobs; what is not done by then runs again elsewhere."""
        stopping = [threading.Thread(target=worker.stop, args=(timeout_ms,)) for worker in self._workers]
        for thread in stopping:
            thread.start()
        for thread in stopping:
            thread.join()


def _queue_of(name: str) -> str:
    queues = ((URGENT, URGENT_QUEUE), (LOW, LOW_QUEUE), (OUTBOX, OUTBOX_QUEUE))
    return next((queue for names, queue in queues if name in names), QUEUE)


@contextlib.contextmanager
def _broker_errors() -> Iterator[None]:
    try:
        yield
    except (redis.RedisError, dramatiq.BrokerConnectionError) as error:
        raise UnavailableError(f"broker: {error}") from error


class MemoryJobs:
    """The in-memory adapter: jobs wait until `run_all`."""

    def __init__(self) -> None:
        self.waiting: list[tuple[str, dict[str, Any]]] = []
        self._leases: set[str] = set()
        self._lock = threading.Lock()

    def enqueue(self, name: str, **arguments: Any) -> None:
        self.waiting.append((name, arguments))

    @contextlib.contextmanager
    def lease(self, key: str) -> Iterator[None]:
        with self._lock:
            if key in self._leases:
                raise UnavailableError(f"another job works on {key}")
            self._leases.add(key)
        try:
            yield
        finally:
            self._leases.discard(key)

    def leased(self, key: str) -> bool:
        return key in self._leases

    def run_all(self, functions: Mapping[str, JobFunction]) -> None:
        """Runs every waiting job, also those that jobs hand in."""
        while self.waiting:
            name, arguments = self.waiting.pop(0)
            functions[name](**arguments)
