"""The model card: what a model was trained on, how good it is, what it must not be trusted with; and its scores."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np

from tickets.classifier.calibration import calibration_error, coverage_curve, reliability
from tickets.classifier.examples import Example
from tickets.classifier.training import Held, first_of

LIMITS = (
    "只认训练数据里有的类别；训练数据之外的事项也会被归入其中一类，把握低于阈值时回答“不确定”。",
    "文本来自训练时的渠道和年份；渠道、政策或用语变化后应重新评估。",
    "是给人看的建议：不自动派单，人工修改优先，并作为以后的训练数据。",
)


def macro_f1(truth: Sequence[str], answers: Sequence[str]) -> float:
    """The mean of the labels' F1 scores, over the labels that are true or answered somewhere."""
    pairs = list(zip(truth, answers, strict=True))
    return float(np.mean([one["f1"] for one in per_label(pairs).values()])) if pairs else 0.0


def per_label(pairs: Sequence[tuple[str, str]]) -> dict[str, dict[str, float]]:
    """Precision, recall, F1 and number of each label, of (true, answered)."""
    right = Counter(true for true, answer in pairs if true == answer)
    wanted, given = Counter(true for true, _ in pairs), Counter(answer for _, answer in pairs)
    return {
        label: {
            "examples": wanted[label],
            "precision": round(right[label] / given[label], 4) if given[label] else 0.0,
            "recall": round(right[label] / wanted[label], 4) if wanted[label] else 0.0,
            "f1": round(2 * right[label] / (given[label] + wanted[label]), 4),
        }
        for label in sorted(wanted | given)
    }


def scores(held: Sequence[Held], *, threshold: float) -> dict[str, Any]:
    """All figures of answers on texts that the model had not seen."""
    pairs = [(one.label, one.answer) for one in held]
    confidence = np.array([one.confidence for one in held])
    right = np.array([one.right for one in held])
    curve = reliability(confidence, right)
    known = confidence >= threshold
    return {
        "texts": len(held),
        "macro_f1": round(macro_f1(*zip(*pairs, strict=True)), 4),
        "accuracy": round(float(right.mean()), 4),
        "first_level_macro_f1": round(
            macro_f1([first_of(true) for true, _ in pairs], [first_of(answer) for _, answer in pairs]), 4
        ),
        "calibration_error": round(calibration_error(curve), 4),
        "reliability": [
            {"answers": one.answers, "confidence": round(one.confidence, 4), "accuracy": round(one.accuracy, 4)}
            for one in curve
        ],
        "threshold": threshold,
        "coverage": round(float(known.mean()), 4),
        "precision_of_given": round(float(right[known].mean()), 4) if known.any() else None,
        "thresholds": [
            {"threshold": one.threshold, "coverage": round(one.coverage, 4), "precision": round(one.precision, 4)}
            for one in coverage_curve(confidence, right)
        ],
        "labels": per_label(pairs),
    }


def make_card(
    *,
    version: str,
    source: str,
    examples: Sequence[Example],
    left_out: dict[str, Any],
    unlabelled: int,
    held: Sequence[Held],
    threshold: float,
    precision: float,
    seed: int,
    now: datetime,
) -> dict[str, Any]:
    """The card as it is kept beside the model. It has no text that was trained on."""
    return {
        "version": version,
        "trained_at": now.isoformat(timespec="seconds"),
        "source": source,
        "examples": dict(sorted(Counter(example.label for example in examples if not example.template).items())),
        "templates": sum(example.template for example in examples),
        "unlabelled": unlabelled,
        "left_out": left_out,
        "target_precision": precision,
        "seed": seed,
        "cross_validation": scores(held, threshold=threshold),
        "limits": list(LIMITS),
    }
