"""Beginnings and ends of speech, and a recognizer that is told only what is spoken."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from asr.batch import read_channel
from asr.endpointing import (
    BIAS_MS,
    EndpointedRecognizer,
    EndpointedStream,
    Endpointing,
    SpeechEnded,
    SpeechStarted,
    fit,
)
from asr.engines.scripted import ScriptedEvent, ScriptedRecognizer
from asr.engines.vosk import VoskRecognizer
from asr.recognizer import Final, Partial, RecognitionEvent, RecognitionStream, Word
from hotline.errors import InvalidInputError
from hotline.settings_sections import PACKAGE_ROOT
from ivr.media.vad import KEEP_DB, ONSET_DB, SpeechDetector, level_db

CALLER = PACKAGE_ROOT / "demo/callers/wages_lu.wav"
MS = 16  # bytes at 8 kHz


def tone(milliseconds: int, *, level: float = 3000.0, sample_rate: int = 8000) -> bytes:
    at = np.arange(milliseconds * sample_rate // 1000)
    return (level * np.sin(2 * np.pi * 300 * at / sample_rate)).astype("<i2").tobytes()


def hiss(milliseconds: int, *, level: float, seed: int = 0) -> NDArray[np.int16]:
    return (np.random.default_rng(seed).standard_normal(milliseconds * 8) * level).astype("<i2")


@pytest.mark.parametrize("sample_rate", [8000, 16_000])
def test_speech_is_placed_where_it_is(sample_rate: int) -> None:
    audio = bytes(sample_rate) + tone(400, sample_rate=sample_rate) + bytes(2 * sample_rate)
    found = Endpointing(sample_rate, silence_ms=600).accept(audio)
    assert found == [SpeechStarted(500), SpeechEnded(900)]


def test_a_pause_shorter_than_the_silence_ends_nothing() -> None:
    audio = bytes(500 * MS) + tone(400) + bytes(580 * MS) + tone(400)
    assert Endpointing(8000, silence_ms=600).accept(audio) == [SpeechStarted(500)]


def test_steady_noise_becomes_the_floor_and_ends_as_speech() -> None:
    noise = hiss(8000, level=200)
    endpointing = Endpointing(8000, silence_ms=600)
    endpointing.accept(noise.tobytes())
    assert not endpointing.speaking
    spoken = np.frombuffer(tone(400), "<i2") + hiss(400, level=200, seed=1)
    assert [type(event) for event in endpointing.accept(spoken.astype("<i2").tobytes())] == [SpeechStarted]


@given(
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from([0, 3, 30, 300, 3000])), max_size=40),
    st.integers(1, 700),
    st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_one_speaker_is_heard_as_the_tables_hear_all_calls_however_audio_arrives(
    pieces: list[tuple[int, int]], cut: int, seed: int
) -> None:
    samples = np.concatenate(
        [hiss(20 * count, level=level, seed=seed) for count, level in pieces] or [hiss(20, level=0)]
    )
    pcm = samples.tobytes()
    detector, slot, expected = SpeechDetector(slots=1, hangover_ms=600), np.zeros(1, np.intp), []
    for frame in samples.reshape(-1, 160):
        started, ended = detector.update(slot, frame[None])
        expected += [SpeechStarted] if started[0] else [SpeechEnded] if ended[0] else []
    endpointing = Endpointing(8000, silence_ms=600, onset_db=ONSET_DB, keep_db=KEEP_DB)
    found = [event for at in range(0, len(pcm), cut) for event in endpointing.accept(pcm[at : at + cut])]
    assert [type(event) for event in found] == expected
    assert [event.at_ms for event in found] == sorted(event.at_ms for event in found)


class Counting(ScriptedRecognizer):
    """How much its streams were told, each."""

    def __init__(self, script: list[ScriptedEvent]) -> None:
        super().__init__(script)
        self.told: list[int] = []

    def open_stream(self, phrases: Sequence[str] = ()) -> RecognitionStream:
        recognizer, stream, number = self, super().open_stream(phrases), len(self.told)
        self.told.append(0)

        class Counted:
            def accept(self, pcm: bytes) -> list[RecognitionEvent]:
                recognizer.told[number] += len(pcm)
                return stream.accept(pcm)

            def finish(self) -> list[RecognitionEvent]:
                return stream.finish()

        return Counted()


def test_each_utterance_has_a_stream_and_its_place_and_silence_costs_nothing() -> None:
    word = Final((Word("好", 600, 800, 1.0),))
    engine = Counting([ScriptedEvent(700, Partial("好")), ScriptedEvent(10_000, word)])
    stream = EndpointedRecognizer(engine, silence_ms=600).open_stream()
    audio = bytes(5000 * MS) + tone(500) + bytes(5000 * MS) + tone(500) + bytes(2000 * MS)
    events = stream.accept(audio) + stream.finish()
    assert [event for event in events if isinstance(event, Partial)] == [Partial("好")] * 2
    first, second = (event for event in events if isinstance(event, Final))
    assert second.start_ms - first.start_ms == 5500
    assert 5000 <= first.end_ms <= 5500
    assert len(engine.told) == 2
    assert all(told <= 1700 * MS for told in engine.told)
    assert stream.finish() == []


def test_silence_opens_no_stream_at_all() -> None:
    engine = Counting([])
    stream = EndpointedRecognizer(engine, silence_ms=600).open_stream()
    assert stream.accept(bytes(60_000 * MS)) + stream.finish() == []
    assert engine.told == []


def test_speech_that_is_cut_off_is_finished() -> None:
    word = Final((Word("好", 100, 200, 1.0),))
    stream = EndpointedRecognizer(ScriptedRecognizer([ScriptedEvent(10_000, word)]), silence_ms=600).open_stream()
    assert stream.accept(bytes(1000 * MS) + tone(450)) == []
    assert [event.text for event in stream.finish() if isinstance(event, Final)] == ["好"]


def test_what_seemed_to_be_said_and_was_nothing_is_taken_back() -> None:
    engine = ScriptedRecognizer([ScriptedEvent(300, Partial("嗯"))])
    stream = EndpointedRecognizer(engine, silence_ms=600).open_stream()
    assert stream.accept(bytes(1000 * MS) + tone(400) + bytes(2000 * MS)) == [Partial("嗯"), Partial("")]
    assert stream.finish() == []


def test_phrases_that_the_engine_does_not_take_are_refused_at_once() -> None:
    with pytest.raises(InvalidInputError):
        EndpointedRecognizer(ScriptedRecognizer([]), silence_ms=600).open_stream(["好"])


@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), min_size=1, max_size=12),
    st.none() | st.integers(0, 6000),
    st.none() | st.integers(0, 6000),
)
def test_words_that_are_fitted_keep_their_order_and_their_edges(
    spans: list[tuple[int, int]], start_ms: int | None, end_ms: int | None
) -> None:
    at, words = 500, []
    for pause, length in spans:
        words.append(Word("好", at + pause, at + pause + length, 1.0))
        at += pause + length
    final = Final(tuple(words))
    fitted = fit(final, start_ms, end_ms)
    times = [time for word in fitted.words for time in (word.start_ms, word.end_ms)]
    assert times == sorted(times)
    if start_ms is not None and abs(start_ms - final.start_ms) <= BIAS_MS:
        assert fitted.start_ms == start_ms
    if start_ms is None and end_ms is None:
        assert fitted == final


@pytest.mark.parametrize("name", ["heating_zhang", "street_light", "wages_lu"])
def test_an_utterance_begins_and_ends_within_50_ms_of_its_sound(name: str) -> None:
    pcm = bytes(700 * MS) + read_channel(CALLER.with_stem(name), 0)[0] + bytes(1000 * MS)
    loud = np.flatnonzero(level_db(np.frombuffer(pcm, "<i2", len(pcm) // 160 * 80).reshape(-1, 80)) > -45)
    vosk = VoskRecognizer(PACKAGE_ROOT / "asr/zh_tiny", allow_demo_model=True)
    stream = EndpointedStream(vosk.open_stream, 8000, silence_ms=600)
    finals = [event for event in stream.accept(pcm) + stream.finish() if isinstance(event, Final)]
    assert abs(finals[0].start_ms - int(loud[0]) * 10) <= 50
    assert abs(finals[-1].end_ms - int(loud[-1] + 1) * 10) <= 50


def test_finals_come_sooner_than_the_engines_own_and_say_the_same() -> None:
    """Of the real model; delays are in the audio's time."""
    vosk = VoskRecognizer(PACKAGE_ROOT / "asr/zh_tiny", allow_demo_model=True)
    pcm = read_channel(CALLER, 0)[0] + bytes(2000 * MS)

    def hear(stream: RecognitionStream) -> tuple[str, list[int]]:
        said, delays = "", []
        for at in range(0, len(pcm), 100 * MS):
            for event in stream.accept(pcm[at : at + 100 * MS]):
                if isinstance(event, Final):
                    said += event.text
                    delays.append(at // MS + 100 - event.end_ms)
        return said, delays

    own_text, own_delays = hear(vosk.open_stream())
    text, delays = hear(EndpointedStream(vosk.open_stream, 8000, silence_ms=500))
    assert max(delays) <= 800 < min(own_delays)
    assert len(set(text) ^ set(own_text)) <= len(own_text) // 10
