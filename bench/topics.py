"""Hot topics: how long a day's topics take, and how well made-up calls whose matter is known are grouped.

    python bench/topics.py --json [--texts 7000] [--csv FILE] [--show]

`--csv`: texts of a file with the columns subject and text in place of made-up ones; `--show` prints the topics.
Quality, always of made-up calls: pairs of one group that are of one kind, pairs of one kind that are in one group, and
the adjusted mutual information.
"""

import argparse
import csv
import random
import time
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from report import machine, print_report, progress, target, versions

from demo.matters import KINDS, complain
from tickets.topics import WINDOW, Text, find_topics, group
from tickets.wording import plain

TODAY = date(2026, 11, 20)
LIMIT_S = 60.0


def made_up(count: int, seed: int) -> list[Text]:
    """Calls of five weeks, some kinds oftener than others; lamps and heating grow in the last week."""
    chance = random.Random(seed)
    weights = [1 / (at + 1) ** 0.8 for at in range(len(KINDS))]
    texts = []
    for number in range(count):
        kind = chance.choices(range(len(KINDS)), weights)[0]
        rising = kind in (0, 17) and chance.random() < 0.5
        made = complain(chance, kind)
        ago = chance.randrange(7 if rising else WINDOW)
        day = TODAY - timedelta(days=ago)
        texts.append(Text(ticket_id=number, day=day, text=made.text, category=made.category, town=made.town))
    return texts


def from_csv(path: Path, count: int) -> list[Text]:
    """Texts of a file, their days made up."""
    chance = random.Random(1)
    with path.open(encoding="utf-8", newline="") as file:
        rows = [f"{row['subject']}\n{row['text']}" for row in csv.DictReader(file)][:count]
    return [
        Text(ticket_id=number, day=TODAY - timedelta(days=chance.randrange(WINDOW)), text=text)
        for number, text in enumerate(rows)
    ]


def quality(seed: int) -> dict[str, Any]:
    """Of 2,500 made-up calls."""
    from sklearn.metrics import adjusted_mutual_info_score

    calls = made_up(2500, seed)
    labels, _ = group([plain(call.text) for call in calls], max_grouped=8000)
    kinds = [call.category for call in calls]
    both = _pairs(list(zip(labels, kinds, strict=True)))
    return {
        "pairs_right": round(both / max(1, _pairs(labels)), 3),
        "pairs_found": round(both / _pairs(kinds), 3),
        "adjusted_mutual_information": round(float(adjusted_mutual_info_score(kinds, labels)), 3),
        "groups_of_5": sum(size >= 5 for size in Counter(labels).values()),
    }


def _pairs(labels: list[Any]) -> int:
    return sum(size * (size - 1) // 2 for size in Counter(labels).values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--texts", type=int, default=7000)
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    texts = from_csv(options.csv, options.texts) if options.csv else made_up(options.texts, 1)
    began, cpu = time.perf_counter(), time.process_time()
    topics = find_topics(texts, today=TODAY, at_least=8, max_grouped=8000)
    spent, used = time.perf_counter() - began, time.process_time() - cpu
    for topic in topics if options.show else ():
        progress(f"{len(topic.tickets):5} {'+' if topic.growth.rising else ' '} {topic.name}  {'、'.join(topic.terms)}")
    report = {
        "machine": machine(),
        "versions": versions("scikit-learn", "scipy", "numpy"),
        "texts": len(texts),
        "topics": len(topics),
        "in_topics": sum(len(topic.tickets) for topic in topics),
        "rising": [topic.name for topic in topics if topic.growth.rising],
        "seconds": round(spent, 1),
        "cpu_seconds": round(used, 1),
        "quality": quality(3),
        "targets": {"seconds": target(spent, LIMIT_S, "s")},
    }
    print_report(report, as_json=options.json)


if __name__ == "__main__":
    main()
