"""The bundled model and damaged copies of it."""

import json
import shutil
import wave
from dataclasses import replace
from pathlib import Path

import pytest

from asr.engines.directory import read_manifest
from asr.engines.loading import load_recognizer, read_model_info
from asr.engines.vosk import VoskRecognizer, check_files, read_sample_rate, spell
from asr.recognizer import Final, ModelInfo
from asr.words import HotWord
from hotline.errors import ConfigurationError, InvalidInputError
from hotline.settings_sections import PACKAGE_ROOT

BUNDLED = PACKAGE_ROOT / "asr/zh_tiny"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return Path(shutil.copytree(BUNDLED, tmp_path / "model"))


def test_the_bundled_model_declares_itself_a_demo() -> None:
    assert read_model_info(BUNDLED) == ModelInfo(name="zh_tiny", engine="vosk", demo=True)


def test_the_bundled_model_is_whole() -> None:
    manifest = read_manifest(BUNDLED)
    check_files(BUNDLED, manifest)
    on_disk = {str(file.relative_to(BUNDLED)) for file in BUNDLED.rglob("*") if file.is_file()}
    assert set(manifest.files) == on_disk - {"model.json", "README.md"}


def test_a_model_without_manifest_is_named_after_its_directory_and_no_demo(model: Path) -> None:
    (model / "model.json").unlink()
    assert read_model_info(model) == ModelInfo(name="model", engine="vosk", demo=False)
    assert VoskRecognizer(model, allow_demo_model=False).capabilities.sample_rate == 8000


def test_a_demo_model_is_refused_where_the_setting_says_so() -> None:
    with pytest.raises(ConfigurationError, match="does not understand real people") as caught:
        VoskRecognizer(BUNDLED, allow_demo_model=False)
    assert "ALLOW_DEMO_MODEL" in caught.value.hint


@pytest.mark.parametrize("place", ["absent", "conf/mfcc.conf"])
def test_what_is_no_directory_is_refused(model: Path, place: str) -> None:
    with pytest.raises(ConfigurationError, match="no model directory"):
        VoskRecognizer(model / place, allow_demo_model=True)


@pytest.mark.parametrize("name", sorted(json.loads((BUNDLED / "model.json").read_text())["files"]))
def test_a_truncated_file_is_refused_before_libvosk_sees_it(model: Path, name: str) -> None:
    whole = (model / name).read_bytes()
    (model / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigurationError, match=name):
        VoskRecognizer(model, allow_demo_model=True)


@pytest.mark.parametrize("name", ["am/final.mdl", "graph/words.txt", "graph/Gr.fst", "graph/HCLr.fst"])
def test_a_missing_file_is_refused_also_without_a_manifest(model: Path, name: str) -> None:
    (model / "model.json").unlink()
    (model / name).unlink()
    with pytest.raises(ConfigurationError):
        VoskRecognizer(model, allow_demo_model=True)


