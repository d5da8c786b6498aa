"""The site's own words: names and terms that a recognizer should expect. Pure but for the file it reads.

A file of tab-separated lines `word  weight  note`; a weight says how strongly the word is expected, as a hotword's
score in sherpa-onnx (1.5 where none is given). Empty lines and those that begin with # are passed over.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hotline.errors import ConfigurationError, InvalidInputError

DEFAULT_WEIGHT = 1.5
MIN_WEIGHT, MAX_WEIGHT = 0.1, 10.0
MAX_WORDS = 5_000
MAX_LENGTH, MAX_NOTE = 20, 100
_WORD = re.compile(
    rf"(?=.*[\u3400-\u9fff\U00020000-\U0003ffffA-Za-z])[\u3400-\u9fff\U00020000-\U0003ffffA-Za-z0-9]{{2,{MAX_LENGTH}}}"
)


@dataclass(frozen=True)
class HotWord:
    """A word of Han characters, Latin letters and digits; an invalid one raises `InvalidInputError`."""

    text: str
    weight: float = DEFAULT_WEIGHT
    note: str = ""

    def __post_init__(self) -> None:
        if not _WORD.fullmatch(self.text):
            raise InvalidInputError(
                f"{self.text[:40]!r} is no word: Han characters, Latin letters and digits, 2 to {MAX_LENGTH}"
            )
        if not MIN_WEIGHT <= self.weight <= MAX_WEIGHT:
            raise InvalidInputError(
                f"{self.text}: a weight is from {MIN_WEIGHT} to {MAX_WEIGHT:g}, not {self.weight:g}"
            )
        if len(self.note) > MAX_NOTE or not (self.note.isprintable() or not self.note):
            raise InvalidInputError(f"{self.text}: a note has at most {MAX_NOTE} printable characters")


def load_words(path: Path, *, limit: int = MAX_WORDS) -> tuple[HotWord, ...]:
    """The words of a file, none where there is no file; raises `ConfigurationError` naming each wrong line."""
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read as UTF-8 text: {error}") from error
    words, faults = parse_words(text, limit=limit)
    if faults:
        raise ConfigurationError("; ".join(f"{path}:{fault}" for fault in faults), hint="hotline words list")
    return words


def parse_words(text: str, *, limit: int = MAX_WORDS) -> tuple[tuple[HotWord, ...], list[str]]:
    """The words of a file's text, a word given again counting as it is given last, and its faults, as `line: what`."""
    words: dict[str, HotWord] = {}
    faults = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            word = _parse_line(line)
        except InvalidInputError as error:
            faults.append(f"{number}: {error.message}")
        else:
            words[word.text] = word
    if len(words) > limit:
        faults.append(f"{len(text.splitlines())}: {len(words)} words are more than asr.max_words ({limit})")
    return tuple(words.values()), faults


def format_words(words: Iterable[HotWord]) -> str:
    """The inverse of `parse_words`."""
    return "".join(f"{word.text}\t{word.weight:g}\t{word.note}".rstrip("\t") + "\n" for word in words)


def _parse_line(line: str) -> HotWord:
    text, _, rest = line.partition("\t")
    weight, _, note = rest.partition("\t")
    try:
        value = float(weight) if weight.strip() else DEFAULT_WEIGHT
    except ValueError:
        raise InvalidInputError(f"{weight.strip()[:40]!r} is no weight") from None
    return HotWord(text.strip(), value, note.strip())
