"""Turns what a finished call left in the spool into its rows and stored files, exactly once."""

import logging
import wave
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from hotline.errors import InvalidInputError
from ivr.journal import AUDIO_SUFFIX, JOURNAL_SUFFIX, Journal, JournalEntry
from recordings import repository
from recordings.chain import StoredFile
from recordings.chain_repository import Addition, append_links
from recordings.models import FLOW, INBOUND, Call, Recording
from recordings.peaks import peaks_of, serialize_peaks
from recordings.quality import quality_of
from recordings.recovery import MEDIA_CRASHED
from recordings.spare import remove_recording
from recordings.store import RecordingStore
from recordings.wav import repair_wav

log = logging.getLogger(__name__)

PEAKS_SUFFIX = ".peaks.json"
DAMAGED_SUFFIX = ".damaged"
_COLUMNS = {
    "opened",
    "answered",
    "ended",
    "segment",
    "number",
    "captions",
    "closed",
    "demand_begun",
    "quality",
}  # kinds that need no copy


@dataclass(frozen=True, kw_only=True)
class StoredAudio:
    """A call's WAV as it lies in the store."""

    file: StoredFile
    size_bytes: int
    channels: int
    sample_rate: int
    duration_ms: int
    repaired: bool


@dataclass(frozen=True)
class StoredCall:
    """What `store_call` put into the store: every file, and of the WAV more."""

    audio: StoredAudio | None
    files: tuple[StoredFile, ...]


def stored_name(journal: Journal, suffix: str) -> str:
    """The name of a call's file in the store: a folder a day (UTC) of the call's first journal entry."""
    return f"{started_at(journal):%Y/%m/%d}/{journal.call_id}{suffix}"


def store_call(journal: Journal, *, store: RecordingStore, known: frozenset[str] = frozenset()) -> StoredCall:
    """Copies a finished call's WAV, its peaks, tracks and journal into the store. Touches no database.

    `known`: names that the chain has already, which are left alone. Without a WAV in the spool, or with one that cannot
    be read, there is no audio; the latter is kept as `.wav.damaged`.
    """
    files: list[StoredFile] = []
    audio = _store_audio(journal, store=store, known=known, files=files)
    for track in journal.track_paths():
        name = stored_name(journal, track.name.removeprefix(journal.call_id))
        if name not in known:
            files.append(store.put(track, name))
    name = stored_name(journal, JOURNAL_SUFFIX)
    if name not in known:
        files.append(store.put(journal.path, name))
    return StoredCall(audio, tuple(files))


def _store_audio(
    journal: Journal, *, store: RecordingStore, known: frozenset[str], files: list[StoredFile]
) -> StoredAudio | None:
    path = journal.audio_path
    name = stored_name(journal, AUDIO_SUFFIX)
    if not path.exists() or {name, name + DAMAGED_SUFFIX} & known:
        return None
    try:
        repaired = repair_wav(path)
        samples, sample_rate = _read_wav(path)
    except (InvalidInputError, wave.Error, EOFError) as error:
        log.error("call %s: recording cannot be read: %s", journal.call_id, error)
        files.append(store.put(path, name + DAMAGED_SUFFIX))
        return None
    file = store.put(path, name)
    files.append(file)
    files.append(store.put_bytes(serialize_peaks(peaks_of(samples, sample_rate=sample_rate)), peaks_name(name)))
    return StoredAudio(
        file=file,
        size_bytes=path.stat().st_size,
        channels=samples.shape[1],
        sample_rate=sample_rate,
        duration_ms=round(len(samples) * 1000 / sample_rate),
        repaired=repaired or _data(journal, "ended").get("reason") == MEDIA_CRASHED,
    )


def peaks_name(audio_name: str) -> str:
    """The name of the peaks that belong to a stored recording, whatever its format."""
    return str(PurePosixPath(audio_name).with_suffix(PEAKS_SUFFIX))


