"""Weighed ridge regression of labels on sparse texts, solved in the texts' space by conjugate gradients.

Each label's target is +1 on its texts and -1 on the others; a text weighs as if all labels had equally many texts, so
that rare labels are heard. The answer is linear in the n-grams: each of them has its say, which is the explanation.
"""

from typing import TYPE_CHECKING

import numpy as np

from tickets.classifier.calibration import Array, Numbers

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

REGULARIZATION = 0.5
TOLERANCE = 1e-4
ROUNDS = 300


def fit_ridge(texts: "csr_matrix", truth: Numbers, labels: int, weights: Array) -> Array:
    """Weights of each n-gram (rows) for each label (columns). `weights`: what each text counts, before balancing."""
    counted = np.bincount(truth, weights=weights, minlength=labels)
    balance = weights * (counted.sum() / np.count_nonzero(counted) / np.maximum(counted, 1e-9))[truth]
    targets = np.where(truth[:, None] == np.arange(labels), 1.0, -1.0)
    ridge = (REGULARIZATION / balance)[:, None]
    duals = np.zeros_like(targets)
    residual = targets.copy()
    # The diagonal preconditions: texts have length 1 to 2, the ridge differs widely between rare and frequent labels.
    scale = 1 / (ridge + 1.5)
    step = scale * residual
    energy = (residual * step).sum(0)
    goal = TOLERANCE * np.linalg.norm(targets, axis=0)
    for _ in range(ROUNDS):
        image = texts @ (texts.T @ step) + ridge * step
        length = energy / np.maximum((step * image).sum(0), 1e-30)
        duals += length * step
        residual -= length * image
        if (np.linalg.norm(residual, axis=0) <= goal).all():
            break
        preconditioned = scale * residual
        before, energy = energy, (residual * preconditioned).sum(0)
        step = preconditioned + energy / np.maximum(before, 1e-30) * step
    return np.asarray(texts.T @ duals)
