"""From what a site has to a model with its card: gather, leave out what does not help, train, measure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hotline.settings_sections import TicketSettings
from tickets.classifier.card import make_card, scores
from tickets.classifier.coldstart import cold_examples, load_templates, taxonomy_words
from tickets.classifier.examples import Example, check_enough, without_repeats
from tickets.classifier.features import Text
from tickets.classifier.label_words import load_words
from tickets.classifier.model import Model
from tickets.classifier.training import Held, Plan, Progress, Words, first_of, learn_from_all, train
from tickets.taxonomy import Taxonomy

BACKGROUND = 2000  # texts that tell how rare the words of labels are


@dataclass(frozen=True)
class Corpus:
    """What is learnt from. `source`: where it comes from, as the card tells it."""

    source: str
    examples: tuple[Example, ...]
    unlabelled: tuple[Text, ...]
    words: Words
    left_out: dict[str, Any]


def taxonomy_corpus(taxonomy: Taxonomy, settings: TicketSettings, unlabelled: Sequence[Text] = ()) -> Corpus:
    """What a site has that has nothing."""
    examples = cold_examples(taxonomy, load_templates(settings.templates_path), templates=False)
    return Corpus("taxonomy", examples, tuple(unlabelled), taxonomy_words(taxonomy), {})


def corpus_of(
    source: str,
    met: Sequence[Example],
    unlabelled: Sequence[Text],
    *,
    taxonomy: Taxonomy,
    settings: TicketSettings,
) -> Corpus:
    """Labelled and unlabelled texts, each once; where all labels are the site's categories, also its templates.

    Raises `InvalidInputError` where they are too few, `ConfigurationError` for a wrong data file.
    """
    once, repeats = without_repeats(met)
    examples, few = check_enough(once)
    labels = {example.label for example in examples}
    words = load_words(settings.classifier_words_path) | taxonomy_words(taxonomy)
    if labels <= set(taxonomy.categories):
        made = cold_examples(taxonomy, load_templates(settings.templates_path), templates=True)
        examples += tuple(example for example in made if example.label in labels)
    # A first level's words are those of its second levels; of labels that are not trained on, none count.
    mine = {name: found for name, found in words.items() if name in labels or name in map(first_of, labels)}
    return Corpus(source, examples, tuple(unlabelled), mine, {"repeated": repeats, "labels_with_few": list(few)})


def train_corpus(
    corpus: Corpus, *, plan: Plan, version: str, now: datetime, progress: Progress = lambda _: None
) -> tuple[Model, dict[str, Any]]:
    """The model and its card."""
    progress("统计全部文本")
    texts = [*corpus.unlabelled, *(example.text for example in corpus.examples if not example.template)]
    if corpus.source == "taxonomy":
        texts += [example.text for example in corpus.examples if example.template]
    model, held = train(
        corpus.examples,
        learn_from_all(texts),
        words=corpus.words,
        background=texts[:BACKGROUND],
        plan=plan,
        version=version,
        progress=progress,
    )
    card = make_card(
        version=version,
        source=corpus.source,
        examples=corpus.examples,
        left_out=corpus.left_out,
        unlabelled=len(corpus.unlabelled),
        held=held,
        threshold=model.threshold,
        precision=plan.precision,
        seed=plan.seed,
        now=now,
    )
    return model, card


def evaluate(model: Model, examples: Sequence[Example]) -> dict[str, Any]:
    """The model's figures on labelled texts; they say something only of texts that it was not trained on."""
    held = []
    for example in examples:
        answer = model.answer(example.text)
        held.append(Held(example.label, answer.label, answer.confidence, answer.first_confidence))
    return {"version": model.version, **scores(held, threshold=model.threshold)}
