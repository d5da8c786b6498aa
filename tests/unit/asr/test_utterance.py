import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from asr.engines.utterance import LONGEST_MS, UtteranceRecognizer
from asr.recognizer import Capabilities, Final, ModelInfo, Word
from hotline.errors import InvalidInputError


class Listener:
    """Hears one word in each utterance, as long as it."""

    model = ModelInfo(name="listener", engine="test", demo=True)
    capabilities = Capabilities(streaming=False, word_times=True, confidence=False, hotwords=False, sample_rate=8000)

    def decode(self, samples: NDArray[np.int16]) -> tuple[Word, ...]:
        return (Word("话", 0, len(samples) // 8, 1.0),) if samples.any() else ()


def noise(ms: int, level: int = 8000) -> bytes:
    return np.random.default_rng(5).integers(-level, level, 8 * ms, np.int16).tobytes()


def heard(pcm: bytes, size: int = 1600) -> list[tuple[int, int]]:
    stream = UtteranceRecognizer(Listener()).open_stream()
    events = [event for at in range(0, len(pcm), size) for event in stream.accept(pcm[at : at + size])]
    return [(event.start_ms, event.end_ms) for event in events + stream.finish() if isinstance(event, Final)]


def test_an_utterance_is_decoded_at_its_end() -> None:
    stream = UtteranceRecognizer(Listener()).open_stream()
    assert stream.accept(noise(3000)) == []
    assert next(event for event in stream.finish() if isinstance(event, Final)).end_ms == 3000
    assert stream.finish() == []


def test_a_long_one_is_cut_where_it_is_quietest() -> None:
    assert heard(noise(18_000) + noise(60, level=30) + noise(30_000))[0] == (0, 18_000)


def test_nothing_is_lost_between_the_parts() -> None:
    spans = heard(noise(65_000))
    assert spans[0][0] == 0
    assert spans[-1][1] == 65_000
    assert [end for _, end in spans[:-1]] == [start for start, _ in spans[1:]]
    assert all(end - start <= LONGEST_MS for start, end in spans)


@pytest.mark.parametrize("pcm", [b"", bytes(100_000), b"\x01"])
def test_where_there_is_nothing_there_are_no_words(pcm: bytes) -> None:
    assert heard(pcm) == []


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 100_000))
def test_how_audio_is_cut_changes_nothing(size: int) -> None:
    pcm = noise(25_000)
    assert heard(pcm, size) == heard(pcm)


def test_phrases_are_refused() -> None:
    with pytest.raises(InvalidInputError):
        UtteranceRecognizer(Listener()).open_stream(["路灯"])
