"""What an exported transcript says of itself, and what all its formats share. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from console.views import Fact, Utterance, Word


@dataclass(frozen=True, kw_only=True)
class RecordingFile:
    """The recording: `content` where it goes along, else where it is and its hash (`export_vcon.content_hash`)."""

    filename: str
    url: str
    content_hash: str
    content: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class TranscriptFile:
    """A transcript and its call and ticket, masked as the page is; utterances in the order of time."""

    number: str
    call_id: str
    version: int
    engine: str
    model: str
    demo_model: bool
    masked: bool
    utterances: Sequence[Utterance]
    title: str
    content: str
    caller_name: str
    phone: str
    facts: Sequence[Fact]
    started_at: datetime
    duration_ms: int
    site_name: str
    zone: ZoneInfo
    exported_at: datetime
    exported_by: str
    domain: str = ""
    recording: RecordingFile | None = None


def text_of(words: Sequence[Word]) -> str:
    """What was said, as people read it."""
    return "".join(word.text for word in words)


def transcript_data(transcript: TranscriptFile) -> dict[str, Any]:
    """Every word with its times, in milliseconds of the recording."""
    return {
        "ticket": transcript.number,
        "call_id": transcript.call_id,
        "version": transcript.version,
        "engine": transcript.engine,
        "model": transcript.model,
        "demo_model": transcript.demo_model,
        "masked": transcript.masked,
        "segments": [
            {
                "speaker": item.speaker,
                "start_ms": item.start_ms,
                "end_ms": item.end_ms,
                "text": text_of(item.words),
                "words": [
                    {"text": word.text, "start_ms": word.start_ms, "end_ms": word.end_ms, "unsure": word.unsure}
                    for word in item.words
                ],
            }
            for item in transcript.utterances
        ],
    }
