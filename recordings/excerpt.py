"""A stretch of a recording as a file of its own: WAV, or MP3 by ffmpeg."""

import io
import warnings
from typing import BinaryIO

from hotline.errors import ConfigurationError, InvalidInputError
from recordings.wav import read_wav_info, wav_header

MEDIA_TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg"}
MP3_BIT_RATE = "64k"


def cut(file: BinaryIO, *, start_ms: int, end_ms: int, longest_ms: int) -> bytes:
    """The stretch of an open 16-bit WAV as a WAV; what lies behind the recording's end is left out.

    Raises `InvalidInputError` where nothing is left, or more than `longest_ms` is asked for.
    """
    info = read_wav_info(file, file.seek(0, io.SEEK_END))
    if end_ms <= start_ms:
        raise InvalidInputError("片段的终点须在起点之后")
    if end_ms - start_ms > longest_ms:
        raise InvalidInputError(f"片段最长 {longest_ms // 1000} 秒", hint="请缩短片段，或下载整段录音")
    first = start_ms * info.sample_rate // 1000
    last = min(-(-end_ms * info.sample_rate // 1000), info.frames)
    if first >= last:
        raise InvalidInputError("片段在录音结束之后")
    file.seek(info.data_start + first * info.frame_size)
    data = file.read((last - first) * info.frame_size)
    data = data[: len(data) // info.frame_size * info.frame_size]
    return wav_header(len(data), sample_rate=info.sample_rate, channels=info.channels) + data


def encode_mp3(wav: bytes) -> bytes:
    """A WAV as MP3; raises `ConfigurationError` where ffmpeg, which encodes it, is missing or fails."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydub warns of ffmpeg, which is told below, and of its own old syntax
        from pydub import AudioSegment
        from pydub.exceptions import CouldntEncodeError

        try:
            target = AudioSegment(wav).export(io.BytesIO(), format="mp3", bitrate=MP3_BIT_RATE)
        except FileNotFoundError as error:
            raise ConfigurationError("MP3 needs ffmpeg", hint="apt-get install ffmpeg, or export WAV") from error
        except CouldntEncodeError as error:
            raise ConfigurationError("ffmpeg could not make an MP3", hint="export WAV") from error
        with target:
            target.seek(0)
            return bytes(target.read())
