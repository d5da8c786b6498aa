"""The journal of a call: JSON lines beside its WAV, enough to make every row of the call later.

Layout: `<spool>/<node>/<call_id>.jsonl` and `.wav`. The media process appends, on a thread that does nothing else; the
worker reads. A line is with the kernel within milliseconds, so a killed process loses next to nothing; a torn last line
is ignored by the reader. What a full disk refuses is written when there is room again.

Kinds and their fields (all offsets are milliseconds since the call was answered, on the recording's clock):

| kind | fields |
|---|---|
| opened | call_id, node, sip_call_id, caller, called, peer, codec, sample_rate; direction (in, out), \
purpose (flow, internal, outgoing), flow, variables (of a call of ours) |
| answered | answer_ms (INVITE to 200 OK) |
| prompt | start_ms, end_ms, text: what our side said |
| digit | offset_ms, digit |
| demand_begun | start_ms: `demand` follows, if need be after a crash |
| demand | start_ms, end_ms: the span in which the caller told the demand; may come several times |
| segment | speaker, start_ms, end_ms, words [[text, start_ms, end_ms, confidence]]: a final caption |
| number | number, lookup_code: told to the caller |
| held / resumed | party, offset_ms |
| joined / left | party, offset_ms; joined also role: somebody else takes part |
| track | party, name, start_ms: `<call id>.<name>.wav` holds what that party said, from `start_ms` on |
| transferred | party, target, offset_ms |
| queued | queue, offset_ms |
| unqueued | reason (connected, left, full, closed, timeout), offset_ms |
| variable | name, value |
| answerer | answerer (person, machine, silence), offset_ms: who took a call of ours, and when the flow began |
| survey | question, answer, means (key, voice), offset_ms; a later one to a question corrects it |
| call_back | queue: the caller wants to be called back |
| alarm | words, offset_ms: danger to life was heard |
| recording | paused (bool), offset_ms |
| quality | party, received, sent, round_trip_ms (`StreamQuality`) |
| ended | duration_ms; reason (see below) |
| captions | complete (bool): whether `segment` lines cover the whole call; model, engine, demo of the recognizer |
| closed | nothing follows; the worker may take the call |

Reasons: caller_hangup, completed, media_timeout, time_limit, shutdown, internal_error, media_crashed, transferred,
cancelled, session_expired, error.
"""

import json
import logging
import os
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from hotline.errors import ProtocolError

log = logging.getLogger(__name__)

JOURNAL_SUFFIX = ".jsonl"
AUDIO_SUFFIX = ".wav"


