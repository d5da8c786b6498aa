"""Takes old recordings in: files of any format that ffmpeg reads become calls with their recordings.

A call's id is made of its file's content, so the same file is taken in once, under whatever name it comes. Such calls
have a direction and a purpose of their own (`IMPORT`): they are no calls of this hotline's days and make no tickets.
"""

import csv
import hashlib
import io
import json
import wave
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from hotline.db import Database
from hotline.errors import InvalidInputError
from recordings import ffmpeg, repository
from recordings.chain_repository import Addition, append_links
from recordings.models import IMPORT, Call, Recording
from recordings.peaks import peaks_of, serialize_peaks
from recordings.service import peaks_name
from recordings.store import RecordingStore

COLUMNS = ("file", "started_at", "caller", "called")
NARROW_RATE, WIDE_RATE = 8000, 16_000
_ID_LENGTH = 32


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a list says of a file; what it leaves open is empty."""

    started_at: datetime | None = None
    caller: str = ""
    called: str = ""


def read_facts(path: Path, *, zone: ZoneInfo) -> dict[str, Facts]:
    """A CSV or TSV (UTF-8 or GB 18030) with a line of column names: file, and any of started_at, caller, called.

    Times are ISO 8601; one without an offset is of `zone`. Raises `InvalidInputError` with the line.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidInputError(f"{path}: {error.strerror}") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("gb18030", "replace")
    heading = text.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text), delimiter="\t" if "\t" in heading else ",")
    names = [name.strip() for name in reader.fieldnames or ()]
    unknown = [name for name in names if name not in COLUMNS]
    if "file" not in names or unknown:
        raise InvalidInputError(f"{path}: 第一行须是列名 {', '.join(COLUMNS)}", hint="file 一列必不可少")
    reader.fieldnames = names
    found: dict[str, Facts] = {}
    for row in reader:
        name = (row["file"] or "").strip()
        try:
            started_at = _time(row.get("started_at") or "", zone)
        except ValueError:
            raise InvalidInputError(
                f"{path}:{reader.line_num}: 时间无法识别", hint="写成 2026-01-05 09:30:00"
            ) from None
        if not name or name in found:
            raise InvalidInputError(f"{path}:{reader.line_num}: {'文件名重复' if name else '没有文件名'}")
        found[name] = Facts(
            started_at=started_at,
            caller=(row.get("caller") or "").strip()[:64],
            called=(row.get("called") or "").strip()[:64],
        )
    return found


