"""Transcripts from journals and recordings, stored once."""

import json
import shutil
import wave
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from asr import service
from asr.models import Segment, Transcript
from asr.recognizer import Final, ModelInfo, Word
from asr.service import (
    Utterance,
    latest_transcript,
    segments_from_journal,
    store_transcript,
    transcribe_call,
    transcript_for_call,
)
from hotline.errors import UnavailableError
from ivr.journal import Journal, JournalWriter
from recordings.models import Call

NOW = datetime(2026, 1, 5, 1, 30, tzinfo=UTC)
MODEL = ModelInfo(name="zh_tiny", engine="vosk", demo=True)
NOWHERE = "ws://127.0.0.1:1"
HELLO = [["您好", 4000, 4400, 0.9], ["我", 4400, 4500, 1.0]]


@pytest.fixture
def session(tmp_path: Path, migrated_sqlite_file: Path) -> Iterator[Session]:
    engine = create_engine(f"sqlite:///{shutil.copy(migrated_sqlite_file, tmp_path / 'hotline.db')}")
    with Session(engine) as session:
        session.add(Call(id="call", started_at=NOW, ended_at=NOW))
        session.flush()
        yield session
    engine.dispose()


def journal(tmp_path: Path, *lines: tuple[str, dict[str, Any]]) -> Journal:
    writer = JournalWriter(tmp_path / "call.jsonl")
    for kind, data in lines:
        writer.append(kind, NOW, **data)
    writer.close()
    return Journal.read(writer.path)


def caller_said(words: list[list[Any]], speaker: str = "caller") -> tuple[str, dict[str, Any]]:
    return "segment", {
        "speaker": speaker, "start_ms": words[0][1], "end_ms": words[-1][2], "words": words,
    }  # fmt: skip


def recognizer_says(monkeypatch: pytest.MonkeyPatch, *words: Word) -> list[tuple[str, Path, int]]:
    """Replaces the recognizer process behind `transcribe_file`; returns the calls it gets."""
    asked: list[tuple[str, Path, int]] = []

    def transcribe(url: str, path: Path, channel: int) -> tuple[tuple[Final, ...], ModelInfo]:
        asked.append((url, path, channel))
        return (Final(words),), MODEL

    monkeypatch.setattr(service, "transcribe_file", transcribe)
    return asked


def test_captions_and_announcements_are_ordered_by_their_start(tmp_path: Path) -> None:
    utterances = segments_from_journal(
        journal(
            tmp_path,
            caller_said(HELLO),
            ("prompt", {"start_ms": 0, "end_ms": 3000, "text": "您好，请讲。"}),
            caller_said([["喂", 1000, 1200, 0.5]]),
            caller_said([["我是", 5000, 5400, 1.0]], speaker="seat"),
        )
    )
    assert [(item.speaker, item.text) for item in utterances] == [
        ("hotline", "您好，请讲。"),
        ("caller", "喂。"),
        ("caller", "您好，我。"),
        ("seat", "我是。"),
    ]
    assert utterances[2].words == (Word("您好", 4000, 4400, 0.9), Word("我", 4400, 4500, 1.0))


def test_an_announcements_words_are_spread_over_its_time(tmp_path: Path) -> None:
    (prompt,) = segments_from_journal(journal(tmp_path, ("prompt", {"start_ms": 100, "end_ms": 400, "text": "请讲。"})))
    assert prompt.words == (Word("请", 100, 200, 1.0), Word("讲", 200, 300, 1.0), Word("。", 300, 400, 1.0))


@pytest.mark.parametrize(
    "line",
    [
        ("segment", {"speaker": "caller"}),
        ("segment", {"speaker": "caller", "words": [["好", 5, 1, 1.0]]}),
        ("segment", {"speaker": "caller", "words": [["好", 5]]}),
        ("segment", {"speaker": "caller", "words": [["好", "a", "b", 1.0]]}),
        ("segment", {"speaker": "caller", "words": 3}),
        ("segment", {"speaker": "caller", "words": []}),
        ("prompt", {"text": "您好"}),
        ("prompt", {"text": "您好", "start_ms": 10, "end_ms": 0}),
        ("prompt", {"text": " ", "start_ms": 0, "end_ms": 10}),
    ],
)
def test_a_damaged_line_costs_only_itself(tmp_path: Path, line: tuple[str, dict[str, Any]]) -> None:
    assert len(segments_from_journal(journal(tmp_path, line, caller_said(HELLO)))) == 1


