"""A trigram language model: interpolated Kneser-Ney, mixed over several texts, pruned to a size, with back-off.

Kneser and Ney 1995; Chen and Goodman 1999 (interpolated form, one discount).
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

BEGIN, END = "<s>", "</s>"
DISCOUNT = 0.85
MOST_EXPLICIT = 0.999
"""Of a history's probability at most this much is explicit; the rest backs off."""
BEGIN_SHARE = 0.08
"""How often a history is a sentence's beginning, for pruning."""

Sentence = Sequence[str]
Bigram = tuple[str, str]
Trigram = tuple[str, str, str]


class KneserNey:
    """Probabilities of one text. `base` is what a word is worth that the text lacks (sums to 1)."""

    def __init__(self, sentences: Iterable[Sentence], base: Mapping[str, float]) -> None:
        self.trigrams: Counter[Trigram] = Counter()
        seen: Counter[Bigram] = Counter()
        for sentence in sentences:
            words = [BEGIN, *sentence, END]
            seen.update(pairwise(words))
            self.trigrams.update(zip(words, words[1:], words[2:], strict=False))
        self.bigrams: Counter[Bigram] = Counter()
        for _, middle, last in self.trigrams:
            self.bigrams[middle, last] += 1
        for bigram, count in seen.items():
            if bigram[0] == BEGIN:
                self.bigrams[bigram] = count
        self._unigrams = Counter(last for _, last in seen)
        self._total = sum(self._unigrams.values())
        self._base = base
        self._after: Counter[str] = Counter()
        self._kinds_after: Counter[str] = Counter()
        for (first, _), count in self.bigrams.items():
            self._after[first] += count
            self._kinds_after[first] += 1
        self._after_two: Counter[Bigram] = Counter()
        self._kinds_after_two: Counter[Bigram] = Counter()
        for (first, second, _), count in self.trigrams.items():
            self._after_two[first, second] += count
            self._kinds_after_two[first, second] += 1

    def unigram(self, word: str) -> float:
        rest = DISCOUNT * len(self._unigrams) / self._total
        return max(self._unigrams[word] - DISCOUNT, 0) / self._total + rest * self._base.get(word, 0.0)

    def bigram(self, first: str, word: str) -> float:
        total = self._after[first]
        if not total:
            return self.unigram(word)
        rest = DISCOUNT * self._kinds_after[first] / total
        return max(self.bigrams[first, word] - DISCOUNT, 0) / total + rest * self.unigram(word)

    def trigram(self, first: str, second: str, word: str) -> float:
        total = self._after_two[first, second]
        if not total:
            return self.bigram(second, word)
        rest = DISCOUNT * self._kinds_after_two[first, second] / total
        return max(self.trigrams[first, second, word] - DISCOUNT, 0) / total + rest * self.bigram(second, word)


@dataclass(frozen=True)
class Mixture:
    """Several texts' probabilities, weighted."""

    parts: tuple[tuple[float, KneserNey], ...]

    def unigram(self, word: str) -> float:
        return sum(weight * part.unigram(word) for weight, part in self.parts)

    def bigram(self, first: str, word: str) -> float:
        return sum(weight * part.bigram(first, word) for weight, part in self.parts)

    def trigram(self, first: str, second: str, word: str) -> float:
        return sum(weight * part.trigram(first, second, word) for weight, part in self.parts)


@dataclass(frozen=True)
class BackoffModel:
    """Explicit n-grams and, by history, the factor with which the shorter history's probabilities are taken."""

    unigrams: dict[str, float]
    bigrams: dict[Bigram, float] = field(default_factory=dict)
    trigrams: dict[Trigram, float] = field(default_factory=dict)
    after_one: dict[str, float] = field(default_factory=dict)
    after_two: dict[Bigram, float] = field(default_factory=dict)

    def bigram(self, first: str, word: str) -> float:
        explicit = self.bigrams.get((first, word))
        return explicit if explicit is not None else self.after_one.get(first, 1.0) * self.unigrams[word]

    def trigram(self, first: str, second: str, word: str) -> float:
        explicit = self.trigrams.get((first, second, word))
        if explicit is not None:
            return explicit
        return self.after_two.get((first, second), 1.0) * self.bigram(second, word)

    def perplexity(self, sentences: Iterable[Sentence]) -> float:
        """Over words and sentence ends. All words must be known."""
        log_probability, count = 0.0, 0
        for sentence in sentences:
            words = [BEGIN, *sentence, END]
            for index in range(1, len(words)):
                if index == 1:
                    probability = self.bigram(BEGIN, words[1])
                else:
                    probability = self.trigram(*words[index - 2 : index + 1])
                log_probability += math.log(probability)
                count += 1
        return math.exp(-log_probability / count)


def prune(mixture: Mixture, vocabulary: Iterable[str], *, bigrams: int, trigrams: int) -> BackoffModel:
    """The model with the most useful n-grams only: those whose loss would change the probabilities most."""
    unigrams = {word: mixture.unigram(word) for word in [*vocabulary, END]}
    total = sum(unigrams.values())
    unigrams = {word: probability / total for word, probability in unigrams.items()}
    weight = {**unigrams, BEGIN: BEGIN_SHARE}

    def bigram_gain(bigram: Bigram) -> float:
        probability = mixture.bigram(*bigram)
        return weight[bigram[0]] * probability * math.log(probability / unigrams[bigram[1]])

    def trigram_gain(trigram: Trigram) -> float:
        probability = mixture.trigram(*trigram)
        shorter = mixture.bigram(trigram[1], trigram[2])
        return (
            weight[trigram[0]] * mixture.bigram(trigram[0], trigram[1]) * probability * math.log(probability / shorter)
        )

    pairs = {bigram for _, part in mixture.parts for bigram in part.bigrams}
    triples = {trigram for _, part in mixture.parts for trigram in part.trigrams}
    kept_triples = sorted(triples, key=trigram_gain, reverse=True)[:trigrams]
    kept_pairs = set(sorted(pairs, key=bigram_gain, reverse=True)[:bigrams])
    for first, second, third in kept_triples:
        kept_pairs |= {(first, second), (second, third)}

    model = BackoffModel(unigrams)
    by_one: dict[str, list[str]] = defaultdict(list)
    for first, word in kept_pairs:
        by_one[first].append(word)
    for first, words in by_one.items():
        explicit, left = _explicit({word: mixture.bigram(first, word) for word in words})
        model.bigrams.update({(first, word): probability for word, probability in explicit.items()})
        model.after_one[first] = left / max(1e-9, 1 - sum(unigrams[word] for word in words))
    by_two: dict[Bigram, list[str]] = defaultdict(list)
    for first, second, word in kept_triples:
        by_two[first, second].append(word)
    for (first, second), words in by_two.items():
        explicit, left = _explicit({word: mixture.trigram(first, second, word) for word in words})
        model.trigrams.update({(first, second, word): probability for word, probability in explicit.items()})
        model.after_two[first, second] = left / max(1e-9, 1 - sum(model.bigram(second, word) for word in words))
    return model


def _explicit(probabilities: dict[str, float]) -> tuple[dict[str, float], float]:
    """The probabilities, scaled down where they leave nothing, and what is left."""
    total = sum(probabilities.values())
    scale = min(1.0, MOST_EXPLICIT / total)
    return {word: probability * scale for word, probability in probabilities.items()}, 1 - total * scale
