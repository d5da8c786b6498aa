"""What a trained classifier promises: right, sure where it may be, explained, the same each time."""

import csv
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from classifier_site import letters, trained
from scipy.sparse import csr_matrix

from hotline.errors import InvalidInputError
from hotline.settings_sections import TicketSettings
from tickets.classification import classify
from tickets.classifier.card import macro_f1
from tickets.classifier.examples import Example, parse_examples, parse_texts, without_repeats
from tickets.classifier.features import Text, learn_features
from tickets.classifier.label_words import load_words
from tickets.classifier.linear import REGULARIZATION, fit_ridge
from tickets.classifier.modelfile import write_model
from tickets.classifier.pipeline import taxonomy_corpus, train_corpus
from tickets.classifier.training import Plan, learn_from_all, train
from tickets.taxonomy import load_taxonomy

HERE = Path(__file__).parent
COMPLAINTS = HERE.parents[3] / "shared/data/complaints"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_new_letters_get_their_label_with_a_probability_and_reasons() -> None:
    model, held = trained()
    right = [one.right for one in held]
    assert sum(right) / len(right) > 0.95
    fresh = letters(each=10, seed=2)
    answers = [model.answer(example.text) for example in fresh]
    assert sum(answer.label == example.label for answer, example in zip(answers, fresh, strict=True)) >= 38
    light = model.answer(Text("桥头的路灯不亮好几天了"))
    assert (light.label, light.first, light.known) == ("市政/路灯", "市政", True)
    assert light.confidence <= light.first_confidence
    assert "路灯" in "".join(reason.words for reason in light.reasons)
    assert [reason.weight for reason in light.reasons] == sorted((r.weight for r in light.reasons), reverse=True)


def test_probabilities_of_all_labels_sum_to_one() -> None:
    model, _ = trained()
    for text in ("", "路灯", "完全无关的话", "工资" * 3000):
        chances = model.probabilities(Text(text))
        assert set(chances) == set(model.labels) == {"市政/路灯", "市政/井盖", "劳动", "医疗"}
        assert sum(chances.values()) == pytest.approx(1)


def test_what_says_nothing_is_not_known() -> None:
    model, _ = trained()
    for text in ("", "。。。", "abc xyz", "你好"):
        answer = model.answer(Text(text))
        assert not answer.known
        assert answer.confidence < 0.7


def test_the_same_input_gives_the_same_model() -> None:
    once = write_model(trained()[0])
    trained.cache_clear()
    assert write_model(trained()[0]) == once


def test_templates_are_learnt_from_and_never_tested_on() -> None:
    met = letters(each=6)
    made = tuple(Example(Text(f"暖气不热{number}"), "供暖", template=True) for number in range(9))
    met += tuple(Example(Text(f"家里暖气冰凉没有温度{number}"), "供暖") for number in range(5))
    examples = met + made
    model, held = train(
        examples,
        learn_from_all([example.text for example in examples]),
        words={},
        background=(),
        plan=Plan(0.9, 1),
        version="v",
    )
    assert len(held) == len(met)
    assert model.answer(Text("暖气不热")).label == "供暖"


def test_a_label_of_one_text_is_refused() -> None:
    examples = (*letters(each=6), Example(Text("暖气不热"), "供暖"))
    with pytest.raises(InvalidInputError, match="两条"):
        train(
            examples,
            learn_from_all([example.text for example in examples]),
            words={},
            background=(),
            plan=Plan(0.9, 1),
            version="v",
        )


def test_texts_without_a_word_are_refused() -> None:
    with pytest.raises(InvalidInputError):
        learn_from_all([Text(""), Text("  ")])


def test_the_solver_finds_what_solving_outright_finds() -> None:
    chance = np.random.default_rng(1)
    texts = csr_matrix(chance.random((40, 30)) * (chance.random((40, 30)) < 0.3))
    truth, weights = chance.integers(0, 3, 40), chance.choice([0.3, 1.0], 40)
    counted = np.bincount(truth, weights=weights)
    balance = weights * (counted.sum() / 3 / counted)[truth]
    targets = np.where(truth[:, None] == np.arange(3), 1.0, -1.0)
    gram = (texts @ texts.T).toarray()
    wanted = texts.T @ np.linalg.solve(gram + np.diag(REGULARIZATION / balance), targets)
    assert np.allclose(fit_ridge(texts, truth, 3, weights), wanted, atol=1e-3)


def test_keyness_quietens_what_stands_in_bodies_only() -> None:
    texts = [Text(f"您好我想反映路灯不亮{number}", "路灯不亮") for number in range(250)]
    texts += [Text(f"您好我想反映拖欠工资{number}", "拖欠工资") for number in range(250)]
    features = learn_features(texts, rare=2)
    without = learn_features([Text(text.body) for text in texts], rare=2)
    for gram in ("路灯", "工资"):
        assert features.body.weights[features.body.places[gram]] == pytest.approx(
            without.body.weights[without.body.places[gram]] * (250.5 / 255) ** 0.25
        )
    assert "您好" not in features.body.places  # in every text


@pytest.fixture(scope="module")
def cold() -> dict[str, float]:
    """How many sentences the classifier of a site with nothing gets right, and how many the phrases."""
    settings = TicketSettings()
    taxonomy = load_taxonomy(settings.taxonomy_path)
    model, card = train_corpus(
        taxonomy_corpus(taxonomy, settings), plan=Plan(0.9, 1), version="20260101-000000", now=NOW
    )
    assert set(model.labels) == set(taxonomy.categories)
    with open(HERE / "heldout.tsv", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t"))
    return {
        "phrases": sum(classify(said, taxonomy).category.name == wanted for wanted, said in rows),
        "model": sum(model.answer(Text(said)).label == wanted for wanted, said in rows),
        "cross_validation": card["cross_validation"]["accuracy"],
    }


def test_a_site_with_nothing_gets_a_model_as_good_as_the_phrases(cold: dict[str, float]) -> None:
    assert cold["model"] >= cold["phrases"] >= 61
    assert cold["cross_validation"] > 0.7


@pytest.mark.slow
def test_real_letters_are_told_apart() -> None:
    """On letters that may not be committed: one five-fold run; `bench/classification.py` has the whole measurement."""
    if not COMPLAINTS.is_dir():
        pytest.skip("no complaints beside the project")
    from sklearn.model_selection import StratifiedKFold

    examples, faults = parse_examples((COMPLAINTS / "labelled.csv").read_text("utf-8-sig"), limit=10_000)
    assert not faults
    examples, _ = without_repeats(examples)
    texts = parse_texts((COMPLAINTS / "unlabelled.csv").read_text("utf-8-sig"), limit=10_000)
    features, words = learn_from_all(texts), load_words(TicketSettings().classifier_words_path)
    truth = [example.label for example in examples]
    answers = [""] * len(truth)
    spent = []
    for train_rows, test_rows in StratifiedKFold(5, shuffle=True, random_state=0).split(truth, truth):
        own = [examples[row] for row in train_rows]
        model, _ = train(own, features, words=words, background=texts[:500], plan=Plan(0.9, 1), version="v")
        for row in test_rows:
            began = time.thread_time()
            answers[row] = model.answer(examples[row].text).label
            spent.append(time.thread_time() - began)
    assert macro_f1(truth, answers) >= 0.84
    assert np.percentile(spent, 95) < 0.02
