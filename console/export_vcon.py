"""A call as a vCon, the IETF's container for conversations (draft-ietf-vcon-vcon-core-04, syntax 0.4.0). Pure.

Names of earlier drafts that readers still ask for (`mimetype`, an attachment's `type`) stand beside the present ones:
the draft lets any object hold parameters that it does not know (section 2.5).
"""

import base64
import hashlib
import json
import uuid
from datetime import datetime
from typing import Any

from console import labels
from console.transcript_file import TranscriptFile, transcript_data

SYNTAX = "0.4.0"
SCHEMA = "hotline-transcript-1"
WAV = "audio/x-wav"
CALLER, HOTLINE = 0, 1  # indices of the parties, and the channels of the recording


def as_vcon(transcript: TranscriptFile) -> str:
    """Parties, the recording (by reference, or inline where it was read), the transcript and the ticket."""
    parties = [_party(transcript.caller_name, transcript.phone), {"name": transcript.site_name, "type": "organization"}]
    others = sorted({item.speaker for item in transcript.utterances} - {"caller", "hotline"})
    parties += [{"name": labels.label(labels.SPEAKERS, speaker), "type": "person"} for speaker in others]
    data: dict[str, Any] = {
        "vcon": SYNTAX,
        "uuid": vcon_uuid(transcript.exported_at, transcript.domain, transcript.call_id),
        "created_at": transcript.exported_at.isoformat(),
        "subject": transcript.title,
        "parties": parties,
        "dialog": [_dialog(transcript)],
        "analysis": [
            {
                "type": "transcript",
                "dialog": 0,
                "vendor": transcript.engine or "unknown",
                "product": transcript.model,
                "schema": SCHEMA,
                "mediatype": "application/json",
                "encoding": "json",
                "body": transcript_data(transcript),
            }
        ],
        "attachments": [
            {
                "purpose": "ticket",
                "type": "ticket",
                "start": transcript.started_at.isoformat(),
                "party": HOTLINE,
                "dialog": 0,
                "mediatype": "application/json",
                "encoding": "json",
                "body": {
                    "number": transcript.number,
                    "title": transcript.title,
                    "content": transcript.content,
                    "masked": transcript.masked,
                    "fields": {fact.field: fact.value for fact in transcript.facts if fact.value},
                },
            }
        ],
    }
    return json.dumps(data, ensure_ascii=False, indent=2) + "\n"


def content_hash(digest: bytes) -> str:
    """A file's SHA-512 as vCons name it (section 2.2)."""
    return f"sha512-{_base64url(digest)}"


def vcon_uuid(at: datetime, domain: str, call_id: str) -> str:
    """Version 8 (RFC 9562 section 5.8): milliseconds since 1970, then hashes of the call and of who made the vCon."""
    milliseconds = int(at.timestamp() * 1000) & 0xFFFFFFFFFFFF
    call = int.from_bytes(hashlib.sha256(call_id.encode()).digest()[:2]) & 0xFFF
    maker = int.from_bytes(hashlib.sha256(f"{domain} {call_id}".encode()).digest()[:8]) & (1 << 62) - 1
    return str(uuid.UUID(int=milliseconds << 80 | 8 << 76 | call << 64 | 2 << 62 | maker))


def _party(name: str, phone: str) -> dict[str, str]:
    party = {"name": name, "tel": phone, "type": "person"}
    return {key: value for key, value in party.items() if value}


def _dialog(transcript: TranscriptFile) -> dict[str, Any]:
    dialog: dict[str, Any] = {
        "type": "recording",
        "start": transcript.started_at.isoformat(),
        "duration": transcript.duration_ms / 1000,
        "parties": [CALLER, HOTLINE],
        "originator": CALLER,
        "mediatype": WAV,
        "mimetype": WAV,
    }
    recording = transcript.recording
    if recording is None:
        return dialog
    dialog["filename"] = recording.filename
    if recording.content is None:
        return dialog | {"url": recording.url, "content_hash": recording.content_hash}
    return dialog | {"encoding": "base64url", "body": _base64url(recording.content)}


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
