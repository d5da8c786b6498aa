"""The product's media process, alone on free loopback ports, and what is needed to ring it."""

import shutil
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from demo.g711 import Law, decode, encode
from demo.media_process import MediaProcess


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaProcess]:
    """One media process for a test module."""
    with MediaProcess(tmp_path_factory.mktemp("media")) as process:
        yield process
        assert process.running, process.log()[-3000:]


@pytest.fixture
def program() -> Callable[[str, str], str]:
    """Finds a program or skips the test, naming the Debian package."""

    def find(name: str, package: str) -> str:
        path = shutil.which(name)
        if path is None:
            pytest.skip(f"{name} is not installed (Debian package {package})")
        return path

    return find


@pytest.fixture
def utterance() -> NDArray[np.int16]:
    """Four seconds of a caller that survive A-law unchanged (int16, 8 kHz), loud from the first sample to the last."""
    with_pauses = np.random.default_rng(12345).normal(0, 1, 32000) * np.repeat([4000, 500, 6000, 2000], 8000)
    audio = np.clip(with_pauses, -30000, 30000).astype(np.int16)
    return decode(encode(audio, Law.PCMA), Law.PCMA)
