"""Transcribes a recording after the call, as fast as the recognizer allows."""

import wave
from pathlib import Path

import numpy as np

from asr.engines.remote import RemoteRecognizer
from asr.recognizer import Final, ModelInfo, RecognitionEvent
from hotline.errors import InvalidInputError, NotFoundError


def transcribe_file(url: str, wav_path: Path, channel: int) -> tuple[tuple[Final, ...], ModelInfo]:
    """The utterances in one channel (0 left) of a 16-bit PCM WAV, times on the recording's clock.

    Raises `NotFoundError` without the file, `InvalidInputError` for one that is no such WAV, `UnavailableError`
    while the recognizer at `url` is away.
    """
    pcm, sample_rate = read_channel(wav_path, channel)
    recognizer = RemoteRecognizer(url, sample_rate=sample_rate)
    stream = recognizer.open_stream()
    events: list[RecognitionEvent] = stream.accept(pcm) + stream.finish()
    return tuple(event for event in events if isinstance(event, Final)), recognizer.model


def read_channel(wav_path: Path, channel: int) -> tuple[bytes, int]:
    """One channel of a 16-bit PCM WAV as s16le mono audio, and its rate in Hz; raises as `transcribe_file`."""
    try:
        with wave.open(str(wav_path), "rb") as file:
            if file.getsampwidth() != 2:
                raise InvalidInputError(f"{wav_path} is not 16-bit audio")
            if not 0 <= channel < file.getnchannels():
                raise InvalidInputError(f"{wav_path} has no channel {channel}")
            interleaved = np.frombuffer(_whole_frames(file), "<i2").reshape(-1, file.getnchannels())
            return interleaved[:, channel].tobytes(), file.getframerate()
    except FileNotFoundError as error:
        raise NotFoundError(f"no recording at {wav_path}") from error
    except (wave.Error, EOFError, OSError) as error:
        raise InvalidInputError(f"{wav_path} is no WAV: {error}") from error


def _whole_frames(file: wave.Wave_read) -> bytes:
    data = file.readframes(file.getnframes())
    return data[: len(data) // (2 * file.getnchannels()) * (2 * file.getnchannels())]
