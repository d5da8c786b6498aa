"""The recorder: a call's timeline into a WAV file that is valid at every second, without the call ever waiting.

`WavRecorder` only queues; the one `RecorderThread` of a process writes each file twice a second, sizes in the header
last. The files take turns: disk and interpreter are busy a little all the time, never long at once. Where the
disk is full or broken a recording goes on in the spare spool; without one it ends, never the call.
"""

import contextlib
import itertools
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ivr.media.types import SAMPLE_RATE, Samples
from recordings.spare import copy_to_spare, link_to_spare, remove_recording
from recordings.wav import CHANNELS, HEADER_SIZE, wav_header

logger = logging.getLogger(__name__)

WRITE_INTERVAL_S = 0.5
TURNS = 20
"""Parts of the interval, in each of which as large a share of the files is written."""
CLOSED_A_TURN = 4
"""Files closed in a turn: where the disk takes long for that, the others must not wait for it."""


@dataclass(frozen=True)
class RecorderStats:
    """Counts since the start; `dropped_samples` were replaced by silence because the disk was too slow."""

    open: int
    failed: int
    dropped_samples: int


@dataclass(frozen=True)
class RecordingTrouble:
    """What a person should look after. `saved`: the recording goes on in the spare spool, whole."""

    path: Path
    reason: str
    saved: bool


