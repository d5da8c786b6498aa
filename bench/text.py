"""What people read of the words: punctuation, corrected names and hidden fillers, how right and at what cost.

    python bench/text.py --json [--texts TSV]

Punctuation: sentences of `text.tsv` with pauses as people make them (drawn with fixed seeds; some are missing, some
stand inside phrases), and the callers' recordings through the real recognizer, ours beside pauses alone. Names: a
gazetteer of 5,000 made-up places, misheard at random, and texts without any of them.
"""

import argparse
import random
import re
import time
from collections.abc import Callable, Iterable, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from statistics import median
from typing import Any

from report import machine, print_report, progress, target, versions
from text_names import in_recordings, names

from asr.batch import read_channel
from asr.engines.vosk import VoskRecognizer
from asr.evaluate import Reference, read_references
from asr.punctuation import COMMA, COMMA_MS, QUESTION, STOP, STOP_MS, marks
from asr.recognizer import Final, Word
from asr.resample import open_stream_at
from hotline.settings_sections import PACKAGE_ROOT

SENTENCES = Path(__file__).with_suffix(".tsv")
DEMO = PACKAGE_ROOT / "demo/callers"
BESIDE = PACKAGE_ROOT.parent / "shared/data/callers"
MARKS = {"comma": COMMA, "stop": STOP, "question": QUESTION}
DRAWS = 5
COST_LIMIT_US = 5_000
Marker = Callable[[Sequence[Word]], Sequence[str]]
Sample = tuple[list[Word], list[str]]
"""Words, and the mark that should follow each."""


def by_pauses(words: Sequence[Word]) -> list[str]:
    """The peer: the length of a pause, and 吗 and 呢."""
    out = []
    for index, word in enumerate(words):
        stop = QUESTION if word.text.endswith(("吗", "呢")) else STOP
        gap_ms = words[index + 1].start_ms - word.end_ms if index + 1 < len(words) else STOP_MS
        out.append(stop if gap_ms >= STOP_MS else COMMA if gap_ms >= COMMA_MS else "")
    return out


def sentences(part: str) -> list[str]:
    """The sentences of a part of the file."""
    lines = (line.split("\t") for line in SENTENCES.read_text("utf-8").splitlines() if not line.startswith("#"))
    return [line[1] for line in lines if line[0] == part]


def spoken(sentences: str, chance: random.Random) -> Sample:
    """Sentences in words of one to three characters with pauses as people make them."""
    words: list[Word] = []
    wanted: list[str] = []
    at, run = 0, ""
    size = chance.choice((1, 2, 2, 3))
    for position, character in enumerate(sentences):
        run += character
        mark = sentences[position + 1] if position + 1 < len(sentences) else ""
        if run[-1] in MARKS.values():
            run = ""
            continue
        if mark in MARKS.values() or len(run) >= size:
            words.append(Word(run, at, at + 180 * len(run), 1.0))
            wanted.append(mark if mark in MARKS.values() else "")
            at += 180 * len(run) + pause_ms(wanted[-1], chance)
            run, size = "", chance.choice((1, 2, 2, 3))
    return words, wanted


def pause_ms(mark: str, chance: random.Random) -> int:
    """What a speaker leaves before the next word."""
    if mark == COMMA:
        return chance.randrange(150) if chance.random() < 0.25 else round(chance.lognormvariate(5.95, 0.4))
    if mark:
        return chance.randrange(50, 250) if chance.random() < 0.1 else round(chance.lognormvariate(6.45, 0.45))
    hesitates = chance.random()
    return chance.randrange(600, 1100) if hesitates < 0.01 else chance.randrange(200, 600) if hesitates < 0.05 else 0


def recognised(references: Iterable[Reference]) -> list[tuple[list[Word], str]]:
    """The recordings as the bundled model hears them, and what was said."""
    recognizer = VoskRecognizer(PACKAGE_ROOT / "asr/zh_tiny", allow_demo_model=True)
    progress("recognizing recordings")
    samples = []
    for reference in references:
        if reference.path.exists():
            pcm, rate = read_channel(reference.path, 0)
            stream = open_stream_at(recognizer, rate)
            events = stream.accept(pcm) + stream.finish()
            words = [word for event in events if isinstance(event, Final) for word in event.words]
            samples.append((words, reference.text))
    return samples


