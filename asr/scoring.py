"""How far a text is from what was said: aligned characters, error rates, how far confidences hold. Pure."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from rapidfuzz.distance import Levenshtein

from asr.figures import SPOKEN_DIGITS, written
from asr.recognizer import Word

GAP = "＊"
CALIBRATION_BINS = 10
# Ways to say or write one digit; 两 is another word than 二 and an error for it.
_SAME = {character: digit for character, digit in SPOKEN_DIGITS.items() if character != "两"}


def normalise(text: str) -> str:
    """What counts: letters and digits; 一, 幺 and 1 are one digit; case, width, punctuation and spaces do not count."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(
        _SAME.get(character, character) for character in folded if unicodedata.category(character)[0] in "LN"
    )


@dataclass(frozen=True)
class Errors:
    """Errors of recognition in `characters` of a reference."""

    characters: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    def __add__(self, other: "Errors") -> "Errors":
        return Errors(
            self.characters + other.characters,
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
        )

    @property
    def edits(self) -> int:
        return self.substitutions + self.deletions + self.insertions

    @property
    def cer(self) -> float:
        """Character error rate, may exceed 1; for an empty reference 0 or 1."""
        return self.edits / self.characters if self.characters else float(self.edits > 0)


@dataclass(frozen=True)
class Alignment:
    """Two texts, each with `GAP` where only the other has a character; equally long."""

    reference: str
    hypothesis: str

    def __post_init__(self) -> None:
        if len(self.reference) != len(self.hypothesis):
            raise ValueError("texts that are not aligned")

    @property
    def errors(self) -> Errors:
        pairs = list(zip(self.reference, self.hypothesis, strict=True))
        insertions = sum(expected == GAP for expected, _ in pairs)
        deletions = sum(heard == GAP for _, heard in pairs)
        wrong = sum(expected != heard for expected, heard in pairs)
        return Errors(len(pairs) - insertions, wrong - insertions - deletions, deletions, insertions)

    @property
    def hits(self) -> tuple[bool, ...]:
        """For each character of the hypothesis whether it was said there."""
        pairs = zip(self.reference, self.hypothesis, strict=True)
        return tuple(expected == heard for expected, heard in pairs if heard != GAP)


def align(reference: str, hypothesis: str) -> Alignment:
    """The alignment with the fewest edits of two texts as they are; `normalise` them first.

    >>> align("路灯不亮", "路灯亮了")
    Alignment(reference='路灯不亮＊', hypothesis='路灯＊亮了')
    """
    expected, heard = [], []
    for step in Levenshtein.opcodes(reference, hypothesis):
        said = reference[step.src_start : step.src_end]
        taken = hypothesis[step.dest_start : step.dest_end]
        expected.append(said or GAP * len(taken))
        heard.append(taken or GAP * len(said))
    return Alignment("".join(expected), "".join(heard))


def compare(reference: str, hypothesis: str) -> Alignment:
    """The alignment of what counts in both. Where one of them is written with figures, spoken numbers of both are."""
    if any(character in "0123456789" for character in unicodedata.normalize("NFKC", reference + hypothesis)):
        reference, hypothesis = written(reference), written(hypothesis)
    return align(normalise(reference), normalise(hypothesis))


def cer(reference: str, hypothesis: str) -> float:
    """Character error rate, see `Errors.cer`."""
    return compare(reference, hypothesis).errors.cer


def word_hits(reference: str, words: Iterable[Word]) -> list[tuple[float, bool]]:
    """For each word that counts its confidence and whether all of it was said."""
    words = list(words)
    owners: list[int] = []
    text = ""
    for index, word in enumerate(words):
        counted = normalise(word.text)
        text += counted
        owners += [index] * len(counted)
    hits = align(normalise(reference), text).hits
    return [
        (words[index].confidence, all(hit for _, hit in characters))
        for index, characters in groupby(zip(owners, hits, strict=True), key=lambda pair: pair[0])
    ]


@dataclass(frozen=True)
class CalibrationBin:
    """Words of about the same confidence: their mean confidence, and the share of them that was right."""

    words: int
    confidence: float
    accuracy: float


def calibration(scored: Iterable[tuple[float, bool]]) -> tuple[CalibrationBin, ...]:
    """A reliability curve of (confidence, right) pairs in equally wide bins, those without words left out."""
    bins: dict[int, list[tuple[float, bool]]] = {}
    for confidence, right in scored:
        bins.setdefault(min(CALIBRATION_BINS - 1, int(confidence * CALIBRATION_BINS)), []).append((confidence, right))
    return tuple(
        CalibrationBin(
            words=len(found),
            confidence=sum(confidence for confidence, _ in found) / len(found),
            accuracy=sum(right for _, right in found) / len(found),
        )
        for _, found in sorted(bins.items())
    )


def calibration_error(bins: Iterable[CalibrationBin]) -> float:
    """Expected calibration error: how far confidence and accuracy are apart on average. Source: Guo et al. 2017."""
    bins = list(bins)
    words = sum(each.words for each in bins)
    return sum(each.words * abs(each.confidence - each.accuracy) for each in bins) / words if words else 0.0
