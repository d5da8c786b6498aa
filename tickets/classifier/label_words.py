"""What people say about each label: words that a person wrote, the prior of a model with few examples.

A file is YAML, `label: [word, ...]`. The seven heads that petition offices sort letters under are in
`tickets/data/label_words.yaml`; a label that has no words there is learnt from its examples alone.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tickets.classifier.features import Text, body_of, normal, title_of
from tickets.datafile import Table, load_data_file

Word = Annotated[str, Field(min_length=1, max_length=30)]
DAMPING = 5.0  # the weight of words that makes a part's answer half sure
SEPARATOR = "/"


class WordsFile(Table):
    """The whole file."""

    version: Literal[1]
    labels: dict[Annotated[str, Field(min_length=1, max_length=100)], Annotated[list[Word], Field(max_length=2000)]]


def load_words(path: Path) -> dict[str, tuple[str, ...]]:
    """Label -> words, in normal form; raises `ConfigurationError` naming file, line and key."""
    file = load_data_file(path, WordsFile)
    return {label: tuple(dict.fromkeys(map(normal, words))) for label, words in file.labels.items()}


@dataclass(frozen=True)
class LabelWords:
    """Words of labels with their weights; `labels` are the columns of what `scores` gives."""

    words: tuple[tuple[int, str, float], ...]
    labels: int

    def scores(self, text: Text) -> NDArray[np.float64]:
        """How much of the words of each label's is in title and body: 0 to 2 a label, together at most 2."""
        return self._part(title_of(text)) + self._part(body_of(text))

    def found(self, text: Text, label: int) -> list[tuple[str, float]]:
        """The words of `label` in the text, with their weights, heaviest first."""
        both = title_of(text) + "\n" + body_of(text)
        found = [(word, weight) for place, word, weight in self.words if place == label and word in both]
        return sorted(found, key=lambda item: -item[1])

    def _part(self, part: str) -> NDArray[np.float64]:
        sums = np.zeros(self.labels)
        for label, word, weight in self.words:
            if word in part:
                sums[label] += weight
        return np.asarray(sums / (sums.sum() + DAMPING))


def weigh_words(words: Mapping[str, Sequence[str]], labels: Sequence[str], texts: Sequence[Text]) -> LabelWords:
    """Each word's weight is its inverse document frequency in `texts`, half that for a single character.

    A first-level label also has the words of its second-level ones.
    """
    bodies, titles = [body_of(text) for text in texts], [title_of(text) for text in texts]
    weighed = []
    for place, label in enumerate(labels):
        own = [word for name in words if name == label or name.startswith(label + SEPARATOR) for word in words[name]]
        for word in dict.fromkeys(own):
            seen = sum(word in part for parts in (titles, bodies) for part in parts)
            weight = math.log((len(texts) + 1) / (seen + 1) + 1) * (1.0 if len(word) > 1 else 0.5)
            weighed.append((place, word, round(weight, 4)))
    return LabelWords(tuple(weighed), len(labels))