def ingest_recording(session: Session, *, journal: Journal, stored: StoredCall, now: datetime) -> Call:
    """The call's rows, made from the journal where they are missing, and the links of what was stored."""
    call = repository.find_call(session, journal.call_id)
    if call is None:
        call = _call_from_journal(journal, now=now)
        session.add(call)
        session.flush()
    audio = stored.audio
    if audio is not None and repository.find_recording(session, call.id) is None:
        session.add(
            Recording(
                call_id=call.id,
                path=audio.file.name,
                sha256=audio.file.content_sha256,
                size_bytes=audio.size_bytes,
                channels=audio.channels,
                sample_rate=audio.sample_rate,
                duration_ms=audio.duration_ms,
                repaired=audio.repaired,
                stored_at=now,
            )
        )
        session.flush()
    if stored.files:
        append_links(session, [Addition(file) for file in stored.files], call_id=call.id, now=now)
    return call


def archive(journal: Journal) -> None:
    """Takes a call out of the spool once its rows are committed; the journal last: while it is there, all repeats."""
    for track in journal.track_paths():
        remove_recording(track)
    remove_recording(journal.audio_path)
    journal.path.unlink(missing_ok=True)


def started_at(journal: Journal) -> datetime:
    """When the call began; raises `InvalidInputError` for a journal without a single readable line."""
    if not journal.entries:
        raise InvalidInputError(f"journal {journal.path.name} has no readable line")
    return journal.entries[0].at


def _call_from_journal(journal: Journal, *, now: datetime) -> Call:
    opened, answered, ended = _data(journal, "opened"), _data(journal, "answered"), _data(journal, "ended")
    start = started_at(journal)
    last = journal.first("ended") or journal.entries[-1]
    duration_ms = _number(ended.get("duration_ms"), (last.at - start) / timedelta(milliseconds=1))
    answered_entry = journal.first("answered")
    answer_ms = answered.get("answer_ms")
    return Call(
        id=journal.call_id,
        sip_call_id=_text(opened, "sip_call_id", 255),
        node=_text(opened, "node", 64),
        caller_number=_text(opened, "caller", 64),
        called_number=_text(opened, "called", 64),
        direction=_text(opened, "direction", 8) or INBOUND,
        purpose=_text(opened, "purpose", 16) or FLOW,
        flow=_text(opened, "flow", 64),
        peer=_text(opened, "peer", 64),
        codec=_text(opened, "codec", 16),
        started_at=start,
        answered_at=answered_entry.at if answered_entry else None,
        ended_at=last.at,
        answer_ms=answer_ms if isinstance(answer_ms, int | float) else None,
        duration_ms=max(0, round(duration_ms)),
        end_reason=_text(ended, "reason", 32),
        qualities=quality_of(journal),
        details={
            "entries": [_plain(entry) for entry in journal.entries if entry.kind not in _COLUMNS],
            "variables": _variables(opened),
        },
    )


def _read_wav(path: Path) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.int16]], int]:
    with wave.open(str(path), "rb") as reader:
        if reader.getsampwidth() != 2:
            raise wave.Error(f"{8 * reader.getsampwidth()}-bit samples")
        channels, rate = reader.getnchannels(), reader.getframerate()
        data = np.frombuffer(reader.readframes(reader.getnframes()), dtype="<i2")
    return data.reshape(-1, channels), rate


def _data(journal: Journal, kind: str) -> dict[str, Any]:
    entry = journal.first(kind)
    return entry.data if entry else {}


def _text(data: dict[str, Any], key: str, length: int) -> str:
    return str(data.get(key, "")).replace("\0", "")[:length]  # PostgreSQL's text holds no NUL


def _variables(opened: dict[str, Any]) -> dict[str, str]:
    """What an outbound call brought along."""
    given = opened.get("variables")
    return {str(name): str(value) for name, value in given.items()} if isinstance(given, dict) else {}


def _number(value: Any, default: float) -> float:
    return value if isinstance(value, int | float) else default


def _plain(entry: JournalEntry) -> dict[str, Any]:
    return {"kind": entry.kind, "at": entry.at.isoformat(), **entry.data}
