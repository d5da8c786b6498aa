"""Character n-grams of a text's two parts, title and body, weighed as TF-IDF vectors. Pure.

An n-gram's weight is learnt from all texts, labelled or not: its inverse document frequency, and in bodies also its
keyness, how much likelier it stands in a title than in a body. Writers name the matter in the title and tell the story
in the body, so keyness quietens places, courtesies and the story (decision 35).
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

MAX_BODY = 4000  # characters; what comes after adds time and no accuracy
MAX_TITLE = 200
TITLE_WEIGHT = 0.85  # of the squared length of a whole text's vector, where the body's is 1
KEYNESS = 0.25
KEYNESS_TITLES = 200  # fewer titles tell nothing about keyness
COMMON = 0.5  # an n-gram of more texts than this share tells nothing

_SPACE = re.compile(r"\s+")
_NUMBER = re.compile(r"\d+")

Floats = NDArray[np.float32]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Text:
    """What is classified. `title` is empty where there is none, as in a call."""

    body: str
    title: str = ""

    @cached_property
    def _normal(self) -> tuple[str, str]:
        return normal(self.title[:MAX_TITLE]), normal(self.body[:MAX_BODY])


def normal(text: str) -> str:
    """One spelling of width and case, no spaces, every number 0: what n-grams are taken from."""
    return _NUMBER.sub("0", _SPACE.sub("", unicodedata.normalize("NFKC", text).lower()))


def title_of(text: Text) -> str:
    """The title's normal form."""
    return text._normal[0]


def body_of(text: Text) -> str:
    """The body's normal form."""
    return text._normal[1]


def grams(text: str) -> Counter[str]:
    """Characters and pairs of characters of a normal form, with their counts."""
    counts = Counter(text)
    counts.update(map("".join, pairwise(text)))
    return counts


@dataclass(frozen=True)
class View:
    """The n-grams of titles, or of bodies: each with its place and weight."""

    places: dict[str, int]
    weights: Floats

    def vector(self, text: str) -> tuple[Places, Floats]:
        """Places and values of a normal form's n-grams; of length 1, or empty."""
        found = [(self.places[gram], count) for gram, count in grams(text).items() if gram in self.places]
        if not found:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        places = np.array([place for place, _ in found], np.int64)
        values = (1 + np.log(np.array([count for _, count in found], np.float32))) * self.weights[places]
        return places, (values / np.linalg.norm(values)).astype(np.float32)


@dataclass(frozen=True)
class Features:
    """Both views; a whole text's places are the titles' first, then the bodies'."""

    title: View
    body: View

    @property
    def size(self) -> int:
        """How many n-grams there are."""
        return len(self.title.places) + len(self.body.places)

    @cached_property
    def names(self) -> list[str]:
        """The n-gram of each place."""
        return [*self.title.places, *self.body.places]

    def vector(self, text: Text) -> tuple[Places, Floats]:
        """Places and values of a whole text."""
        title, heads = self.title.vector(title_of(text))
        body, rest = self.body.vector(body_of(text))
        places = np.concatenate([title, body + len(self.title.places)])
        return places, np.concatenate([heads * np.float32(math.sqrt(TITLE_WEIGHT)), rest])


def learn_features(texts: Sequence[Text], *, rare: int) -> Features:
    """The n-grams of `texts` and their weights; those in fewer than `rare` bodies (two titles) are left out."""
    titles = [title for title in map(title_of, texts) if title]
    bodies = [body for body in map(body_of, texts) if body]
    in_titles, in_bodies = _document_frequencies(titles), _document_frequencies(bodies)
    title = _view(in_titles, len(titles), rare=2)
    body = _view(in_bodies, len(bodies), rare=rare)
    if len(titles) >= KEYNESS_TITLES:
        keyness = [((in_titles[gram] + 0.5) / (in_bodies[gram] + 5)) ** KEYNESS for gram in body.places]
        body = View(body.places, body.weights * np.array(keyness, np.float32))
    return Features(title, body)


def _document_frequencies(texts: Iterable[str]) -> Counter[str]:
    frequencies: Counter[str] = Counter()
    for text in texts:
        frequencies.update(grams(text).keys())
    return frequencies


def _view(frequencies: Counter[str], texts: int, *, rare: int) -> View:
    most = max(COMMON * texts, rare)
    kept = sorted(gram for gram, frequency in frequencies.items() if rare <= frequency <= most)
    weights = [math.log((1 + texts) / (1 + frequencies[gram])) + 1 for gram in kept]
    return View({gram: place for place, gram in enumerate(kept)}, np.array(weights, np.float32))
