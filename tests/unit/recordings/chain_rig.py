"""A store with the recordings of a few calls, chained, and ways to tamper with it."""

import wave
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import text

from hotline.clock import ManualClock
from hotline.db import Database
from ivr.journal import Journal, JournalWriter
from recordings.service import archive, ingest_recording, store_call
from recordings.store import RecordingStore
from recordings.verification import Report, Verification, write_manifests

START = datetime(2026, 1, 5, 1, 30, tzinfo=UTC)
RATE = 8000


@dataclass
class Archive:
    """A database and a store, and what is between them."""

    database: Database
    store: RecordingStore
    folder: Path
    clock: ManualClock

    def add_call(self, call_id: str, *, seconds: float = 0.5, tracks: tuple[str, ...] = ()) -> None:
        """A finished call, ingested and taken out of the spool; a day passes for none of it."""
        at = self.clock.now()
        writer = JournalWriter(self.folder / "spool" / f"{call_id}.jsonl")
        writer.append("opened", at, call_id=call_id, node="n1", caller="13800138000", called="12345", codec="PCMA")
        writer.append("ended", at + timedelta(seconds=seconds), reason="completed", duration_ms=round(seconds * 1000))
        writer.append("closed", at)
        writer.close()
        write_speech(writer.path.with_suffix(".wav"), seconds=seconds, seed=len(call_id) + sum(call_id.encode()))
        for track in tracks:
            write_speech(writer.path.with_suffix(f".{track}.wav"), seconds=seconds, seed=1, channels=1)
        journal = Journal.read(writer.path)
        stored = store_call(journal, store=self.store)
        with self.database.transaction() as session:
            ingest_recording(session, journal=journal, stored=stored, now=at)
        archive(journal)

    def verify(self, **options: Any) -> Report:
        """Two hours later, so that nothing counts as just put."""
        clock = ManualClock(datetime.now(UTC) + timedelta(hours=2))
        return Verification(self.database, self.store, clock=clock).run(**options)

    def problems(self, **options: Any) -> set[tuple[str, str]]:
        return {(finding.kind, finding.subject) for finding in self.verify(**options).findings}

    def list_links(self) -> None:
        write_manifests(self.database, self.store)

    def path(self, name: str) -> Path:
        return self.folder / "store" / name

    def edit(self, name: str, change: Callable[[bytes], bytes]) -> None:
        self.path(name).write_bytes(change(self.path(name).read_bytes()))

    def execute(self, statement: str, **values: Any) -> None:
        with self.database.transaction() as session:
            session.execute(text(statement), values)


def make_archive(database: Database, folder: Path) -> Archive:
    return Archive(database, RecordingStore(str(folder / "store")), folder, ManualClock(START))


def write_speech(path: Path, *, seconds: float, seed: int, channels: int = 2, rate: int = RATE) -> Path:
    """Noise of a slowly changing loudness, which no codec makes nothing of."""
    count = round(seconds * rate)
    noise = np.random.default_rng(seed).normal(0, 1500, (count, channels))
    loudness = 1 + np.sin(np.arange(count) / rate * 5)[:, np.newaxis]
    with wave.open(str(path), "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes((noise * loudness).astype("<i2").tobytes())
    return path
