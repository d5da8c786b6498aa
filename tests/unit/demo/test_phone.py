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


def test_an_unusable_sound_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(b"no sound")
    with pytest.raises(InvalidInputError, match=r"x\.wav"):
        load_audio(str(path))
    write_audio(path, np.zeros(80, np.int16))
    assert len(load_audio(str(path))) == 80
