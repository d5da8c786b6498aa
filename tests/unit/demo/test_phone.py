import wave
from pathlib import Path

import numpy as np
import pytest

from demo.phone import caller_names, load_audio, write_audio
from hotline.errors import InvalidInputError


def test_the_callers_of_the_demonstration_can_be_loaded() -> None:
    assert len(caller_names()) == 4
    for name in caller_names():
        assert len(load_audio(name)) > 3 * 8000


def test_an_unknown_caller_is_told_the_known_ones() -> None:
    with pytest.raises(InvalidInputError) as caught:
        load_audio("nobody")
    assert "heating_zhang" in caught.value.hint


def test_a_path_is_not_taken_as_a_name(tmp_path: Path) -> None:
    for caller in ("../callers/wages_lu", "", "x" * 300, str(tmp_path / "missing.wav"), str(tmp_path)):
        with pytest.raises(InvalidInputError, match="no caller") as caught:
            load_audio(caller)
        assert "wages_lu" in caught.value.hint


def test_a_sound_file_may_have_any_name(tmp_path: Path) -> None:
    path = tmp_path / "x.sound"
    write_audio(path, np.full(800, 5000, np.int16))
    assert len(load_audio(str(path))) == 800


def test_an_unusable_sound_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    for content in (b"", b"no sound"):
        path.write_bytes(content)
        with pytest.raises(InvalidInputError, match=r"x\.wav: not a readable"):
            load_audio(str(path))


@pytest.mark.parametrize(("channels", "rate"), [(2, 8000), (1, 44100)])
def test_a_sound_file_of_another_form_is_told_the_right_one(tmp_path: Path, channels: int, rate: int) -> None:
    path = tmp_path / "x.wav"
    with wave.open(str(path), "wb") as wav:
        wav.setparams((channels, 2, rate, 0, "NONE", ""))
        wav.writeframes(np.full(1600, 5000, "<i2").tobytes())
    with pytest.raises(InvalidInputError, match="mono, 16 bit, 8000 Hz"):
        load_audio(str(path))


def test_a_caller_who_says_nothing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    for samples in (np.zeros(0, np.int16), np.zeros(8000, np.int16), np.full(8000, 3, np.int16)):
        write_audio(path, samples)
        with pytest.raises(InvalidInputError, match="nothing is heard"):
            load_audio(str(path))
