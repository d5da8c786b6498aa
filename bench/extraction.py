"""What a ticket's fields are worth: right, wrong and missed over sentences of our own, and the time they cost.

    python bench/extraction.py --json [--texts TSV] [--show]

The sentences (`extraction.tsv`) are as callers speak and recognizers write: corrections, homophones, no marks. Rules
were made with the part `dev`; `held` was written beside it and only measured. A field that is given and should not be
counts against precision, one that is missing or wrong against recall.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

from report import machine, print_report, progress, target, versions

from asr.recognizer import Word
from hotline.settings_sections import TicketSettings
from tickets.extraction import OBSERVED, PERSONAL, Extraction, extract
from tickets.service import SiteData, load_site_data
from tickets.speech import Speech, SpokenSegment

SENTENCES = Path(__file__).with_suffix(".tsv")
NOW = datetime(2026, 1, 5, 9, 42, tzinfo=ZoneInfo("Asia/Shanghai"))
FLAGS = ("anonymous", "confidential", "vulnerable", "dialect", "foreign_language", "emergency")
FIELDS = ("caller_name", "phone", "place", "community", "address", *PERSONAL, *OBSERVED, *FLAGS)
CHARACTER_MS, PAUSE_MS = 180, 450
COST_LIMIT_MS = 20.0
MAX_NOT_RIGHT, MAX_MISSED = 0.1, 0.1
REPEATS = 20
LONG = 20  # sentences that make a transcript of a call of some minutes


@dataclass(frozen=True)
class Case:
    """A sentence and what it should give."""

    part: str
    text: str
    wanted: dict[str, str]


def read_cases(path: Path) -> list[Case]:
    """The lines of a file."""
    cases = []
    for line in path.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            part, text, wanted = line.split("\t")
            cases.append(Case(part, text, dict(pair.split("=", 1) for pair in wanted.split("|") if pair)))
    return cases


def speech_of(text: str) -> Speech:
    """The words one after another, a pause where there is `_` or an utterance ends."""
    segments, at = [], 0
    for position, utterance in enumerate(text.split("|")):
        words = []
        for word in utterance.split():
            if word != "_":
                words.append(Word(word, at, at + CHARACTER_MS * len(word), 0.9))
            at += PAUSE_MS if word == "_" else CHARACTER_MS * len(word)
        segments.append(SpokenSegment(position, "".join(word.text for word in words), tuple(words)))
        at += 2 * PAUSE_MS
    return Speech(segments)


def run(text: str, site: SiteData) -> Extraction:
    """The product's own extraction; without a calling number, so that a number must have been said."""
    return extract(
        speech_of(text),
        caller_id="",
        taxonomy=site.taxonomy,
        gazetteer=site.gazetteer,
        now=NOW,
        area_code="010",
    )


def is_right(field: str, given: str, wanted: str) -> bool:
    """A demand must have the words; all else is the same."""
    return wanted in given if field == "wants" else given == wanted


def compare(cases: list[Case], site: SiteData) -> Iterator[tuple[str, str, Case, str, str]]:
    """Field, verdict, case, what was given, what was wanted."""
    for case in cases:
        given = {item.field: item.value for item in run(case.text, site).findings if item.field in FIELDS}
        for field in sorted({*given, *case.wanted}):
            got, wanted = given.get(field, ""), case.wanted.get(field, "")
            if got and wanted:
                verdict = "right" if is_right(field, got, wanted) else "wrong"
            else:
                verdict = "spurious" if got else "missed"
            yield field, verdict, case, got, wanted


def figures(counts: Counter[str]) -> dict[str, Any]:
    """Precision and recall of a field; None where there is nothing to divide by."""
    right, given = counts["right"], counts["right"] + counts["wrong"] + counts["spurious"]
    wanted = counts["right"] + counts["wrong"] + counts["missed"]
    return {
        "wanted": wanted,
        "precision": round(right / given, 3) if given else None,
        "recall": round(right / wanted, 3) if wanted else None,
    }


def measure(cases: list[Case], site: SiteData, *, show: bool) -> dict[str, Any]:
    """By field and together."""
    counts: dict[str, Counter[str]] = {}
    for field, verdict, case, got, wanted in compare(cases, site):
        counts.setdefault(field, Counter())[verdict] += 1
        if show and verdict != "right":
            print(f"{verdict}\t{field}\tgot {got!r}\twanted {wanted!r}\t{case.text}", file=sys.stderr)
    every = sum(counts.values(), Counter())
    return {
        "sentences": len(cases),
        "all": figures(every),
        "fields": {name: figures(counts[name]) for name in FIELDS if name in counts},
    }


def cost_ms(texts: list[str], site: SiteData) -> float:
    """CPU of a transcript, the median of rounds."""
    rounds = []
    for _ in range(REPEATS):
        began = time.process_time()
        for text in texts:
            run(text, site)
        rounds.append((time.process_time() - began) * 1e3 / len(texts))
    return round(median(rounds), 2)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--texts", type=Path, default=SENTENCES, help="sentences and what they should give")
    parser.add_argument("--show", action="store_true", help="tell each fault on standard error")
    options = parser.parse_args()
    site = load_site_data(TicketSettings())
    cases = read_cases(options.texts)
    progress(f"{len(cases)} sentences")
    parts = {part: [case for case in cases if case.part == part] for part in ("dev", "held")}
    quality = {part: measure(own, site, show=options.show) for part, own in parts.items()}
    texts = [case.text for case in cases]
    long = [" | ".join(texts[at : at + LONG]) for at in range(0, len(texts), LONG)]
    sentence_ms, call_ms = cost_ms(texts, site), cost_ms(long, site)
    held = quality["held"]["all"]
    report = {
        "benchmark": "extraction",
        "machine": machine(),
        "versions": versions("hotline"),
        "quality": quality,
        "sentence_ms": sentence_ms,
        "long_call_ms": call_ms,
        "targets": {
            "held_not_right": target(1 - held["precision"], MAX_NOT_RIGHT, "share of what is given"),
            "held_missed": target(1 - held["recall"], MAX_MISSED, "share of what is wanted"),
            "sentence_ms": target(sentence_ms, COST_LIMIT_MS, "ms a transcript"),
        },
    }
    print_report(report, as_json=options.json)


if __name__ == "__main__":
    main()
