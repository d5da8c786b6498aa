"""The one way to read a recording's sound: a WAV to seek in, whatever the format in which it lies in the store.

A compressed recording is decoded to a file without a name below `data_dir`, which is gone when the process ends,
however it ends. The last few are kept: a player asks again with every range.
"""

import io
import os
import shutil
import tempfile
import threading
import weakref
from collections import OrderedDict
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from hotline.errors import DamagedError, InvalidInputError, UnavailableError
from hotline.settings import Settings
from recordings import ffmpeg
from recordings.models import Recording
from recordings.store import RecordingStore
from recordings.wav import HEADER_SIZE, SAMPLE_BYTES, wav_header

MAX_WAV_BYTES = 0xFFFF_FFFF  # a RIFF header cannot say more
SLACK_MS = 1000  # what is decoded beyond a recording's length means that it is another's
DECODED_FOLDER = "decoded"


class Sounds:
    """Opens recordings; safe to share between threads."""

    def __init__(self, store: RecordingStore, settings: Settings) -> None:
        self._store = store
        self._folder = settings.data_dir / DECODED_FOLDER
        self._timeout_s = settings.recordings.ffmpeg_s
        self._max_bytes = settings.recordings.decoded_max_bytes
        self._kept: OrderedDict[tuple[str, str], BinaryIO] = OrderedDict()
        self._decoding: dict[tuple[str, str], threading.Lock] = {}
        self._lock = threading.Lock()
        weakref.finalize(self, _close_all, self._kept)

    def open(self, recording: Recording) -> BinaryIO:
        """The sound as a seekable WAV; the caller closes it.

        Raises as `RecordingStore.open`; of a compressed one also `DamagedError` where it cannot be decoded,
        `ConfigurationError` without ffmpeg, `UnavailableError` where that takes too long or the disk is full.
        """
        if PurePosixPath(recording.path).suffix not in ffmpeg.SUFFIXES:
            return self._store.open(recording.path)
        key = (recording.path, recording.sha256)
        with self._lock:
            decoding = self._decoding.setdefault(key, threading.Lock())
        try:
            with decoding:  # who asks for the same meanwhile waits for this one
                with self._lock:
                    kept = self._kept.get(key)
                    if kept is not None:
                        self._kept.move_to_end(key)
                        return _reopened(kept)
                wav = self._decoded(recording)
                with self._lock:
                    opened = _reopened(wav)
                    self._keep(key, wav)
                    return opened
        finally:
            with self._lock:
                self._decoding.pop(key, None)

    def close(self) -> None:
        """Lets go of what is kept; what was opened can still be read."""
        with self._lock:
            _close_all(self._kept)

    def _keep(self, key: tuple[str, str], wav: BinaryIO) -> None:
        self._kept[key] = wav
        while sum(os.fstat(file.fileno()).st_size for file in self._kept.values()) > self._max_bytes:
            self._kept.popitem(last=False)[1].close()

    def _decoded(self, recording: Recording) -> BinaryIO:
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.TemporaryFile(dir=self._folder) as compressed:
                with self._store.open(recording.path) as content:
                    shutil.copyfileobj(content, compressed)
                compressed.seek(0)
                return decoded_wav(
                    cast(BinaryIO, compressed), recording, folder=self._folder, timeout_s=self._timeout_s
                )
        except OSError as error:
            raise UnavailableError(f"{self._folder}: {error.strerror or error}") from error


def decoded_wav(compressed: BinaryIO, recording: Recording, *, folder: Path | None, timeout_s: float) -> BinaryIO:
    """A compressed recording as a nameless WAV file in `folder`. Opus is brought to the recording's length, so that
    words and spans keep their places; FLAC has it. Raises `DamagedError`, and as `ffmpeg.run`."""
    frame_bytes = recording.channels * SAMPLE_BYTES
    frames = round(recording.duration_ms * recording.sample_rate / 1000)
    slack = SLACK_MS * recording.sample_rate // 1000
    wav = cast(BinaryIO, tempfile.TemporaryFile(dir=folder))  # noqa: SIM115 - handed on
    try:
        wav.write(bytes(HEADER_SIZE))
        wav.flush()
        ffmpeg.decode(
            compressed,
            wav,
            sample_rate=recording.sample_rate,
            channels=recording.channels,
            max_bytes=min((frames + 2 * slack) * frame_bytes, MAX_WAV_BYTES - HEADER_SIZE),
            timeout_s=timeout_s,
        )
        size = (wav.seek(0, io.SEEK_END) - HEADER_SIZE) // frame_bytes * frame_bytes
        if abs(size // frame_bytes - frames) > slack:
            raise DamagedError(f"{recording.path} 的长度与录音不符", hint="运行 hotline recordings verify")
        if not recording.path.endswith(".flac"):
            size = frames * frame_bytes
        wav.truncate(HEADER_SIZE + size)
        wav.seek(0)
        wav.write(wav_header(size, sample_rate=recording.sample_rate, channels=recording.channels))
        wav.flush()
        wav.seek(0)
        return wav
    except InvalidInputError as error:
        wav.close()
        raise DamagedError(
            f"{recording.path} 解不开：{error.message}", hint="运行 hotline recordings verify"
        ) from error
    except BaseException:
        wav.close()
        raise


def _close_all(kept: OrderedDict[tuple[str, str], BinaryIO]) -> None:
    while kept:
        kept.popitem()[1].close()


def _reopened(file: BinaryIO) -> BinaryIO:
    """The same file with a place of its own, which outlives `file`."""
    return open(f"/proc/self/fd/{file.fileno()}", "rb")
