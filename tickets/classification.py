"""Category, type, tier and emergency of what a caller said, by weighed phrases, every answer explained.

Pure. Confidence is a rank for people to sort by, 0 to 1, and no probability: it grows with the score and with the
lead over the second-best answer. Where the site has a trained classifier (`tickets.classifier`) its answer is the
category if it is sure enough, with a confidence that is a probability; else the phrases decide (decision 35).
"""

from dataclasses import dataclass

from asr.sounds import sound
from tickets.phrases import Hit, PhraseSet
from tickets.taxonomy import Emergency, Taxonomy

EMERGENCY_SCORE = 3.0
TYPE_SCORE = 2.0
HALF_SURE = 3.0  # the score at which an answer without a rival has confidence 0.5


@dataclass(frozen=True)
class Candidate:
    """A possible answer, its score and what speaks for it, heaviest first."""

    name: str
    score: float
    hits: tuple[Hit, ...]


@dataclass(frozen=True)
class Learned:
    """A sure answer of the trained classifier: category, probability, the words behind it, the model's version."""

    category: str
    confidence: float
    words: tuple[str, ...]
    version: str


@dataclass(frozen=True)
class Decision:
    """The answer (empty: don't know), with the candidates behind it, best first. `learned`: the trained classifier gave
    it, and the first candidate holds what of its words and of the category's phrases is in the text."""

    name: str
    confidence: float
    margin: float
    candidates: tuple[Candidate, ...]
    learned: Learned | None = None

    @property
    def hits(self) -> tuple[Hit, ...]:
        """What speaks for the answer, heaviest first; nothing for no answer or one taken by default."""
        return self.candidates[0].hits if self.name and self.candidates else ()


@dataclass(frozen=True)
class Classification:
    """All that the words say about the matter. `overlay` and `emergency` are None where there is none."""

    category: Decision
    type: Decision
    tier: str
    overlay: str
    overlay_hits: tuple[Hit, ...]
    emergency: Emergency | None
    emergency_hits: tuple[Hit, ...]


def classify(text: str, taxonomy: Taxonomy, learned: Learned | None = None) -> Classification:
    """Classifies the caller's words (utterances divided by newlines, so that no phrase spans two)."""
    text_sound = sound(text)
    category = _decide(
        {name: item.phrases for name, item in taxonomy.categories.items()}, text, text_sound, taxonomy.threshold
    )
    if learned is not None and learned.category in taxonomy.categories:
        category = _taken(learned, category, taxonomy.categories[learned.category].phrases, text, text_sound)
    kind = _decide(taxonomy.types, text, text_sound, TYPE_SCORE)
    emergency, emergency_hits = _emergency(text, taxonomy)
    known = taxonomy.categories.get(category.name)
    if not kind.name and known is not None:
        kind = Decision(known.type, category.confidence / 2, 0.0, ())
    overlay, overlay_hits = "", tuple[Hit, ...]()
    for item in taxonomy.overlays:
        signs = item.signs.find(text, text_sound)
        if item.category == category.name and signs:
            overlay, overlay_hits = item.name, signs
    tier = "T1" if emergency else known.tier if known else "T3"
    return Classification(category, kind, tier, overlay, overlay_hits, emergency, emergency_hits)


def _decide(choices: dict[str, PhraseSet], text: str, text_sound: str, threshold: float) -> Decision:
    candidates = []
    for name, phrases in choices.items():
        hits = phrases.find(text, text_sound)
        if hits:
            heaviest_first = tuple(sorted(hits, key=lambda hit: -hit.weight))
            candidates.append(Candidate(name, sum(hit.weight for hit in hits), heaviest_first))
    candidates.sort(key=lambda item: -item.score)
    if not candidates or candidates[0].score < threshold:
        return Decision("", 0.0, 0.0, tuple(candidates[:3]))
    best = candidates[0].score
    second = candidates[1].score if len(candidates) > 1 else 0.0
    margin = (best - second) / best
    confidence = best / (best + HALF_SURE) * (0.5 + 0.5 * margin)
    return Decision(candidates[0].name, round(confidence, 3), round(margin, 3), tuple(candidates[:3]))


def _taken(learned: Learned, by_phrases: Decision, phrases: PhraseSet, text: str, text_sound: str) -> Decision:
    """The trained classifier's answer; phrases come first among its hits, since they stand in titles."""
    hits = sorted(phrases.find(text, text_sound), key=lambda hit: -hit.weight)
    hits += [
        Hit(word, 0.0, start, start + len(word), False)
        for word in learned.words
        if (start := text.find(word)) >= 0
        if all(start + len(word) <= hit.start or hit.end <= start for hit in hits)
    ]
    best = Candidate(learned.category, sum(hit.weight for hit in hits), tuple(hits))
    others = [candidate for candidate in by_phrases.candidates if candidate.name != learned.category]
    return Decision(learned.category, learned.confidence, 0.0, (best, *others), learned)


def _emergency(text: str, taxonomy: Taxonomy) -> tuple[Emergency | None, tuple[Hit, ...]]:
    for emergency in taxonomy.emergencies:
        open_text = text
        for hit in emergency.unless.find(text, sound(text)):
            open_text = open_text[: hit.start] + "\n" * (hit.end - hit.start) + open_text[hit.end :]
        hits = emergency.phrases.find(open_text, sound(open_text))
        if sum(hit.weight for hit in hits) >= EMERGENCY_SCORE:
            return emergency, hits
    return None, ()
