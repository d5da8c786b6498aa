"""`hotline recordings compress` as it is typed."""

import json
import shutil
import wave
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hotline.cli_recordings import app
from hotline.clock import SystemClock
from hotline.db import Database
from hotline.errors import ConfigurationError, ConflictError
from hotline.jobs import ValkeyJobs
from hotline.settings import Settings
from recordings.importing import Facts, import_call
from recordings.jobs import COMPRESS_LEASE
from recordings.store import RecordingStore

CALL = "c0ffee"


@pytest.fixture
def folder(settings: Settings, migrated_sqlite_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The recordings of a site with one old call."""
    settings.data_dir.mkdir(parents=True)
    path = settings.data_dir / "hotline.db"
    shutil.copy(migrated_sqlite_file, path)
    monkeypatch.setenv("HOTLINE_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("HOTLINE_DATABASE_URL", f"sqlite:///{path}")
    with wave.open("old.wav", "wb") as writer:
        writer.setnchannels(2)
        writer.setsampwidth(2)
        writer.setframerate(8000)
        writer.writeframes(bytes(range(256)) * 500)
    now = SystemClock().now()
    store = RecordingStore(settings.effective_recordings_url())
    database = Database(f"sqlite:///{path}")
    facts = Facts(started_at=now - timedelta(days=40))
    import_call(
        database, store, Path("old.wav"), call_id=CALL, digest="0" * 64, file_name="old.wav", facts=facts, now=now
    )
    database.close()
    return Path(settings.effective_recordings_url())


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
def test_compress_lists_then_does_and_then_has_nothing_to_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTLINE_RECORDINGS__COMPRESS_AFTER_DAYS", "30")
    (wav,) = folder.rglob(f"{CALL}.wav")
    size = wav.stat().st_size
    dry = CliRunner().invoke(app, ["compress", "--dry-run", "--json"])
    assert (dry.exit_code, json.loads(dry.stdout)) == (0, {"due": 1, "bytes": size})
    assert wav.exists()
    done = CliRunner().invoke(app, ["compress", "--json"])
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert (told["files"], told["bytes_before"], told["failed"]) == (1, size, [])
    assert told["bytes_after"] == wav.with_suffix(".flac").stat().st_size
    assert not wav.exists()
    again = CliRunner().invoke(app, ["compress"])
    assert (again.exit_code, "压缩 0 条" in again.stdout) == (0, True)


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
def test_a_recording_that_fails_is_told_and_the_status_is_1(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTLINE_RECORDINGS__COMPRESS_AFTER_DAYS", "30")
    (wav,) = folder.rglob(f"{CALL}.wav")
    wav.write_bytes(wav.read_bytes()[:-1] + b"\7")
    done = CliRunner().invoke(app, ["compress"])
    assert done.exit_code == 1
    assert f"{CALL}.wav" in done.stderr
    assert wav.exists()


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
def test_compress_waits_for_a_worker_that_does_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, valkey_server: str
) -> None:
    monkeypatch.setenv("HOTLINE_RECORDINGS__COMPRESS_AFTER_DAYS", "30")
    monkeypatch.setenv("HOTLINE_VALKEY_URL", valkey_server)
    with ValkeyJobs(valkey_server).lease(COMPRESS_LEASE):
        refused = CliRunner().invoke(app, ["compress"])
        assert isinstance(refused.exception, ConflictError)
    assert len(list(folder.rglob(f"{CALL}.wav"))) == 1
    done = CliRunner().invoke(app, ["compress"])
    assert (done.exit_code, "压缩 1 条" in done.stdout) == (0, True)
    assert not ValkeyJobs(valkey_server).leased(COMPRESS_LEASE)


def test_compress_where_the_site_does_not_says_which_setting(folder: Path) -> None:
    result = CliRunner().invoke(app, ["compress"])
    assert isinstance(result.exception, ConfigurationError)
    assert "compress_after_days" in result.exception.hint
