"""What many people call about: texts of some weeks in groups, with names, growth and examples. Pure.

Texts are compared by pairs of characters (TF-IDF, reduced to 100 dimensions) and grouped by average linkage: two groups
become one while their texts are alike on average, so the number of topics comes out of the texts and what is like
nothing else stays alone. Why this method: docs/decisions/0037-topics.md.
"""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from tickets.topic_names import name_of, phrases_of
from tickets.wording import plain

WEEK, BEFORE = 7, 28  # days: the time that is looked at, and the one it is compared with
WINDOW = WEEK + BEFORE
DISTANCE = 0.55  # cosine distance up to which groups are joined
DIMENSIONS = 100
SAME_TOPIC = 0.3  # share of the smaller one's tickets that two days' topics must have in common to be one
UNLIKELY = 0.001  # growth that chance brings about less often than this is growth
MIN_RATIO = 1.5
ONE_TOWN = 0.6
_LENGTH = 300
_EXAMPLES, _SHOWN = 5, 5


@dataclass(frozen=True, kw_only=True)
class Text:
    """A ticket as topics see it. `solved`: what its call-back said, None where nobody said anything."""

    ticket_id: int
    day: date
    text: str
    category: str = ""
    town: str = ""
    unit: str = ""
    solved: bool | None = None


@dataclass(frozen=True)
class Growth:
    """This week beside the four before. `chance`: how often so many would fall into this week without any growth."""

    week: int
    before: int
    ratio: float
    chance: float

    @property
    def rising(self) -> bool:
        """Whether it is more than chance."""
        return self.chance < UNLIKELY and self.ratio >= MIN_RATIO


@dataclass(frozen=True, kw_only=True)
class Topic:
    """A group of tickets about one matter. `daily`: tickets a day, the oldest first, the last day is today."""

    name: str
    terms: tuple[str, ...]
    tickets: tuple[int, ...]
    daily: tuple[int, ...]
    growth: Growth
    towns: tuple[tuple[str, int], ...]
    units: tuple[tuple[str, int], ...]
    categories: tuple[tuple[str, int], ...]
    solved: int
    unsolved: int
    examples: tuple[int, ...]

    def to_data(self) -> dict[str, Any]:
        """What is stored of it beside its tickets and figures."""
        shown = ("terms", "daily", "towns", "units", "categories", "solved", "unsolved", "examples")
        return {name: getattr(self, name) for name in shown}


def find_topics(
    texts: Sequence[Text], *, today: date, at_least: int, max_grouped: int, place_names: Collection[str] = ()
) -> list[Topic]:
    """The topics of at least so many tickets in the weeks until `today`, those that grow and the largest first.

    Beyond `max_grouped` texts (memory and time grow with the square) some are grouped and the rest join them.
    `place_names` stand in no name but the town's.
    """
    first = today - timedelta(days=WINDOW - 1)
    kept = sorted((each for each in texts if first <= each.day <= today), key=lambda each: (each.day, each.ticket_id))
    bare = [plain(each.text[:_LENGTH]) for each in kept]
    said = [(each, text) for each, text in zip(kept, bare, strict=True) if len(text) > 1]
    if len(said) < 2 * at_least:
        return []
    labels, centrality = group([text for _, text in said], max_grouped=max_grouped)
    groups: dict[int, list[int]] = {}
    for at, label in enumerate(labels):
        if label >= 0:
            groups.setdefault(label, []).append(at)
    large = [members for members in groups.values() if len(members) >= at_least]
    names = phrases_of([[said[at][1] for at in members] for members in large], [text for _, text in said], place_names)
    large, names = _joined(large, names)
    week = sum((today - each.day).days < WEEK for each, _ in said)
    topics = []
    for members, terms in zip(large, names, strict=True):
        nearest = sorted(members, key=lambda at: -centrality[at])
        rows = [said[at][0] for at in members]
        topics.append(_topic(rows, [said[at][0] for at in nearest], terms, today=today, week=week, total=len(said)))
    return sorted(topics, key=lambda topic: (not topic.growth.rising, -len(topic.tickets), topic.tickets))


