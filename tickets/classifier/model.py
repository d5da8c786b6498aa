"""A trained classifier at work: NumPy alone, one text at a time, each answer with its probability and reasons. Pure.

First levels are told apart by one head, the second levels of each first level by a head of its own; the probability of
`a/b` is that of `a` times that of `b` among the second levels of `a`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tickets.classifier.calibration import Array, Blend
from tickets.classifier.features import Features, Text
from tickets.classifier.label_words import LabelWords

SEPARATOR = "/"
REASONS = 6
ALTERNATIVES = 3


@dataclass(frozen=True)
class Head:
    """Tells `labels` apart. `weights`: n-grams x labels."""

    labels: tuple[str, ...]
    weights: NDArray[np.float16]
    words: LabelWords
    blend: Blend


@dataclass(frozen=True)
class Reason:
    """A piece of the text that speaks for the answer; `weight` is its part in the lead over the other labels."""

    words: str
    weight: float


@dataclass(frozen=True)
class Answer:
    """`label`: the likeliest; `known`: it is sure enough to be given. `first_known`: its first level is."""

    label: str
    confidence: float
    known: bool
    first: str
    first_confidence: float
    first_known: bool
    alternatives: tuple[tuple[str, float], ...]
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class Model:
    """A trained classifier. `second`: first level -> the head of its second levels, where it has several."""

    version: str
    features: Features
    first: Head
    second: Mapping[str, Head]
    threshold: float
    first_threshold: float
    only: Mapping[str, str]
    """First level -> the label it stands for, where it has just one."""

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels it may give."""
        found = []
        for first in self.first.labels:
            found += list(self.second[first].labels) if first in self.second else [self.only.get(first, first)]
        return tuple(found)

    def probabilities(self, text: Text) -> dict[str, float]:
        """The probability of each label."""
        return dict(self._weighed(text, *self.features.vector(text))[1])

    def answer(self, text: Text) -> Answer:
        """The likeliest label, how sure it is, and why."""
        places, values = self.features.vector(text)
        firsts, leaves = self._weighed(text, places, values)
        label = max(leaves, key=lambda one: leaves[one])
        first = label.partition(SEPARATOR)[0]
        ranked = sorted(leaves.items(), key=lambda item: -item[1])[:ALTERNATIVES]
        reasons = self._reasons(text, places, values, self.first, self.first.labels.index(first))
        if first in self.second and not reasons:
            head = self.second[first]
            reasons = self._reasons(text, places, values, head, head.labels.index(label))
        return Answer(
            label,
            round(leaves[label], 4),
            leaves[label] >= self.threshold,
            first,
            round(firsts[first], 4),
            firsts[first] >= self.first_threshold,
            tuple((name, round(chance, 4)) for name, chance in ranked),
            reasons,
        )

    def _weighed(
        self, text: Text, places: NDArray[np.int64], values: NDArray[np.float32]
    ) -> tuple[dict[str, float], dict[str, float]]:
        firsts = dict(zip(self.first.labels, _probabilities(self.first, text, places, values).tolist(), strict=True))
        leaves = {}
        for first, chance in firsts.items():
            head = self.second.get(first)
            if head is None:
                leaves[self.only.get(first, first)] = chance
            else:
                shares = _probabilities(head, text, places, values).tolist()
                leaves |= {label: chance * share for label, share in zip(head.labels, shares, strict=True)}
        return firsts, leaves

    def _reasons(
        self, text: Text, places: NDArray[np.int64], values: NDArray[np.float32], head: Head, column: int
    ) -> tuple[Reason, ...]:
        """The pieces with the greatest part in the answer's lead over the mean of the other labels."""
        weights = head.weights[places].astype(np.float32)
        lead = weights[:, column] - (weights.sum(1) - weights[:, column]) / max(1, len(head.labels) - 1)
        parts: dict[str, float] = {}
        names = self.features.names
        for place, part in zip(places.tolist(), (values * lead).tolist(), strict=True):
            if part > 0 and len(names[place]) > 1:
                parts[names[place]] = parts.get(names[place], 0.0) + part
        total = head.words.scores(text)[column]
        found = head.words.found(text, column)
        for word, weight in found:
            share = head.blend.words_weight * total * weight / sum(heavy for _, heavy in found)
            parts[word] = parts.get(word, 0.0) + float(share)
        heaviest = sorted(parts.items(), key=lambda item: (-item[1], item[0]))
        kept: list[Reason] = []
        for words, part in heaviest:
            if all(words not in one.words and one.words not in words for one in kept):
                kept.append(Reason(words, round(part, 4)))
        return tuple(kept[:REASONS])


def _probabilities(head: Head, text: Text, places: NDArray[np.int64], values: NDArray[np.float32]) -> Array:
    scores = values @ head.weights[places].astype(np.float32)
    words = head.words.scores(text) if head.blend.words_weight else np.zeros(len(head.labels))
    return head.blend.probabilities(np.asarray(scores, np.float64), words)
