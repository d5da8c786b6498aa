"""Which topics to take up as a whole (每月一题), and what to mend before anybody calls (未诉先办). Pure.

Each candidate says why. People choose; nothing is decided here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tickets.topics import MIN_RATIO, UNLIKELY, WEEK, Topic, binomial_tail

MONTHLY, EARLY = "monthly", "early"
_WEEKS_ACTIVE = 4  # of five
_MIN_ANSWERS = 5
_UNSOLVED = 0.4
_MIN_SEASONAL = 10


@dataclass(frozen=True)
class Season:
    """A category that fills the weeks to come in former years. `ratio`: beside its usual share of a year."""

    category: str
    expected: int
    ratio: float
    years: int
    words: str

    def to_data(self) -> dict[str, Any]:
        """As it is stored."""
        return {
            "category": self.category,
            "expected": self.expected,
            "ratio": round(self.ratio, 1),
            "words": self.words,
        }


def candidate_for(topic: Topic, *, large: int) -> dict[str, list[str]]:
    """What the topic is a candidate for, and why. `large`: tickets in five weeks from which on it is a monthly one."""
    found: dict[str, list[str]] = {}
    weeks = sum(any(topic.daily[at : at + WEEK]) for at in range(0, len(topic.daily), WEEK))
    answers = topic.solved + topic.unsolved
    share = topic.unsolved / answers if answers else 0.0
    if len(topic.tickets) >= large and weeks >= _WEEKS_ACTIVE and answers >= _MIN_ANSWERS and share >= _UNSOLVED:
        found[MONTHLY] = [
            f"五周内 {len(topic.tickets)} 件",
            f"{weeks} 周都有来电",
            f"回访 {answers} 件，未解决 {share:.0%}",
        ]
    if topic.growth.rising:
        found[EARLY] = [growth_words(topic)]
    return found


def growth_words(topic: Topic) -> str:
    """近 7 天 12 件，此前平均每周 2.5 件."""
    return f"近 7 天 {topic.growth.week} 件，此前平均每周 {topic.growth.before / 4:.1f} 件"


def seasons(same_weeks: Mapping[str, int], whole_years: Mapping[str, int], *, years: int, share: float) -> list[Season]:
    """The categories that came more often in the weeks to come of former years than over the whole of those years.

    Both count tickets by category over `years` years; `share`: of all tickets of those years, how many fell into those
    weeks, so that a quiet season of the whole hotline says nothing.
    """
    found = []
    for category, count in same_weeks.items():
        total = whole_years.get(category, 0)
        usual = total * share
        if not category or count < _MIN_SEASONAL * years or not usual:
            continue
        ratio = count / usual
        if ratio >= MIN_RATIO and binomial_tail(count, max(count, total), share) < UNLIKELY:
            expected = round(count / years)
            words = f"前 {years} 年同期平均 {expected} 件，是平时的 {ratio:.1f} 倍"
            found.append(Season(category, expected, ratio, years, words))
    return sorted(found, key=lambda season: (-season.expected, season.category))
