"""Compresses old recordings, one after the other: FLAC, of which every sample is proved, or Opus, which loses some.

The WAV goes last. Before anything is stored its name is noted (`recordings.loose_files`); row, links and the note on
the WAV change in one transaction, under the call's lock. What a crash leaves, the next run settles.
"""

import hashlib
import io
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import PurePosixPath
from typing import BinaryIO, cast

from sqlalchemy.orm import Session

from hotline.clock import Clock
from hotline.db import Database
from hotline.errors import ConfigurationError, ConflictError, DamagedError, HotlineError, UnavailableError
from hotline.settings import Settings
from recordings import ffmpeg
from recordings.chain import COMPRESSED, REMOVED, Link
from recordings.chain_repository import Addition, append_links, file_of, latest_of_path
from recordings.loose_files import LooseFile, locked_note, settle, settle_file
from recordings.models import Recording
from recordings.repository import find_recording, uncompressed
from recordings.retention_repository import hold_of, locked_call
from recordings.sound import decoded_wav
from recordings.store import RecordingStore
from recordings.wav import SAMPLE_BYTES, read_wav_info

PAGE = 200


@dataclass
class Compressed:
    """What a run did: calls compressed, their bytes before and after, and what failed with why.

    `last_id`: of the last recording that was looked at. `more`: the limit was reached before the end.
    """

    files: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    last_id: int = 0
    more: bool = False
    failed: list[tuple[str, str]] = field(default_factory=list)


