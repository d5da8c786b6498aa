"""Background jobs: Dramatiq on Valkey, and an in-memory adapter.

A job is acknowledged after its work, so the job of a killed worker runs again: every job is idempotent and keyed by
a call or ticket id. Producers name a job and need not import it; the worker registers the functions.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AgeLimit, Retries, ShutdownNotifications

from hotline.errors import UnavailableError

log = logging.getLogger(__name__)

QUEUE = "hotline"
HEARTBEAT_TIMEOUT_MS = 10_000  # a killed worker's jobs are taken over after so long
POLL_MS = 100
JobFunction = Callable[..., None]


class Jobs(Protocol):
    """Where jobs are handed in."""

    def enqueue(self, name: str, **arguments: Any) -> None: ...


class ValkeyJobs:
    """The job queue of a site."""

    def __init__(self, url: str, *, max_retries: int = 20) -> None:
        client = redis.Redis.from_url(url, socket_connect_timeout=2, socket_timeout=10)
        self.broker = RedisBroker(  # type: ignore[no-untyped-call]
            client=client,
            heartbeat_timeout=HEARTBEAT_TIMEOUT_MS,
            maintenance_chance=100_000,  # per million: one poll in ten looks for dead workers' jobs
            middleware=[
                AgeLimit(),
                ShutdownNotifications(),
                Retries(max_retries=max_retries, min_backoff=1_000, max_backoff=60_000),
            ],
        )
        self.broker.declare_queue(QUEUE)

    def enqueue(self, name: str, **arguments: Any) -> None:
        """Hands in a job; raises `UnavailableError` while the broker is away."""
        message: dramatiq.Message[None] = dramatiq.Message(
            queue_name=QUEUE, actor_name=name, args=(), kwargs=arguments, options={}
        )
        try:
            self.broker.enqueue(message)
        except (redis.RedisError, dramatiq.BrokerConnectionError) as error:
            raise UnavailableError(f"broker: {error}") from error

    def run(self, functions: Mapping[str, JobFunction], *, threads: int) -> dramatiq.Worker:
        """Starts worker threads for `functions` (name -> function of keyword arguments); stop it with `.stop()`."""
        for name, function in functions.items():
            dramatiq.Actor(function, broker=self.broker, actor_name=name, queue_name=QUEUE, priority=0, options={})
        worker = dramatiq.Worker(self.broker, worker_threads=threads, worker_timeout=POLL_MS)
        worker.start()
        return worker


class MemoryJobs:
    """The in-memory adapter: jobs wait until `run_all`."""

    def __init__(self) -> None:
        self.waiting: list[tuple[str, dict[str, Any]]] = []

    def enqueue(self, name: str, **arguments: Any) -> None:
        self.waiting.append((name, arguments))

    def run_all(self, functions: Mapping[str, JobFunction]) -> None:
        """Runs every waiting job, also those that jobs hand in."""
        while self.waiting:
            name, arguments = self.waiting.pop(0)
            functions[name](**arguments)
