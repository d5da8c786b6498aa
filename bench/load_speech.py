"""What the load generator's callers say, and their numbers, by which recordings are found again."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from demo.g711 import FRAME_SAMPLES, Law, encode
from demo.phone import load_audio

__all__ = ["FRAME_SAMPLES", "Speech", "key_of", "number_of", "payloads", "speech_frames"]

POOL_FRAMES = 3000
LOUD_FRAMES, QUIET_FRAMES = 75, 25


def number_of(call: int) -> str:
    """The caller's number, by which a recording is found again."""
    return f"138{call:08d}"


def _pool() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    frames: NDArray[np.uint8] = np.random.default_rng(0).integers(0, 256, (POOL_FRAMES, FRAME_SAMPLES), dtype=np.uint8)
    quiet = np.arange(POOL_FRAMES) % (LOUD_FRAMES + QUIET_FRAMES) >= LOUD_FRAMES
    return frames, np.where(quiet, np.uint8(0x8F), np.uint8(0xBF))[:, None]


_FRAMES, _LOUDNESS = _pool()


def speech_frames(path: Path) -> NDArray[np.uint8]:
    """A WAV (mono, 8 kHz, 16 bit) as A-law, (frames, 160)."""
    codes = np.frombuffer(encode(load_audio(str(path)), Law.PCMA), np.uint8)
    return codes[: len(codes) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)


class Speech:
    """WAVs for callers in turn: the caller of slot s says the (s modulo their count)th, over and over."""

    def __init__(self, paths: Sequence[Path]) -> None:
        each = [speech_frames(path) for path in paths]
        self._frames = np.concatenate(each)
        self._lengths = np.array([len(frames) for frames in each])
        self._starts = np.cumsum(self._lengths) - self._lengths

    def payloads(self, slots: NDArray[np.int64], frames: NDArray[np.int64]) -> NDArray[np.uint8]:
        """A-law, (n, 160), of the callers' frames."""
        which = slots % len(self._lengths)
        octets: NDArray[np.uint8] = self._frames[self._starts[which] + frames % self._lengths[which]]
        return octets


def key_of(call: int) -> NDArray[np.uint8]:
    """What makes a caller's noise its own."""
    return np.random.default_rng(call + 1).integers(0, 256, FRAME_SAMPLES, dtype=np.uint8)


def payloads(keys: NDArray[np.uint8], frames: NDArray[np.int64]) -> NDArray[np.uint8]:
    """A-law noise with pauses, by which speech is known to begin and end; (n, 160) of callers' `keys` (n or 1, 160)."""
    rows = frames % POOL_FRAMES
    octets: NDArray[np.uint8] = ((_FRAMES[rows] ^ keys) & _LOUDNESS[rows]) ^ np.uint8(0x55)
    return octets
