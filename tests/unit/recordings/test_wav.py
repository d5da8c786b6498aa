import struct
import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.errors import InvalidInputError
from recordings.wav import repair_wav, wav_header, wav_info


def block(count, seed=0):
    return np.random.default_rng(seed).integers(-32768, 32767, (count, 2), np.int16)


def read(path):
    """The file's samples as Python's own reader sees them."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8000)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)


@given(
    told=st.integers(0, 2**32 - 1),
    riff=st.integers(0, 2**32 - 1),
    count=st.integers(0, 50),
    torn=st.integers(0, 3),
)
def test_file_cut_anywhere_is_repaired_to_its_whole_frames(tmp_path_factory, told, riff, count, torn):
    path = tmp_path_factory.mktemp("cut") / "a.wav"
    audio = block(count)
    header = bytearray(wav_header(0))
    struct.pack_into("<I", header, 4, riff)
    struct.pack_into("<I", header, 40, told)
    path.write_bytes(header + audio.tobytes() + b"xyz"[:torn])
    whole = torn == 0 and riff == 36 + 4 * count and told == 4 * count
    changed = repair_wav(path)
    assert changed or whole or told <= 4 * count
    assert not repair_wav(path)
    kept = read(path)
    assert np.array_equal(kept, audio[: len(kept)])
    if changed:
        assert len(kept) == count


def test_sound_file_is_left_alone(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(wav_header(40) + bytes(40))
    before = path.read_bytes()
    assert not repair_wav(path)
    assert path.read_bytes() == before
    info = wav_info(path)
    assert (info.channels, info.sample_rate, info.frames, info.data_start) == (2, 8000, 10, 44)
    assert info.duration_ms == 1


@pytest.mark.parametrize("content", [b"", b"RIFF", bytes(44), b"not audio at all, but long enough for a header", b"x"])
def test_file_without_a_header_cannot_be_repaired(tmp_path, content):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(InvalidInputError, match=r"WAV header|empty"):
        repair_wav(path)
    assert path.read_bytes() == content


@given(st.binary(max_size=80))
def test_garbage_after_the_form_is_a_clear_error_or_a_repair(tmp_path_factory, tail):
    path = tmp_path_factory.mktemp("garbage") / "a.wav"
    path.write_bytes(wav_header(0)[:12] + tail)
    with pytest.raises(InvalidInputError):
        repair_wav(path)


def test_header_cut_within_is_a_clear_error(tmp_path):
    path = tmp_path / "a.wav"
    for length in range(44):
        path.write_bytes(wav_header(0)[:length])
        with pytest.raises(InvalidInputError):
            wav_info(path)


def test_compressed_audio_is_refused(tmp_path):
    path = tmp_path / "a.wav"
    header = bytearray(wav_header(0))
    struct.pack_into("<H", header, 20, 7)
    path.write_bytes(header)
    with pytest.raises(InvalidInputError, match="not PCM"):
        wav_info(path)
