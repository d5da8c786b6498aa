"""Which engine a model directory is for, and that engine's `Recognizer`.

One rule: `asr.engine` where it is set, else what the directory's `model.json` names, else what its files look like.
Where the setting and `model.json` name different ones, loading fails.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from asr.engines import sherpa, vosk
from asr.engines.directory import file_sizes, read_manifest
from asr.recognizer import ModelInfo, Recognizer
from asr.words import HotWord
from hotline.errors import ConfigurationError

log = logging.getLogger(__name__)


class Load(Protocol):
    """Loads the model in a directory; `hotwords` are the site's. Raises `ConfigurationError`."""

    def __call__(self, model_path: Path, *, allow_demo_model: bool, hotwords: Sequence[HotWord]) -> Recognizer: ...


@dataclass(frozen=True)
class Engine:
    """How to know an engine's models by their files, and how to load one."""

    looks_like: Callable[[frozenset[str]], bool]
    load: Load
    check: Callable[[Path], object]
    """Raises `ConfigurationError` where files of the model are missing or broken; loads nothing."""


ENGINES = {
    vosk.ENGINE: Engine(vosk.looks_like, vosk.VoskRecognizer, vosk.check_model),
    sherpa.ENGINE: Engine(sherpa.looks_like, sherpa.load_sherpa, sherpa.read_model),
}


def load_recognizer(
    model_path: Path, *, allow_demo_model: bool, engine: str = "", hotwords: Sequence[HotWord] = ()
) -> Recognizer:
    """The model in a directory, loaded; raises `ConfigurationError` for a missing, damaged or refused one."""
    info = read_model_info(model_path, engine=engine)
    recognizer = ENGINES[info.engine].load(model_path, allow_demo_model=allow_demo_model, hotwords=hotwords)
    if hotwords and not recognizer.capabilities.hotwords:
        log.warning("the model %s cannot prefer words: %d hotwords have no effect", info.name, len(hotwords))
    return recognizer


def read_model_info(model_path: Path, *, engine: str = "") -> ModelInfo:
    """Which model a directory holds, without loading it; raises `ConfigurationError`."""
    manifest = read_manifest(model_path)
    if engine and manifest.engine and engine != manifest.engine:
        raise ConfigurationError(
            f"asr.engine is {engine}, but the model in {model_path} is for {manifest.engine}",
            hint="remove HOTLINE_ASR__ENGINE",
        )
    name = engine or manifest.engine or _by_files(model_path)
    if name not in ENGINES:
        raise ConfigurationError(f"no engine named {name!r} for {model_path}; there are {', '.join(ENGINES)}")
    return ModelInfo(name=manifest.name, engine=name, demo=manifest.demo)


def check_model(model_path: Path, *, engine: str = "") -> ModelInfo:
    """Which model a directory holds, its files looked at; raises `ConfigurationError` for missing or broken ones."""
    info = read_model_info(model_path, engine=engine)
    ENGINES[info.engine].check(model_path)
    return info


def _by_files(model_path: Path) -> str:
    files = frozenset(file_sizes(model_path))
    return next((name for name, engine in ENGINES.items() if engine.looks_like(files)), vosk.ENGINE)
