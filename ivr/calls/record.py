"""What is kept of a call: its journal, its recording and its captions, complete before the worker gets it."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from ivr.calls.captions import Captions, CaptionTap
from ivr.calls.services import CallServices
from ivr.journal import AUDIO_SUFFIX, JOURNAL_SUFFIX, CallJournal
from ivr.media.types import Leg, RecordingSink

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
        sample_rate: int,
        post: Post,
        offset_ms: Callable[[], int],
        heard: Callable[[str, str, int, bool], None],
        on_closed: Callable[[], None],
    ) -> None:
        self._call_id = call_id
        self._services = services
        self._sample_rate = sample_rate
        self._post = post
        self._on_closed = on_closed
        self._path = services.spool / f"{call_id}{JOURNAL_SUFFIX}"
        self._journal: CallJournal | None = None
        self._unwritten: list[tuple[str, datetime, dict[str, Any]]] = []
        self._sink: RecordingSink | None = None
        self._open_files = 0
        self._legs: list[tuple[str, Leg]] = []
        self._finished = self._closed = False
        self.captions = Captions(
            call_id,
            sample_rate=sample_rate,
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
        self._sink = self._services.open_sink(
            self._path.with_suffix(AUDIO_SUFFIX), self._sample_rate, self._on_file_closed
        )
        self._open_files += 1
        return self._sink

    def open_track(self, name: str) -> RecordingSink | None:
        """A file of one party's own, `<call id>.<name>.wav`, where the site wants that."""
        if self._services.open_track is None:
            return None
        track = self._services.open_track(self.track_path(name), self._sample_rate, self._on_file_closed)
        self._open_files += 1
        return track

    def track_path(self, name: str) -> Path:
        """The file of a track."""
        return self._path.with_name(f"{self._call_id}.{name}{AUDIO_SUFFIX}")

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

    def follow(self, party: str, leg: Leg) -> None:
        """How this stream fared will be noted in the end, when the far end's last report has come."""
        self._legs.append((party, leg))

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

    def _on_file_closed(self) -> None:
        """On the recorder's thread."""
        self._post(self._file_closed)

    def _file_closed(self) -> None:
        self._open_files -= 1
        self._close_when_complete()

    def _close_when_complete(self) -> None:
        """The journal's last lines, once the recording is whole; when they are on the disk the call is the worker's."""
        if not self._finished or self._open_files or not self.captions.ended or self._closed:
            return
        for party, leg in self._legs:
            self.note("quality", party=party, **asdict(leg.quality()))
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
