import numpy as np
import pytest

from asr.batch import read_channel
from asr.line import CodecName, Line, speech_level
from hotline.settings_sections import PACKAGE_ROOT


@pytest.fixture(scope="module")
def speech() -> bytes:
    return read_channel(PACKAGE_ROOT / "demo/callers/heating_zhang.wav", 0)[0]


def samples_of(pcm: bytes) -> np.ndarray:
    return np.frombuffer(pcm, "<i2").astype(np.float64)


def test_a_line_without_faults_changes_nothing(speech: bytes) -> None:
    assert Line().carry(speech, 8000) == (speech, 8000)


@pytest.mark.parametrize(("codec", "rate"), [("alaw", 8000), ("ulaw", 8000), ("g722", 16000)])
def test_a_codec_keeps_the_speech(speech: bytes, codec: CodecName, rate: int) -> None:
    heard, heard_rate = Line(codec=codec).carry(speech, 8000)
    assert heard_rate == rate
    assert heard != speech
    assert len(heard) / rate == pytest.approx(len(speech) / 8000, abs=0.02)
    assert speech_level(samples_of(heard), rate) == pytest.approx(speech_level(samples_of(speech), 8000), rel=0.1)


def test_noise_is_as_far_below_the_speech_as_asked_for(speech: bytes) -> None:
    heard, _ = Line(snr_db=20).carry(speech, 8000)
    noise = samples_of(heard) - samples_of(speech)
    ratio = speech_level(samples_of(speech), 8000) / np.sqrt(np.mean(noise**2))
    assert 20 * np.log10(ratio) == pytest.approx(20, abs=0.5)


def test_silence_gets_no_noise_and_nothing_stays_nothing() -> None:
    assert not np.any(samples_of(Line(snr_db=10).carry(bytes(16_000), 8000)[0]))
    assert Line(codec="g722", snr_db=10, loss=0.5).carry(b"", 16000)[0] == b""


def test_lost_packets_are_concealed_the_same_way_every_time(speech: bytes) -> None:
    line = Line(codec="alaw", loss=0.1)
    heard, _ = line.carry(speech, 8000)
    assert heard == line.carry(speech, 8000)[0]
    assert heard != Line(codec="alaw", loss=0.1, seed=2).carry(speech, 8000)[0]
    assert len(heard) == len(speech)
    whole = samples_of(Line(codec="alaw").carry(speech, 8000)[0])
    frames = len(whole) // 160 * 160
    same = (whole[:frames] == samples_of(heard)[:frames]).reshape(-1, 160).all(axis=1)
    assert 0.75 < same.mean() < 0.95  # a frame after a lost one is blended


def test_a_share_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="loss"):
        Line(loss=1.0)
