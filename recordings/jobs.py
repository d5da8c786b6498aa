"""What the worker does for the recording store between calls: manifests of the hash chain."""

import logging
from collections.abc import Callable

from hotline.clock import Clock
from hotline.db import Database
from hotline.jobs import Jobs
from hotline.settings import Settings
from recordings.chain_repository import chain_end
from recordings.store import RecordingStore
from recordings.verification import write_manifests

log = logging.getLogger(__name__)

CHAIN_LEASE = "recording-chain"


class RecordingJobs:
    """The jobs with what they work on."""

    def __init__(
        self, *, settings: Settings, database: Database, jobs: Jobs, store: RecordingStore, clock: Clock
    ) -> None:
        self._settings = settings
        self._database = database
        self._jobs = jobs
        self._store = store
        self._clock = clock
        self._next_manifest = 0.0
        self._noted_day = ""

    def functions(self) -> dict[str, Callable[..., None]]:
        """The jobs by the names they are handed in under."""
        return {}

    def sweep(self) -> None:
        """Writes the manifests that are due. The log tells the chain's end once a day, which is one more copy of it."""
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
