"""ffmpeg as a program: run without a shell, with a bound on its time. Compressing and reading what was compressed."""

import os
import subprocess
from typing import BinaryIO, Literal

from hotline.errors import ConfigurationError, InvalidInputError, UnavailableError

Format = Literal["flac", "opus"]
FLAC: Format = "flac"
SUFFIXES = {".flac": "flac", ".opus": "opus"}
"""Of compressed recordings in the store."""
CHECK_S = 20.0
LOW_PRIORITY = 15  # niceness of work that nobody waits for
_ENCODERS = {"flac": "flac", "opus": "libopus"}
_INSTALL = "apt-get install ffmpeg"


def run(
    command: list[str],
    *,
    timeout_s: float,
    source: BinaryIO | None = None,
    target: BinaryIO | None = None,
    nice: int = 0,
) -> bytes:
    """Runs ffmpeg or ffprobe with `source` as its standard input and `target` as its output; without one, returns that.

    Raises `ConfigurationError` where the program is missing, `UnavailableError` where it takes longer than `timeout_s`,
    `InvalidInputError` with its last words where it fails.
    """
    try:
        process = subprocess.Popen(
            command, stdin=source or subprocess.DEVNULL, stdout=target or subprocess.PIPE, stderr=subprocess.PIPE
        )
    except FileNotFoundError as error:
        raise ConfigurationError(f"没有 {command[0]}，读写不了这种录音", hint=_INSTALL) from error
    with process:
        try:
            if nice:
                os.setpriority(os.PRIO_PROCESS, process.pid, nice)
            out, told = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            raise UnavailableError(f"{command[0]} 超过 {timeout_s:g} 秒（recordings.ffmpeg_s）") from error
        finally:
            process.kill()  # nothing, where it has ended
    if process.returncode:
        reason = told.decode("utf-8", "replace").strip().splitlines()[-1:] or ["?"]
        raise InvalidInputError(f"{command[0]} 读不了：{reason[0][:400]}")
    return out or b""


def check_encoder(form: Format) -> None:
    """Raises `ConfigurationError` where ffmpeg is missing or cannot make this format."""
    name = _ENCODERS[form]
    listed = run(["ffmpeg", "-v", "error", "-encoders"], timeout_s=CHECK_S).decode("ascii", "replace")
    if not any(line.split()[1:2] == [name] for line in listed.splitlines()):
        raise ConfigurationError(f"ffmpeg 不支持 {name}，压缩不了录音", hint=f"{_INSTALL}，或改 recordings.compress_to")


def encode(
    pcm: BinaryIO,
    target: BinaryIO,
    *,
    form: Format,
    sample_rate: int,
    channels: int,
    opus_kbps: int,
    timeout_s: float,
) -> None:
    """Compresses 16-bit little-endian samples, read from where the file `pcm` stands, into the empty file `target`.

    In Opus each channel is a stream of its own (RFC 7845, mapping family 255) of about `opus_kbps`, so that nothing of
    one party is heard in the other's channel. Both are files of the system, not merely file-like. Raises as `run`.
    """
    raw = ["-f", "s16le", "-ar", str(sample_rate), "-ac", str(channels), "-i", "pipe:0"]
    if form == FLAC:
        codec = ["-c:a", "flac", "-sample_fmt", "s16", "-compression_level", "8", "-metadata_header_padding", "0"]
    else:
        rate = ["-b:a", f"{opus_kbps * channels}k", "-vbr", "on", "-application", "voip"]
        codec = ["-c:a", "libopus", *rate, "-mapping_family", "255"]
    command = [
        "ffmpeg",
        "-v",
        "error",
        *raw,
        "-map_metadata",
        "-1",
        "-bitexact",
        *codec,
        "-f",
        form,
        "-y",
        "file:/dev/stdout",
    ]
    run(command, source=pcm, target=target, timeout_s=timeout_s, nice=LOW_PRIORITY)


def decode(
    compressed: BinaryIO, target: BinaryIO, *, sample_rate: int, channels: int, max_bytes: int, timeout_s: float
) -> None:
    """Writes 16-bit little-endian samples of a FLAC or Opus file to where `target` stands, at most about `max_bytes`.

    Raises as `run`; for a damaged file, too.
    """
    shape = ["-ar", str(sample_rate), "-ac", str(channels), "-fs", str(max_bytes)]
    command = ["ffmpeg", "-v", "error", "-xerror", "-i", "pipe:0", "-map", "0:a:0", *shape, "-f", "s16le", "pipe:1"]
    run(command, source=compressed, target=target, timeout_s=timeout_s)