def placed(words: Sequence[Word], reference: str) -> list[str]:
    """The marks of `reference` after the words that stand nearest to them."""
    plain = "".join(character for character in reference if character not in MARKS.values())
    heard = "".join(word.text for word in words)
    ends = [0]
    for word in words:
        ends.append(ends[-1] + len(word.text))
    where = {0: 0}
    for _kind, a0, a1, b0, b1 in SequenceMatcher(None, plain, heard, autojunk=False).get_opcodes():
        for step in range(a1 - a0):
            where[a0 + step + 1] = b0 + min(b1 - b0, step + 1) if step + 1 < a1 - a0 else b1
    wanted = [""] * len(words)
    passed = 0
    for character in reference:
        if character in MARKS.values():
            place = where[passed]
            nearest = min(range(len(words)), key=lambda index: abs(ends[index + 1] - place))
            wanted[nearest] = character
        else:
            passed += 1
    return wanted


def f1(samples: Iterable[Sample], mark: Marker) -> dict[str, float]:
    """F1 of each mark, of the end of a sentence, and of a mark at all."""
    pairs = [pair for words, wanted in samples for pair in zip(wanted, mark(words), strict=True)]
    return {
        **{name: _f1([(a == sign, b == sign) for a, b in pairs]) for name, sign in MARKS.items()},
        "end": _f1([(a in (STOP, QUESTION), b in (STOP, QUESTION)) for a, b in pairs]),
        "any": _f1([(bool(a), bool(b)) for a, b in pairs]),
    }


def _f1(pairs: Sequence[tuple[bool, bool]]) -> float:
    right = sum(wanted and given for wanted, given in pairs)
    return round(2 * right / max(1, sum(wanted + given for wanted, given in pairs)), 3)


def cost_us(samples: Sequence[Sample]) -> float:
    """CPU of our marks, microseconds an utterance, the median of rounds."""
    rounds = []
    for _ in range(5):
        began = time.process_time()
        for words, _wanted in samples:
            marks(words)
        rounds.append((time.process_time() - began) * 1e6 / len(samples))
    return round(median(rounds), 1)


def punctuation(heard: Sequence[Sample]) -> dict[str, Any]:
    """Ours beside pauses alone."""
    sets = {"dev": _drawn("dev"), "held": _drawn("held"), "recognised": heard}
    figures = {name: {"ours": f1(samples, marks), "pauses": f1(samples, by_pauses)} for name, samples in sets.items()}
    return {**figures, "cpu_us": cost_us(sets["held"])}


def _drawn(part: str) -> list[Sample]:
    chance = random.Random(20260105)
    given = sentences(part)
    return [spoken("".join(chance.sample(given, chance.choice((1, 2, 3)))), chance) for _ in range(DRAWS * len(given))]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    folder = BESIDE if (BESIDE / "callers.tsv").exists() else DEMO
    parser.add_argument(
        "--texts", type=Path, default=folder / "callers.tsv", help="recordings and what is said in them"
    )
    options = parser.parse_args()
    heard = recognised(read_references(options.texts)) if options.texts.exists() else []
    marked = punctuation([(words, placed(words, reference)) for words, reference in heard])
    found = names([re.sub("[，。？]", "", sentence) for part in ("dev", "held") for sentence in sentences(part)])
    report = {
        "benchmark": "text",
        "machine": machine(),
        "versions": versions("hotline"),
        "punctuation": marked,
        "names": {**found, "recordings": in_recordings(heard)},
        "targets": {
            "punctuation_us": target(marked["cpu_us"], COST_LIMIT_US, "us an utterance"),
            "names_us": target(found["cpu_us"], COST_LIMIT_US, "us a sentence"),
        },
    }
    print_report(report, as_json=options.json)


if __name__ == "__main__":
    main()
