"""Whether two tickets are about the same matter: the same words, at the same place, in the same days.

Pure. Fellegi and Sunter's rule of record linkage (1969): each thing compared speaks for or against with its points,
which are log2 of how much oftener it is so among calls about one matter than among others of that town and week. The
points add up from where a pair begins (`PRIOR`: one in 250); their sum is a probability. What is not known has none.
A suggestion is for a person to decide; nothing is merged by it.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from tickets.wording import common_pieces, pairs, plain

PRIOR = -8.0
# Points by what is found; the first bar that is reached counts. How they were found: docs/decisions/0037-topics.md
TEXT_POINTS = ((0.60, 5.5), (0.45, 4.0), (0.30, 2.5), (0.15, 1.0), (0.08, 0.0), (0.0, -3.0))
PLACE_POINTS = {"address": 5.0, "near": 4.5, "community": 4.0, "town": 0.5, "elsewhere": -9.0}
CATEGORY_POINTS = {"same": 3.0, "related": -0.5, "different": -3.0}
TIME_POINTS = ((1.0, 1.0), (3.0, 0.0), (7.0, -1.0), (math.inf, -3.0))  # days apart
SAME_PHONE = 5.0
NEAR_M, FAR_M = 150.0, 1_500.0
_SHORT = 0.7  # how much of the likeness is told by the shorter text, of two that differ in length
_RARE = 5  # texts added to a count, so that a small block does not make every word common


@dataclass(frozen=True, kw_only=True)
class Matter:
    """What is compared of a ticket. Empty strings and None: not known."""

    ticket_id: int
    number: str
    at: datetime
    text: str
    category: str = ""
    town: str = ""
    community: str = ""
    address: str = ""
    phone: str = ""
    latitude: float | None = None
    longitude: float | None = None


@dataclass(frozen=True)
class Reason:
    """What was compared (text, place, time, category, phone), how it came out, its points, and words for people."""

    about: str
    outcome: str
    points: float
    words: str

    def to_data(self) -> dict[str, Any]:
        """As it is stored."""
        return asdict(self)


@dataclass(frozen=True)
class Likeness:
    """How sure it is, 0 to 1, that `other` is about the same matter, and why, what weighs most first."""

    other: Matter
    score: float
    reasons: tuple[Reason, ...]


def find_duplicates(matter: Matter, block: Sequence[Matter], *, at_least: float, most: int) -> list[Likeness]:
    """The `most` matters of `block` that are `matter` again with a probability of `at_least`, the surest first.

    `block`: what is to be compared at all, of the same places and days. Words count less the commoner they are in it,
    and the commoner among those of the category: that the lamps are dark says little beside where.
    """
    texts = [plain(each.text) for each in block]
    grams = [pairs(text) for text in texts]
    own_text = plain(matter.text)
    own = pairs(own_text)
    of_category = [each for each, other in zip(grams, block, strict=True) if other.category == matter.category]
    rare, detail = _rarity(grams), _rarity(of_category)
    weight = {gram: rare(gram) * detail(gram) for gram in own.union(*grams)}
    found = []
    for other, text, other_grams in zip(block, texts, grams, strict=True):
        likeness = _alike(own, other_grams, weight)
        reasons = [_text(likeness, own_text, text), *_circumstances(matter, other)]
        score = 1 / (1 + 2 ** -(PRIOR + sum(reason.points for reason in reasons)))
        if score >= at_least:
            reasons.sort(key=lambda reason: -abs(reason.points))
            found.append(Likeness(other, round(score, 4), tuple(reasons)))
    found.sort(key=lambda item: (-item.score, -item.other.ticket_id))
    return found[:most]


def _rarity(texts: Sequence[frozenset[str]]) -> Callable[[str], float]:
    """How rare a pair of characters is in `texts`, 0 to 1."""
    counts = Counter(gram for each in texts for gram in each)
    size = len(texts) + _RARE
    return lambda gram: math.log(1 + size / (counts[gram] + 1)) / math.log(1 + size)


def _alike(one: frozenset[str], other: frozenset[str], weight: Mapping[str, float]) -> float:
    """0 to 1 (Tversky's index): what both have, over that and what one has, of the shorter text more of it."""
    shared = one & other
    if not shared:
        return 0.0
    both = sum(weight[gram] for gram in shared)
    rests = sorted(sum(weight[gram] for gram in side - shared) for side in (one, other))
    return both / (both + _SHORT * rests[0] + (1 - _SHORT) * rests[1])


def _text(likeness: float, one: str, other: str) -> Reason:
    points = next(points for bar, points in TEXT_POINTS if likeness >= bar)
    pieces = common_pieces(one, other) if points > 0 else []
    words = f"说法相似 {likeness:.0%}" + (f"：{'、'.join(pieces)}" if pieces else "")
    return Reason("text", f"{likeness:.2f}", points, words)


def _circumstances(one: Matter, other: Matter) -> list[Reason]:
    found = [_place(one, other), _time(one, other), _category(one, other)]
    if one.phone and one.phone == other.phone:
        found.append(
            Reason("phone", "same", SAME_PHONE, "同一联系电话")
        )  # another caller says nothing: neighbours call
    return [reason for reason in found if reason is not None]


def _place(one: Matter, other: Matter) -> Reason | None:
    metres = _distance(one, other)
    if one.town and other.town and one.town != other.town:
        outcome, words = "elsewhere", f"属地不同：{one.town}、{other.town}"
    elif one.address and one.address == other.address:
        outcome, words = "address", f"同一地址：{one.address}"
    elif metres is not None and metres > FAR_M:
        outcome, words = "elsewhere", f"相距 {metres / 1000:.1f} 公里"
    elif metres is not None and metres <= NEAR_M:
        outcome, words = "near", f"相距 {metres:.0f} 米"
    elif one.community and other.community and one.community != other.community:
        outcome, words = "elsewhere", f"社区（村）不同：{one.community}、{other.community}"
    elif one.community and one.community == other.community:
        outcome, words = "community", f"同一社区（村）：{one.community}"
    elif one.town and one.town == other.town:
        outcome, words = "town", f"同一属地：{one.town}"
    else:
        return None
    return Reason("place", outcome, PLACE_POINTS[outcome], words)


def _time(one: Matter, other: Matter) -> Reason:
    days = abs((one.at - other.at).total_seconds()) / 86_400
    points = next(points for bar, points in TIME_POINTS if days <= bar)
    return Reason("time", f"{days:.1f}", points, f"相隔 {days * 24:.0f} 小时" if days < 2 else f"相隔 {days:.0f} 天")


def _category(one: Matter, other: Matter) -> Reason | None:
    if not one.category or not other.category:
        return None
    if one.category == other.category:
        return Reason("category", "same", CATEGORY_POINTS["same"], f"同一类别：{one.category}")
    related = one.category.partition("/")[0] == other.category.partition("/")[0]
    outcome = "related" if related else "different"
    return Reason("category", outcome, CATEGORY_POINTS[outcome], f"类别：{one.category}、{other.category}")


def _distance(one: Matter, other: Matter) -> float | None:
    """Metres between the two, by the haversine formula."""
    if one.latitude is None or one.longitude is None or other.latitude is None or other.longitude is None:
        return None
    north, north_other = math.radians(one.latitude), math.radians(other.latitude)
    east = math.radians(other.longitude - one.longitude)
    half = math.sin((north_other - north) / 2) ** 2 + math.cos(north) * math.cos(north_other) * math.sin(east / 2) ** 2
    return 2 * 6_371_000 * math.asin(math.sqrt(half))
