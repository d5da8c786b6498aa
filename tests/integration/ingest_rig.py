"""What a finished call leaves in the spool, and a worker in a temporary directory that takes it out."""

import os
import wave
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from recognizer_rig import free_port
from sqlalchemy import select

from asr.models import Segment, Transcript
from hotline.bus import MemoryBus
from hotline.clock import ManualClock
from hotline.db import Database
from hotline.jobs import MemoryJobs
from hotline.settings import Settings
from hotline.settings_sections import AsrSettings
from ivr.journal import JournalWriter
from ivr.media.types import DirectionQuality, StreamQuality
from recordings.models import Call, CallQuality, Recording
from recordings.store import RecordingStore
from tickets.jobs import TicketJobs
from tickets.models import Evidence, Ticket, TicketEvent, TicketNumber

CALL_ID = "0123456789abcdef0123456789abcdef"
JOURNAL = f"n1/{CALL_ID}.jsonl"
LIGHT = "我 姓 王 妫水北街 的 路灯 坏 了 三天 都 没有 人 修"
MODEL_NOTE = {"model": "m", "engine": "vosk", "demo": True}


@dataclass
class Site:
    """A worker's surroundings in a temporary directory."""

    settings: Settings
    database: Database
    clock: ManualClock
    bus: MemoryBus
    queue: MemoryJobs
    store: RecordingStore

    def worker(self) -> TicketJobs:
        return TicketJobs(
            settings=self.settings,
            database=self.database,
            jobs=self.queue,
            bus=self.bus,
            store=self.store,
            clock=self.clock,
        )

    def ingest(self, path: str = JOURNAL) -> None:
        self.worker().ingest_call(path)

    def ticket(self) -> Ticket | None:
        with self.database.reading() as session:
            ticket = session.scalars(select(Ticket)).one_or_none()
            if ticket is not None:
                _ = ticket.events, ticket.evidence  # loaded while the session is open
            return ticket

    def count(self, model: type) -> int:
        with self.database.reading() as session:
            return len(session.scalars(select(model)).all())

    def spooled(self) -> list[str]:
        return sorted(path.name for path in self.settings.spool_dir.rglob("*") if path.is_file())

    def event_names(self) -> list[str]:
        return [event.name for event in self.bus.published]


def make_site(database: Database, settings: Settings, folder: Path) -> Site:
    """A worker's surroundings; nothing answers at the recognizer's address."""
    unreachable = AsrSettings(url=f"ws://127.0.0.1:{free_port()}")
    return Site(
        settings=settings.model_copy(update={"asr": unreachable}),
        database=database,
        clock=ManualClock(),
        bus=MemoryBus(),
        queue=MemoryJobs(),
        store=RecordingStore(str(folder / "store")),
    )


def words(text: str, *, start_ms: int = 1000) -> list[list[Any]]:
    out: list[list[Any]] = []
    for word in text.split():
        out.append([word, start_ms, start_ms + 200 * len(word), 0.9])
        start_ms += 200 * len(word)
    return out


def leave_call(
    site: Site,
    *,
    said: tuple[str, ...] = (LIGHT,),
    caller: str = "13910001234",
    complete: bool = True,
    reason: str = "completed",
    demand: bool = True,
    closed: bool = True,
    audio: bytes | None = b"",
    call_id: str = CALL_ID,
    opened: Mapping[str, Any] = MappingProxyType({}),
    happened: tuple[tuple[str, dict[str, Any]], ...] = (),
) -> Path:
    """Writes what the media process leaves behind: a journal and, unless `audio` is None, a stereo WAV.

    `opened`: further fields of the first entry; `happened`: further entries.
    """
    now = site.clock.now()
    writer = JournalWriter(site.settings.spool_dir / "n1" / f"{call_id}.jsonl")
    writer.append("opened", now, call_id=call_id, node="n1", caller=caller, called="12345", codec="PCMA", **opened)
    writer.append("answered", now, answer_ms=3.0)
    writer.append("prompt", now, start_ms=0, end_ms=900, text="您好")
    for position, text in enumerate(said):
        spoken = words(text, start_ms=1000 + 8000 * position)
        writer.append("segment", now, speaker="caller", start_ms=spoken[0][1], end_ms=spoken[-1][2], words=spoken)
    for kind, data in happened:
        writer.append(kind, now, **data)
    if demand:
        writer.append("demand", now, start_ms=1000, end_ms=9000)
    quality = StreamQuality(received=DirectionQuality(packets=500, mos=4.4))
    writer.append("quality", now, party="caller", **asdict(quality))
    writer.append("ended", now, reason=reason, duration_ms=10_000)
    writer.append("captions", now, complete=complete, **MODEL_NOTE)
    if closed:
        writer.append("closed", now)
    writer.close()
    os.utime(writer.path, (now.timestamp(), now.timestamp()))
    if audio is not None:
        left = np.frombuffer(audio or bytes(16_000), dtype="<i2")
        with wave.open(str(writer.path.with_suffix(".wav")), "wb") as wav:
            wav.setnchannels(2)
            wav.setsampwidth(2)
            wav.setframerate(8000)
            wav.writeframes(np.stack([left, np.zeros_like(left)], axis=1).tobytes())
    return writer.path


def snapshot(site: Site) -> dict[str, list[dict[str, Any]]]:
    """All rows without what is random (ids, lookup codes), to compare two ways to the same end."""
    loose = {"id", "lookup_code", "ticket_id", "transcript_id", "segment_id"}
    models = (Call, CallQuality, Recording, Transcript, Segment, TicketNumber, Ticket, TicketEvent, Evidence)
    with site.database.reading() as session:
        return {
            model.__tablename__: [
                {
                    column.name: getattr(row, column.name)
                    for column in model.__table__.columns
                    if column.name not in loose or model is Call
                }
                for row in session.scalars(select(model)).all()
            ]
            for model in models
        }