def test_a_file_libvosk_cannot_read_is_refused(model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (model / "model.json").unlink()
    (model / "am/final.mdl").write_bytes(b"hello")
    with pytest.raises(ConfigurationError, match="libvosk cannot load"):
        VoskRecognizer(model, allow_demo_model=True)


@pytest.mark.parametrize("text", ["", "[]", '{"demo": true}', '{"name": "x", "files": {"a": "b"}}', "\x00"])
def test_a_damaged_manifest_is_refused(model: Path, text: str) -> None:
    (model / "model.json").write_text(text)
    with pytest.raises(ConfigurationError, match=r"model\.json"):
        read_model_info(model)


@pytest.mark.parametrize(
    ("conf", "rate"),
    [
        ("--sample-frequency=8000\n", 8000),
        ("# --sample-frequency=8000\n--use-energy=false\n", 16_000),
        ("--sample-frequency = 16000.0  # Hz\n", 16_000),
        ("", 16_000),
    ],
)
def test_the_rate_stands_in_the_feature_configuration(tmp_path: Path, conf: str, rate: int) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/mfcc.conf").write_text(conf)
    assert read_sample_rate(tmp_path) == rate


def test_a_rate_that_is_no_number_is_refused(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/mfcc.conf").write_text("--sample-frequency=fast\n")
    with pytest.raises(ConfigurationError):
        read_sample_rate(tmp_path)


def test_loading_and_decoding_are_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    stream = VoskRecognizer(BUNDLED, allow_demo_model=True).open_stream()
    stream.accept(bytes(16_000))
    stream.finish()
    assert capfd.readouterr() == ("", "")


WORDS = {"路灯", "坏", "坏了", "路", "ok"}


@pytest.mark.parametrize(
    ("phrase", "words"), [("路灯坏了", "路灯 坏了"), (" 路 坏 ", "路 坏"), ("路灯ok", "路灯 ok"), ("", "")]
)
def test_a_phrase_is_spelt_in_the_longest_words_of_the_vocabulary(phrase: str, words: str) -> None:
    assert spell(phrase, WORDS.__contains__) == words


def test_a_phrase_that_the_vocabulary_lacks_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="no word for '了'"):
        spell("路灯了", WORDS.__contains__)


def heard_with(phrases: list[str]) -> str:
    with wave.open(str(PACKAGE_ROOT / "demo/callers/street_light.wav")) as file:
        pcm = file.readframes(file.getnframes())
    stream = VoskRecognizer(BUNDLED, allow_demo_model=True).open_stream(phrases)
    events = stream.accept(pcm) + stream.finish()
    return "".join(event.text for event in events if isinstance(event, Final))


def test_with_phrases_nothing_else_is_heard() -> None:
    freely = heard_with([])
    told = heard_with(["路灯", "坏了"])
    assert "路灯" in told
    assert set(told) <= set("路灯坏了")
    assert not set(freely) <= set("路灯坏了")


def test_a_model_with_a_fixed_graph_takes_no_phrases(model: Path) -> None:
    recognizer = VoskRecognizer(BUNDLED, allow_demo_model=True)
    recognizer.capabilities = replace(recognizer.capabilities, grammar=False)
    with pytest.raises(InvalidInputError, match="takes no phrases"):
        recognizer.open_stream(["路灯"])


def test_a_lookahead_graph_may_hold_the_words_itself(model: Path) -> None:
    (model / "model.json").unlink()
    (model / "graph/words.txt").unlink()
    graph = bytearray((model / "graph/Gr.fst").read_bytes())
    with pytest.raises(ConfigurationError, match=r"words\.txt"):
        check_files(model, read_manifest(model))
    at = 8 + int.from_bytes(graph[4:8], "little")
    flags = at + 4 + int.from_bytes(graph[at : at + 4], "little") + 4
    graph[flags] |= 2
    (model / "graph/Gr.fst").write_bytes(graph)
    check_files(model, read_manifest(model))


@pytest.mark.parametrize("engine", ["", "vosk"])
def test_the_files_tell_the_engine(model: Path, engine: str) -> None:
    assert load_recognizer(model, engine=engine, allow_demo_model=True).model.engine == "vosk"


@pytest.mark.parametrize(
    ("named", "engine", "words"), [("sherpa", "vosk", "is for sherpa"), ("whisper", "", "no engine named")]
)
def test_engines_that_contradict_or_do_not_exist_are_refused(model: Path, named: str, engine: str, words: str) -> None:
    (model / "model.json").write_text(json.dumps({"name": "x", "engine": named}))
    with pytest.raises(ConfigurationError, match=words):
        read_model_info(model, engine=engine)


def test_hotwords_that_have_no_effect_are_told(caplog: pytest.LogCaptureFixture) -> None:
    load_recognizer(BUNDLED, allow_demo_model=True, hotwords=[HotWord("延庆")])
    assert "1 hotwords have no effect" in caplog.text
