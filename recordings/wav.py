"""WAV files of 16-bit PCM (RIFF WAVE, Microsoft/IBM 1991): the header, and the repair of what a crash cut short."""

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from hotline.errors import InvalidInputError
from ivr.media.types import SAMPLE_RATE

CHANNELS = 2
SAMPLE_BYTES = 2
PCM = 1

_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_CHUNK = struct.Struct("<4sI")
_FORMAT = struct.Struct("<HHIIHH")
HEADER_SIZE = _HEADER.size


@dataclass(frozen=True)
class WavInfo:
    """What a WAV header says, in octets; `whole` where that agrees with the file's length."""

    channels: int
    sample_rate: int
    frame_size: int
    data_start: int
    data_size: int
    whole: bool

    @property
    def frames(self) -> int:
        return self.data_size // self.frame_size

    @property
    def duration_ms(self) -> int:
        return self.frames * 1000 // self.sample_rate


def wav_header(data_size: int, *, sample_rate: int = SAMPLE_RATE, channels: int = CHANNELS) -> bytes:
    """The 44 octets before `data_size` octets of 16-bit PCM."""
    frame_bytes = channels * SAMPLE_BYTES
    return _HEADER.pack(
        b"RIFF",
        _HEADER.size - _CHUNK.size + data_size,
        b"WAVE",
        b"fmt ",
        _FORMAT.size,
        PCM,
        channels,
        sample_rate,
        sample_rate * frame_bytes,
        frame_bytes,
        8 * SAMPLE_BYTES,
        b"data",
        data_size,
    )


def wav_info(path: Path) -> WavInfo:
    """Reads a PCM WAV's header; raises `InvalidInputError` where there is none."""
    with open(path, "rb") as file:
        try:
            return read_wav_info(file, os.fstat(file.fileno()).st_size)
        except InvalidInputError as error:
            raise InvalidInputError(f"{path}: {error.message}") from None


def read_wav_info(file: BinaryIO, length: int) -> WavInfo:
    """The header of an open WAV of so many octets; raises as `wav_info`."""
    file.seek(0)
    head = file.read(12)
    if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
        raise InvalidInputError("no WAV header" if length else "empty")
    shape: tuple[int, ...] | None = None
    while len(chunk := file.read(_CHUNK.size)) == _CHUNK.size:
        name, size = _CHUNK.unpack(chunk)
        if name == b"data" and shape is not None:
            encoding, channels, sample_rate, _, frame_size, _ = shape
            if encoding != PCM or not channels or not sample_rate or not frame_size:
                raise InvalidInputError("not PCM audio")
            start = file.tell()
            whole = _CHUNK.unpack(head[:8])[1] + _CHUNK.size == length and start + size <= length
            return WavInfo(
                channels=channels,
                sample_rate=sample_rate,
                frame_size=frame_size,
                data_start=start,
                data_size=size,
                whole=whole and size % frame_size == 0,
            )
        body = file.read(min(size + size % 2, length))
        if name == b"fmt " and len(body) >= _FORMAT.size:
            shape = _FORMAT.unpack_from(body)
    raise InvalidInputError("WAV header without audio")


def repair_wav(path: Path) -> bool:
    """Makes a file that a crash cut short a valid WAV: sizes from its length, a torn last frame cut off.

    Returns whether anything had to be changed; raises `InvalidInputError` where the file has no WAV header.
    """
    info = wav_info(path)
    if info.whole:
        return False
    length = path.stat().st_size
    size = (length - info.data_start) // info.frame_size * info.frame_size
    with open(path, "r+b") as file:
        file.truncate(info.data_start + size)
        file.seek(4)
        file.write(struct.pack("<I", info.data_start + size - _CHUNK.size))
        file.seek(info.data_start - 4)
        file.write(struct.pack("<I", size))
        file.flush()
        os.fsync(file.fileno())
    return True
