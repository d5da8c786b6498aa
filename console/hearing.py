"""What of a recording a person hears: all of it after giving a reason, else with the personal numbers under a tone."""

import hashlib
from dataclasses import dataclass
from typing import BinaryIO

from sqlalchemy.orm import Session

from asr.personal import MAX_PAUSE_MS, MIN_RUN, spoken_spans
from asr.repository import spoken_versions, transcripts
from console import auth, repository
from console.context import ConsoleContext
from hotline.errors import ConflictError, NotFoundError
from recordings.models import Call, Recording
from recordings.redaction import AudioSpan, keyed_spans, merged, open_redacted
from recordings.sound import Sounds

MAX_KNOWN = 1000  # calls whose spans are remembered: a player asks again with every range


@dataclass(frozen=True, kw_only=True)
class Hearing:
    """A recording as one person hears it now. `spans` are hidden; of `full` none is."""

    recording: Recording
    number: str | None
    full: bool
    spans: tuple[AudioSpan, ...]

    @property
    def tag(self) -> str:
        """An entity tag: another one whenever other bytes are heard."""
        if not self.spans:
            return f'"{self.recording.sha256}"'
        hidden = ",".join(f"{span.start_ms}-{span.end_ms}" for span in self.spans)
        return f'"{self.recording.sha256}-{hashlib.sha256(hidden.encode()).hexdigest()[:16]}"'

    @property
    def note(self) -> str:
        """For the log."""
        return "号码完整" if self.full else "号码已遮盖"

    def open(self, sounds: Sounds) -> BinaryIO:
        """The WAV to read from; raises `NotFoundError` where the file is missing."""
        return open_redacted(sounds.open(self.recording), self.spans)


def hearing_of(session: Session, context: ConsoleContext, principal: auth.Principal, call_id: str) -> Hearing:
    """What this person hears of a call. Raises `NotFoundError` where there is no recording for this person,
    `ConflictError` where it cannot be said what is to be hidden."""
    call = repository.call_with_recording(session, principal.viewer, call_id)
    if call is None or call.recording is None:
        raise NotFoundError("这通电话没有录音")
    number = repository.ticket_number_of_call(session, principal.viewer, call_id)
    full = number is not None and auth.sees_numbers(session, context, principal, number)
    spans = () if full else hidden_spans(session, context, call)
    if spans is None:
        raise ConflictError(
            "这段录音还没有转写，其中的号码无法遮盖，暂时不能收听",
            hint="有权限的人员填写原因、显示完整号码后可以收听；也可以等转写完成",
        )
    return Hearing(recording=call.recording, number=number, full=full, spans=spans)


def hidden_spans(session: Session, context: ConsoleContext, call: Call) -> tuple[AudioSpan, ...] | None:
    """Where a recording is hidden: personal numbers that a recognizer heard or the transcript says, and rows of keys.

    None where nothing is known of what was said.
    """
    known, key = context.hidden_spans, (call.id, spoken_versions(session, call.id))
    if not key[1]:
        return None
    spans = known.get(key)
    if spans is None:
        found = keyed_spans(call.details, least=MIN_RUN, pause_ms=MAX_PAUSE_MS)
        for transcript in transcripts(session, key[1]):
            found += spoken_spans(transcript.segments)
        if len(known) >= MAX_KNOWN:
            known.clear()
        known[key] = spans = merged(found, margin_ms=context.settings.privacy.margin_ms)
    return spans
