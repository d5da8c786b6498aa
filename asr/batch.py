"""Transcribes a recording after the call as fast as the recognizer allows. Calls of hours are never in memory whole."""

import wave
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np

from asr.engines.remote import RemoteRecognizer
from asr.recognizer import Final, ModelInfo, RecognitionEvent
from hotline.errors import InvalidInputError, NotFoundError

PIECE_S = 1.0
BLOCK_MS = 500  # nobody waits for a partial


def transcribe_file(url: str, wav_path: Path, channel: int) -> tuple[tuple[Final, ...], ModelInfo]:
    """The utterances in one channel (0 left) of a 16-bit PCM WAV, times on the recording's clock.

    Raises `NotFoundError` without the file, `InvalidInputError` for one that is no such WAV, `UnavailableError`
    while the recognizer at `url` is away.
    """
    with ChannelReader(wav_path, channel) as audio:
        recognizer = RemoteRecognizer(url, sample_rate=audio.sample_rate, block_ms=BLOCK_MS)
        stream = recognizer.open_stream()
        events: list[RecognitionEvent] = []
        for pcm in audio:
            events += [event for event in stream.accept(pcm) if isinstance(event, Final)]
        events += stream.finish()
    return tuple(event for event in events if isinstance(event, Final)), recognizer.model


def read_channel(wav_path: Path, channel: int) -> tuple[bytes, int]:
    """One channel of a 16-bit PCM WAV as s16le mono audio, and its rate in Hz; raises as `transcribe_file`."""
    with ChannelReader(wav_path, channel) as audio:
        return b"".join(audio), audio.sample_rate


class ChannelReader:
    """One channel of a 16-bit PCM WAV in pieces of `PIECE_S`, s16le mono. A context manager that closes the file."""

    def __init__(self, wav_path: Path, channel: int) -> None:
        """Raises `NotFoundError` without the file and `InvalidInputError` for one that is no such WAV."""
        try:
            self._file = wave.open(str(wav_path), "rb")  # noqa: SIM115 - closed by this object
        except FileNotFoundError as error:
            raise NotFoundError(f"no recording at {wav_path}") from error
        except (wave.Error, EOFError, OSError) as error:
            raise InvalidInputError(f"{wav_path} is no WAV: {error}") from error
        self._channel, self._channels = channel, self._file.getnchannels()
        self.sample_rate = self._file.getframerate()
        if self._file.getsampwidth() != 2 or not 0 <= channel < self._channels:
            self._file.close()
            raise InvalidInputError(f"{wav_path} has no channel {channel} of 16-bit audio")

    def __enter__(self) -> "ChannelReader":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[bytes]:
        frames = max(1, int(PIECE_S * self.sample_rate))
        while data := self._file.readframes(frames):
            whole = len(data) // (2 * self._channels) * (2 * self._channels)  # a torn file may end within a frame
            yield np.frombuffer(data[:whole], "<i2").reshape(-1, self._channels)[:, self._channel].tobytes()
