"""Speech through the real sherpa-onnx: a small streaming network that knows the voice of the demo's callers."""

from pathlib import Path

import pytest

from asr.batch import read_channel
from asr.blocks import bytes_of
from asr.engines.loading import load_recognizer, read_model_info
from asr.evaluate import read_references
from asr.recognizer import Final, ModelInfo, Partial, RecognitionEvent
from asr.resample import open_stream_at
from asr.scoring import cer
from hotline.settings_sections import PACKAGE_ROOT

MODEL = Path(__file__).parents[2] / "data/zh_tiny_sherpa"
CALLERS = PACKAGE_ROOT / "demo/callers"


def test_the_model_says_that_it_is_a_demo() -> None:
    assert read_model_info(MODEL) == ModelInfo(name="zh_tiny_sherpa", engine="sherpa", demo=True)


def test_a_caller_is_understood_while_speaking() -> None:
    recognizer = load_recognizer(MODEL, allow_demo_model=True)
    references, hypotheses = "", ""
    for reference in read_references(CALLERS / "callers.tsv"):
        pcm, rate = read_channel(reference.path, 0)
        stream = open_stream_at(recognizer, rate)
        size = bytes_of(100, rate)
        events: list[RecognitionEvent] = []
        for at in range(0, len(pcm), size):
            events += stream.accept(pcm[at : at + size])
        assert any(isinstance(event, Partial) for event in events)
        events += stream.finish()
        finals = [event for event in events if isinstance(event, Final)]
        words = [word for final in finals for word in final.words]
        assert words[-1].end_ms == pytest.approx(len(pcm) / 2 / rate * 1000, abs=1500)
        references += reference.text
        hypotheses += "".join(word.text for word in words)
    assert cer(references, hypotheses) < 0.4
