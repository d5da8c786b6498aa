"""sherpa-onnx models (Zipformer, Paraformer, SenseVoice, CTC) as a `Recognizer`.

sherpa-onnx ends the whole process where a model lacks what it needs, so every model is first loaded and run once in a
process of its own, whose last words become the error.
"""

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr.block_stream import BlockStream
from asr.blocks import BYTES_PER_SAMPLE
from asr.engines.directory import HINT, check_allowed, read_manifest
from asr.engines.sherpa_model import SherpaModel, looks_like, read_model
from asr.engines.tokens import words_of_tokens
from asr.engines.utterance import UtteranceRecognizer
from asr.recognizer import (
    Capabilities,
    Final,
    ModelInfo,
    Partial,
    RecognitionEvent,
    RecognitionStream,
    Recognizer,
    Word,
)
from asr.text import join_words
from asr.words import HotWord
from hotline.errors import ConfigurationError, InvalidInputError

__all__ = ["ENGINE", "load_sherpa", "looks_like", "read_model"]

ENGINE = "sherpa"
FULL_SCALE = 32768.0
PAUSE_S, LONG_PAUSE_S, LONGEST_S = 0.8, 2.4, 20.0
"""Silence after words, silence without any, and the length that end an utterance."""
TAIL_MS = 800
"""Silence after the last audio: a streaming model says a word when it has heard what follows it."""
PROBE_S = 120.0
"""A model of a gigabyte loads from a slow disk in this time."""


def load_sherpa(model_path: Path, *, allow_demo_model: bool, hotwords: Sequence[HotWord] = ()) -> Recognizer:
    """Loads the model in a directory; raises `ConfigurationError` for a missing, damaged or refused one."""
    check_allowed(read_manifest(model_path), allow_demo_model=allow_demo_model)
    model = read_model(model_path)
    _import()
    _probe(model_path)
    if model.can.streaming:
        return StreamingSherpa(model, hotwords)
    return UtteranceRecognizer(WholeUtteranceSherpa(model, hotwords))


class StreamingSherpa:
    """A streaming model in memory, shared by all threads."""

    def __init__(self, model: SherpaModel, hotwords: Sequence[HotWord] = ()) -> None:
        """Raises `ConfigurationError`; see `load_sherpa` for models that nobody tried."""
        self.model = _info(model)
        self.capabilities = _capabilities(model)
        endpoints = {
            "enable_endpoint_detection": True,
            "rule1_min_trailing_silence": LONG_PAUSE_S,
            "rule2_min_trailing_silence": PAUSE_S,
            "rule3_min_utterance_length": LONGEST_S,
        }
        self._recognizer = _load(model, hotwords, endpoints)

    def open_stream(self, phrases: Sequence[str] = ()) -> RecognitionStream:
        """Raises `InvalidInputError` for phrases that the model cannot take; one that can prefers them."""
        if not phrases:
            stream = self._recognizer.create_stream()
        elif self.capabilities.hotwords:
            stream = self._recognizer.create_stream(hotwords="/".join(map(_spaced, phrases)))
        else:
            raise InvalidInputError(f"the model {self.model.name} takes no phrases")
        return SherpaStream(self._recognizer, stream, self.capabilities)


