"""Vosk's lookahead decoding graph out of a lexicon and a language model, with OpenFst's command line tools.

`HCLr.fst` holds the phone models and the lexicon, `Gr.fst` the language model; Vosk composes them while it decodes.
Needs the Debian packages libfst-tools (1.7) and libfst22-plugins-base, and the PyPI package kaldifst.
"""

import math
import os
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from .kaldi import SILENCE_PHONE, enter_transition, loop_transition, phone_number, phone_outputs, word_boundaries
from .language_model import BEGIN, END, BackoffModel
from .lexicon import Lexicon, Pronunciation
from .phones import PHONE_INDEX, PHONES

PLUGINS = "/usr/lib/x86_64-linux-gnu"
LOOKAHEAD = f"{PLUGINS}/libfstlookahead.so.22"
EPSILON, BACKOFF = "<eps>", "#0"
SILENCE_PROBABILITY = 0.25
PRONUNCIATION_WEIGHT = 0.3
"""How much a pronunciation's rarity counts."""
LAST_PHONE = len(phone_outputs(len(PHONES)))
LAST_TRANSITION = 2 * LAST_PHONE

Arc = tuple[int, int, int, int, float]


def word_numbers(lexicon: Lexicon) -> dict[str, int]:
    """`words.txt`: the empty word first, the symbols that are no words last."""
    return {word: number for number, word in enumerate((EPSILON, *sorted(lexicon.words), BACKOFF, BEGIN, END))}


def positioned(said: Pronunciation) -> list[int]:
    """Kaldi's phone numbers by the place in the word."""
    places = ["begin", *["internal"] * (len(said) - 2), "end"] if len(said) > 1 else ["singleton"]
    return [phone_number(PHONE_INDEX[phone], place) for phone, place in zip(said, places, strict=True)]


def lexicon_arcs(lexicon: Lexicon, numbers: dict[str, int]) -> Iterator[Arc]:
    """Words with silence between them where it fits. State 1 is between words and final.

    Disambiguation symbols, numbered after the phones, tell homophones apart and words that begin others: without them
    the lexicon could not be determinised.
    """
    start, loop, silence, heard = 0, 1, 2, 3
    speak, pause = -math.log(1 - SILENCE_PROBABILITY), -math.log(SILENCE_PROBABILITY)
    spoken: dict[tuple[int, ...], list[tuple[str, float]]] = defaultdict(list)
    for word, pronunciations in sorted(lexicon.words.items()):
        for said, share in pronunciations.items():
            spoken[tuple(positioned(said))].append((word, share))
    beginnings = {said[:length] for said in spoken for length in range(1, len(said))}
    most = max(len(words) for words in spoken.values())
    backoff, after_silence = LAST_PHONE + 1, LAST_PHONE + 2 + most

    yield start, loop, 0, 0, speak
    yield start, loop, SILENCE_PHONE, 0, pause
    yield silence, heard, SILENCE_PHONE, 0, 0.0
    yield heard, loop, after_silence, 0, 0.0
    yield loop, loop, backoff, numbers[BACKOFF], 0.0
    state = heard + 1
    for said, words in spoken.items():
        for number, (word, share) in enumerate(words, 1):
            labels = list(said)
            if len(words) > 1 or said in beginnings:
                labels.append(backoff + number)
            at, output, cost = loop, numbers[word], -math.log(share) * PRONUNCIATION_WEIGHT
            for label in labels[:-1]:
                yield at, state, label, output, cost
                at, output, cost = state, 0, 0.0
                state += 1
            yield at, loop, labels[-1], output, cost + speak
            yield at, silence, labels[-1], output, cost + pause


def grammar_arcs(model: BackoffModel, numbers: dict[str, int]) -> tuple[list[Arc], dict[int, float]]:
    """The back-off model as an acceptor (with the back-off symbol on the input side only) and its final costs.

    The first arc leaves the start state, as OpenFst's compiler wants it.
    """
    known = {(), (BEGIN,), *((first,) for first in model.after_one), *model.after_two}
    states: dict[tuple[str, ...], int] = {}

    def state(history: tuple[str, ...]) -> int:
        while history not in known:
            history = history[1:]
        return states.setdefault(history, len(states))

    arcs: list[Arc] = []
    final: dict[int, float] = {}

    def add(history: tuple[str, ...], word: str, probability: float) -> None:
        if word == END:
            final[state(history)] = -math.log(probability)
        else:
            arcs.append(
                (state(history), state((*history, word)[-2:]), numbers[word], numbers[word], -math.log(probability))
            )

    state((BEGIN,))
    for (first, word), probability in sorted(model.bigrams.items(), key=lambda item: item[0][0] != BEGIN):
        add((first,), word, probability)
    for word, probability in model.unigrams.items():
        add((), word, probability)
    for (first, second, word), probability in model.trigrams.items():
        add((first, second), word, probability)
    for first, factor in model.after_one.items():
        arcs.append((state((first,)), state(()), numbers[BACKOFF], 0, -math.log(factor)))
    for (first, second), factor in model.after_two.items():
        arcs.append((state((first, second)), state((second,)), numbers[BACKOFF], 0, -math.log(factor)))
    return arcs, final


