import os
import subprocess
import wave
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from chain_rig import Archive, make_archive, write_speech

from hotline.db import Database
from hotline.errors import ConfigurationError, InvalidInputError, UnavailableError
from recordings.importing import (
    Facts,
    content_id,
    convert,
    facts_of,
    files_below,
    import_call,
    read_facts,
)
from recordings.repository import find_call, find_recording
from tickets.call_facts import CallFacts

BEIJING = ZoneInfo("Asia/Shanghai")
AT = datetime(2019, 5, 1, 9, 30, tzinfo=BEIJING)


def make_file(folder: Path, name: str, *options: str, rate: int = 44_100, channels: int = 2) -> Path:
    source = write_speech(folder / "source.wav", seconds=0.4, seed=5, channels=channels, rate=rate)
    target = folder / name
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", source, *options, target], check=True)
    return target


def shape(path: Path) -> tuple[int, int, int]:
    with wave.open(str(path), "rb") as file:
        return file.getframerate(), file.getnchannels(), file.getnframes()


@pytest.mark.parametrize(
    ("name", "rate", "channels", "wanted"),
    [
        ("old.mp3", 44_100, 2, (16_000, 2)),
        ("old.flac", 48_000, 1, (16_000, 1)),
        ("old.ogg", 16_000, 2, (16_000, 2)),
        ("old.wav", 8000, 2, (8000, 2)),
        ("old.au", 8000, 1, (8000, 1)),
    ],
)
def test_files_of_any_format_become_telephone_wavs(
    tmp_path: Path, name: str, rate: int, channels: int, wanted: tuple[int, int]
) -> None:
    convert(make_file(tmp_path, name, rate=rate, channels=channels), tmp_path / "out.wav", timeout_s=60)
    found = shape(tmp_path / "out.wav")
    assert found[:2] == wanted
    assert found[2] / found[0] == pytest.approx(0.4, abs=0.06)


def test_telephone_wav_keeps_every_sample_and_the_channels_may_be_swapped(tmp_path: Path) -> None:
    source = write_speech(tmp_path / "in.wav", seconds=0.2, seed=3)
    convert(source, tmp_path / "same.wav", timeout_s=60)
    convert(source, tmp_path / "swapped.wav", swap=True, timeout_s=60)

    def samples(name: str) -> np.ndarray[tuple[int, int], np.dtype[np.int16]]:
        with wave.open(str(tmp_path / name), "rb") as file:
            return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)

    assert np.array_equal(samples("same.wav"), samples("in.wav"))
    assert np.array_equal(samples("swapped.wav"), samples("in.wav")[:, ::-1])


@pytest.mark.parametrize("content", [b"", b"no sound", b"RIFF\x24\0\0\0WAVE"], ids=["empty", "text", "torn"])
def test_file_without_sound_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "letter.wav"
    path.write_bytes(content)
    with pytest.raises(InvalidInputError) as raised:
        convert(path, tmp_path / "out.wav", timeout_s=60)
    assert "\n" not in raised.value.message


def test_missing_or_hanging_ffmpeg_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_speech(tmp_path / "in.wav", seconds=0.1, seed=3)
    with pytest.raises(UnavailableError, match="ffmpeg_s"):
        convert(source, tmp_path / "out.wav", timeout_s=1e-6)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="ffprobe") as raised:
        convert(source, tmp_path / "out.wav", timeout_s=60)
    assert "install ffmpeg" in raised.value.hint


def write_list(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "list.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_list_says_when_and_who(tmp_path: Path, encoding: str) -> None:
    lines = ["热线/一.mp3,2019-05-01 09:30:00,13800138000,12345", "b.wav,2019/05/02T00:00+02:00"]
    text = "\n".join(["file,started_at,caller,called", *lines, ""])
    facts = read_facts(write_list(tmp_path, text, encoding), zone=BEIJING)
    assert facts["热线/一.mp3"] == Facts(started_at=AT, caller="13800138000", called="12345")
    assert facts["b.wav"].started_at == datetime.fromisoformat("2019-05-02T00:00+02:00")


def test_list_may_be_of_tabs_and_leave_things_open(tmp_path: Path) -> None:
    facts = read_facts(write_list(tmp_path, "file\tcaller\na.wav\t6910\n"), zone=BEIJING)
    assert facts == {"a.wav": Facts(caller="6910")}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "第一行须是列名"),
        ("caller\n1\n", "第一行须是列名"),
        ("file,colour\na.wav,red\n", "第一行须是列名"),
        ("file,started_at\na.wav,yesterday\n", "list.csv:2: 时间无法识别"),
        ("file\na.wav\na.wav\n", "list.csv:3: 文件名重复"),
        ("file,caller\n,1\n", "list.csv:2: 没有文件名"),
    ],
)
def test_list_with_a_fault_names_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        read_facts(write_list(tmp_path, text), zone=BEIJING)


