import wave
from pathlib import Path

import numpy as np
import pytest

from ivr.media import g711
from ivr.media.types import Codec
from ivr.media.vad import SpeechDetector

RATE = 8000
CALLERS = Path(__file__).parents[4] / "demo/callers"


def level(db, samples):
    """`samples` scaled to an RMS of `db` relative to full scale."""
    return samples / np.sqrt(np.mean(np.square(samples))) * 32768 * 10 ** (db / 20)


def noise(seconds, *, db, seed=1):
    return level(db, np.random.default_rng(seed).standard_normal(int(seconds * RATE)))


def tone(seconds, *, db, hertz=440):
    return level(db, np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE))


def caller(*, db):
    with wave.open(str(CALLERS / "heating_zhang.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(float)
        assert file.getframerate() == RATE
    return level(db, samples[: 8 * RATE])


def spans(audio, *, hangover_ms=300):
    """(start, end) seconds of speech in `audio` after a telephone line; end None where it goes on."""
    pcm = np.clip(audio, -32768, 32767).astype(np.int16)
    pcm = g711.decode(g711.encode(pcm, codec=Codec.PCMA), codec=Codec.PCMA)
    detector = SpeechDetector(slots=2, hangover_ms=hangover_ms)
    found: list[list[float | None]] = []
    for index in range(len(pcm) // 160):
        started, ended = detector.update(np.array([1]), pcm[None, index * 160 : index * 160 + 160])
        if started[0]:
            found.append([round(index * 0.02 - 0.04, 2), None])
        if ended[0]:
            found[-1][1] = round(index * 0.02 + 0.02 - hangover_ms / 1000, 2)
    return [tuple(span) for span in found]


def covered(found, *, until):
    return sum((until if end is None else end) - start for start, end in found)


def test_silence_is_no_speech():
    assert spans(np.zeros(5 * RATE)) == []


def test_speech_on_a_quiet_line_is_found_where_it_is():
    burst = noise(1.0, db=-25)
    [(start, end)] = spans(np.concatenate([np.zeros(RATE), burst, np.zeros(RATE)]))
    assert start == pytest.approx(1.0, abs=0.03)
    assert end == pytest.approx(2.0, abs=0.03)


@pytest.mark.parametrize(("speech_db", "noise_db"), [(-20, -60), (-38, -52), (-30, -42), (-45, -70)])
def test_caller_is_heard_above_the_noise_of_the_line(speech_db, noise_db):
    voice = caller(db=speech_db)
    line = noise(16.0, db=noise_db)
    line[4 * RATE : 4 * RATE + len(voice)] += voice
    found = spans(line)
    assert all(start >= 3.9 for start, _ in found)
    assert found[0][0] < 5.0
    assert found[-1][1] is not None
    assert found[-1][1] < 12.4
    assert covered(found, until=16) > 4.0


def test_caller_who_speaks_at_once_is_heard():
    assert spans(np.concatenate([caller(db=-26), np.zeros(RATE)]))[0][0] < 0.6


@pytest.mark.parametrize("steady", [tone(12.0, db=-15), noise(12.0, db=-25), tone(12.0, db=-30, hertz=50)])
def test_steady_sound_stops_counting_as_speech(steady):
    found = spans(np.concatenate([np.zeros(2 * RATE), steady]))
    assert all(end is not None and end < 5.5 for _, end in found)


def test_speech_is_found_again_above_a_sound_that_became_the_floor():
    line = noise(16.0, db=-45)
    line[10 * RATE : 11 * RATE] += noise(1.0, db=-22, seed=2)
    assert spans(line)[-1][0] == pytest.approx(10.0, abs=0.05)


def test_a_click_is_no_speech():
    line = noise(4.0, db=-60)
    line[2 * RATE : 2 * RATE + 200] += 20000
    assert spans(line) == []


def test_pause_within_the_hangover_does_not_end_speech():
    burst, pause = noise(0.5, db=-25), np.zeros(int(0.24 * RATE))
    assert len(spans(np.concatenate([burst, pause, burst, np.zeros(RATE)]))) == 1
    assert len(spans(np.concatenate([burst, pause, burst, np.zeros(RATE)]), hangover_ms=100)) == 2


def test_lost_packets_do_not_lower_the_floor_of_a_noisy_line():
    line = noise(12.0, db=-40)
    line[6 * RATE : 7 * RATE] = 0
    pcm = line.astype(np.int16)
    detector = SpeechDetector(slots=1)
    begun = [
        index * 0.02
        for index in range(600)
        if detector.update(np.array([0]), pcm[None, index * 160 : index * 160 + 160])[0][0]
    ]
    assert all(start < 1.0 for start in begun)


def test_reopened_slot_forgets_the_last_call():
    detector = SpeechDetector(slots=1)
    loud = noise(0.02, db=-10).astype(np.int16)[None]
    for _ in range(3):
        detector.update(np.array([0]), loud)
    assert detector.speaking(0)
    detector.open(0)
    assert not detector.speaking(0)
    assert detector.update(np.array([0]), loud)[0].tolist() == [False]
