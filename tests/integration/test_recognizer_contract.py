"""What every `Recognizer` keeps, whichever engine it is."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import sherpa_models
import soxr
from recognizer_rig import MODEL, running_server, speech

from asr.engines.loading import load_recognizer
from asr.engines.remote import RemoteRecognizer
from asr.engines.scripted import ScriptedEvent, ScriptedRecognizer
from asr.engines.vosk import VoskRecognizer
from asr.recognizer import Final, Partial, RecognitionEvent, Recognizer, Word
from asr.resample import open_stream_at
from hotline.errors import InvalidInputError

SCRIPT = [
    ScriptedEvent(600, Partial("您")),
    ScriptedEvent(900, Partial("您好")),
    ScriptedEvent(2000, Final((Word("您好", 270, 690, 1.0),))),
    ScriptedEvent(3000, Partial("我姓张")),
    ScriptedEvent(60_000, Final((Word("我", 2100, 2300, 0.9), Word("姓张", 2300, 2800, 0.8)))),
]


@pytest.fixture(scope="module")
def vosk() -> VoskRecognizer:
    return VoskRecognizer(MODEL, allow_demo_model=True)


SHERPA = {"sherpa streaming": sherpa_models.streaming_ctc, "sherpa whole utterance": sherpa_models.tdnn_ctc}


@pytest.fixture(scope="module", params=["vosk", "scripted", "remote", *SHERPA])
def recognizer(
    request: pytest.FixtureRequest, vosk: VoskRecognizer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Recognizer]:
    if request.param == "vosk":
        yield vosk
    elif request.param == "scripted":
        yield ScriptedRecognizer(SCRIPT)
    elif request.param in SHERPA:
        model = SHERPA[request.param](tmp_path_factory.mktemp("models"))
        yield load_recognizer(model, allow_demo_model=True)
    else:
        with running_server(vosk) as server:
            yield RemoteRecognizer(server.url)


def recognise(recognizer: Recognizer, pcm: bytes, chunk: int) -> list[RecognitionEvent]:
    stream = open_stream_at(recognizer, 8000)
    events = []
    for at in range(0, len(pcm), chunk):
        events += stream.accept(pcm[at : at + chunk])
    return events + stream.finish()


def finals(events: list[RecognitionEvent]) -> list[Final]:
    return [event for event in events if isinstance(event, Final)]


def test_tells_its_rate_and_model(recognizer: Recognizer) -> None:
    assert recognizer.capabilities.sample_rate in (8000, 16_000)
    assert recognizer.capabilities.word_times
    assert recognizer.model.name


def test_words_have_ordered_times_within_the_audio(recognizer: Recognizer) -> None:
    pcm = speech()
    words = [word for final in finals(recognise(recognizer, pcm, 1600)) for word in final.words]
    assert words
    assert words == sorted(words, key=lambda word: word.start_ms)
    assert all(0 <= word.start_ms <= word.end_ms <= len(pcm) // 16 for word in words)


def test_a_streaming_engine_alone_has_partials_and_they_come_before_the_first_final(recognizer: Recognizer) -> None:
    events = recognise(recognizer, speech(), 1600)
    assert isinstance(events[0], Partial) == recognizer.capabilities.streaming
    assert any(isinstance(event, Partial) for event in events) == recognizer.capabilities.streaming


def test_phrases_are_taken_or_refused(recognizer: Recognizer) -> None:
    can = recognizer.capabilities
    if can.grammar or can.hotwords:
        assert recognizer.open_stream(["路灯"]).finish() == []
    elif not isinstance(recognizer, RemoteRecognizer):  # what is behind it tells at the first audio
        with pytest.raises(InvalidInputError):
            recognizer.open_stream(["路灯"])


@pytest.mark.parametrize("chunk", [320, 1601, 7777, 1 << 20])
def test_finals_do_not_depend_on_how_audio_is_cut(recognizer: Recognizer, chunk: int) -> None:
    pcm = speech("wages_lu")
    assert finals(recognise(recognizer, pcm, chunk)) == finals(recognise(recognizer, pcm, 1600))


def test_a_stream_without_audio_says_nothing(recognizer: Recognizer) -> None:
    stream = recognizer.open_stream()
    assert stream.accept(b"") == []
    assert stream.finish() == []


def test_finishing_twice_says_nothing_more(recognizer: Recognizer) -> None:
    stream = recognizer.open_stream()
    stream.accept(speech("gas_smell"))
    assert stream.finish()
    assert stream.finish() == []


def test_half_a_sample_at_the_end_is_ignored(recognizer: Recognizer) -> None:
    pcm = speech("gas_smell")
    assert finals(recognise(recognizer, pcm + b"\x01", 1600)) == finals(recognise(recognizer, pcm, 1600))


def test_streams_at_once_do_not_mix(recognizer: Recognizer) -> None:
    callers = [speech(name) for name in ("gas_smell", "street_light", "gas_smell", "wages_lu")]
    alone = [finals(recognise(recognizer, pcm, 1600)) for pcm in callers]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda pcm: finals(recognise(recognizer, pcm, 1600)), callers))
    assert together == alone


def test_silence_has_no_words(vosk: VoskRecognizer) -> None:
    with running_server(vosk) as server:
        for recognizer in (vosk, RemoteRecognizer(server.url)):
            assert recognise(recognizer, bytes(16_000 * 8), 1600) == []


def test_the_remote_names_the_model_behind_it(vosk: VoskRecognizer) -> None:
    with running_server(vosk) as server:
        assert RemoteRecognizer(server.url).model == vosk.model


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_the_remote_takes_audio_at_other_rates_and_keeps_times(vosk: VoskRecognizer, rate: int) -> None:
    samples = np.frombuffer(speech(), np.int16)
    pcm = soxr.resample(samples, 8000, rate).astype(np.int16).tobytes()
    expected = finals(recognise(vosk, speech(), 1600))
    with running_server(vosk) as server:
        stream = RemoteRecognizer(server.url, sample_rate=rate).open_stream()
        heard = finals(stream.accept(pcm) + stream.finish())
    assert heard[0].text[:4] == expected[0].text[:4]
    assert abs(heard[0].words[0].end_ms - expected[0].words[0].end_ms) <= 60
    assert abs(heard[-1].end_ms - expected[-1].end_ms) <= 60
