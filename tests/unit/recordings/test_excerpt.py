import io
import shutil
import wave

import numpy as np
import pytest

from hotline.errors import ConfigurationError, InvalidInputError
from recordings.excerpt import cut, encode_mp3
from recordings.wav import wav_header

RATE = 8000


@pytest.fixture
def recording():
    samples = np.arange(2 * 8000, dtype=np.int16).reshape(-1, 2)  # one second
    return io.BytesIO(wav_header(samples.nbytes) + samples.tobytes())


def test_a_stretch_is_cut_exactly(recording):
    with wave.open(io.BytesIO(cut(recording, start_ms=250, end_ms=500, longest_ms=1000))) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (2, RATE, 2000)
        first = np.frombuffer(file.readframes(1), "<i2")
    assert first.tolist() == [4000, 4001]


def test_what_lies_behind_the_end_is_left_out(recording):
    with wave.open(io.BytesIO(cut(recording, start_ms=900, end_ms=5000, longest_ms=9000))) as file:
        assert file.getnframes() == 800


@pytest.mark.parametrize(
    ("start", "end", "message"), [(500, 500, "终点"), (600, 500, "终点"), (0, 1001, "最长"), (1000, 1500, "结束之后")]
)
def test_a_stretch_that_is_none_or_too_long_is_refused(recording, start, end, message):
    with pytest.raises(InvalidInputError, match=message):
        cut(recording, start_ms=start, end_ms=end, longest_ms=1000)


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
def test_an_mp3_is_one_and_as_long(recording):
    mp3 = encode_mp3(cut(recording, start_ms=0, end_ms=1000, longest_ms=1000))
    assert mp3[:3] == b"ID3" or mp3[0] == 0xFF
    from pydub import AudioSegment

    assert AudioSegment.from_file(io.BytesIO(mp3), format="mp3").duration_seconds == pytest.approx(1, abs=0.1)


def test_without_ffmpeg_the_error_says_what_to_do(recording, monkeypatch):
    from pydub import AudioSegment

    monkeypatch.setattr(AudioSegment, "converter", "/nonexistent/ffmpeg")
    with pytest.raises(ConfigurationError, match="ffmpeg"):
        encode_mp3(cut(recording, start_ms=0, end_ms=1000, longest_ms=1000))
