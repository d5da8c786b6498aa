"""Words with times from the tokens of an end-to-end model. Pure.

Such a model yields a text and its tokens (characters, pieces of words or of bytes), each with the time at which it
began; when a word ended it does not say.
"""

import bisect
import math
import unicodedata
from collections.abc import Sequence
from itertools import accumulate

from asr.recognizer import Word

WORD_BREAK = "\u2581"  # sentencepiece: a word begins
CONTINUED = "@@"  # subword-nmt: the word goes on
LONGEST_WORD_MS = 400
"""A word is taken to end where the next begins, or so long after its own start: what follows is a pause."""


def words_of_tokens(
    text: str, tokens: Sequence[str], starts_ms: Sequence[int], *, end_ms: int, log_probs: Sequence[float] = ()
) -> tuple[Word, ...]:
    """A text's words: each Chinese character one, each run of other letters and digits one, punctuation none.

    Characters are laid over the tokens in proportion to their lengths, which is exact for tokens that are characters
    and for byte pieces of Chinese. Without `starts_ms` words are spread evenly up to `end_ms`; with `log_probs`, one
    a token, confidences are their means.
    """
    pieces = _pieces(text)
    length = sum(map(len, pieces))
    if not length:
        return ()
    lengths = [len(token.replace(WORD_BREAK, "").removesuffix(CONTINUED)) for token in tokens]
    ends = list(accumulate(lengths))
    scale = (ends[-1] if ends else 0) / length
    timed = len(starts_ms) == len(tokens) > 0 and scale > 0
    trusted = len(log_probs) == len(tokens) > 0 and scale > 0
    words: list[tuple[str, int, float]] = []
    at = 0
    for piece in pieces:
        if scale > 0:
            first = bisect.bisect_right(ends, at * scale)
            last = max(first, bisect.bisect_left(ends, (at + len(piece)) * scale))
            last = min(last, len(tokens) - 1)
        start = starts_ms[first] if timed else round(end_ms * at / length)
        probability = math.exp(sum(log_probs[first : last + 1]) / (last + 1 - first)) if trusted else 1.0
        words.append((piece, min(max(0, start), end_ms), min(1.0, max(0.0, probability))))
        at += len(piece)
    starts = list(accumulate((start for _, start, _ in words), max))
    following = [*starts[1:], end_ms]
    return tuple(
        Word(piece, start, max(start, min(after, start + LONGEST_WORD_MS)), confidence)
        for (piece, _, confidence), start, after in zip(words, starts, following, strict=True)
    )


def _pieces(text: str) -> list[str]:
    """The words of a text."""
    pieces: list[str] = []
    run = ""
    for character in f"{text} ":
        said = unicodedata.category(character)[0] in "LN" or (character == "'" and run != "")
        if said and not _stands_alone(character):
            run += character
            continue
        if run:
            pieces.append(run.rstrip("'"))
            run = ""
        if said:
            pieces.append(character)
    return pieces


def _stands_alone(character: str) -> bool:
    return unicodedata.category(character) == "Lo" and unicodedata.east_asian_width(character) == "W"
