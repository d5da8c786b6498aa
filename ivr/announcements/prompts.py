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
MAX_COUNT = 999
HINT = "`hotline prompts import FILE NAME TEXT` makes a prompt of a recording"


@dataclass(frozen=True)
class Prompt:
    """One announcement: the words for the transcript and the audio (int16, 8 kHz, read-only)."""

    text: str
    samples: Samples


class PromptLibrary:
    """All prompts of a folder, in memory, and those of `fallback` where the folder lacks one. Build it with `load`."""

    def __init__(self, prompts: Mapping[str, Prompt], *, fallback: "PromptLibrary | None" = None) -> None:
        self._counts = fallback is None or "count_10" in prompts
        self._prompts: dict[str, Prompt] = {**(fallback._prompts if fallback is not None else {}), **prompts}

    @classmethod
    def load(cls, directory: Path, *, fallback: "PromptLibrary | None" = None) -> "PromptLibrary":
        """Reads and checks a prompt folder; raises `ConfigurationError` naming every file that is wrong."""
        texts = read_list(directory / PROMPT_LIST)
        prompts: dict[str, Prompt] = {}
        faults: list[str] = []
        for name, text in texts.items():
            try:
                prompts[name] = Prompt(text=text, samples=read_samples(directory / f"{name}.wav"))
            except ConfigurationError as error:
                faults.append(error.message)
        if faults:
            raise ConfigurationError("; ".join(faults), hint=HINT)
        return cls(prompts, fallback=fallback)

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

    def expand(self, item: str) -> list[str]:
        """The prompts of an item that a flow plays: a name, or `say:`, `count:` or `ordinal:` with a text."""
        form, mark, text = item.partition(":")
        if not mark:
            return [item]
        if form == "say" or not self._counts or not text.isdecimal() or int(text) > MAX_COUNT:
            return self.spell(text)
        return count_names(int(text), ordinal=form == "ordinal")

    def words(self, item: str) -> str:
        """What such an item says, for the transcript."""
        _, mark, text = item.partition(":")
        return self.text(item) if not mark else text

    def render(self, items: Iterable[str]) -> tuple[Samples, str]:
        """The audio of items in a row, and their words."""
        chosen = tuple(items)
        names = [name for item in chosen for name in self.expand(item)]
        return np.concatenate([self.samples(name) for name in names]), "".join(self.words(item) for item in chosen)

    def _prompt(self, name: str) -> Prompt:
        self.require((name,))
        return self._prompts[name]


def count_names(number: int, *, ordinal: bool = False) -> list[str]:
    """The prompts that read 0 to 999 in Mandarin: `十二`, `一百零一`; 2 is `两`, as an ordinal `二`."""
    if number == 2 and not ordinal:
        return ["count_2"]
    if number == 0:
        return ["digit_0"]
    hundreds, tens, ones = number // 100, number // 10 % 10, number % 10
    names = [_numeral(hundreds), "count_100"] if hundreds else []
    if tens:
        names += ["count_10"] if number < 20 else [_numeral(tens), "count_10"]
    elif hundreds and ones:
        names.append("digit_0")
    return [*names, _numeral(ones)] if ones else names


def load_languages(directory: Path) -> dict[str, PromptLibrary]:
    """The site's prompts (`directory`) and those of its other languages, folders beside it, which fall back to them."""
    own = PromptLibrary.load(directory)
    others = sorted(path.parent for path in directory.parent.glob(f"*/{PROMPT_LIST}") if path.parent != directory)
    return {directory.name: own} | {path.name: PromptLibrary.load(path, fallback=own) for path in others}


def _numeral(digit: int) -> str:
    return "count_1" if digit == 1 else f"digit_{digit}"  # digit_1 is the 幺 of numbers that are spelled


def read_list(path: Path) -> dict[str, str]:
    """Name -> text of a `prompts.tsv`; raises `ConfigurationError` naming the line."""
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


def read_samples(path: Path) -> Samples:
    """A prompt's WAV file; raises `ConfigurationError` saying what is wrong with it."""
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
