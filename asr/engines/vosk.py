"""Vosk (Kaldi) models as a `Recognizer`."""

import json
import os
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from asr.block_stream import BlockStream
from asr.engines.directory import HINT, Manifest, check_allowed, check_listed, file_sizes, read_manifest
from asr.protocol import UNKNOWN_WORDS, known, words_of
from asr.recognizer import Capabilities, Final, ModelInfo, Partial, RecognitionEvent, RecognitionStream
from asr.text import join_words
from asr.words import HotWord
from hotline.errors import ConfigurationError, InvalidInputError

ENGINE = "vosk"
DEFAULT_SAMPLE_RATE = 16_000  # Kaldi's, where conf/mfcc.conf names none
REQUIRED = ("am/final.mdl", "conf/mfcc.conf")
WORDS = "graph/words.txt"
GRAPH = "graph/HCLG.fst"
LOOKAHEAD_GRAPH = ("graph/HCLr.fst", "graph/Gr.fst")
FST_MAGIC = 2125659606
HAS_OUTPUT_SYMBOLS = 2
LONGEST_WORD = 16  # characters


def looks_like(files: frozenset[str]) -> bool:
    """Whether these are the files of a Vosk model."""
    return "am/final.mdl" in files


def read_sample_rate(path: Path) -> int:
    """The rate in Hz the model in directory `path` was trained at; raises `ConfigurationError`."""
    try:
        for line in (path / "conf/mfcc.conf").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition("#")[0].partition("=")
            if name.strip() == "--sample-frequency":
                return int(float(value))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}/conf/mfcc.conf is damaged: {error}") from error
    return DEFAULT_SAMPLE_RATE


def check_files(path: Path, manifest: Manifest) -> None:
    """Raises `ConfigurationError` where a file of the model is missing, empty or not of its listed size."""
    sizes = file_sizes(path)
    if not sizes.get(GRAPH) and not all(sizes.get(name) for name in LOOKAHEAD_GRAPH):
        raise ConfigurationError(f"the model in {path} has no graph ({GRAPH})", hint=HINT)
    for name in REQUIRED:
        if not sizes.get(name):
            raise ConfigurationError(f"the model in {path} has no {name}", hint=HINT)
    if not sizes.get(WORDS) and (sizes.get(GRAPH) or not holds_words(path / LOOKAHEAD_GRAPH[1])):
        raise ConfigurationError(f"the model in {path} has no {WORDS}", hint=HINT)
    check_listed(path, manifest, sizes)


def check_model(path: Path) -> None:
    """`check_files` by the directory's own manifest."""
    check_files(path, read_manifest(path))


def holds_words(fst: Path) -> bool:
    """Whether a graph carries its words: many public models have them there and no file of words.

    Its header: magic, type of graph, type of arcs, version, flags (OpenFst, `FstHeader` in fst/lib/fst.cc).
    """
    try:
        with fst.open("rb") as file:
            (magic,) = struct.unpack("<i", file.read(4))
            for _ in range(2):
                file.seek(struct.unpack("<i", file.read(4))[0], os.SEEK_CUR)
            _version, flags = struct.unpack("<ii", file.read(8))
    except (OSError, ValueError, struct.error):
        return False
    return magic == FST_MAGIC and bool(flags & HAS_OUTPUT_SYMBOLS)


def spell(phrase: str, knows: Callable[[str], bool]) -> str:
    """A phrase as words of a vocabulary, the longest first, with spaces between; raises `InvalidInputError`."""
    words, rest = [], phrase.strip()
    while rest:
        space = rest.find(" ")
        longest = min(LONGEST_WORD, space if space > 0 else len(rest))
        word = next((rest[:length] for length in range(longest, 0, -1) if knows(rest[:length])), None)
        if word is None:
            raise InvalidInputError(f"the model knows no word for {rest[:longest]!r} in {phrase[:40]!r}")
        words.append(word)
        rest = rest[len(word) :].lstrip()
    return " ".join(words)


class VoskRecognizer:
    """A Vosk model in memory: loaded once, shared by all threads (libvosk lets go of the GIL while it decodes).

    A model with a lookahead graph takes phrases: then it hears nothing else, and anything else as no words.
    """

    def __init__(self, model_path: Path, *, allow_demo_model: bool, hotwords: Sequence[HotWord] = ()) -> None:
        """Loads the model; raises `ConfigurationError` for a missing, damaged or refused one.

        `hotwords` are for engines that can prefer words; libvosk cannot.
        """
        manifest = read_manifest(model_path)
        check_files(model_path, manifest)
        check_allowed(manifest, allow_demo_model=allow_demo_model)
        import vosk  # here, because others read which model there is and need no libvosk

        vosk.SetLogLevel(-1)
        try:
            self._vosk_model = vosk.Model(str(model_path))
        except Exception as error:  # vosk raises nothing narrower
            raise ConfigurationError(f"libvosk cannot load the model in {model_path}", hint=HINT) from error
        self._new_decoder = vosk.KaldiRecognizer
        self.model = ModelInfo(name=manifest.name, engine=ENGINE, demo=manifest.demo)
        self.capabilities = Capabilities(
            streaming=True,
            word_times=True,
            confidence=True,
            hotwords=False,
            grammar=not (model_path / GRAPH).exists(),
            sample_rate=read_sample_rate(model_path),
        )

    def open_stream(self, phrases: Sequence[str] = ()) -> RecognitionStream:
        """A decoder of its own for one speaker; raises `InvalidInputError` for phrases that the model cannot take."""
        rate = self.capabilities.sample_rate
        if not phrases:
            decoder = self._new_decoder(self._vosk_model, rate)
        elif not self.capabilities.grammar:
            raise InvalidInputError(f"the model {self.model.name} takes no phrases: its graph is fixed")
        else:
            grammar = [spell(phrase, self._knows) for phrase in phrases]
            grammar += filter(self._knows, UNKNOWN_WORDS)
            decoder = self._new_decoder(self._vosk_model, rate, json.dumps(grammar, ensure_ascii=False))
        decoder.SetWords(True)
        return VoskStream(decoder, rate)

    def _knows(self, word: str) -> bool:
        return int(self._vosk_model.vosk_model_find_word(word)) >= 0


class VoskStream(BlockStream):
    """One decoder; a `Partial` is yielded when its text changes."""

    def __init__(self, decoder: Any, sample_rate: int) -> None:
        super().__init__(sample_rate)
        self._decoder = decoder
        self._shown = ""

    def _end(self) -> list[RecognitionEvent]:
        return self._final(self._decoder.FinalResult())

    def _hear(self, block: bytes) -> list[RecognitionEvent]:
        if self._decoder.AcceptWaveform(block):
            return self._final(self._decoder.Result())
        text = join_words(known(json.loads(self._decoder.PartialResult())["partial"].split()))
        if not text or text == self._shown:
            return []
        self._shown = text
        return [Partial(text)]

    def _final(self, answer: str) -> list[RecognitionEvent]:
        self._shown = ""
        words = words_of(json.loads(answer).get("result", []))
        return [Final(words)] if words else []