@dataclass(frozen=True)
class JournalEntry:
    """One line: what happened and when (aware wall time)."""

    kind: str
    at: datetime
    data: dict[str, Any]

    def serialize(self) -> str:
        """The line without its newline."""
        return json.dumps({"kind": self.kind, "at": self.at.isoformat(), **self.data}, ensure_ascii=False)

    @classmethod
    def parse(cls, line: str) -> "JournalEntry":
        """The inverse of `serialize`; raises `ProtocolError`."""
        try:
            raw = json.loads(line)
            kind, at = raw.pop("kind"), datetime.fromisoformat(raw.pop("at"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ProtocolError(f"not a journal line: {line[:200]!r}") from error
        return cls(kind=str(kind), at=at, data=raw)


class CallJournal(Protocol):
    """Where a call in progress notes what happens; must not block."""

    def append(self, kind: str, at: datetime, **data: Any) -> None:
        """Notes one entry."""
        ...

    def close(self, on_closed: Callable[[], None]) -> None:
        """Nothing follows; `on_closed` is told, on any thread, once all of it is on the disk."""
        ...


class JournalWriter:
    """An open journal. Each write goes to the kernel at once; a torn last line of a dead predecessor is ended first."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        size = os.fstat(self._file).st_size
        self._unwritten = bytearray(b"\n" if size and os.pread(self._file, 1, size - 1) != b"\n" else b"")

    def append(self, kind: str, at: datetime, **data: Any) -> None:
        """Writes one line; after an `OSError` (a full disk) the rest is kept and `flush` tries again."""
        self.keep(JournalEntry(kind=kind, at=at, data=data))
        self.flush()

    def keep(self, entry: JournalEntry) -> None:
        """Adds one line to what `flush` writes."""
        self._unwritten += f"{entry.serialize()}\n".encode()

    def flush(self) -> None:
        """Writes what is kept; raises `OSError`."""
        while self._unwritten:
            del self._unwritten[: os.write(self._file, self._unwritten)]

    def close(self) -> None:
        """Forces the lines to the disk and frees the file, which it does in any case."""
        try:
            self.flush()
            os.fsync(self._file)
        finally:
            os.close(self._file)


class JournalThread:
    """Writes the journals of all calls on a thread of its own: signalling never waits for a disk.

    What a disk refuses is kept in memory and tried again every `retry_s` seconds until it is written.
    """

    def __init__(self, *, retry_s: float = 1.0) -> None:
        self._retry_s = retry_s
        self._news: queue.SimpleQueue[tuple[ThreadedJournal, JournalEntry | Callable[[], None]] | None]
        self._news = queue.SimpleQueue()
        self._waiting: set[ThreadedJournal] = set()  # journals with something unwritten
        self._thread = threading.Thread(target=self._run, name="journals", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def open(self, path: Path) -> "ThreadedJournal":
        """A journal that will be written to `path`."""
        return ThreadedJournal(path, self._news.put)

    def stop(self, timeout_s: float = 2.0) -> None:
        """Writes what was handed in so far, if the disk takes it, and ends the thread."""
        self._news.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            try:
                item = self._news.get(timeout=self._retry_s if self._waiting else None)
            except queue.Empty:
                item = None
            else:
                if item is None:
                    return
                journal, news = item
                journal.take(news)
                self._waiting.add(journal)
            for journal in list(self._waiting):
                if journal.settle():
                    self._waiting.discard(journal)


class ThreadedJournal:
    """A `CallJournal`; `take` and `settle` belong to its thread."""

    def __init__(self, path: Path, put: Callable[[tuple["ThreadedJournal", Any]], None]) -> None:
        self.path = path
        self._put = put
        self._entries: list[JournalEntry] = []
        self._file: JournalWriter | None = None
        self._on_closed: Callable[[], None] | None = None
        self._refused = False

    def append(self, kind: str, at: datetime, **data: Any) -> None:
        self._put((self, JournalEntry(kind=kind, at=at, data=data)))

    def close(self, on_closed: Callable[[], None]) -> None:
        self._put((self, on_closed))

    def take(self, news: JournalEntry | Callable[[], None]) -> None:
        """An entry, or whom to tell of the end."""
        if isinstance(news, JournalEntry):
            self._entries.append(news)
        else:
            self._on_closed = news

    def settle(self) -> bool:
        """Writes what there is; False where the disk refused it."""
        try:
            if self._file is None:
                self._file = JournalWriter(self.path)
            while self._entries:
                self._file.keep(self._entries.pop(0))
            self._file.flush()
        except OSError as error:
            if not self._refused:
                log.error("journal %s waits for the disk: %s", self.path, error)
            self._refused = True
            return False
        self._refused = False
        if self._on_closed is not None:
            self._close(self._file, self._on_closed)
        return True

    def _close(self, file: JournalWriter, on_closed: Callable[[], None]) -> None:
        try:
            file.close()
        except OSError as error:  # the lines are with the kernel; whether the disk has them only it knows
            log.error("journal %s: %s", self.path, error)
        on_closed()


@dataclass(frozen=True)
class Journal:
    """A whole journal as read back."""

    path: Path
    entries: tuple[JournalEntry, ...]

    @classmethod
    def read(cls, path: Path) -> "Journal":
        """Reads a journal; a torn or foreign line is skipped."""
        entries = []
        for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):  # JSON may hold U+2028
            try:
                entries.append(JournalEntry.parse(line))
            except ProtocolError:
                continue
        return cls(path=path, entries=tuple(entries))

    @property
    def call_id(self) -> str:
        return self.path.stem

    @property
    def audio_path(self) -> Path:
        return self.path.with_suffix(AUDIO_SUFFIX)

    def track_paths(self) -> tuple[Path, ...]:
        """The tracks of participants, where the site keeps them."""
        return tuple(sorted(self.path.parent.glob(f"{self.call_id}.*{AUDIO_SUFFIX}")))

    @property
    def closed(self) -> bool:
        return self.first("closed") is not None

    def first(self, kind: str) -> JournalEntry | None:
        """The first entry of `kind`, or None."""
        return next(self.all(kind), None)

    def all(self, kind: str) -> Iterator[JournalEntry]:
        """All entries of `kind` in order."""
        return (entry for entry in self.entries if entry.kind == kind)
