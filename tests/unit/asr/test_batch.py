import wave
from pathlib import Path

import pytest

from asr.batch import read_channel
from hotline.errors import InvalidInputError, NotFoundError


def write_wav(path: Path, frames: bytes, *, channels: int = 2, width: int = 2) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, width, 8000, 0, "NONE", ""))
        file.writeframes(frames)
    return path


def test_the_left_channel_is_the_first(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", b"\x01\x00\x02\x00" * 3)
    assert read_channel(path, 0) == (b"\x01\x00" * 3, 8000)
    assert read_channel(path, 1) == (b"\x02\x00" * 3, 8000)


def test_a_recording_cut_in_a_frame_is_read_up_to_there(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", b"\x01\x00\x02\x00" * 3)
    path.write_bytes(path.read_bytes()[:-3])
    assert read_channel(path, 0) == (b"\x01\x00" * 2, 8000)


def test_an_empty_recording_has_no_audio(tmp_path: Path) -> None:
    assert read_channel(write_wav(tmp_path / "a.wav", b""), 0) == (b"", 8000)


def test_what_cannot_be_read_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        read_channel(tmp_path / "absent.wav", 0)
    with pytest.raises(InvalidInputError, match="no channel 1"):
        read_channel(write_wav(tmp_path / "mono.wav", b"\x00\x00", channels=1), 1)
    with pytest.raises(InvalidInputError, match="16-bit"):
        read_channel(write_wav(tmp_path / "wide.wav", bytes(8), width=4), 0)
    for content in (b"", b"RIFF", b"ID3 not a wav at all"):
        (tmp_path / "bad.wav").write_bytes(content)
        with pytest.raises(InvalidInputError):
            read_channel(tmp_path / "bad.wav", 0)
    with pytest.raises(InvalidInputError):
        read_channel(tmp_path, 0)