class Compression:
    """Runs, by the worker or a person. Raises `ConfigurationError` where ffmpeg is missing or cannot do it."""

    def __init__(self, *, settings: Settings, database: Database, store: RecordingStore, clock: Clock) -> None:
        self._rules = settings.recordings
        self._database = database
        self._store = store
        self._clock = clock
        ffmpeg.check_encoder(self._rules.compress_to)

    def due(self, *, after: int = 0) -> Iterator[Recording]:
        """What is to be compressed now, by id; nothing where the site does not compress."""
        days = self._rules.compress_after_days
        ended_by = self._clock.now() - timedelta(days=days)
        while days:
            with self._database.reading() as session:
                page = uncompressed(session, ended_by=ended_by, after=after, limit=PAGE)
            yield from page
            if not page:
                return
            after = page[-1].id

    def run(self, *, limit: int = 0, after: int = 0, progress: Callable[[str], None] = lambda _: None) -> Compressed:
        """Compresses what is due behind the id `after`, at most `limit` (0: all). What fails is told and passed over.

        Raises `UnavailableError` where store or database are away; run it again.
        """
        settle(self._database, self._store)
        done = Compressed(last_id=after)
        for seen, recording in enumerate(self.due(after=after)):
            if limit and seen >= limit:
                done.more = True
                break
            progress(recording.path)
            done.last_id = recording.id
            try:
                size = self._compress(recording)
            except (UnavailableError, ConfigurationError):
                raise
            except HotlineError as error:
                done.failed.append((recording.path, error.message))
            else:
                done.files += 1
                done.bytes_before += recording.size_bytes
                done.bytes_after += size
        return done

    def _compress(self, recording: Recording) -> int:
        """Compresses one recording; its size then."""
        owner = uuid.uuid4().hex
        name = str(PurePosixPath(recording.path).with_suffix(f".{self._rules.compress_to}"))
        with self._database.transaction() as session:
            _, link = self._current(session, recording)
            if locked_note(session, name) is not None:
                raise ConflictError("another run works on it")
            session.add(LooseFile(path=name, call_id=recording.call_id, owner=owner))
        try:
            size = self._replace(recording, link, name, owner)
        except HotlineError:
            settle_file(self._database, self._store, name, owner=owner)
            raise
        settle_file(self._database, self._store, recording.path, owner=owner)
        return size

    def _replace(self, recording: Recording, link: Link, name: str, owner: str) -> int:
        try:
            with tempfile.TemporaryFile() as made:
                compressed = cast(BinaryIO, made)
                self._encode(recording, compressed)
                size = compressed.seek(0, io.SEEK_END)
                compressed.seek(0)
                stored = self._store.put_open(compressed, name)
        except OSError as error:
            raise UnavailableError(f"temporary files: {error.strerror or error}") from error
        if self._store.digest(name) != stored.sha256:
            raise DamagedError("the store does not hold what was put there")
        with self._database.transaction() as session:
            call = locked_call(session, recording.call_id)
            note = locked_note(session, name)
            row, latest = self._current(session, recording)
            if call is None or latest != link or note is None or note.owner != owner:
                raise ConflictError("it was changed meanwhile")
            row.path, row.sha256, row.size_bytes = name, stored.content_sha256, size
            session.delete(note)
            session.add(LooseFile(path=link.path, call_id=row.call_id, owner=owner))
            additions = [Addition(stored, note=COMPRESSED), Addition(file_of(link), REMOVED, COMPRESSED)]
            append_links(session, additions, call_id=row.call_id, now=self._clock.now())
        return size

    def _current(self, session: Session, known: Recording) -> tuple[Recording, Link]:
        """The recording and its link; raises `ConflictError` where it was deleted, held or changed meanwhile."""
        recording, link = find_recording(session, known.call_id), latest_of_path(session, known.path)
        if recording is None or recording.path != known.path or link is None or link.kind == REMOVED:
            raise ConflictError("it was changed meanwhile")
        if hold_of(session, known.call_id) is not None:
            raise ConflictError("it is held")
        return recording, link

    def _encode(self, recording: Recording, compressed: BinaryIO) -> None:
        """Writes the recording, compressed and, where that can be, proved, to `compressed`."""
        with tempfile.TemporaryFile() as file:
            wav = cast(BinaryIO, file)
            digest = hashlib.sha256()
            with self._store.open(recording.path) as content:
                while piece := content.read(1 << 20):
                    digest.update(piece)
                    wav.write(piece)
            if digest.hexdigest() != recording.sha256:
                raise DamagedError("other content than its row says: `hotline recordings verify`")
            length = wav.tell()
            info = read_wav_info(wav, length)
            shape = (info.channels, info.sample_rate, info.frame_size)
            if shape != (recording.channels, recording.sample_rate, recording.channels * SAMPLE_BYTES):
                raise DamagedError("a WAV of another shape than its row says")
            frames = min(info.data_size, length - info.data_start) // info.frame_size
            with tempfile.TemporaryFile() as samples:
                pcm = cast(BinaryIO, samples)
                wav.seek(info.data_start)
                expected = _copy(wav, pcm, frames * info.frame_size)
                pcm.seek(0)
                ffmpeg.encode(
                    pcm,
                    compressed,
                    form=self._rules.compress_to,
                    sample_rate=info.sample_rate,
                    channels=info.channels,
                    opus_kbps=self._rules.opus_kbps,
                    timeout_s=self._rules.ffmpeg_s,
                )
        self._prove(recording, compressed, expected)

    def _prove(self, recording: Recording, compressed: BinaryIO, expected: str) -> None:
        """Decodes what was made, as it will be read; FLAC has to give each sample (SHA-256 `expected`) again."""
        compressed.seek(0)
        as_stored = Recording(
            path=f"call.{self._rules.compress_to}",
            channels=recording.channels,
            sample_rate=recording.sample_rate,
            duration_ms=recording.duration_ms,
        )
        with decoded_wav(compressed, as_stored, folder=None, timeout_s=self._rules.ffmpeg_s) as wav:
            info = read_wav_info(wav, wav.seek(0, io.SEEK_END))
            wav.seek(info.data_start)
            digest = _copy(wav, None, info.data_size)
            if self._rules.compress_to == ffmpeg.FLAC and digest != expected:
                raise DamagedError("the FLAC does not give the same samples: the WAV is kept")


def _copy(source: BinaryIO, target: BinaryIO | None, count: int) -> str:
    """Copies so many bytes, or only reads them; their SHA-256."""
    digest = hashlib.sha256()
    while count > 0 and (piece := source.read(min(count, 1 << 20))):
        digest.update(piece)
        count -= len(piece)
        if target is not None:
            target.write(piece)
    if target is not None:
        target.flush()
    return digest.hexdigest()
