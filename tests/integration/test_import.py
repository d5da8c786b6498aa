"""`hotline recordings` on a database, a store and a recognizer that answers: old files come in, and all is proven."""

import contextlib
import json
import shutil
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from recognizer_rig import free_port, running_server
from sqlalchemy import select
from typer.testing import CliRunner

from asr.engines.scripted import ScriptedEvent, ScriptedRecognizer
from asr.models import Transcript
from asr.recognizer import Final, Word
from hotline.cli import app
from hotline.db import Database
from hotline.errors import ConfigurationError
from hotline.settings import Settings
from recordings.models import Call


@pytest.fixture
def database(settings: Settings, migrated_sqlite_file: Path) -> Iterator[Database]:
    settings.data_dir.mkdir()
    shutil.copy(migrated_sqlite_file, settings.data_dir / "hotline.db")
    with contextlib.closing(Database(settings.effective_database_url())) as opened:
        yield opened


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A folder of two old files, one text and a list."""
    folder = tmp_path / "old"
    folder.mkdir()
    for name, channels in (("mono.wav", 1), ("stereo.wav", 2)):
        with wave.open(str(folder / name), "wb") as file:
            file.setnchannels(channels)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(np.full(8000 * channels, 300, "<i2").tobytes())
    (folder / "notes.txt").write_text("no sound")
    (folder / "list.csv").write_text("file,started_at,caller\nmono.wav,2019-05-01 09:30:00,13800138000\n")
    return folder


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["recordings", *map(str, arguments)])


def test_old_files_become_calls_with_transcripts_and_are_proven(
    settings: Settings, database: Database, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOTLINE_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("HOTLINE_ASR__URL", f"ws://127.0.0.1:{free_port()}")
    arguments = ("import", old, "--list", old / "list.csv", "--json")
    away = run(*arguments)
    assert away.exit_code == 1
    counts = json.loads(away.stdout)
    assert (counts["files"], counts["imported"], counts["transcripts"]) == (3, 2, 0)
    assert len(counts["failed"]) == 3
    heard = ScriptedEvent(at_ms=500, event=Final((Word("路灯", 100, 400, 0.9),)))
    with running_server(ScriptedRecognizer([heard])) as server:
        monkeypatch.setenv("HOTLINE_ASR__URL", server.url)
        counts = json.loads(run(*arguments).stdout)
        again = json.loads(run(*arguments).stdout)
    assert (counts["imported"], counts["transcripts"]) == (0, 2)
    assert (again["imported"], again["transcripts"]) == (0, 0)
    assert [item["file"] for item in again["failed"]] == [str(old / "notes.txt")]
    with database.reading() as session:
        calls = session.scalars(select(Call).order_by(Call.started_at)).all()
        transcripts = session.scalars(select(Transcript)).all()
        speakers = {tuple(segment.speaker for segment in transcript.segments) for transcript in transcripts}
    assert [call.caller_number for call in calls] == ["13800138000", ""]
    assert speakers == {("caller",), ("caller", "seat")}
    verified = run("verify", "--json")
    assert (verified.exit_code, json.loads(verified.stdout)["files"]) == (0, 4)


def test_site_encrypts_what_it_has_and_proves_it_without_the_key(
    settings: Settings, database: Database, old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOTLINE_DATA_DIR", str(settings.data_dir))
    (old / "notes.txt").unlink()
    assert run("import", old, "--list", old / "list.csv", "--no-transcribe").exit_code == 0
    key = tmp_path / "recordings.key"
    assert run("new-key", key, "--id", "first").exit_code == 0
    monkeypatch.setenv("HOTLINE_RECORDINGS__KEY_FILE", str(key))
    assert "重新加密 4 个文件" in run("rekey").stdout
    key.chmod(0o644)
    assert isinstance(run("rekey").exception, ConfigurationError)
    monkeypatch.delenv("HOTLINE_RECORDINGS__KEY_FILE")
    assert run("verify").exit_code == 0
    sound = next((settings.data_dir / "recordings" / "2019").rglob("*.wav"))
    assert sound.read_bytes().startswith(b"HLREC")
    sound.write_bytes(sound.read_bytes()[:-1])
    verified = run("verify")
    assert verified.exit_code == 1
    assert "文件被改动" in verified.stdout
    assert sound.name in verified.stdout


def test_day_and_span_exclude_each_other(settings: Settings) -> None:
    assert "--day" in str(run("verify", "--day", "2026-01-05", "--to", "2026-01-06").exception)
