"""Builds the Vosk model: language model and lexicon from text, decoding graph, acoustic model, configuration.

    python -m zh_tiny.vosk_model TRAINED.pt OUT_DIR [--work DIR]

The language model's text is own-written: `text/sentences*.txt` and what the grammar generates. Beyond the words of
that text the vocabulary takes the most common words of the PyPI package `jieba`, so that no syllable is without one.
"""

import argparse
import json
import random
import re
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .corpus import TEXT, characters, common_words, dictated, generated, held_out, read_sentences, written_sentences
from .grammar import Grammar
from .graph import build_graph
from .kaldi import Affine, write_model
from .language_model import KneserNey, Mixture, prune
from .lexicon import Lexicon, Segmenter, split_unknown
from .network import Network, load

PHRASE_END = re.compile("[，。]")
VOCABULARY = 30_000
COMMON_CHARACTER = 300
"""A single character with at least this count in jieba's list is a word: anything can be spelled with them."""
PRIOR_POWER = 0.5
WRITTEN_PER_NUMBER = 1
WORD_PRIOR = 1e-3
"""What jieba's count of a word weighs against a count in the text, where the text lacks the word."""
MFCC_CONF = (
    "--sample-frequency=8000\n--use-energy=false\n--num-mel-bins=40\n--num-ceps=40\n"
    "--low-freq=40\n--high-freq=-200\n--dither=0\n"
)


@dataclass(frozen=True)
class Texts:
    """Sentences as phrases of words."""

    written: list[list[list[str]]]
    generated: list[list[list[str]]]


