"""Every kind of sherpa-onnx model through the real library, and models that are broken."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import sherpa_models
from numpy.typing import NDArray

from asr.engines import sherpa
from asr.engines.loading import load_recognizer, read_model_info
from asr.engines.sherpa_model import KINDS, read_model
from asr.recognizer import Final, ModelInfo, Partial, RecognitionEvent, Recognizer
from asr.resample import open_stream_at
from asr.words import HotWord
from hotline.errors import ConfigurationError, InvalidInputError

BUILDERS: dict[str, Callable[[Path], Path]] = {
    "streaming_transducer": sherpa_models.streaming_zipformer,
    "streaming_paraformer": sherpa_models.streaming_paraformer,
    "streaming_zipformer_ctc": sherpa_models.streaming_ctc,
    "sense_voice": sherpa_models.sense_voice,
    "tdnn_ctc": sherpa_models.tdnn_ctc,
}


def noise(seconds: float) -> bytes:
    """Loud noise at 8 kHz."""
    return np.random.default_rng(3).integers(-8000, 8000, int(8000 * seconds), np.int16).tobytes()


def silence(seconds: float) -> bytes:
    return bytes(int(16_000 * seconds))


def load(path: Path) -> Recognizer:
    return load_recognizer(path, allow_demo_model=True)


def recognise(recognizer: Recognizer, pcm: bytes, phrases: tuple[str, ...] = ()) -> list[RecognitionEvent]:
    stream = open_stream_at(recognizer, 8000, phrases)
    return stream.accept(pcm) + stream.finish()


@pytest.mark.parametrize("kind", BUILDERS)
def test_a_model_is_known_by_its_files_and_runs(tmp_path: Path, kind: str) -> None:
    path = BUILDERS[kind](tmp_path)
    assert read_model(path).kind == kind
    assert read_model_info(path) == ModelInfo(name=path.name, engine="sherpa", demo=False)
    recognizer = load(path)
    can = recognizer.capabilities
    assert (can.streaming, can.word_times, can.confidence, can.hotwords) == (
        KINDS[kind].streaming,
        KINDS[kind].word_times,
        KINDS[kind].confidence,
        KINDS[kind].hotwords,
    )
    events = recognise(recognizer, silence(0.6) + noise(3))
    assert any(isinstance(event, Partial) for event in events) == can.streaming
    words = [word for event in events if isinstance(event, Final) for word in event.words]
    assert words
    assert all(word.text in sherpa_models.TOKENS for word in words)
    assert words == sorted(words, key=lambda word: word.start_ms)
    assert words[-1].end_ms <= 3600
    assert any(word.confidence < 1 for word in words) == can.confidence


def test_a_pause_ends_an_utterance_and_times_stay_on_the_streams_clock(tmp_path: Path) -> None:
    recognizer = load(sherpa_models.streaming_ctc(tmp_path))
    pcm = silence(2) + noise(1) + silence(2) + noise(1) + silence(2)
    first, second = [event for event in recognise(recognizer, pcm) if isinstance(event, Final)]
    assert abs(first.start_ms - 2000) <= 200
    assert abs(second.start_ms - 5000) <= 200
    assert second.end_ms <= 6400


def test_hotwords_and_phrases_are_taken_where_the_decoder_can(tmp_path: Path) -> None:
    path = sherpa_models.streaming_zipformer(tmp_path)
    pcm = noise(2)
    plain = said(recognise(load(path), pcm))
    preferred = load_recognizer(path, allow_demo_model=True, hotwords=[HotWord("您延", weight=10.0)])
    assert said(recognise(preferred, pcm)).count("您延") > plain.count("您延")
    assert said(recognise(preferred, pcm, ("延您",))) != plain
    with pytest.raises(InvalidInputError, match="takes no phrases"):
        load(sherpa_models.streaming_ctc(tmp_path)).open_stream(["路灯"])


def said(events: list[RecognitionEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Final))


def test_the_eight_bit_network_is_taken_except_for_a_transducers_decoder(tmp_path: Path) -> None:
    path = sherpa_models.streaming_zipformer(tmp_path)
    for file in list(path.glob("*.onnx")):
        (path / file.name.replace(".onnx", ".int8.onnx")).write_bytes(file.read_bytes())
    networks = read_model(path).networks
    assert {role for role, file in networks.items() if ".int8." in file} == {"encoder", "joiner"}


def cut(path: Path) -> None:
    file = path / "model.onnx"
    file.write_bytes(file.read_bytes()[:-40])


def overwrite(name: str, data: bytes) -> Callable[[Path], object]:
    return lambda path: (path / name).write_bytes(data)


def say(**manifest: object) -> Callable[[Path], object]:
    return lambda path: (path / "model.json").write_text(json.dumps({"name": "x", **manifest}))


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (cut, "no whole ONNX model"),
        (overwrite("model.onnx", b""), "no whole ONNX model"),
        (overwrite("model.onnx", b"<html>not found</html>"), "no whole ONNX model"),
        (overwrite("tokens.txt", b""), "no tokens.txt"),
        (overwrite("tokens.txt", b"garbage"), "cannot use the model"),
        (overwrite("tokens.txt", b"<blk> 0\n"), "cannot use the model"),
        (lambda path: (path / "tokens.txt").unlink(), "no tokens.txt"),
        (lambda path: (path / "model.onnx").rename(path / "encoder.onnx"), "no decoder"),
        (say(engine="sherpa", kind="whisper"), "what kind of model"),
        (say(engine="sherpa", kind="tdnn_ctc", files={"model.onnx": 5}), "instead of 5"),
        (say(engine="sherpa", kind="tdnn_ctc", feature_dim=40), "cannot use the model"),
        (say(engine="sherpa", kind="sense_voice"), "cannot use the model"),
    ],
)
def test_a_broken_model_is_a_configuration_error(tmp_path: Path, harm: Callable[[Path], object], words: str) -> None:
    path = sherpa_models.tdnn_ctc(tmp_path)
    harm(path)
    with pytest.raises(ConfigurationError, match=words):
        load_recognizer(path, engine="sherpa", allow_demo_model=True)


def test_a_model_that_would_end_the_process_is_a_configuration_error_that_says_why(tmp_path: Path) -> None:
    path = sherpa_models.tdnn_ctc(tmp_path, metadata={"model_type": "tdnn"})
    with pytest.raises(ConfigurationError, match="'vocab_size' does not exist in the metadata"):
        load(path)


def test_a_network_of_no_known_kind_says_what_to_write(tmp_path: Path) -> None:
    path = sherpa_models.tdnn_ctc(tmp_path, metadata={})
    (path / "model.json").unlink()
    with pytest.raises(ConfigurationError, match="what kind of model") as caught:
        load(path)
    assert "streaming_transducer" in caught.value.hint


def test_a_demo_model_is_refused_where_the_setting_says_so(tmp_path: Path) -> None:
    path = sherpa_models.folder(tmp_path, "demo", demo=True)
    with pytest.raises(ConfigurationError, match="demo model"):
        load_recognizer(path, engine="sherpa", allow_demo_model=False)


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sherpa_onnx", None)
    with pytest.raises(ConfigurationError, match="not installed") as caught:
        load(sherpa_models.tdnn_ctc(tmp_path))
    assert "hotline[sherpa]" in caught.value.hint


def test_a_model_that_takes_for_ever_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sherpa, "PROBE_S", 0.001)
    with pytest.raises(ConfigurationError, match="does not load within"):
        load(sherpa_models.tdnn_ctc(tmp_path))


def test_importing_the_engines_loads_neither_library() -> None:
    program = "import sys, asr.engines.loading; print({'vosk', 'sherpa_onnx'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "set()"


def test_samples_are_scaled_to_one() -> None:
    samples: NDArray[np.int16] = np.array([-32768, 0, 16384], np.int16)
    assert sherpa.as_floats(samples).tolist() == [-1.0, 0.0, 0.5]