def files_below(paths: Iterable[Path], *, but: Path | None = None) -> list[Path]:
    """The files given, and those in the folders given, in order; hidden ones and `but` are left out."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(item for item in path.rglob("*") if item.is_file())
            found += [item for item in inside if not any(part.startswith(".") for part in item.relative_to(path).parts)]
        else:
            found.append(path)
    return [path for path in dict.fromkeys(found) if but is None or path.resolve() != but.resolve()]


def facts_of(path: Path, roots: Sequence[Path], facts: Mapping[str, Facts]) -> Facts:
    """What the list says of a file, by its path below one of `roots` or its bare name; else its time of change."""
    names = [path.relative_to(root).as_posix() for root in roots if path.is_relative_to(root)]
    known = next((facts[name] for name in [*names, str(path), path.name] if name in facts), Facts())
    if known.started_at is not None:
        return known
    try:
        changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError as error:
        raise InvalidInputError(f"{path}: {error.strerror}") from error
    return Facts(started_at=changed, caller=known.caller, called=known.called)


def content_id(path: Path) -> tuple[str, str]:
    """The id of the call that a file becomes, and the SHA-256 of its content."""
    try:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InvalidInputError(f"{path}: {error.strerror}") from error
    return digest[:_ID_LENGTH], digest


def convert(source: Path, target: Path, *, swap: bool = False, timeout_s: float) -> None:
    """Writes the first sound of `source` as a 16-bit WAV: 8 kHz, or 16 where there was more; one channel or two.

    `swap`: its right channel is the caller's, which stands left here. Raises `InvalidInputError` for a file that
    holds no sound, `ConfigurationError` where ffmpeg is missing.
    """
    rate, channels = _probe(source, timeout_s=timeout_s)
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", f"file:{source}", "-map", "0:a:0"]
    if swap and channels == 2:
        command += ["-af", "pan=stereo|c0=c1|c1=c0"]
    command += ["-ac", str(min(channels, 2)), "-ar", str(NARROW_RATE if rate <= NARROW_RATE else WIDE_RATE)]
    command += ["-c:a", "pcm_s16le", "-bitexact", "-map_metadata", "-1", "-f", "wav", f"file:{target}"]
    _run(command, source, timeout_s=timeout_s)


def import_call(
    database: Database,
    store: RecordingStore,
    wav_path: Path,
    *,
    call_id: str,
    digest: str,
    file_name: str,
    facts: Facts,
    now: datetime,
) -> bool:
    """Stores a converted file as a call with its recording; whether it was not there yet.

    `digest`: of the file that it was made of, kept with the call and in the chain. Raises `InvalidInputError` for a
    file without a sample, `UnavailableError` while store or database are away.
    """
    assert facts.started_at is not None
    with database.reading() as session:
        if repository.find_call(session, call_id) is not None:
            return False
    with wave.open(str(wav_path), "rb") as reader:
        rate, channels = reader.getframerate(), reader.getnchannels()
        samples = np.frombuffer(reader.readframes(reader.getnframes()), "<i2").reshape(-1, channels)
    if not len(samples):
        raise InvalidInputError("里面没有声音")
    started_at = facts.started_at.astimezone(UTC)
    duration_ms = round(len(samples) * 1000 / rate)
    ended_at = started_at + timedelta(milliseconds=duration_ms)
    name = f"{started_at:%Y/%m/%d}/{call_id}.wav"
    sound = store.put(wav_path, name)
    peaks = store.put_bytes(serialize_peaks(peaks_of(samples, sample_rate=rate)), peaks_name(name))
    with database.transaction() as session:
        if repository.find_call(session, call_id) is not None:
            return False
        session.add(
            Call(
                id=call_id,
                caller_number=facts.caller,
                called_number=facts.called,
                direction=IMPORT,
                purpose=IMPORT,
                started_at=started_at,
                answered_at=started_at,
                ended_at=ended_at,
                duration_ms=duration_ms,
                details={"entries": [], "variables": {}, "import": {"file": file_name[:255], "sha256": digest}},
            )
        )
        session.flush()
        session.add(
            Recording(
                call_id=call_id,
                path=name,
                sha256=sound.content_sha256,
                size_bytes=wav_path.stat().st_size,
                channels=channels,
                sample_rate=rate,
                duration_ms=duration_ms,
                stored_at=now,
            )
        )
        note = f"import {digest}"
        append_links(session, [Addition(sound, note=note), Addition(peaks, note=note)], call_id=call_id, now=now)
    return True


def _probe(source: Path, *, timeout_s: float) -> tuple[int, int]:
    entries = "stream=sample_rate,channels"
    command = ["ffprobe", "-v", "error", "-select_streams", "a:0", "-show_entries", entries, "-of", "json"]
    out = _run([*command, f"file:{source}"], source, timeout_s=timeout_s)
    try:
        stream = json.loads(out)["streams"][0]
        rate, channels = int(stream["sample_rate"]), int(stream["channels"])
    except (ValueError, LookupError, TypeError):
        raise InvalidInputError("里面没有声音") from None
    if rate < 1 or channels < 1:
        raise InvalidInputError("里面没有声音")
    return rate, channels


def _run(command: list[str], source: Path, *, timeout_s: float) -> bytes:
    try:
        return ffmpeg.run(command, timeout_s=timeout_s)
    except InvalidInputError as error:
        raise InvalidInputError(error.message.replace(f"file:{source}", source.name)[:200]) from None


def _time(text: str, zone: ZoneInfo) -> datetime | None:
    if not text.strip():
        return None
    at = datetime.fromisoformat(text.strip().replace("/", "-"))
    return at.replace(tzinfo=zone) if at.tzinfo is None else at
