"""What our side says: the prompts of one language, checked as a whole at start and never read during a call.

A prompt folder holds `prompts.tsv` (columns `name`, `text` and whatever the site's announcer needs) and one
`<name>.wav` a row: mono, 8 kHz, 16-bit PCM, so that a prompt is samples and not a file on the way to the caller.
"""

import csv
import wave
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hotline.errors import ConfigurationError
from ivr.media.types import SAMPLE_RATE, Samples

PROMPT_LIST = "prompts.tsv"
MAX_PROMPT_S = 30.0
HINT = "tools/prompts/finish.py makes prompts of an announcer's recordings"


@dataclass(frozen=True)
class Prompt:
    """One announcement: the words for the transcript and the audio (int16, 8 kHz, read-only)."""

    text: str
    samples: Samples


class PromptLibrary:
    """All prompts of a folder, in memory. Build it with `load`."""

    def __init__(self, prompts: Mapping[str, Prompt]) -> None:
        self._prompts = dict(prompts)

    @classmethod
    def load(cls, directory: Path) -> "PromptLibrary":
        """Reads and checks a prompt folder; raises `ConfigurationError` naming every file that is wrong."""
        texts = _read_list(directory / PROMPT_LIST)
        prompts: dict[str, Prompt] = {}
        faults: list[str] = []
        for name, text in texts.items():
            try:
                prompts[name] = Prompt(text=text, samples=_read_samples(directory / f"{name}.wav"))
            except ConfigurationError as error:
                faults.append(error.message)
        if faults:
            raise ConfigurationError("; ".join(faults), hint=HINT)
        return cls(prompts)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._prompts)

    def samples(self, name: str) -> Samples:
        """The audio of a prompt: int16, 8 kHz, read-only."""
        return self._prompt(name).samples

    def text(self, name: str) -> str:
        """The words of a prompt; empty for a tone."""
        return self._prompt(name).text

    def require(self, names: Iterable[str]) -> None:
        """Raises `ConfigurationError` unless all `names` exist: whoever loads a flow asks before the first call."""
        missing = sorted(set(names) - self._prompts.keys())
        if missing:
            raise ConfigurationError(f"no prompt named {', '.join(missing)}", hint=HINT)

    def spell(self, value: str) -> list[str]:
        """The prompts that read `value` (ASCII digits and letters; `-` and spaces are skipped) one by one."""
        names: list[str] = []
        for character in value.lower():
            if character in "- ":
                continue
            if not (character.isascii() and character.isalnum()):
                raise ConfigurationError(f"{value!r} can't be spelled: {character!r} is no digit or letter")
            names.append(f"{'digit' if character.isdigit() else 'letter'}_{character}")
        self.require(names)
        return names

    def _prompt(self, name: str) -> Prompt:
        self.require((name,))
        return self._prompts[name]


def _read_list(path: Path) -> dict[str, str]:
    try:
        with open(path, encoding="utf-8", newline="") as handle:
            rows = list(csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"{path}: {error}", hint=HINT) from error
    texts: dict[str, str] = {}
    for line, row in enumerate(rows, start=2):
        name, text = row.get("name"), row.get("text")
        if not name or text is None or not name.isidentifier():
            raise ConfigurationError(f"{path}, line {line}: a name and a text are needed, parted by a tab")
        if name in texts:
            raise ConfigurationError(f"{path}, line {line}: {name} is there twice")
        texts[name] = text
    if not texts:
        raise ConfigurationError(f"{path} lists no prompt")
    return texts


def _read_samples(path: Path) -> Samples:
    try:
        with wave.open(str(path), "rb") as wav:
            shape = (wav.getnchannels(), wav.getsampwidth(), wav.getframerate())
            frames = wav.getnframes()
            if shape != (1, 2, SAMPLE_RATE):
                found = f"{shape[0]} channels, {8 * shape[1]} bits, {shape[2]} Hz"
                raise ConfigurationError(f"{path}: {found}; 1 channel, 16 bits, {SAMPLE_RATE} Hz needed")
            if not 0 < frames <= MAX_PROMPT_S * SAMPLE_RATE:
                raise ConfigurationError(
                    f"{path}: {frames / SAMPLE_RATE:.1f} s long; more than 0, at most 30 s allowed"
                )
            data = wav.readframes(frames)
    except (OSError, EOFError, wave.Error) as error:
        raise ConfigurationError(f"{path}: not a readable WAV file: {error}") from error
    if len(data) != 2 * frames:
        raise ConfigurationError(f"{path}: cut short, {len(data)} of {2 * frames} bytes")
    samples = np.frombuffer(data, "<i2").astype(np.int16)
    samples.setflags(write=False)
    return samples