def test_complete_captions_are_the_transcript(
    tmp_path: Path, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = recognizer_says(monkeypatch, Word("没有", 0, 1, 1.0))
    captions = {"complete": True, "model": "zh_tiny", "engine": "vosk", "demo": True}
    transcript = transcript_for_call(
        session,
        call_id="call",
        journal=journal(tmp_path, caller_said(HELLO), ("captions", captions)),
        audio_path=tmp_path / "call.wav",
        asr_url=NOWHERE,
        now=NOW,
    )
    assert asked == []
    assert (transcript.origin, transcript.version, transcript.created_at) == ("live", 1, NOW)
    assert (transcript.engine, transcript.model, transcript.demo_model) == ("vosk", "zh_tiny", True)
    (segment,) = transcript.segments
    assert (segment.speaker, segment.start_ms, segment.end_ms, segment.text) == ("caller", 4000, 4500, "您好，我。")
    assert segment.words == HELLO
    assert segment.confidence == pytest.approx((0.9 * 2 + 1.0) / 3)


@pytest.mark.parametrize(
    "captions",
    [
        [],
        [("captions", {"complete": False})],
        [("captions", {})],
        [("captions", {"complete": True}), ("captions", {"complete": False})],
        [("captions", {"complete": "yes"})],
    ],
)
def test_incomplete_captions_are_replaced_by_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, captions: list[tuple[str, dict[str, Any]]]
) -> None:
    asked = recognizer_says(monkeypatch, Word("路灯", 3000, 3500, 0.7), Word("坏了", 3500, 4000, 0.8))
    written = journal(
        tmp_path,
        ("prompt", {"start_ms": 0, "end_ms": 3000, "text": "请讲"}),
        caller_said(HELLO),
        caller_said([["我是", 5000, 5400, 1.0]], speaker="seat"),
        *captions,
    )
    origin, model, utterances = transcribe_call(written, audio_path=tmp_path / "call.wav", asr_url=NOWHERE)
    assert asked == [(NOWHERE, tmp_path / "call.wav", 0)]
    assert (origin, model) == ("batch", MODEL)
    assert [item.text for item in utterances] == ["请讲", "路灯坏了。", "我是。"]


def test_a_recognizer_that_is_away_is_unavailable_so_that_the_job_comes_again(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "call.wav"), "wb") as file:
        file.setparams((2, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(3200))
    with pytest.raises(UnavailableError):
        transcribe_call(journal(tmp_path), audio_path=tmp_path / "call.wav", asr_url=NOWHERE)


def test_without_a_recording_the_captions_there_are_have_to_do(tmp_path: Path) -> None:
    origin, model, utterances = transcribe_call(
        journal(tmp_path, caller_said(HELLO)), audio_path=tmp_path / "absent.wav", asr_url=NOWHERE
    )
    assert (origin, model.name) == ("live", "unknown")
    assert [item.text for item in utterances] == ["您好，我。"]


UTTERANCE = Utterance(speaker="caller", text="好。", words=(Word("好", 0, 100, 1.0),))


def store(session: Session, origin: Any) -> Transcript:
    return store_transcript(session, call_id="call", origin=origin, model=MODEL, segments=[UTTERANCE], now=NOW)


@pytest.mark.parametrize("origin", ["live", "batch"])
def test_a_machines_transcript_is_stored_once(session: Session, origin: str) -> None:
    first = store(session, origin)
    assert store(session, origin).id == first.id
    assert session.query(Segment).count() == 1


def test_every_further_version_is_kept_and_the_newest_is_the_latest(session: Session) -> None:
    assert latest_transcript(session, "call") is None
    versions = [store(session, origin) for origin in ("live", "batch", "edit", "edit")]
    assert [item.version for item in versions] == [1, 2, 3, 4]
    latest = latest_transcript(session, "call")
    assert latest is not None
    assert latest.id == versions[-1].id
    assert json.loads(json.dumps(latest.segments[0].words)) == [["好", 0, 100, 1.0]]


def test_a_silent_call_has_a_transcript_without_segments(tmp_path: Path, session: Session) -> None:
    transcript = transcript_for_call(
        session,
        call_id="call",
        journal=journal(tmp_path, ("captions", {"complete": True, "model": "zh_tiny", "engine": "vosk"})),
        audio_path=tmp_path / "call.wav",
        asr_url=NOWHERE,
        now=NOW,
    )
    assert transcript.segments == []
