"""Spoken numbers as figures: sentences of the hotline as a clerk would write them, ours beside WeTextProcessing.

    python bench/figures.py --json

`figures.tsv` grew with the rules; `figures_fresh.tsv` was written after them, before anybody knew what comes out.

The peer is `wetext`, its rules in a package that needs no compiler; where it is not installed only ours are measured
(`pip install wetext==0.1.8`). A sentence counts where one of the forms in `figures.tsv` comes out.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from report import machine, print_report, progress, target, versions

from asr.figures import written

SENTENCES = Path(__file__).with_suffix(".tsv")
FRESH = SENTENCES.with_stem("figures_fresh")
WRONG_LIMIT = 0.05
ROUNDS = 20


def sentences(path: Path = SENTENCES) -> list[tuple[str, list[str]]]:
    """What is said, and the forms in which it may be written."""
    lines = path.read_text("utf-8").splitlines()
    parted = (line.split("\t") for line in lines if line and not line.startswith("#"))
    return [(spoken, forms.split("|")) for spoken, forms in parted]


def measure(write: Callable[[str], str], path: Path = SENTENCES) -> dict[str, Any]:
    """How many come out right, which do not, and what a sentence costs."""
    wanted = sentences(path)
    wrong = {spoken: out for spoken, forms in wanted if (out := write(spoken)) not in forms}
    began = time.process_time()
    for _ in range(ROUNDS):
        for spoken, _forms in wanted:
            write(spoken)
    spent = time.process_time() - began
    return {
        "right": round(1 - len(wrong) / len(wanted), 4),
        "cpu_us": round(spent * 1e6 / ROUNDS / len(wanted), 1),
        "wrong": wrong,
    }


def peer() -> Callable[[str], str] | None:
    """WeTextProcessing's inverse normalisation, where it is here."""
    try:
        from wetext import Normalizer  # type: ignore[import-not-found]  # optional
    except ImportError:
        progress("wetext is not installed: measured without it")
        return None
    normalizer = Normalizer(lang="zh", operator="itn")
    return lambda text: str(normalizer.normalize(text))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    ours, other = measure(written), peer()
    report = {
        "benchmark": "figures",
        "machine": machine(),
        "versions": versions("hotline"),
        "sentences": len(sentences()),
        "ours": ours,
        "wetext": None if other is None else measure(other),
        "fresh": {"sentences": len(sentences(FRESH)), "ours": measure(written, FRESH)},
        "targets": {"wrong": target(1 - ours["right"], WRONG_LIMIT, "of the sentences")},
    }
    print_report(report, as_json=options.json)


if __name__ == "__main__":
    main()