def group(texts: Sequence[str], *, max_grouped: int) -> tuple[list[int], list[float]]:
    """The group of each `plain` text (-1: none), and how near it is to its group's middle, -1 to 1."""
    import numpy as np
    from sklearn.cluster import AgglomerativeClustering
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import normalize

    vectorizer = TfidfVectorizer(
        analyzer=lambda text: [piece[at : at + 2] for piece in text.split("\n") for at in range(len(piece) - 1)],
        min_df=2,
        max_features=30_000,
        sublinear_tf=True,
        dtype=np.float32,
    )
    try:
        weights = vectorizer.fit_transform(texts)
    except ValueError:  # no pair of characters is in two texts
        return [-1] * len(texts), [0.0] * len(texts)
    dimensions = min(DIMENSIONS, min(weights.shape) - 1)
    if dimensions < 1:
        return [-1] * len(texts), [0.0] * len(texts)
    with np.errstate(invalid="ignore"):  # of texts that are all the same it divides nothing by nothing
        points = normalize(TruncatedSVD(dimensions, n_iter=3, random_state=0).fit_transform(weights))
    step = max(1, math.ceil(len(texts) / max_grouped))
    sample = np.arange(0, len(texts), step)
    model = AgglomerativeClustering(None, metric="cosine", linkage="average", distance_threshold=DISTANCE)
    # a text without any known pair is at nothing's side: the cosine of zeros is not defined
    sample = sample[np.linalg.norm(points[sample], axis=1) > 0]
    if len(sample) < 2:
        return [-1] * len(texts), [0.0] * len(texts)
    grouped = model.fit_predict(points[sample])
    middles = np.zeros((int(grouped.max()) + 1, points.shape[1]), points.dtype)
    np.add.at(middles, grouped, points[sample])
    middles = normalize(middles)
    likeness = points @ middles.T
    labels = np.where(likeness.max(axis=1) >= 1 - DISTANCE, likeness.argmax(axis=1), -1)
    labels[sample] = grouped
    nearness = likeness[np.arange(len(texts)), labels]
    return [int(label) for label in labels], [float(value) for value in nearness]


def growth_of(week: int, before: int, *, all_week: int, all_before: int) -> Growth:
    """How a topic's share of all tickets grew. `chance`: with `week + before` tickets in all that fall into this week
    as any ticket does, so many or more do (binomial)."""
    share = all_week / max(1, all_week + all_before)
    usual = before / max(1, all_before)
    ratio = (week / max(1, all_week)) / usual if usual else math.inf if week else 0.0
    return Growth(week, before, ratio, binomial_tail(week, week + before, share))


def binomial_tail(hits: int, tries: int, probability: float) -> float:
    """How likely `hits` or more of `tries` are."""
    if hits <= 0:
        return 1.0
    if probability <= 0.0:
        return 0.0
    if probability >= 1.0:
        return 1.0
    log_yes, log_no, total = math.log(probability), math.log1p(-probability), 0.0
    for count in range(hits, tries + 1):
        ways = math.lgamma(tries + 1) - math.lgamma(count + 1) - math.lgamma(tries - count + 1)
        total += math.exp(ways + count * log_yes + (tries - count) * log_no)
    return min(1.0, total)


def match_topics(topics: Sequence[Topic], earlier: Mapping[int, frozenset[int]]) -> list[int | None]:
    """Which of `earlier` (id -> its tickets) each topic is; None for a new one. None is two topics at once."""
    overlaps = []
    for at, topic in enumerate(topics):
        own = set(topic.tickets)
        for identity, tickets in earlier.items():
            shared = len(own & tickets)
            share = shared / max(1, min(len(own), len(tickets)))
            if share >= SAME_TOPIC:
                overlaps.append((shared, share, identity, at))
    found: list[int | None] = [None] * len(topics)
    taken: set[int] = set()
    for _, _, identity, at in sorted(overlaps, key=lambda item: (-item[0], -item[1], item[2])):
        if found[at] is None and identity not in taken:
            found[at] = identity
            taken.add(identity)
    return found


def _joined(groups: list[list[int]], names: list[list[str]]) -> tuple[list[list[int]], list[list[str]]]:
    """Groups that would have one name are one topic."""
    by_name: dict[frozenset[str], tuple[list[int], list[str]]] = {}
    for at, (members, terms) in enumerate(zip(groups, names, strict=True)):
        key = frozenset(terms[:2]) or frozenset({str(at)})
        known = by_name.setdefault(key, ([], terms))
        known[0].extend(members)
    return [members for members, _ in by_name.values()], [terms for _, terms in by_name.values()]


def _topic(
    rows: Sequence[Text], nearest: Sequence[Text], terms: Sequence[str], *, today: date, week: int, total: int
) -> Topic:
    daily = Counter((today - row.day).days for row in rows)
    own_week = sum(daily[ago] for ago in range(WEEK))
    towns = Counter(row.town for row in rows if row.town).most_common(_SHOWN)
    categories = Counter(row.category for row in rows if row.category).most_common(_SHOWN)
    return Topic(
        name=name_of(
            terms,
            town=towns[0][0] if towns and towns[0][1] >= ONE_TOWN * len(rows) else "",
            category=categories[0][0] if categories else "",
        ),
        terms=tuple(terms),
        tickets=tuple(sorted(row.ticket_id for row in rows)),
        daily=tuple(daily[ago] for ago in range(WINDOW - 1, -1, -1)),
        growth=growth_of(own_week, len(rows) - own_week, all_week=week, all_before=total - week),
        towns=tuple(towns),
        units=tuple(Counter(row.unit for row in rows if row.unit).most_common(_SHOWN)),
        categories=tuple(categories),
        solved=sum(row.solved is True for row in rows),
        unsolved=sum(row.solved is False for row in rows),
        examples=tuple(row.ticket_id for row in nearest[:_EXAMPLES]),
    )
