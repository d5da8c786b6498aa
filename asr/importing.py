"""Transcripts of old recordings that are taken in: no captions and no journal, only sound."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from asr.batch import transcribe_file
from asr.repository import latest_transcript
from asr.service import CALLER, CALLER_CHANNEL, Utterance, recognized, store_transcript
from hotline.db import Database

SEAT = "seat"
SEAT_CHANNEL = 1


def has_transcript(database: Database, call_id: str) -> bool:
    """Whether the call has one already."""
    with database.reading() as session:
        return latest_transcript(session, call_id) is not None


def transcribe_import(
    database: Database, wav_path: Path, *, call_id: str, channels: int, asr_url: str, now: Callable[[], datetime]
) -> int:
    """Recognizes what is said in a WAV and stores it as the call's transcript; returns the number of utterances.

    Left is the caller, right the seat; of one channel all counts as the caller's. Raises as `transcribe_file`.
    """
    utterances: list[Utterance] = []
    for speaker, channel in ((CALLER, CALLER_CHANNEL), (SEAT, SEAT_CHANNEL))[:channels]:
        finals, model = transcribe_file(asr_url, wav_path, channel)
        utterances += [recognized(speaker, final.words) for final in finals]
    utterances.sort(key=lambda item: item.final.start_ms)
    with database.transaction() as session:
        store_transcript(session, call_id=call_id, origin="batch", model=model, segments=utterances, now=now())
    return len(utterances)