def test_files_are_found_in_folders_without_hidden_ones_and_the_list(tmp_path: Path) -> None:
    for name in ("b/2.wav", "b/1.mp3", ".trash/x.wav", "b/.hidden.wav", "list.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = files_below([tmp_path, tmp_path / "b" / "1.mp3"], but=tmp_path / "list.csv")
    assert [path.relative_to(tmp_path).as_posix() for path in found] == ["b/1.mp3", "b/2.wav"]


def test_file_is_known_by_its_path_or_its_name_else_by_its_time(tmp_path: Path) -> None:
    path = tmp_path / "2019" / "a.wav"
    path.parent.mkdir()
    path.touch()
    os.utime(path, (AT.timestamp(), AT.timestamp()))
    by_path, by_name = Facts(started_at=AT, caller="1"), Facts(caller="2")
    assert facts_of(path, [tmp_path], {"2019/a.wav": by_path, "a.wav": by_name}) == by_path
    assert facts_of(path, [tmp_path], {"a.wav": by_name}) == Facts(started_at=AT, caller="2")
    with pytest.raises(InvalidInputError, match="No such file"):
        facts_of(tmp_path / "none.wav", [tmp_path], {})


@pytest.fixture
def archive(database: Database, tmp_path: Path) -> Archive:
    return make_archive(database, tmp_path)


def take_in(archive: Archive, path: Path) -> tuple[str, bool]:
    call_id, digest = content_id(path)
    facts = Facts(started_at=AT, caller="13800138000", called="12345")
    added = import_call(
        archive.database,
        archive.store,
        path,
        call_id=call_id,
        digest=digest,
        file_name=path.name,
        facts=facts,
        now=archive.clock.now(),
    )
    return call_id, added


def test_old_file_becomes_a_call_of_its_own_kind_with_a_chained_recording(archive: Archive, tmp_path: Path) -> None:
    path = write_speech(tmp_path / "old.wav", seconds=0.5, seed=1, channels=1)
    call_id, added = take_in(archive, path)
    assert added
    with archive.database.reading() as session:
        call, recording = find_call(session, call_id), find_recording(session, call_id)
    assert call is not None
    assert recording is not None
    assert (call.direction, call.purpose, call.caller_number) == ("import", "import", "13800138000")
    assert (call.started_at, call.duration_ms) == (AT.astimezone(UTC), 500)
    assert call.details["import"] == {"file": "old.wav", "sha256": content_id(path)[1]}
    assert not CallFacts.of_call(call).becomes_ticket(numbered=False, spoke=True)
    assert (recording.channels, recording.sample_rate, recording.path) == (1, 8000, f"2019/05/01/{call_id}.wav")
    assert archive.store.exists(f"2019/05/01/{call_id}.peaks.json")
    assert archive.verify().findings == []


def test_same_content_is_taken_in_once_under_whatever_name(archive: Archive, tmp_path: Path) -> None:
    path = write_speech(tmp_path / "old.wav", seconds=0.5, seed=1)
    call_id, _ = take_in(archive, path)
    assert take_in(archive, path.rename(tmp_path / "renamed.wav")) == (call_id, False)
    assert archive.verify().links == 2


def test_killed_before_its_rows_it_is_taken_in_by_the_next_run(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_speech(tmp_path / "old.wav", seconds=0.5, seed=1)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("recordings.importing.append_links", killed)
        with pytest.raises(KeyboardInterrupt):
            take_in(archive, path)
    assert take_in(archive, path)[1]
    assert archive.verify().findings == []


def test_file_without_a_sample_is_refused(archive: Archive, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="没有声音"):
        take_in(archive, write_speech(tmp_path / "old.wav", seconds=0, seed=1))