def read_texts(segmenter: Segmenter, *, sentences: int, numbers: int, seed: int = 7) -> Texts:
    """The hand-written sentences, and that many of the grammar's and dictated numbers.

    Numbers go into both: what few there are in the hand-written ones would make every digit of a string unlikely.
    """
    grammar = Grammar.read(TEXT / "grammar.txt")
    rng = random.Random(seed)
    forbidden = held_out()
    source = generated(grammar, rng, forbidden)
    made = [next(source) for _ in range(sentences)]
    dictations = [dictated(grammar, rng) for _ in range(numbers)]
    made += dictations
    written = [line for line in written_sentences() if characters(line) not in forbidden]
    written += dictations[: len(written) // WRITTEN_PER_NUMBER]

    def phrases(sentence: str) -> list[list[str]]:
        return [segmenter.words(phrase) for phrase in PHRASE_END.split(sentence) if phrase]

    return Texts([phrases(line) for line in written], [phrases(line) for line in made])


def domain_words() -> list[str]:
    """`text/words.txt`: words that the segmenter must not cut."""
    return [word for line in read_sentences(TEXT / "words.txt") for word in line.split()]


def vocabulary(texts: Texts, common: dict[str, int], size: int) -> list[str]:
    """All words of the texts, all common characters, then the most common words until the size is reached."""
    words = {word for part in (texts.written, texts.generated) for line in part for phrase in line for word in phrase}
    words |= {word for word, count in common.items() if len(word) == 1 and count >= COMMON_CHARACTER}
    words |= set(domain_words())
    for word, _ in sorted(common.items(), key=lambda item: -item[1]):
        if len(words) >= size:
            break
        words.add(word)
    return sorted(words)


def flat(sentences: list[list[list[str]]], known: set[str]) -> list[list[str]]:
    """Sentences as words, what is unknown split into known parts."""
    return [
        [part for phrase in line for word in phrase for part in split_unknown(word, known) if part in known]
        for line in sentences
    ]


@dataclass(frozen=True)
class LanguageOptions:
    size: int = VOCABULARY
    written_weight: float = 0.75
    generated_sentences: int = 40_000
    numbers: int = 8_000
    bigrams: int = 150_000
    trigrams: int = 90_000


def language(options: LanguageOptions) -> tuple[Lexicon, Mixture, list[str]]:
    """Lexicon, unpruned language model, vocabulary."""
    segmenter = Segmenter(domain_words())
    texts = read_texts(segmenter, sentences=options.generated_sentences, numbers=options.numbers)
    common = common_words()
    sample = texts.written + texts.generated[:: max(1, len(texts.generated) // 15_000)]
    lexicon = Lexicon.build(sample, vocabulary(texts, common, options.size))
    known = set(lexicon.words)
    written, made = flat(texts.written, known), flat(texts.generated, known)
    counts = Counter(word for line in written + made for word in line)
    prior = {word: (counts[word] > 0) + WORD_PRIOR * common.get(word, 0) + 0.05 for word in known}
    total = sum(prior.values()) + 1
    base = {word: value / total for word, value in prior.items()} | {"</s>": 1 / total}
    weight = options.written_weight
    mixture = Mixture(((weight, KneserNey(written, base)), (1 - weight, KneserNey(made, base))))
    return lexicon, mixture, sorted(known)


def tuning_perplexity(lexicon: Lexicon, mixture: Mixture, words: list[str], options: LanguageOptions) -> float:
    """Of the pruned model on `text/tuning.txt`."""
    segmenter, known = Segmenter(domain_words()), set(lexicon.words)
    lines = flat([[segmenter.words(line)] for line in read_sentences(TEXT / "tuning.txt")], known)
    return prune(mixture, words, bigrams=options.bigrams, trigrams=options.trigrams).perplexity(lines)


def affine_layers(network: Network) -> list[Affine]:
    """The network's convolutions in nnet3's terms: offsets in input frames, columns by offset and then input."""
    layers, scale = [], 1
    for layer in network.folded():
        outputs, _, kernel = layer.weight.shape
        reach = layer.dilation * scale
        offsets = tuple((place - kernel // 2) * reach for place in range(kernel))
        layers.append(Affine(layer.weight.transpose(0, 2, 1).reshape(outputs, -1), layer.bias, offsets))
        scale *= layer.stride
    return layers


def decoding_conf(*, acoustic_scale: float, beam: float, max_active: int) -> str:
    # Chunks of 90 ms instead of Kaldi's 200: captions come 0.1 s sooner for half as much CPU again.
    return (
        f"--min-active=200\n--max-active={max_active}\n--beam={beam}\n--lattice-beam=4.0\n"
        f"--acoustic-scale={acoustic_scale}\n--frame-subsampling-factor=3\n--endpoint.silence-phones=1\n"
        "--endpoint.rule2.min-trailing-silence=0.6\n--endpoint.rule3.min-trailing-silence=0.8\n"
        "--endpoint.rule4.min-trailing-silence=1.2\n--frames-per-chunk=9\n"
    )


def write_acoustic_model(trained: Path, out: Path, prior_power: float) -> None:
    network, extra = load(str(trained))
    priors = np.asarray(extra["priors"]) ** prior_power
    (out / "am").mkdir(parents=True, exist_ok=True)
    write_model(
        out / "am/final.mdl",
        affine_layers(network),
        inputs=network.shape.inputs,
        context=network.shape.context,
        priors=(priors / priors.sum()).astype(np.float32),
    )


def write_manifest(out: Path) -> None:
    """`model.json`: the size of each file, which are checked before the model is loaded."""
    files = sorted(path for folder in ("am", "conf", "graph") for path in (out / folder).rglob("*") if path.is_file())
    sizes = {path.relative_to(out).as_posix(): path.stat().st_size for path in files}
    (out / "model.json").write_text(json.dumps({"name": "zh_tiny", "demo": True, "files": sizes}, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trained", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--work", type=Path, default=Path("graph-work"))
    parser.add_argument("--acoustic-scale", type=float, default=1.0)
    parser.add_argument("--beam", type=float, default=14.0)
    parser.add_argument("--max-active", type=int, default=5000)
    parser.add_argument("--prior-power", type=float, default=PRIOR_POWER)
    parser.add_argument("--keep-graph", action="store_true", help="only the acoustic model and the configuration")
    arguments = parser.parse_args()
    write_acoustic_model(arguments.trained, arguments.out, arguments.prior_power)
    (arguments.out / "conf").mkdir(exist_ok=True)
    (arguments.out / "conf/mfcc.conf").write_text(MFCC_CONF)
    (arguments.out / "conf/model.conf").write_text(
        decoding_conf(acoustic_scale=arguments.acoustic_scale, beam=arguments.beam, max_active=arguments.max_active)
    )
    if not arguments.keep_graph:
        options = LanguageOptions()
        lexicon, mixture, words = language(options)
        print(f"{len(words)} words; perplexity of the tuning set", end=" ", flush=True)
        print(f"{tuning_perplexity(lexicon, mixture, words, options):.0f}", flush=True)
        model = prune(mixture, words, bigrams=options.bigrams, trigrams=options.trigrams)
        shutil.rmtree(arguments.out / "graph", ignore_errors=True)
        build_graph(lexicon, model, arguments.out, arguments.work)
    write_manifest(arguments.out)
    size = sum(path.stat().st_size for path in arguments.out.rglob("*") if path.is_file())
    print(f"{arguments.out}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
