"""Trains a classifier and measures it: the features from all texts, the heads from the labelled ones.

How sure an answer is, and below what the classifier says "don't know", is learnt from answers on texts that the
answering heads had not seen (five folds). scikit-learn and SciPy are loaded here alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hotline.errors import InvalidInputError
from tickets.classifier.calibration import Array, Blend, Numbers, fit_blend, threshold_for
from tickets.classifier.examples import SEPARATOR, Example
from tickets.classifier.features import Features, Text, learn_features
from tickets.classifier.label_words import weigh_words
from tickets.classifier.linear import fit_ridge
from tickets.classifier.model import Head, Model

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

FOLDS = 5
TEMPLATE_WEIGHT = 0.3  # of a made text beside one that was met
WORDS_WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.6)
MANY_TEXTS = 2000  # from here on an n-gram of fewer than 5 bodies is left out, before it of fewer than 2

Words = Mapping[str, Sequence[str]]
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """How to train. `precision`: of the answers given; below it the classifier says "don't know"."""

    precision: float
    seed: int


@dataclass(frozen=True)
class Held:
    """An answer on a text that the answering model was not trained on."""

    label: str
    answer: str
    confidence: float
    first_confidence: float

    @property
    def right(self) -> bool:
        """Whether the whole label is right."""
        return self.label == self.answer

    @property
    def first_right(self) -> bool:
        """Whether the first level is right."""
        return first_of(self.label) == first_of(self.answer)


def first_of(label: str) -> str:
    """The first level of a label."""
    return label.partition(SEPARATOR)[0]


def learn_from_all(texts: Sequence[Text]) -> Features:
    """The features of all texts, labelled or not."""
    features = learn_features(texts, rare=5 if len(texts) >= MANY_TEXTS else 2)
    if not features.size:
        raise InvalidInputError("文本太少或太短，学不到任何词")
    return features


def train(
    examples: Sequence[Example],
    features: Features,
    *,
    words: Words,
    background: Sequence[Text],
    plan: Plan,
    version: str,
    progress: Progress = lambda _: None,
) -> tuple[Model, tuple[Held, ...]]:
    """A model of `examples`, and its answers on those that are no templates, each given by heads that had not seen it.

    `background`: texts that tell how rare the words of labels are. Raises `InvalidInputError` where the examples do not
    suffice. The same input gives the same model.
    """
    trainer = _Trainer(examples, features, words, background or [example.text for example in examples], plan)
    held = trainer.held(progress)
    progress("训练最终模型")
    return trainer.model(version, held), held.answers


@dataclass(frozen=True)
class _HeldOut:
    """The blends of first and second levels, and the answers that they give on texts held out."""

    first: Blend
    second: Blend
    answers: tuple[Held, ...]


class _Trainer:
    """The numbers of one training."""

    def __init__(
        self, examples: Sequence[Example], features: Features, words: Words, background: Sequence[Text], plan: Plan
    ) -> None:
        self.examples, self.features, self.plan = examples, features, plan
        self.labels = tuple(sorted({example.label for example in examples}))
        self.firsts = tuple(dict.fromkeys(first_of(label) for label in self.labels))
        self.matrix = sparse(features, [example.text for example in examples])
        self.truth = np.array([self.labels.index(example.label) for example in examples])
        first_of_label = np.array([self.firsts.index(first_of(label)) for label in self.labels])
        self.first_of_label, self.first_truth = first_of_label, first_of_label[self.truth]
        self.weights = np.array([TEMPLATE_WEIGHT if example.template else 1.0 for example in examples])
        self.met = np.flatnonzero([not example.template for example in examples])
        self.children = {number: np.flatnonzero(first_of_label == number) for number in range(len(self.firsts))}
        self.first_words = weigh_words(words, self.firsts, background)
        self.second_words = {
            number: weigh_words(words, [self.labels[child] for child in children], background)
            for number, children in self.children.items()
            if len(children) > 1
        }

    def held(self, progress: Progress) -> _HeldOut:
        """Scores of five folds, the blends that fit them, and the answers that these give."""
        first = np.zeros((len(self.examples), len(self.firsts)))
        second = {number: np.zeros((len(self.examples), len(self.children[number]))) for number in self.second_words}
        for fold, (train_rows, test_rows) in enumerate(self._folds(), start=1):
            progress(f"交叉验证 {fold}/{FOLDS}")
            first[test_rows] = self.matrix[test_rows] @ self._first_weights(train_rows)
            for number in second:
                weights = self._second_weights(train_rows, number)
                second[number][test_rows] = self.matrix[test_rows] @ weights
        return self._blended(first, second)

    def model(self, version: str, held: _HeldOut) -> Model:
        """The final heads, of all examples."""
        everything = np.arange(len(self.examples))
        answers, precision = held.answers, self.plan.precision
        return Model(
            version,
            self.features,
            Head(self.firsts, self._first_weights(everything).astype(np.float16), self.first_words, held.first),
            {
                self.firsts[number]: Head(
                    tuple(self.labels[child] for child in self.children[number]),
                    self._second_weights(everything, number).astype(np.float16),
                    words,
                    held.second,
                )
                for number, words in self.second_words.items()
            },
            threshold_for(
                precision, np.array([one.confidence for one in answers]), np.array([one.right for one in answers])
            ),
            threshold_for(
                precision,
                np.array([one.first_confidence for one in answers]),
                np.array([one.first_right for one in answers]),
            ),
            {self.firsts[number]: self.labels[own[0]] for number, own in self.children.items() if len(own) == 1},
        )

    def _first_weights(self, rows: Numbers) -> Array:
        return fit_ridge(self.matrix[rows], self.first_truth[rows], len(self.firsts), self.weights[rows])

    def _second_weights(self, rows: Numbers, number: int) -> Array:
        own = rows[self.first_truth[rows] == number]
        children = self.children[number]
        truth = np.searchsorted(children, self.truth[own])
        return fit_ridge(self.matrix[own], truth, len(children), self.weights[own])

    def _folds(self) -> list[tuple[Numbers, Numbers]]:
        """Rows to train on (templates always) and to test on."""
        from sklearn.model_selection import StratifiedKFold

        counts = np.bincount(self.truth[self.met], minlength=len(self.labels))
        fewest = int(counts[counts > 0].min())
        if fewest < 2:
            raise InvalidInputError("每个类别至少要两条文本", hint="补充文本，或去掉这个类别")
        splitter = StratifiedKFold(min(FOLDS, fewest), shuffle=True, random_state=self.plan.seed)
        templates = np.setdiff1d(np.arange(len(self.examples)), self.met)
        return [
            (np.concatenate([self.met[rows], templates]), self.met[others])
            for rows, others in splitter.split(self.met, self.truth[self.met])
        ]

    def _blended(self, first: Array, second: dict[int, Array]) -> _HeldOut:
        texts = [self.examples[int(row)].text for row in self.met]
        firsts = first[self.met]
        first_words = np.array([self.first_words.scores(text) for text in texts])
        truth = self.first_truth[self.met]
        first_blend = fit_blend(firsts, first_words, truth, words_weights=WORDS_WEIGHTS)
        second_words = {
            number: np.array([words.scores(text) for text in texts]) for number, words in self.second_words.items()
        }
        second_blend = self._second_blend(second, second_words, truth)
        chances = first_blend.probabilities(firsts, first_words)
        leaves = np.zeros((len(self.met), len(self.labels)))
        for number, children in self.children.items():
            shares: Array | float = 1.0
            if number in second:
                shares = second_blend.probabilities(second[number][self.met], second_words[number])
            leaves[:, children] = chances[:, [number]] * shares
        return _HeldOut(
            first_blend,
            second_blend,
            tuple(
                Held(
                    self.examples[int(row)].label,
                    self.labels[answer],
                    float(leaves[place, answer]),
                    float(chances[place, self.first_of_label[answer]]),
                )
                for place, (row, answer) in enumerate(zip(self.met, leaves.argmax(1), strict=True))
            ),
        )

    def _second_blend(self, second: dict[int, Array], words: dict[int, Array], truth: Numbers) -> Blend:
        """One blend for the second levels of all first levels: each alone has too few examples."""
        if not second:
            return Blend()
        widest = max(len(self.children[number]) for number in second)
        scores, scored_words, answers = [], [], []
        for number, own in second.items():
            rows = np.flatnonzero(truth == number)
            blank = ((0, 0), (0, widest - own.shape[1]))
            scores.append(np.pad(own[self.met[rows]], blank, constant_values=-1e3))
            scored_words.append(np.pad(words[number][rows], blank))
            answers.append(np.searchsorted(self.children[number], self.truth[self.met[rows]]))
        return fit_blend(
            np.concatenate(scores),
            np.concatenate(scored_words),
            np.concatenate(answers),
            words_weights=WORDS_WEIGHTS,
        )


def sparse(features: Features, texts: Sequence[Text]) -> "csr_matrix":
    """The vectors of `texts` as rows."""
    from scipy.sparse import csr_matrix

    vectors = [features.vector(text) for text in texts]
    ends = np.cumsum([0, *(len(places) for places, _ in vectors)])
    places = np.concatenate([places for places, _ in vectors]) if vectors else np.zeros(0, np.int64)
    values = np.concatenate([values for _, values in vectors]) if vectors else np.zeros(0, np.float32)
    return csr_matrix((values.astype(np.float64), places, ends), shape=(len(texts), features.size))