class RecorderThread:
    """Writes the files of all `WavRecorder`s given it. `queue_s`: audio each may hold while the disk stalls.

    `spare`: a folder on another disk. `on_trouble` is told on any thread and must return at once.
    """

    def __init__(
        self,
        *,
        queue_s: float = 60.0,
        spare: Path | None = None,
        on_trouble: Callable[[RecordingTrouble], None] | None = None,
    ) -> None:
        self.queue_s = queue_s
        self.spare = spare
        self._on_trouble = on_trouble
        self._recorders: deque[WavRecorder] = deque()  # the one that waited longest first
        self._ending: deque[WavRecorder] = deque()
        self._lock = threading.Lock()  # guards _recorders and _stopping
        self._stop = threading.Event()
        self._stopping = False
        self._failed = self._dropped = 0
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Writes and closes every recording, then ends the thread; idempotent."""
        with self._lock:
            self._stopping = True
            recorders = list(self._recorders)
        for recorder in recorders:
            recorder.close()
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def stats(self) -> RecorderStats:
        """A snapshot."""
        with self._lock:
            recorders = list(self._recorders)
        return RecorderStats(
            open=len(recorders),
            failed=self._failed + sum(recorder.error is not None for recorder in recorders),
            dropped_samples=self._dropped + sum(recorder.dropped_samples for recorder in recorders),
        )

    def add(self, recorder: "WavRecorder") -> None:
        """Begins to write a recording; after `stop` it fails at once."""
        with self._lock:
            if not self._stopping:
                self._recorders.append(recorder)
                return
        recorder.fail("the recorder is stopped")
        recorder.finish()

    def tell(self, path: Path, reason: str, *, saved: bool) -> None:
        """Something happened to a recording that should not."""
        logger.error("%s: %s: %s", path, "recording moved to the spare spool" if saved else "recording failed", reason)
        if self._on_trouble is not None:
            try:
                self._on_trouble(RecordingTrouble(path, reason, saved))
            except Exception:
                logger.exception("%s: telling of trouble failed", path)

    def end(self, recorder: "WavRecorder") -> None:
        """Completes a recording out of turn."""
        self._ending.append(recorder)

    def _run(self) -> None:
        while True:
            self._stop.wait(WRITE_INTERVAL_S / TURNS if self._recorders else WRITE_INTERVAL_S)
            with self._lock:
                if self._stopping and not self._recorders:
                    return
                turn = list(itertools.islice(self._recorders, -(-len(self._recorders) // TURNS)))
                self._recorders.rotate(-len(turn))
            for recorder in turn:
                recorder.write_queued()
            for _ in range(min(len(self._ending), CLOSED_A_TURN)):
                self._end(self._ending.popleft())

    def _end(self, recorder: "WavRecorder") -> None:
        if recorder.complete:  # it was ended twice
            return
        recorder.complete_file()
        with self._lock:
            self._recorders.remove(recorder)
            self._failed += recorder.error is not None
            self._dropped += recorder.dropped_samples
        recorder.finish()


class WavRecorder:
    """Implements `RecordingSink` for one 16-bit WAV file: stereo for a call, one channel for a participant's track.

    `on_closed` is told on the writer's thread.
    """

    def __init__(
        self,
        path: Path,
        writer: RecorderThread,
        *,
        sample_rate: int = SAMPLE_RATE,
        channels: int = CHANNELS,
        on_closed: Callable[[], None] | None = None,
    ) -> None:
        self.path = path
        self.sample_rate = sample_rate
        self.channels = channels
        self.error: str | None = None
        self.dropped_samples = 0
        self._writer = writer
        self._on_closed = on_closed
        self._limit = int(writer.queue_s * sample_rate)
        self._queue: deque[Samples | int] = deque()  # audio, or the length of a gap
        self._queued = 0
        self._lock = threading.Lock()  # guards _queue, _queued, _closing and _unwanted
        self._closing = self._unwanted = False
        self._moved = False
        self.complete = False
        self._closed = threading.Event()
        self._file: int | None = None
        self._size = 0
        writer.add(self)

    @property
    def failed(self) -> bool:
        return self.error is not None

    def write(self, frames: Samples) -> None:
        """Queues (n, channels) samples. Where the queue is full they become silence, so the timeline stays right."""
        count = len(frames)
        with self._lock:
            if self._closing or self.error is not None:
                return
            if self._queued + count <= self._limit:
                self._queue.append(frames)
                self._queued += count
                return
            if self.dropped_samples == 0:
                self._writer.tell(self.path, "the disk is too slow, audio is lost", saved=False)
            self.dropped_samples += count
            last = self._queue[-1] if self._queue else None
            if isinstance(last, int):
                self._queue[-1] = last + count
            else:
                self._queue.append(count)

    def close(self) -> None:
        """Ends the recording; what is queued is still written. Idempotent."""
        with self._lock:
            self._closing = True
        self._writer.end(self)

    def discard(self) -> None:
        """Ends a recording that nobody wants: its file is removed, or never made. After `close` nothing changes."""
        with self._lock:
            self._unwanted = self._unwanted or not self._closing
            self._closing = True
        self._writer.end(self)

    def wait_closed(self, timeout: float) -> bool:
        """Whether the file was complete (or had failed) within `timeout` seconds."""
        return self._closed.wait(timeout)

    # The writer's side

    def write_queued(self) -> None:
        """Writes what is queued and mends the header."""
        with self._lock:
            queue, self._queue, self._queued = self._queue, deque(), 0
            unwanted = self._unwanted
        with self._failing_alone():
            if self.error is None and not unwanted:
                self._append(queue)

    def complete_file(self) -> None:
        """Writes what is left and closes the file, or removes it where nobody wants it."""
        self.write_queued()
        self.complete = True
        with self._failing_alone():
            self._close_file(keep=not self._unwanted)

    def finish(self) -> None:
        """Tells that nothing follows."""
        self._closed.set()
        if self._on_closed is not None:
            try:
                self._on_closed()
            except Exception:
                logger.exception("%s: telling the end of the recording failed", self.path)

    def fail(self, reason: str) -> None:
        """Gives the recording up; what is written stays playable."""
        self.error = reason
        self._writer.tell(self.path, reason, saved=False)

    def _append(self, queue: deque[Samples | int]) -> None:
        audio = _join(queue, channels=self.channels) if queue else b""
        try:
            self._write_audio(audio)
        except OSError as error:
            self._move_to_spare(error)
            self._write_audio(audio)

    def _write_audio(self, audio: bytes) -> None:
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
            self._write_header()
        if not audio:
            return
        try:
            _write_all(self._file, audio, offset=HEADER_SIZE + self._size)
            self._size += len(audio)
        finally:
            self._write_header()

    def _move_to_spare(self, error: OSError) -> None:
        """Goes on in the spare spool with all that was written; raises `error` where there is none, or it fails too."""
        spare = self._writer.spare
        if spare is None or self._moved:
            raise error
        target = spare / self.path.name
        old, size = self._file, HEADER_SIZE + self._size
        try:
            self._file = copy_to_spare(old, target, size=size)
        except OSError as second:
            raise OSError(f"{error}; in the spare spool: {second}") from error
        self._moved = True
        self._write_header()
        if old is not None:
            os.close(old)
        try:
            link_to_spare(self.path, target)
        except OSError as second:
            logger.error("%s: the recording is in %s, and no link can be made to it: %s", self.path, target, second)
        self._writer.tell(self.path, str(error), saved=True)

    def _write_header(self) -> None:
        if self._file is not None:
            header = wav_header(self._size, sample_rate=self.sample_rate, channels=self.channels)
            _write_all(self._file, header, offset=0)

    def _close_file(self, *, keep: bool) -> None:
        file, self._file = self._file, None
        if file is None:
            return
        try:
            if keep:
                os.fsync(file)
            else:
                remove_recording(self.path)
        finally:
            os.close(file)

    @contextlib.contextmanager
    def _failing_alone(self) -> Iterator[None]:
        """One recording's trouble must not end the others'."""
        try:
            yield
        except Exception as error:
            self.fail(str(error))


def _join(queue: Iterable[Samples | int], *, channels: int) -> bytes:
    """The audio of a queue; gaps become silence."""
    parts = [np.zeros((item, channels), np.int16) if isinstance(item, int) else item for item in queue]
    return np.concatenate(parts).astype("<i2", copy=False).tobytes()


def _write_all(file: int, data: bytes, *, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written
