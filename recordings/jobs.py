"""What the worker does for the recording store between calls: manifests of the hash chain, and compression."""

import logging
from collections.abc import Callable

from hotline.clock import Clock
from hotline.db import Database
from hotline.jobs import Jobs
from hotline.settings import Settings
from recordings.chain_repository import chain_end
from recordings.compression import Compression
from recordings.loose_files import settle
from recordings.store import RecordingStore
from recordings.verification import write_manifests

log = logging.getLogger(__name__)

CHAIN_LEASE = "recording-chain"
COMPRESS, COMPRESS_LEASE = "compress", "recording-compression"
COMPRESS_EVERY_S = 86_400.0


class RecordingJobs:
    """The jobs with what they work on. Raises `ConfigurationError` where the site compresses and ffmpeg cannot."""

    def __init__(
        self, *, settings: Settings, database: Database, jobs: Jobs, store: RecordingStore, clock: Clock
    ) -> None:
        self._settings = settings
        self._database = database
        self._jobs = jobs
        self._store = store
        self._clock = clock
        self._compression = (
            Compression(settings=settings, database=database, store=store, clock=clock)
            if settings.recordings.compress_after_days
            else None
        )
        self._next_manifest = 0.0
        self._next_compression = 0.0
        self._noted_day = ""

    def functions(self) -> dict[str, Callable[..., None]]:
        """The jobs by the names they are handed in under."""
        return {COMPRESS: self.compress}

    def compress(self, after: int = 0) -> None:
        """Compresses the next recordings behind the id `after` that are due, and hands in the rest as a job of its own.

        Raises `UnavailableError`, to be tried again, while store or database are away, or another job compresses.
        """
        if self._compression is None:
            settle(self._database, self._store)
            return
        with self._jobs.lease(COMPRESS_LEASE):
            done = self._compression.run(limit=self._settings.recordings.compress_batch, after=after)
        if done.files:
            log.info("compressed %d recordings: %d bytes, now %d", done.files, done.bytes_before, done.bytes_after)
        for path, reason in done.failed:
            log.error("recording %s is not compressed: %s", path, reason)
        if done.more:
            self._jobs.enqueue(COMPRESS, after=done.last_id)

    def sweep(self) -> None:
        """Hands in what is due of each day, at the start too: what was missed is made good."""
        self._write_manifests()
        if self._clock.monotonic() >= self._next_compression and not self._jobs.leased(COMPRESS_LEASE):
            self._jobs.enqueue(COMPRESS)
            self._next_compression = self._clock.monotonic() + COMPRESS_EVERY_S

    def _write_manifests(self) -> None:
        """Those that are due. The log tells the chain's end once a day, which is one more copy of it."""
        if self._clock.monotonic() < self._next_manifest:
            return
        if self._jobs.leased(CHAIN_LEASE):  # another worker writes them
            return
        with self._jobs.lease(CHAIN_LEASE):
            write_manifests(self._database, self._store)
        self._next_manifest = self._clock.monotonic() + self._settings.recordings.manifest_s
        with self._database.reading() as session:
            head, _ = chain_end(session)
        if head.day > self._noted_day:
            self._noted_day = head.day
            log.info("the chain of recordings has %d links and ends with %s", head.position, head.digest)
