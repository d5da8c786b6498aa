"""Hides stretches of a recording under a tone, as it is read: no second copy is stored, and every range fits the next.

Pure but for `RedactedWav`, which reads the file below it. A sample depends on its own place alone, never on what was
read before, so a player may jump about.
"""

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from hotline.errors import InvalidInputError
from recordings.wav import SAMPLE_BYTES, WavInfo, read_wav_info

Samples = NDArray[np.int16]

TONE_HZ = 1000
TONE_LEVEL = 3277  # -20 dBFS
RAMP_MS = 5  # of the tone inside a span, and of the speech outside, so that neither clicks
KEY_MS = 500  # a key's tone ends within so long, and began within so long, of the moment that was noted


@dataclass(frozen=True, order=True)
class AudioSpan:
    """A stretch of a recording, in milliseconds."""

    start_ms: int
    end_ms: int

    def __post_init__(self) -> None:
        if not 0 <= self.start_ms <= self.end_ms:
            raise ValueError(f"no stretch: {self.start_ms} to {self.end_ms} ms")


def merged(spans: Iterable[AudioSpan], *, margin_ms: int = 0) -> tuple[AudioSpan, ...]:
    """The spans with a margin on both sides, in order; what touches is one."""
    found: list[AudioSpan] = []
    for span in sorted(AudioSpan(max(0, span.start_ms - margin_ms), span.end_ms + margin_ms) for span in spans):
        if found and span.start_ms <= found[-1].end_ms:
            found[-1] = AudioSpan(found[-1].start_ms, max(found[-1].end_ms, span.end_ms))
        else:
            found.append(span)
    return tuple(found)


def keyed_spans(details: Mapping[str, Any], *, least: int, pause_ms: int) -> list[AudioSpan]:
    """When `least` keys or more were pressed in a row, by a call's `details`: their tones may be in the recording."""
    keys = sorted(
        int(entry["offset_ms"])
        for entry in details.get("entries", ())
        if entry.get("kind") == "digit" and isinstance(entry.get("offset_ms"), int | float)
    )
    rows: list[list[int]] = []
    for at in keys:
        if rows and at - rows[-1][-1] <= pause_ms:
            rows[-1].append(at)
        else:
            rows.append([at])
    return [AudioSpan(max(0, row[0] - KEY_MS), row[-1] + KEY_MS) for row in rows if len(row) >= least]


def redacted(samples: Samples, spans: Sequence[AudioSpan], *, sample_rate: int, first: int = 0) -> Samples:
    """`samples` of shape (n, channels), the first of them number `first` of the recording, all channels hidden in
    `spans` (merged): nothing of the original is left there, and the length is the same."""
    out = samples.copy()
    ramp = max(1, RAMP_MS * sample_rate // 1000)
    last = first + len(samples)
    for span in spans:
        start, end = span.start_ms * sample_rate // 1000, -(-span.end_ms * sample_rate // 1000)
        begin, stop = max(first, start - ramp), min(last, end + ramp)
        if begin >= stop or start == end:
            continue
        places = np.arange(begin, stop)
        distance = np.maximum(start - places, places - end + 1)  # 1 and more outside, 0 and less inside
        gain = np.clip(distance / (ramp + 1), 0.0, 1.0)
        edge = np.clip((1 - distance) / ramp, 0.0, 1.0)
        tone = TONE_LEVEL * edge * np.sin(2 * np.pi * TONE_HZ / sample_rate * (places - start))
        part = slice(begin - first, stop - first)
        out[part] = np.rint(out[part] * gain[:, None] + tone[:, None]).astype(np.int16)
    return out


class RedactedWav(io.RawIOBase):
    """A 16-bit PCM WAV, read as if its spans had been recorded under a tone; of the same length, byte by byte.

    Takes over `file`, which is closed with it. Raises `InvalidInputError` for what is no such WAV.
    """

    def __init__(self, file: BinaryIO, spans: Sequence[AudioSpan]) -> None:
        super().__init__()
        self._file = file
        self._spans = spans
        self._at = 0
        self._size = file.seek(0, io.SEEK_END)
        self._info = _sixteen_bit(read_wav_info(file, self._size))
        frames = max(0, min(self._info.data_size, self._size - self._info.data_start)) // self._info.frame_size
        self._data_end = self._info.data_start + frames * self._info.frame_size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._read(self._at, min(self._at + len(buffer), self._size))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()

    def _read(self, start: int, end: int) -> bytes:
        """Bytes from one part of the file: head, audio, or what follows it."""
        if start >= end:
            return b""
        info = self._info
        if start < info.data_start:
            return self._raw(start, min(end, info.data_start))
        if start >= self._data_end:
            return self._raw(start, end)
        first = (start - info.data_start) // info.frame_size
        last = -(-(min(end, self._data_end) - info.data_start) // info.frame_size)
        begin = info.data_start + first * info.frame_size
        raw = self._raw(begin, info.data_start + last * info.frame_size)
        whole = len(raw) // info.frame_size * info.frame_size
        samples = np.frombuffer(raw[:whole], "<i2").reshape(-1, info.channels).astype(np.int16)
        hidden = redacted(samples, self._spans, sample_rate=info.sample_rate, first=first)
        return hidden.astype("<i2").tobytes()[start - begin : min(end, self._data_end) - begin]

    def _raw(self, start: int, end: int) -> bytes:
        self._file.seek(start)
        parts = []
        while start < end and (data := self._file.read(end - start)):
            parts.append(data)
            start += len(data)
        return b"".join(parts)


def open_redacted(file: BinaryIO, spans: Sequence[AudioSpan]) -> BinaryIO:
    """`file`, hidden in `spans`, to read from; `file` itself where nothing is to hide."""
    return io.BufferedReader(RedactedWav(file, spans)) if spans else file


def _sixteen_bit(info: WavInfo) -> WavInfo:
    if info.frame_size != info.channels * SAMPLE_BYTES:
        raise InvalidInputError(f"{8 * info.frame_size // info.channels}-bit samples cannot be hidden under a tone")
    return info
