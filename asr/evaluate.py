"""How well a recognizer understands: character error rate and speed. Pure but for the files it reads."""

import time
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from asr.batch import read_channel
from asr.figures import SPOKEN_DIGITS
from asr.recognizer import Final, Recognizer
from asr.resample import open_stream_at
from hotline.errors import ConfigurationError


@dataclass(frozen=True)
class UtteranceScore:
    """One file: `edits` character errors in `characters` of the reference."""

    name: str
    reference: str
    hypothesis: str
    edits: int
    characters: int
    audio_s: float
    decode_s: float


@dataclass(frozen=True)
class Evaluation:
    """A folder's scores, pooled: long utterances weigh more."""

    utterances: tuple[UtteranceScore, ...]

    @property
    def cer(self) -> float:
        """Edits per reference character."""
        return sum(item.edits for item in self.utterances) / sum(item.characters for item in self.utterances)

    @property
    def rtf(self) -> float:
        """Seconds of decoding per second of audio."""
        return sum(item.decode_s for item in self.utterances) / sum(item.audio_s for item in self.utterances)


# Ways to say or write one digit; 两 is another word than 二 and an error for it.
_SAME = {character: digit for character, digit in SPOKEN_DIGITS.items() if character != "两"}


def normalise(text: str) -> str:
    """What counts: letters and digits; 一, 幺 and 1 are one digit; case, width, punctuation and spaces do not count."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(
        _SAME.get(character, character) for character in folded if unicodedata.category(character)[0] in "LN"
    )


def edit_distance(reference: str, hypothesis: str) -> int:
    """Levenshtein: substitutions, deletions and insertions of characters."""
    row = list(range(len(hypothesis) + 1))
    for i, expected in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, heard in enumerate(hypothesis, 1):
            diagonal, row[j] = row[j], min(diagonal + (expected != heard), row[j] + 1, row[j - 1] + 1)
    return row[-1]


def cer(reference: str, hypothesis: str) -> float:
    """Character error rate, may exceed 1; for an empty reference 0 or 1."""
    expected, heard = normalise(reference), normalise(hypothesis)
    if not expected:
        return float(bool(heard))
    return edit_distance(expected, heard) / len(expected)


def read_references(table: Path) -> dict[str, str]:
    """Name (without .wav) to text from a tab-separated file (name, text, ...); raises `ConfigurationError`."""
    try:
        rows = [line.split("\t") for line in table.read_text(encoding="utf-8").splitlines() if line.strip()]
        return {row[0].removesuffix(".wav"): row[1] for row in rows}
    except (OSError, IndexError) as error:
        raise ConfigurationError(f"{table} is no table of transcripts: {error}") from error


def evaluate_folder(recognizer: Recognizer, folder: Path, references: dict[str, str]) -> Evaluation:
    """Recognises `<name>.wav` (channel 0) in `folder` for each reference that has one.

    Raises `ConfigurationError` where there is none.
    """
    names = [name for name in references if (folder / f"{name}.wav").exists()]
    if not names:
        raise ConfigurationError(f"no recording in {folder} has a transcript")
    return Evaluation(tuple(_score(recognizer, folder / f"{name}.wav", references[name]) for name in names))


def _score(recognizer: Recognizer, path: Path, reference: str) -> UtteranceScore:
    pcm, sample_rate = read_channel(path, 0)
    began = time.perf_counter()
    stream = open_stream_at(recognizer, sample_rate)
    events = stream.accept(pcm) + stream.finish()
    decode_s = time.perf_counter() - began
    hypothesis = "".join(event.text for event in events if isinstance(event, Final))
    expected = normalise(reference)
    return UtteranceScore(
        name=path.stem,
        reference=reference,
        hypothesis=hypothesis,
        edits=edit_distance(expected, normalise(hypothesis)),
        characters=len(expected),
        audio_s=len(pcm) / 2 / sample_rate,
        decode_s=decode_s,
    )
