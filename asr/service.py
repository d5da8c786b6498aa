"""Transcripts of calls: from the live captions where they are complete, else from the recording."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from sqlalchemy.orm import Session

from asr.batch import transcribe_file
from asr.engines.remote import read_remote_model
from asr.misheard import Corrector
from asr.models import Segment, Transcript
from asr.recognizer import Final, ModelInfo, Word
from asr.repository import EDIT, latest_transcript, make_current, next_version, transcript_of_origin
from asr.text import NO_CORRECTOR, display
from hotline.errors import NotFoundError, UnavailableError
from ivr.journal import Journal

__all__ = [
    "Utterance",
    "latest_transcript",
    "segments_from_journal",
    "store_transcript",
    "transcribe_call",
    "transcript_for_call",
]

log = logging.getLogger(__name__)

CALLER, HOTLINE = "caller", "hotline"
CALLER_CHANNEL = 0
UNSURE_BELOW = 0.5
UNKNOWN_MODEL = ModelInfo(name="unknown", engine="unknown", demo=False)
Origin = Literal["live", "batch", "second", "edit"]


@dataclass(frozen=True)
class Utterance:
    """What one speaker said in one breath; at least one word. `text` is what people read."""

    speaker: str
    text: str
    words: tuple[Word, ...]

    @property
    def final(self) -> Final:
        return Final(self.words)


def recognized(speaker: str, words: tuple[Word, ...], corrector: Corrector = NO_CORRECTOR) -> Utterance:
    """An utterance as the recognizer heard it."""
    return Utterance(speaker=speaker, text=display(words, corrector).text, words=words)


def segments_from_journal(journal: Journal, corrector: Corrector = NO_CORRECTOR) -> list[Utterance]:
    """Captions of all speakers and our side's announcements (speaker "hotline") by their start.

    The words of an announcement are its characters, spread evenly. A line that makes no sense is skipped.
    """
    utterances = []
    for entry in journal.entries:
        try:
            if entry.kind == "segment":
                words = tuple(
                    Word(text, start, end, confidence) for text, start, end, confidence in entry.data["words"]
                )
                if words:
                    utterances.append(recognized(str(entry.data["speaker"]), words, corrector))
            elif entry.kind == "prompt" and str(entry.data["text"]).strip():
                utterances.append(_announcement(str(entry.data["text"]), entry.data["start_ms"], entry.data["end_ms"]))
        except (KeyError, TypeError, ValueError) as error:
            log.warning("call %s: a %s line of its journal is damaged: %r", journal.call_id, entry.kind, error)
    return _in_order(utterances)


def transcribe_call(
    journal: Journal, *, audio_path: Path, asr_url: str, corrector: Corrector = NO_CORRECTOR
) -> tuple[Literal["live", "batch"], ModelInfo, list[Utterance]]:
    """Origin, model and utterances of a call; touches no database, so no transaction is open while it works.

    Raises `UnavailableError` where the recording must be transcribed and the recognizer is away, `InvalidInputError`
    for a recording that is no WAV. Without a recording the captions that there are have to do.
    """
    utterances = segments_from_journal(journal, corrector)
    captions = list(journal.all("captions"))
    if not captions or not all(entry.data.get("complete") is True for entry in captions):
        try:
            finals, model = transcribe_file(asr_url, audio_path, CALLER_CHANNEL)
        except NotFoundError:
            log.warning("call %s has no recording: its transcript is what the captions got", journal.call_id)
        else:
            others = [item for item in utterances if item.speaker != CALLER]
            heard = [recognized(CALLER, final.words, corrector) for final in finals]
            return "batch", model, _in_order([*others, *heard])
    return "live", _live_model(captions[-1].data if captions else {}, asr_url), utterances


def transcript_for_call(
    session: Session, *, call_id: str, journal: Journal, audio_path: Path, asr_url: str, now: datetime
) -> Transcript:
    """Makes and stores a call's transcript once; raises as `transcribe_call`."""
    origin, model, utterances = transcribe_call(journal, audio_path=audio_path, asr_url=asr_url)
    return store_transcript(session, call_id=call_id, origin=origin, model=model, segments=utterances, now=now)


def store_transcript(
    session: Session,
    *,
    call_id: str,
    origin: Origin,
    model: ModelInfo,
    segments: Sequence[Utterance],
    now: datetime,
    unsure_below: float = UNSURE_BELOW,
) -> Transcript:
    """Adds the next version of a call's transcript; a machine's, of one origin, is stored once and then returned.

    A machine's version that comes after a person's edit is kept, but not shown in its place.
    """
    if origin != EDIT:
        stored = transcript_of_origin(session, call_id, origin)
        if stored is not None:
            return stored
    transcript = Transcript(
        call_id=call_id,
        version=next_version(session, call_id),
        origin=origin,
        engine=model.engine,
        model=model.name,
        demo_model=model.demo,
        created_at=now,
        segments=[_row(position, item) for position, item in enumerate(segments)],
    )
    shown = latest_transcript(session, call_id)
    transcript.current = origin == EDIT or shown is None or shown.origin != EDIT
    transcript.unsure_share = unsure_share(transcript.segments, unsure_below)
    session.add(transcript)
    session.flush()
    if transcript.current:
        make_current(session, transcript)
    return transcript


def unsure_share(segments: Sequence[Segment], unsure_below: float) -> float:
    """Of the characters that were heard (announcements were not), the share of those with less confidence; what a
    person confirmed is sure."""
    heard = unsure = 0
    for segment in segments:
        if segment.speaker != HOTLINE:
            for text, _start, _end, confidence in segment.words:
                heard += len(text)
                unsure += len(text) * (segment.confirmed_at is None and confidence < unsure_below)
    return round(unsure / heard, 4) if heard else 0.0


def _row(position: int, utterance: Utterance) -> Segment:
    final = utterance.final
    return Segment(
        position=position,
        speaker=utterance.speaker,
        start_ms=final.start_ms,
        end_ms=final.end_ms,
        text=utterance.text,
        confidence=final.confidence,
        words=[[word.text, word.start_ms, word.end_ms, word.confidence] for word in utterance.words],
    )


def _announcement(text: str, start_ms: int, end_ms: int) -> Utterance:
    step = (end_ms - start_ms) / len(text)
    words = tuple(
        Word(character, start_ms + round(index * step), start_ms + round((index + 1) * step), 1.0)
        for index, character in enumerate(text)
    )
    return Utterance(speaker=HOTLINE, text=text, words=words)


def _live_model(captions: dict[str, Any], asr_url: str) -> ModelInfo:
    """The model of the live captions: as the journal says, else the one that answers now."""
    if "model" in captions:
        return ModelInfo(
            name=str(captions["model"]), engine=str(captions.get("engine", "")), demo=bool(captions.get("demo"))
        )
    try:
        return read_remote_model(asr_url)
    except UnavailableError:
        return UNKNOWN_MODEL


def _in_order(utterances: list[Utterance]) -> list[Utterance]:
    return sorted(utterances, key=lambda item: item.final.start_ms)
