"""The trained classifier on real letters by repeated five-fold cross-validation, beside TF-IDF with a linear SVM.

    python bench/classification.py --json [--data FOLDER] [--repeats 3]

FOLDER has `labelled.csv` (subject, text, label) and `unlabelled.csv`; where it is absent that part is left out and said
so. N-grams are weighed by the unlabelled texts alone, so that no fold knows the texts it is tested on. Each fold trains
from scratch, calibration and threshold included. What a site with nothing gets is measured on the product's sentences.
"""

import argparse
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from report import machine, print_report, progress, target, versions

from hotline.settings_sections import TicketSettings
from tickets.classification import classify
from tickets.classifier.card import macro_f1, scores
from tickets.classifier.coldstart import cold_examples, load_templates
from tickets.classifier.examples import Example, parse_examples, parse_texts, without_repeats
from tickets.classifier.features import Text
from tickets.classifier.label_words import load_words
from tickets.classifier.pipeline import BACKGROUND, taxonomy_corpus, train_corpus
from tickets.classifier.training import FOLDS, Held, Plan, learn_from_all, train
from tickets.taxonomy import load_taxonomy

DATA = Path(__file__).resolve().parents[2] / "shared/data/complaints"
LIMIT = 1_000_000
MACRO_F1, TEXT_MS = 0.86, 20.0
SETTINGS = TicketSettings()
SEED = 1


def folds(truth: list[str], seed: int) -> list[tuple[list[int], list[int]]]:
    """Rows to train on and to test on."""
    from sklearn.model_selection import StratifiedKFold

    splitter = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    return [(train_rows.tolist(), test_rows.tolist()) for train_rows, test_rows in splitter.split(truth, truth)]


def peer(examples: list[Example], train_rows: list[int], test_rows: list[int]) -> list[str]:
    """What one writes first: characters and pairs of title and text, TF-IDF, a linear SVM."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    whole = [f"{example.text.title}\n{example.text.body}" for example in examples]
    made = make_pipeline(TfidfVectorizer(analyzer="char", ngram_range=(1, 2)), LinearSVC())
    made.fit([whole[row] for row in train_rows], [examples[row].label for row in train_rows])
    return [str(label) for label in made.predict([whole[row] for row in test_rows])]


def percentiles(values: list[float]) -> dict[str, float]:
    """Median and 95th percentile."""
    return {"p50": round(float(np.median(values)), 2), "p95": round(float(np.percentile(values, 95)), 2)}


def letters(folder: Path, repeats: int) -> dict[str, Any]:
    """The letters' figures."""
    rows, faults = parse_examples((folder / "labelled.csv").read_text("utf-8-sig"), limit=LIMIT)
    examples, repeated = without_repeats(rows)
    unlabelled = parse_texts((folder / "unlabelled.csv").read_text("utf-8-sig"), limit=LIMIT)
    progress(f"{len(examples)} labelled ({repeated} repeated, {len(faults)} wrong), {len(unlabelled)} unlabelled")
    began = time.perf_counter()
    features, words = learn_from_all(unlabelled), load_words(SETTINGS.classifier_words_path)
    features_s = time.perf_counter() - began
    truth = [example.label for example in examples]
    ours, peers, held, spent, train_s = [], [], list[Held](), list[float](), []
    cpu, thresholds = list[float](), []
    for seed in range(repeats):
        answers, theirs = [""] * len(truth), [""] * len(truth)
        for train_rows, test_rows in folds(truth, seed):
            began = time.perf_counter()
            own = [examples[row] for row in train_rows]
            plan = Plan(SETTINGS.classifier_precision, SEED)
            model, _ = train(own, features, words=words, background=unlabelled[:BACKGROUND], plan=plan, version="bench")
            train_s.append(time.perf_counter() - began)
            thresholds.append(model.threshold)
            for row, label in zip(test_rows, peer(list(examples), train_rows, test_rows), strict=True):
                theirs[row] = label
                text = Text(examples[row].text.body, examples[row].text.title)  # nothing of it is known yet
                began, cpu_began = time.perf_counter(), time.thread_time()
                answer = model.answer(text)
                cpu.append((time.thread_time() - cpu_began) * 1000)
                spent.append((time.perf_counter() - began) * 1000)
                answers[row] = answer.label
                held.append(Held(truth[row], answer.label, answer.confidence, answer.first_confidence))
        ours.append(macro_f1(truth, answers))
        peers.append(macro_f1(truth, theirs))
        progress(f"repeat {seed + 1}/{repeats}: macro-F1 {ours[-1]:.4f}, TF-IDF and SVM {peers[-1]:.4f}")
    return {
        "labelled": len(examples),
        "unlabelled": len(unlabelled),
        "n_grams": features.size,
        "macro_f1": {"mean": round(statistics.mean(ours), 4), "repeats": [round(value, 4) for value in ours]},
        "peer_macro_f1": {"mean": round(statistics.mean(peers), 4), "repeats": [round(value, 4) for value in peers]},
        "features_s": round(features_s, 2),
        "train_s": round(statistics.median(train_s), 2),
        "text_ms": percentiles(spent),
        "text_cpu_ms": percentiles(cpu),
        **{
            name: value
            for name, value in scores(held, threshold=statistics.median(thresholds)).items()
            if name not in ("macro_f1", "first_level_macro_f1", "texts")
        },
    }


def nothing() -> dict[str, Any]:
    """The model of a site without a ticket: on its own sentences in cross-validation, beside the phrases."""
    taxonomy = load_taxonomy(SETTINGS.taxonomy_path)
    corpus = taxonomy_corpus(taxonomy, SETTINGS)
    _, card = train_corpus(
        corpus,
        plan=Plan(SETTINGS.classifier_precision, SEED),
        version="20260101-000000",
        now=datetime.now(UTC),
        progress=progress,
    )
    sentences = [
        example
        for example in cold_examples(taxonomy, load_templates(SETTINGS.templates_path), templates=False)
        if not example.template
    ]
    by_phrases = [classify(example.text.body, taxonomy).category.name for example in sentences]
    right = [answer == example.label for answer, example in zip(by_phrases, sentences, strict=True)]
    found = card["cross_validation"]
    return {
        "sentences": len(sentences),
        "categories": len(taxonomy.categories),
        "accuracy": found["accuracy"],
        "phrases_accuracy": round(sum(right) / len(right), 4),
        "calibration_error": found["calibration_error"],
        "threshold": found["threshold"],
        "coverage": found["coverage"],
        "precision_of_given": found["precision_of_given"],
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of labelled.csv and unlabelled.csv")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    report: dict[str, Any] = {
        "benchmark": "classification",
        "machine": machine(),
        "versions": versions("numpy", "scipy", "scikit-learn"),
        "targets": {},
        "site_with_nothing": nothing(),
    }
    if (options.data / "labelled.csv").exists():
        report["letters"] = measured = letters(options.data, options.repeats)
        report["targets"] = {
            "macro_f1_missing": target(1 - measured["macro_f1"]["mean"], round(1 - MACRO_F1, 4), "1 - macro-F1"),
            "text_p95": target(measured["text_cpu_ms"]["p95"], TEXT_MS, "ms of CPU"),
        }
    else:
        progress(f"no letters in {options.data}: measured without them")
    print_report(report, as_json=options.json)


if __name__ == "__main__":
    main()