class SherpaStream(BlockStream):
    """One speaker; a `Partial` is yielded when its text changes."""

    def __init__(self, recognizer: Any, stream: Any, capabilities: Capabilities) -> None:
        super().__init__(capabilities.sample_rate)
        self._recognizer = recognizer
        self._stream = stream
        self._timed = capabilities.word_times
        self._rate = capabilities.sample_rate
        self._samples = 0
        self._shown = ""
        self._began_ms = 0  # of the utterance, for a model without times

    def _end(self) -> list[RecognitionEvent]:
        if not self._samples:
            return []
        self._stream.accept_waveform(self._rate, np.zeros(TAIL_MS * self._rate // 1000, np.float32))
        self._stream.input_finished()
        self._run()
        return self._final()

    @property
    def _heard_ms(self) -> int:
        return self._samples * 1000 // self._rate

    def _hear(self, block: bytes) -> list[RecognitionEvent]:
        self._stream.accept_waveform(self._rate, as_floats(np.frombuffer(block, "<i2")))
        self._samples += len(block) // BYTES_PER_SAMPLE
        if not self._run():
            return []
        if self._recognizer.is_endpoint(self._stream):
            events = self._final()
            self._recognizer.reset(self._stream)
            self._began_ms = self._heard_ms
            return events
        text = join_words([word.text for word in self._words()])
        if not text or text == self._shown:
            return []
        self._shown = text
        return [Partial(text)]

    def _run(self) -> bool:
        ran = False
        while self._recognizer.is_ready(self._stream):
            self._recognizer.decode_stream(self._stream)
            ran = True
        return ran

    def _final(self) -> list[RecognitionEvent]:
        self._shown = ""
        words = self._words()
        return [Final(words)] if words else []

    def _words(self) -> tuple[Word, ...]:
        """Of the utterance so far; without the model's times they are spread over it."""
        result = self._recognizer.get_result_all(self._stream)
        began_ms = round(result.start_time * 1000) if self._timed else self._began_ms
        words = words_of_tokens(
            result.text,
            result.tokens,
            [round(start * 1000) for start in result.timestamps] if self._timed else (),
            end_ms=max(0, self._heard_ms - began_ms),
            log_probs=result.ys_probs,
        )
        return tuple(Word(w.text, w.start_ms + began_ms, w.end_ms + began_ms, w.confidence) for w in words)


class WholeUtteranceSherpa:
    """A model that hears an utterance at once; an `UtteranceModel`."""

    def __init__(self, model: SherpaModel, hotwords: Sequence[HotWord] = ()) -> None:
        """Raises `ConfigurationError`; see `load_sherpa` for models that nobody tried."""
        self.model = _info(model)
        self.capabilities = _capabilities(model)
        self._recognizer = _load(model, hotwords, {})

    def decode(self, samples: NDArray[np.int16]) -> tuple[Word, ...]:
        stream = self._recognizer.create_stream()
        rate = self.capabilities.sample_rate
        stream.accept_waveform(rate, as_floats(samples))
        self._recognizer.decode_stream(stream)
        result = stream.result
        return words_of_tokens(
            result.text,
            result.tokens,
            [round(start * 1000) for start in result.timestamps],
            end_ms=len(samples) * 1000 // rate,
            log_probs=result.ys_log_probs,
        )


def as_floats(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    """Samples as sherpa-onnx takes them, within -1 to 1."""
    return samples.astype(np.float32) / np.float32(FULL_SCALE)


def _import() -> Any:
    try:
        import sherpa_onnx
    except ImportError as error:
        raise ConfigurationError(
            "this model needs sherpa-onnx, which is not installed", hint="pip install 'hotline[sherpa]'"
        ) from error
    return sherpa_onnx


def _info(model: SherpaModel) -> ModelInfo:
    return ModelInfo(name=model.name, engine=ENGINE, demo=model.demo)


def _capabilities(model: SherpaModel) -> Capabilities:
    can = model.can
    return Capabilities(
        streaming=can.streaming,
        word_times=can.word_times,
        confidence=can.confidence,
        hotwords=can.hotwords,
        sample_rate=model.sample_rate,
    )


def _load(model: SherpaModel, hotwords: Sequence[HotWord], further: dict[str, Any]) -> Any:
    """sherpa-onnx's recognizer of the model."""
    sherpa_onnx = _import()
    family = sherpa_onnx.OnlineRecognizer if model.can.streaming else sherpa_onnx.OfflineRecognizer
    networks: dict[str, Any] = dict(model.networks)
    if model.kind == "paraformer":
        networks["paraformer"] = networks.pop("model")
    if model.kind == "sense_voice":
        networks["language"] = "zh"  # what it hears first must not decide what it takes the rest for
    options = {"sample_rate": model.sample_rate, "feature_dim": model.feature_dim, "num_threads": 1}
    with contextlib.ExitStack() as stack:
        if model.can.hotwords:
            networks["decoding_method"] = "modified_beam_search"
            networks["hotwords_file"] = stack.enter_context(_hotwords_file(hotwords)) if hotwords else ""
        try:
            return getattr(family, model.can.loader)(tokens=model.tokens, **networks, **options, **further)
        except (RuntimeError, ValueError, AssertionError, IndexError) as error:
            raise ConfigurationError(f"sherpa-onnx cannot load {model.name}: {error}", hint=HINT) from error


@contextlib.contextmanager
def _hotwords_file(hotwords: Sequence[HotWord]) -> Iterator[str]:
    """A file of hotwords as sherpa-onnx reads it: tokens with spaces between, a colon and a score."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".txt") as file:
        file.writelines(f"{_spaced(word.text)} :{word.weight:g}\n" for word in hotwords)
        file.flush()
        yield file.name


def _spaced(phrase: str) -> str:
    """A phrase as sherpa-onnx's tokens of Chinese characters."""
    return " ".join(phrase.replace(" ", "").replace("/", ""))


def _probe(model_path: Path) -> None:
    """Raises `ConfigurationError` for a model that a process of its own cannot load and run."""
    command = [sys.executable, "-m", __name__, str(model_path)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=PROBE_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise ConfigurationError(f"the model in {model_path} does not load within {PROBE_S:g} s") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = said[-1].strip() if said else f"its process ended with {done.returncode}"
        raise ConfigurationError(f"sherpa-onnx cannot use the model in {model_path}: {reason}", hint=HINT)


def _try(model_path: Path) -> None:
    """Loads a model and lets it hear a second of noise."""
    model = read_model(model_path)
    noise = np.random.default_rng(0).integers(-3000, 3000, model.sample_rate, np.int16)
    if model.can.streaming:
        stream = StreamingSherpa(model).open_stream()
        stream.accept(noise.tobytes())
        stream.finish()
    else:
        WholeUtteranceSherpa(model).decode(noise)


if __name__ == "__main__":
    _try(Path(sys.argv[1]))
