"""Makes a prompt of a recording in any format: mono, 8 kHz, 16 bit, one loudness, silence trimmed; lists its text."""

import csv
import os
import warnings
import wave
from pathlib import Path

import numpy as np
import soxr

from hotline.errors import ConfigurationError, InvalidInputError
from ivr.announcements.audio import Audio, finish, to_samples
from ivr.announcements.prompts import MAX_PROMPT_S, PROMPT_LIST
from ivr.media.types import SAMPLE_RATE

MAX_FILE_BYTES = 100 << 20
READ_S = 4 * MAX_PROMPT_S  # a little file may hold hours
COLUMNS = ("name", "text", "speed", "spoken")


def import_prompt(directory: Path, source: Path, name: str, text: str) -> float:
    """Writes `<name>.wav` and its row, replacing both where they are; returns the length in seconds.

    Raises `InvalidInputError` where the name, the text or the recording can't be used, `ConfigurationError` where the
    folder can't be written or ffmpeg, which reads all but WAV files, is missing.
    """
    if not (name.isascii() and name.isidentifier()):
        raise InvalidInputError(f"{name!r} is no name for a prompt", hint="letters, digits and _, such as menu_main")
    text = text.strip()
    if any(character in text for character in "\t\r\n"):
        raise InvalidInputError("a prompt's text is one line without tabs")
    try:
        audio = finish(read_recording(source))
    except ValueError as error:
        raise InvalidInputError(f"{source}: {error}") from error
    seconds = len(audio) / SAMPLE_RATE
    if seconds > MAX_PROMPT_S:
        raise InvalidInputError(f"{source}: {seconds:.1f} s long; at most {MAX_PROMPT_S:.0f} s allowed")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _write_wav(directory / f"{name}.wav", audio)
        _list(directory / PROMPT_LIST, name, text)
    except OSError as error:
        raise ConfigurationError(f"{directory}: {error.strerror}") from error
    return seconds


def read_recording(path: Path) -> Audio:
    """A recording as mono at 8 kHz, full scale 1.0. Raises `InvalidInputError` and `ConfigurationError`."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InvalidInputError(f"{path}: {error.strerror}") from error
    if size > MAX_FILE_BYTES:
        raise InvalidInputError(f"{path}: {size >> 20} MB; at most {MAX_FILE_BYTES >> 20} MB allowed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydub warns of ffmpeg, which is told below, and of its own old syntax
        from pydub import AudioSegment
        from pydub.exceptions import CouldntDecodeError

        try:
            with open(path, "rb") as handle:
                is_wav = handle.read(4) == b"RIFF"
                handle.seek(0)
                segment = AudioSegment.from_file(handle, format="wav" if is_wav else None, duration=READ_S)
        except FileNotFoundError as error:
            raise ConfigurationError("ffmpeg, which reads recordings, is missing", hint="apt install ffmpeg") from error
        except (CouldntDecodeError, IndexError, KeyError, OSError, ValueError) as error:
            raise InvalidInputError(f"{path}: not a recording that ffmpeg can read") from error
    samples = np.array(segment.get_array_of_samples(), np.float64) / segment.max_possible_amplitude
    if not len(samples):
        raise InvalidInputError(f"{path}: there is no sound in it")
    mono = samples.reshape(-1, segment.channels).mean(axis=1)
    return np.asarray(soxr.resample(mono, segment.frame_rate, SAMPLE_RATE, quality="VHQ"), np.float64)


def _write_wav(path: Path, audio: Audio) -> None:
    draft = path.with_suffix(".part")
    with wave.open(str(draft), "wb") as wav:
        wav.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        wav.writeframes(to_samples(audio).astype("<i2").tobytes())
    os.replace(draft, path)


def _list(path: Path, name: str, text: str) -> None:
    """The row of `name` with the new text, at its old place or at the end; all other columns stay."""
    rows: list[dict[str, str]] = []
    columns: list[str] = list(COLUMNS)
    if path.exists():
        with open(path, encoding="utf-8", newline="") as handle:
            reader = csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE, restval="")
            rows, columns = list(reader), list(reader.fieldnames or COLUMNS)
    row = next((row for row in rows if row["name"] == name), None)
    if row is None:
        row = dict.fromkeys(columns, "")
        rows.append(row)
    row.update(name=name, text=text)
    lines = ["\t".join(columns), *("\t".join(row.get(column) or "" for column in columns) for row in rows)]
    draft = path.with_suffix(".part")
    draft.write_text("\n".join(lines) + "\n", encoding="utf-8")
    os.replace(draft, path)
