"""The journal of a call: JSON lines beside its WAV, enough to make every row of the call later.

Layout: `<spool>/<node>/<call_id>.jsonl` and `.wav`. The media process appends; the worker reads. Each line is flushed
to the kernel at once, so a killed process loses nothing it has written; a torn last line is ignored by the reader.

Kinds and their fields (all offsets are milliseconds since the call was answered, on the recording's clock):

| kind | fields |
|---|---|
| opened | call_id, node, sip_call_id, caller, called, peer, codec, sample_rate |
| answered | answer_ms (INVITE to 200 OK) |
| prompt | start_ms, end_ms, text: what our side said |
| digit | offset_ms, digit |
| demand | start_ms, end_ms: the span in which the caller told the demand; may come several times |
| segment | speaker, start_ms, end_ms, words [[text, start_ms, end_ms, confidence]]: a final caption |
| number | number, lookup_code: told to the caller |
| held / resumed | offset_ms |
| ended | reason (caller_hangup, completed, media_timeout, time_limit, shutdown, media_crashed), duration_ms |
| captions | complete (bool): whether `segment` lines cover the whole call; model, engine, demo of the recognizer |
| closed | nothing follows; the worker may take the call |
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from hotline.errors import ProtocolError

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


class JournalWriter:
    """Appends lines to one call's journal. Not thread-safe: the call owns it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._handle = open(path, "a", encoding="utf-8")  # noqa: SIM115 - lives as long as the call

    def append(self, kind: str, at: datetime, **data: Any) -> None:
        """Writes one line and hands it to the kernel."""
        self._handle.write(JournalEntry(kind=kind, at=at, data=data).serialize() + "\n")
        self._handle.flush()

    def close(self) -> None:
        """Forces the lines to the disk."""
        if not self._handle.closed:
            self._handle.flush()
            os.fsync(self._handle.fileno())
            self._handle.close()


@dataclass(frozen=True)
class Journal:
    """A whole journal as read back."""

    path: Path
    entries: tuple[JournalEntry, ...]

    @classmethod
    def read(cls, path: Path) -> "Journal":
        """Reads a journal; a torn or foreign line is skipped."""
        entries = []
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
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

    @property
    def closed(self) -> bool:
        return self.first("closed") is not None

    def first(self, kind: str) -> JournalEntry | None:
        """The first entry of `kind`, or None."""
        return next(self.all(kind), None)

    def all(self, kind: str) -> Iterator[JournalEntry]:
        """All entries of `kind` in order."""
        return (entry for entry in self.entries if entry.kind == kind)
