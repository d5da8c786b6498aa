"""Vosk (Kaldi) models as a `Recognizer`.

A model directory may carry `model.json`: {"name": str, "demo": bool, "files": {path: bytes}}. Without it the model is
named after its directory and is no demo. The listed sizes are checked before libvosk sees the files, because libvosk
accepts a damaged graph and crashes on the first utterance.
"""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from asr.blocks import Blocks
from asr.protocol import words_of
from asr.recognizer import Capabilities, Final, ModelInfo, Partial, RecognitionEvent, RecognitionStream
from asr.text import join_words
from hotline.errors import ConfigurationError

ENGINE = "vosk"
DEFAULT_SAMPLE_RATE = 16_000  # Kaldi's, where conf/mfcc.conf names none
REQUIRED = ("am/final.mdl", "conf/mfcc.conf", "graph/words.txt")
GRAPHS = (("graph/HCLG.fst",), ("graph/HCLr.fst", "graph/Gr.fst"))
HINT = "set HOTLINE_ASR__MODEL_PATH to the directory of an unpacked Vosk model"


class Manifest(BaseModel):
    """`model.json` of a model directory."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    demo: bool = False
    files: dict[str, int] = {}


def read_manifest(path: Path) -> Manifest:
    """The manifest of a model directory; raises `ConfigurationError` where it or the directory is unusable."""
    if not path.is_dir():
        raise ConfigurationError(f"no model directory at {path}", hint=HINT)
    file = path / "model.json"
    if not file.exists():
        return Manifest(name=path.resolve().name)
    try:
        return Manifest.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        raise ConfigurationError(f"{file} is damaged: {error}") from error


def read_model_info(path: Path) -> ModelInfo:
    """Which model a directory holds, without loading it; raises `ConfigurationError`."""
    manifest = read_manifest(path)
    return ModelInfo(name=manifest.name, engine=ENGINE, demo=manifest.demo)


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
    sizes = {str(file.relative_to(path)): file.stat().st_size for file in path.rglob("*") if file.is_file()}
    if not any(all(sizes.get(name) for name in graph) for graph in GRAPHS):
        raise ConfigurationError(f"the model in {path} has no graph ({GRAPHS[0][0]})", hint=HINT)
    for name in REQUIRED:
        if not sizes.get(name):
            raise ConfigurationError(f"the model in {path} has no {name}", hint=HINT)
    for name, size in manifest.files.items():
        if sizes.get(name) != size:
            found = "is missing" if name not in sizes else f"has {sizes[name]} bytes instead of {size}"
            raise ConfigurationError(f"the model in {path} is damaged: {name} {found}", hint="install the model again")


class VoskRecognizer:
    """A Vosk model in memory: loaded once, shared by all threads (libvosk lets go of the GIL while it decodes)."""

    def __init__(self, model_path: Path, *, allow_demo_model: bool) -> None:
        """Loads the model; raises `ConfigurationError` for a missing, damaged or refused one."""
        manifest = read_manifest(model_path)
        check_files(model_path, manifest)
        if manifest.demo and not allow_demo_model:
            raise ConfigurationError(
                f"{manifest.name} is a demo model: it does not understand real people",
                hint=f"{HINT}, or allow it with HOTLINE_ASR__ALLOW_DEMO_MODEL=true",
            )
        import vosk  # here, because others read `model.json` through this module and need no libvosk

        vosk.SetLogLevel(-1)
        try:
            self._vosk_model = vosk.Model(str(model_path))
        except Exception as error:  # vosk raises nothing narrower
            raise ConfigurationError(f"libvosk cannot load the model in {model_path}", hint=HINT) from error
        self._new_decoder = vosk.KaldiRecognizer
        self.model = ModelInfo(name=manifest.name, engine=ENGINE, demo=manifest.demo)
        self.capabilities = Capabilities(
            streaming=True, word_times=True, confidence=True, hotwords=False, sample_rate=read_sample_rate(model_path)
        )

    def open_stream(self) -> RecognitionStream:
        """A decoder of its own for one speaker."""
        decoder = self._new_decoder(self._vosk_model, self.capabilities.sample_rate)
        decoder.SetWords(True)
        return VoskStream(decoder, self.capabilities.sample_rate)


class VoskStream:
    """One decoder; a `Partial` is yielded when its text changes."""

    def __init__(self, decoder: Any, sample_rate: int) -> None:
        self._decoder = decoder
        self._blocks = Blocks(sample_rate)
        self._shown = ""
        self._finished = False

    def accept(self, pcm: bytes) -> list[RecognitionEvent]:
        return [event for block in self._blocks.push(pcm) for event in self._decode(block)]

    def finish(self) -> list[RecognitionEvent]:
        if self._finished:
            return []
        self._finished = True
        rest = self._blocks.rest()
        events = self._decode(rest) if rest else []
        return events + self._final(self._decoder.FinalResult())

    def _decode(self, block: bytes) -> list[RecognitionEvent]:
        if self._decoder.AcceptWaveform(block):
            return self._final(self._decoder.Result())
        text = join_words(json.loads(self._decoder.PartialResult())["partial"].split())
        if not text or text == self._shown:
            return []
        self._shown = text
        return [Partial(text)]

    def _final(self, answer: str) -> list[RecognitionEvent]:
        self._shown = ""
        words = words_of(json.loads(answer).get("result", []))
        return [Final(words)] if words else []
