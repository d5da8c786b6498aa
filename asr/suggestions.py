"""Words that reviewers keep writing where the recognizer heard something else, from the transcripts of late."""

from collections.abc import Collection, Iterator
from datetime import datetime

from sqlalchemy.orm import Session

from asr.corrections import Candidate, Correction, candidates, corrections
from asr.models import Segment, Transcript
from asr.recognizer import Word
from asr.repository import edited_transcripts, machine_transcripts


def suggest_words(
    session: Session, *, since: datetime, calls: int, known: Collection[str], at_least: int
) -> list[Candidate]:
    """Words corrected at least so often in the newest `calls` edited transcripts, without those that are known."""
    found = [
        each
        for edited in edited_transcripts(session, since=since, limit=calls)
        for each in _corrected(edited, machine_transcripts(session, edited.call_id))
    ]
    return [each for each in candidates(found, at_least=at_least) if each.word not in known]


def _corrected(edited: Transcript, heard: Collection[Transcript]) -> Iterator[Correction]:
    """What people changed in a transcript, beside what was heard of the same speaker at the same time."""
    if not heard:
        return
    machine = max(heard, key=lambda transcript: transcript.version)
    for row in edited.segments:
        if row.edited_at is not None:
            yield from corrections(_words(machine, row), row.text)


def _words(machine: Transcript, row: Segment) -> list[Word]:
    words = (Word(*word) for each in machine.segments if each.speaker == row.speaker for word in each.words)
    return [word for word in words if row.start_ms <= (word.start_ms + word.end_ms) / 2 <= row.end_ms]