def reordered_phone_graph(lexicon_text: str) -> tuple[str, set[int]]:
    """The determinised lexicon with transition ids in place of phones, and the disambiguation ids that it uses.

    Kaldi's reordered form: the arc into a phone carries its leaving transition, the self-loop sits on the state after.
    A state that different phones lead to is split by phone.
    """
    arcs: dict[int, list[tuple[int, int, str, str]]] = defaultdict(list)
    final: dict[int, str] = {}
    entered_by: dict[int, set[int]] = defaultdict(set)
    first = -1
    for line in lexicon_text.splitlines():
        fields = line.split()
        if len(fields) >= 4:
            source, target, phone = map(int, fields[:3])
            first = source if first < 0 else first
            arcs[source].append((target, phone, fields[3], fields[4] if len(fields) > 4 else "0"))
            entered_by[target].add(phone if phone <= LAST_PHONE else 0)
        elif fields:
            final[int(fields[0])] = fields[1] if len(fields) > 1 else "0"
    numbers: dict[tuple[int, int], int] = {(first, 0): 0}
    waiting = [(first, 0)]
    disambiguation: set[int] = set()
    lines: list[str] = []

    def number(state: int, phone: int) -> int:
        key = (state, phone)
        if key not in numbers:
            numbers[key] = len(numbers)
            waiting.append(key)
        return numbers[key]

    while waiting:
        state, phone = waiting.pop()
        here = numbers[state, phone]
        if phone:
            lines.append(f"{here} {here} {loop_transition(phone)} 0 0")
            if len(entered_by[state]) > 1 and len(arcs[state]) > 1:
                lines.append(f"{here} {number(state, 0)} 0 0 0")
                continue
        for target, label, word, cost in arcs[state]:
            if label > LAST_PHONE:
                transition, there = LAST_TRANSITION + label - LAST_PHONE, number(target, 0)
                disambiguation.add(transition)
            else:
                transition, there = enter_transition(label) if label else 0, number(target, label)
            lines.append(f"{here} {there} {transition} {word} {cost}")
        if state in final:
            lines.append(f"{here} {final[state]}")
    return "\n".join(lines) + "\n", disambiguation


def build_graph(lexicon: Lexicon, model: BackoffModel, out: Path, work: Path) -> None:
    """Writes `graph/` of a Vosk model into `out`; `work` holds what is made on the way."""
    import kaldifst  # not above: its OpenFst and libvosk's don't bear each other in one process

    graph = out / "graph"
    (graph / "phones").mkdir(parents=True, exist_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    numbers = word_numbers(lexicon)
    (graph / "words.txt").write_text("".join(f"{word} {number}\n" for word, number in numbers.items()), "utf-8")
    (graph / "phones/word_boundary.int").write_text(word_boundaries(len(PHONES)))

    lines = [_line(arc) for arc in lexicon_arcs(lexicon, numbers)]
    (work / "L.txt").write_text("\n".join([*lines, "1"]) + "\n")
    _run(f"fstcompile {work}/L.txt | fstarcsort --sort_type=olabel > {work}/L.fst")
    automaton = kaldifst.StdVectorFst.read(str(work / "L.fst"))
    kaldifst.determinize_star(automaton, use_log=False)
    kaldifst.minimize_encoded(automaton)
    automaton.write(str(work / "L.min.fst"))
    printed = _run(f"fstprint {work}/L.min.fst")
    text, disambiguation = reordered_phone_graph(printed)
    (work / "HCL.txt").write_text(text)
    (graph / "disambig_tid.int").write_text("".join(f"{number}\n" for number in sorted(disambiguation)))
    _run(f"fstcompile {work}/HCL.txt | fstconnect | fstarcsort --sort_type=olabel > {work}/HCL.fst")
    _run(
        f"fstconvert --fst_type=olabel_lookahead --save_relabel_opairs={work}/relabel {work}/HCL.fst"
        f" > {graph}/HCLr.fst",
        LD_PRELOAD=LOOKAHEAD,
    )

    arcs, final = grammar_arcs(model, numbers)
    lines = [_line(arc) for arc in arcs] + [f"{state} {cost:.4f}" for state, cost in final.items()]
    (work / "G.txt").write_text("\n".join(lines) + "\n")
    _run(
        f"fstcompile {work}/G.txt | fstrelabel --relabel_ipairs={work}/relabel | fstarcsort --sort_type=ilabel"
        f" | fstconvert --fst_type=const > {graph}/Gr.fst"
    )


def _line(arc: Arc) -> str:
    source, target, label, output, cost = arc
    return f"{source} {target} {label} {output} {cost:.4f}"


def _run(command: str, **environment: str) -> str:
    path = f"{PLUGINS}/fst/22:{PLUGINS}/fst:{PLUGINS}"
    ran = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        capture_output=True,
        text=True,
        env={**os.environ, "LD_LIBRARY_PATH": path, **environment},
    )
    if ran.returncode:
        raise SystemExit(f"failed: {command}\n{ran.stderr}")
    return ran.stdout
