"""What is kept of a call: its journal, its recording and its captions, complete before the worker gets it."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from ivr.call_services import CallServices
from ivr.captions import Captions, CaptionTap
from ivr.journal import AUDIO_SUFFIX, JOURNAL_SUFFIX, CallJournal
from ivr.media.types import RecordingSink

Post = Callable[[Callable[[], None]], None]


class CallRecord:
    """Begins in memory; `open` when the call is answered, and from then on nothing of it is lost.

    `heard` is told what is said, `on_closed` when all is on the disk, or nothing was to be kept. Only on the SIP
    thread.
    """

    def __init__(
        self,
        call_id: str,
        services: CallServices,
        *,
        post: Post,
        offset_ms: Callable[[], int],
        heard: Callable[[str, str, int, bool], None],
        on_closed: Callable[[], None],
    ) -> None:
        self._call_id = call_id
        self._services = services
        self._post = post
        self._on_closed = on_closed
        self._path = services.spool / f"{call_id}{JOURNAL_SUFFIX}"
        self._journal: CallJournal | None = None
        self._unwritten: list[tuple[str, datetime, dict[str, Any]]] = []
        self._sink: RecordingSink | None = None
        self._finished = self._sink_closed = self._closed = False
        self.captions = Captions(
            call_id,
            open_tap=services.open_captions,
            post=post,
            offset_ms=offset_ms,
            note=self.note,
            publish=services.publish,
            heard=heard,
            ended=self._close_when_complete,
        )

    @property
    def kept(self) -> bool:
        """Whether the call was answered."""
        return self._journal is not None

    def open_sink(self) -> RecordingSink:
        """Where the call's audio goes."""
        path = self._path.with_suffix(AUDIO_SUFFIX)
        self._sink = self._services.open_sink(path, lambda: self._post(self._on_sink_closed))
        return self._sink

    def track_path(self, leg_name: str) -> Path:
        """The file of one party's own track."""
        return self._path.with_name(f"{self._call_id}.{leg_name.replace('/', '-')}{AUDIO_SUFFIX}")

    def open(self) -> None:
        """The call is answered; again, nothing."""
        if self._journal is None:
            self._journal = self._services.open_journal(self._path)
            for kind, at, data in self._unwritten:
                self._journal.append(kind, at, **data)
            self._unwritten.clear()

    def note(self, kind: str, **data: Any) -> None:
        """A line of the journal."""
        if self._journal is None:
            self._unwritten.append((kind, self._services.clock.now(), data))
        elif not self._closed:
            self._journal.append(kind, self._services.clock.now(), **data)

    def tap(self, name: str, *, speaker: str, shift_ms: int = 0) -> CaptionTap:
        """What turns a party's audio into captions."""
        return self.captions.open(name, speaker=speaker, shift_ms=shift_ms)

    def finish(self) -> None:
        """The call is over; a recording of nothing is not kept."""
        self._finished = True
        if not self.kept and self._sink is not None:
            self._sink.discard()
        self.captions.finish()

    def give_up_captions(self) -> None:
        """The last words did not come in time: the recording will be transcribed."""
        if self._finished and not self.captions.ended:
            self.captions.give_up()
            self._close_when_complete()

    def _on_sink_closed(self) -> None:
        self._sink_closed = True
        self._close_when_complete()

    def _close_when_complete(self) -> None:
        """The journal's last lines, once the recording is whole; when they are on the disk the call is the worker's."""
        if not self._finished or not self._sink_closed or not self.captions.ended or self._closed:
            return
        outcome = self.captions.outcome
        self.note("captions", complete=outcome.complete, **outcome.model)
        self.note("closed")
        self._closed = True
        if self._journal is None:
            self._on_closed()
        else:
            self._journal.close(lambda: self._post(self._hand_over))

    def _hand_over(self) -> None:
        self._services.enqueue("ingest_call", {"journal_path": f"{self._services.node}/{self._path.name}"})
        self._on_closed()
