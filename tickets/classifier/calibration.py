"""Confidence that means what it says: probabilities, the reliability curve, when to say "don't know". Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]
BINS = 10
SHARPNESS = tuple(float(value) for value in np.geomspace(0.5, 40, 45))
NEVER = 1.01  # the threshold of a model that reaches its precision nowhere: it always says "don't know"


def softmax(scores: Array) -> Array:
    """Probabilities of each row's scores."""
    raised = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))


def log_loss(probabilities: Array, truth: Numbers) -> float:
    """The mean surprise at the true answers."""
    return float(-np.log(np.maximum(probabilities[np.arange(len(truth)), truth], 1e-12)).mean())


@dataclass(frozen=True)
class Blend:
    """How scores of n-grams and of words become probabilities: softmax(sharpness * (score + words_weight * words))."""

    sharpness: float = 1.0
    words_weight: float = 0.0

    def probabilities(self, scores: Array, words: Array) -> Array:
        """Rows of texts, columns of labels."""
        return softmax(self.sharpness * (scores + self.words_weight * words))


def fit_blend(scores: Array, words: Array, truth: Numbers, *, words_weights: tuple[float, ...]) -> Blend:
    """The blend that is least surprised by the truth of texts that the scores were not trained on."""
    blends = (Blend(sharpness, weight) for weight in words_weights for sharpness in SHARPNESS)
    return min(blends, key=lambda blend: log_loss(blend.probabilities(scores, words), truth))


@dataclass(frozen=True)
class Bin:
    """Answers of about one confidence: how many, how sure on average, and how many of them were right."""

    answers: int
    confidence: float
    accuracy: float


def reliability(confidence: Array, right: NDArray[np.bool_], bins: int = BINS) -> tuple[Bin, ...]:
    """The reliability curve, in bins of equal width; empty ones are left out."""
    numbers = np.minimum((confidence * bins).astype(int), bins - 1)
    return tuple(
        Bin(int(own.sum()), float(confidence[own].mean()), float(right[own].mean()))
        for number in range(bins)
        if (own := numbers == number).any()
    )


def calibration_error(curve: tuple[Bin, ...]) -> float:
    """Expected calibration error: the mean distance of confidence and accuracy, over the answers."""
    answers = sum(one.answers for one in curve)
    return sum(one.answers * abs(one.confidence - one.accuracy) for one in curve) / answers if answers else 0.0


@dataclass(frozen=True)
class Point:
    """A threshold, the share of texts that are answered with it, and how many of those answers are right."""

    threshold: float
    coverage: float
    precision: float


def coverage_curve(confidence: Array, right: NDArray[np.bool_]) -> tuple[Point, ...]:
    """What each threshold in steps of 0.05 would give; thresholds with no answer are left out."""
    steps = [step / 20 for step in range(20)]
    return tuple(
        Point(step, float(own.mean()), float(right[own].mean())) for step in steps if (own := confidence >= step).any()
    )


def threshold_for(precision: float, confidence: Array, right: NDArray[np.bool_]) -> float:
    """The lowest threshold above which answers are right as often as `precision`; `NEVER` where none is."""
    order = np.argsort(-confidence, kind="stable")
    sure, correct = confidence[order], np.cumsum(right[order])
    good = correct / np.arange(1, len(order) + 1) >= precision
    last = np.append(sure[1:] < sure[:-1], True)  # answers of one confidence are taken together
    reached = np.flatnonzero(good & last)
    return round(float(sure[reached[-1]]) - 5e-5, 4) if len(reached) else NEVER
