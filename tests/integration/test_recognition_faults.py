"""What recognition makes of audio that nobody wishes for: silence, music, English, two people at once, hours, wrong
rates, no file. A recording is never lost, and a call without words is told from one with."""

import shutil
import subprocess
import tracemalloc
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soxr
from ingest_rig import CALL_ID, Site, leave_call, make_site
from recognizer_rig import MODEL, RunningServer, running_server, speech
from sqlalchemy import select

from asr.batch import transcribe_file
from asr.engines.scripted import ScriptedEvent, ScriptedRecognizer
from asr.engines.vosk import VoskRecognizer
from asr.models import Segment
from asr.recognizer import Final, Word
from asr.scoring import cer
from hotline.db import Database
from hotline.errors import InvalidInputError, NotFoundError
from hotline.settings import Settings
from hotline.settings_sections import AsrSettings
from recordings.models import Recording

RATE = 8000
HOURS_MS = 3 * 3600 * 1000
AUDIO = f"2026/01/05/{CALL_ID}.wav"


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with running_server(VoskRecognizer(MODEL, allow_demo_model=True)) as running:
        yield running


@pytest.fixture
def site(database: Database, settings: Settings, tmp_path: Path, server: RunningServer) -> Site:
    made = make_site(database, settings, tmp_path)
    made.settings = made.settings.model_copy(update={"asr": AsrSettings(url=server.url)})
    return made


def music() -> bytes:
    """A chord that swells twice a second for 12 s."""
    t = np.arange(12 * RATE) / RATE
    vibrato = t * (1 + 0.003 * np.sin(2 * np.pi * 5 * t))
    chord = sum(np.sin(2 * np.pi * pitch * vibrato) for pitch in (262, 330, 392, 523))
    return (chord * np.clip(np.sin(4 * np.pi * t), 0, 1) * 4000).astype("<i2").tobytes()


def english(folder: Path) -> bytes:
    path = folder / "english.wav"
    text = "Good morning, I would like to report a broken street light near the station."
    subprocess.run(["espeak-ng", "-v", "en", "-w", path, text], check=True, capture_output=True)
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return soxr.resample(samples, file.getframerate(), RATE).astype("<i2").tobytes()


def write_wav(path: Path, *channels: bytes, rate: int = RATE) -> Path:
    sides = [np.frombuffer(pcm, "<i2") for pcm in channels]
    length = max(map(len, sides))
    frames = np.stack([np.pad(side, (0, length - len(side))) for side in sides], axis=1)
    with wave.open(str(path), "wb") as file:
        file.setparams((len(channels), 2, rate, 0, "NONE", ""))
        file.writeframes(frames.tobytes())
    return path


def heard(server: RunningServer, path: Path, channel: int = 0) -> str:
    return "".join(final.text for final in transcribe_file(server.url, path, channel)[0])


def segments(site: Site) -> list[Segment]:
    with site.database.reading() as session:
        return list(session.scalars(select(Segment).where(Segment.speaker == "caller")))


def test_a_call_of_silence_keeps_its_recording_and_makes_no_ticket(site: Site) -> None:
    leave_call(site, said=(), complete=False, demand=False, audio=bytes(2 * 20 * RATE))
    site.ingest()
    assert segments(site) == []
    assert site.ticket() is None
    assert site.count(Recording) == 1
    assert site.store.exists(AUDIO)
    assert site.spooled() == []


def ingested(site: Site, audio: bytes) -> list[Segment]:
    """The caller's segments of a call whose recording is stored and whose ticket waits for people."""
    leave_call(site, said=(), complete=False, audio=audio)
    site.ingest()
    assert site.store.exists(AUDIO)
    ticket = site.ticket()
    assert ticket is not None
    assert ticket.state == "to_dispatch"
    return segments(site)


def test_music_keeps_its_recording_and_its_ticket_is_looked_at(site: Site) -> None:
    audio = music()
    for segment in ingested(site, audio):  # a model that knows no music may take it for words
        assert 0 <= segment.start_ms <= segment.end_ms <= len(audio) // 16


def test_another_language_is_not_believed(site: Site, tmp_path: Path) -> None:
    if shutil.which("espeak-ng") is None:
        pytest.skip("no espeak-ng")
    heard_words = ingested(site, english(tmp_path))
    assert all(segment.confidence < 0.9 for segment in heard_words)


def test_two_people_at_once_are_told_apart_by_their_channels(server: RunningServer, tmp_path: Path) -> None:
    caller, seat = speech("heating_zhang"), speech("wages_lu")
    both = write_wav(tmp_path / "both.wav", caller, seat)
    for channel, alone in enumerate((caller, seat)):
        assert heard(server, both, channel) == heard(server, write_wav(tmp_path / f"{channel}.wav", alone))


def test_two_people_in_one_channel_are_some_words_and_no_failure(server: RunningServer, tmp_path: Path) -> None:
    voices = [np.frombuffer(speech(name), "<i2").astype(np.int32) for name in ("heating_zhang", "wages_lu")]
    length = min(map(len, voices))
    mixed = ((voices[0][:length] + voices[1][:length]) // 2).astype("<i2").tobytes()
    assert heard(server, write_wav(tmp_path / "mixed.wav", mixed))


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_a_file_of_another_rate_has_the_same_words(server: RunningServer, tmp_path: Path, rate: int) -> None:
    pcm = speech("street_light")
    other = soxr.resample(np.frombuffer(pcm, "<i2"), RATE, rate).astype("<i2").tobytes()
    expected = heard(server, write_wav(tmp_path / "same.wav", pcm))
    assert cer(expected, heard(server, write_wav(tmp_path / "other.wav", other, rate=rate))) < 0.1


def test_a_file_that_is_none_is_an_error_that_says_so(server: RunningServer, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        transcribe_file(server.url, tmp_path / "absent.wav", 0)
    (tmp_path / "bad.wav").write_bytes(b"ID3" + bytes(100))
    with pytest.raises(InvalidInputError):
        transcribe_file(server.url, tmp_path / "bad.wav", 0)


@pytest.mark.slow
def test_a_call_of_three_hours_is_never_in_memory_whole(tmp_path: Path) -> None:
    path = tmp_path / "hours.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        for _ in range(HOURS_MS // 60_000):
            file.writeframes(bytes(2 * 60 * RATE))
    last = Final((Word("好", HOURS_MS - 2000, HOURS_MS - 1500, 1.0),))
    script = [ScriptedEvent(1000, Final((Word("喂", 100, 400, 1.0),))), ScriptedEvent(HOURS_MS - 1000, last)]
    with running_server(ScriptedRecognizer(script)) as running:
        tracemalloc.start()
        finals, _ = transcribe_file(running.url, path, 0)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert [final.text for final in finals] == ["喂", "好"]
    assert finals[-1] == last
    assert peak < 16 << 20
