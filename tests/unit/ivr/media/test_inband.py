import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr.media import g711, tones
from ivr.media.inband import LATENCY_MS, NO_DIGIT, InbandDetector, digit_of
from ivr.media.types import Codec

ROOT = Path(__file__).parents[4]
FRAME = 160
RATE = 8000
KEYS = tones.KEYPAD
RECORDINGS = sorted([*(ROOT / "ivr/prompts/zh").glob("*.wav"), *(ROOT / "demo/callers").glob("*.wav")])


def press(key, *, ms=60, pause_ms=60, low_dbm0=-10.0, high_dbm0=-10.0, low_off=0.0, high_off=0.0, phase=1.0):
    """One key as a bad telephone sends it: hard edges, tones off their frequencies."""
    index, time = KEYS.index(key), np.arange(ms * 8) / RATE
    low = 2 * np.pi * tones.LOW_GROUP[index // 4] * (1 + low_off)
    high = 2 * np.pi * tones.HIGH_GROUP[index % 4] * (1 + high_off)
    wave = tones.amplitude(low_dbm0) * np.sin(low * time) + tones.amplitude(high_dbm0) * np.sin(high * time + phase)
    return np.concatenate([wave, np.zeros(pause_ms * 8)])


def digits(samples, *, late=0, detector=None):
    """What a detector hears in samples, `late` of them silent before."""
    detector = detector or InbandDetector(slots=1)
    return "".join(digit for _, digit in events(samples, late=late, detector=detector))


def events(samples, *, late, detector):
    padded = np.concatenate([np.zeros(320 + late), np.rint(np.clip(samples, -32768, 32767)), np.zeros(640)])
    frames = padded[: len(padded) // FRAME * FRAME].astype(np.int16).reshape(-1, FRAME)
    told = [detector.update(np.array([0]), frame[None])[0] for frame in frames]
    return [(n, digit_of(index)) for n, index in enumerate(told) if index != NO_DIGIT]


@pytest.mark.parametrize("codec", [Codec.PCMA, Codec.PCMU])
@pytest.mark.parametrize("level", [0, -10, -25, -28])
def test_all_sixteen_keys_are_known_at_every_level_after_coding(level, codec):
    samples = tones.dtmf(KEYS, tone_ms=50, pause_ms=45, low_dbm0=level - 3, high_dbm0=level - 3)
    assert digits(g711.decode(g711.encode(samples, codec=codec), codec=codec)) == KEYS


@pytest.mark.parametrize(("high_dbm0", "known"), [(-24, False), (-20, True), (-16, True), (-8, True), (-3, False)])
def test_twist_is_taken_from_eight_below_to_four_above_and_no_further(high_dbm0, known):
    samples = tones.dtmf(KEYS, low_dbm0=-12, high_dbm0=high_dbm0)
    assert digits(samples) == (KEYS if known else "")


@pytest.mark.parametrize("snr_db", [20, 15, 12])
def test_keys_are_known_in_noise(snr_db):
    random = np.random.default_rng(snr_db)
    samples = tones.dtmf(KEYS * 5, tone_ms=50, pause_ms=50, low_dbm0=-13, high_dbm0=-13)
    noise = random.normal(0, tones.amplitude(-13) / 10 ** (snr_db / 20), len(samples))
    assert digits(samples + noise) == KEYS * 5


@pytest.mark.parametrize("off", [0.015, 0.018, -0.015, -0.018])
def test_tones_off_by_less_than_two_percent_are_known_whichever_way(off):
    for low, high in ((off, off), (off, -off), (off, 0), (0, off)):
        samples = np.concatenate([press(key, ms=40, low_off=low, high_off=high) for key in KEYS])
        assert digits(samples, late=77) == KEYS


@pytest.mark.parametrize("off", [0.035, -0.035])
def test_tones_off_by_three_and_a_half_percent_are_no_keys(off):
    for low, high in ((off, 0), (0, off)):
        assert digits(np.concatenate([press(key, ms=100, low_off=low, high_off=high) for key in KEYS])) == ""


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(KEYS), st.integers(0, 159), st.floats(0, 6.28))
def test_forty_milliseconds_are_a_key_and_twenty_three_are_none_wherever_they_lie(key, late, phase):
    assert digits(press(key, ms=40, phase=phase), late=late) == key
    assert digits(press(key, ms=23, phase=phase), late=late) == ""


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(KEYS), st.integers(0, 159))
def test_a_pause_of_forty_milliseconds_parts_two_presses_and_ten_part_none(key, late):
    assert digits(np.concatenate([press(key, pause_ms=40), press(key)]), late=late) == key + key
    assert digits(np.concatenate([press(key, pause_ms=10), press(key)]), late=late) == key


@given(st.integers(0, 159))
@settings(max_examples=20, deadline=None)
def test_a_key_follows_another_without_any_pause(late):
    assert digits(np.concatenate([press("1", pause_ms=0), press("5", pause_ms=0), press("9")]), late=late) == "159"


def test_a_key_held_long_is_one_press_and_a_lost_frame_does_not_make_it_two():
    held = press("7", ms=3000)
    assert digits(held, late=50) == "7"
    held[8110:8270] = 0  # one frame of the detector
    assert digits(held, late=50) == "7"


def lossy(samples, lost):
    """What a detector hears that is told which frames are lost."""
    frames = np.concatenate([np.rint(samples), np.zeros(800)]).astype(np.int16).reshape(-1, FRAME)
    detector, heard = InbandDetector(slots=1), ""
    for n, frame in enumerate(frames):
        row = frame[None] * (n not in lost)
        index = detector.update(np.array([0]), row, missing=np.array([n in lost]))[0]
        heard += digit_of(index) if index != NO_DIGIT else ""
    return heard


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_frames_lost_while_a_key_is_held_do_not_make_it_two(count):
    assert lossy(press("7", ms=400), range(8, 8 + count)) == "7"


def test_a_key_pressed_again_after_a_long_loss_is_another_press():
    samples = np.concatenate([press("7", ms=100, pause_ms=300), press("7", ms=100)])
    assert lossy(samples, range(6, 18)) == "77"


def test_silence_that_came_lets_a_key_go_and_silence_that_is_lost_does_not_hold_it_for_good():
    samples = np.concatenate([press("7", ms=100, pause_ms=40), press("7", ms=100)])
    assert lossy(samples, ()) == "77"
    assert lossy(np.concatenate([press("7", ms=100, pause_ms=2000), press("8")]), range(5, 100)) == "78"


@pytest.mark.parametrize("late", range(0, 160, 20))
def test_a_digit_is_told_within_its_latency(late):
    [(frame, digit)] = events(press("3", ms=100), late=late, detector=InbandDetector(slots=1))
    assert digit == "3"
    assert (frame + 1) * 20 - (320 + late) / 8 <= LATENCY_MS


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_speech_is_no_key(path):
    with wave.open(str(path)) as recording:
        samples = np.frombuffer(recording.readframes(recording.getnframes()), np.int16)
    for pace in (1.0, 0.83, 1.19, 1.41):  # other voices: shifted in pitch and formants alike
        other = np.interp(np.arange(0, len(samples) - 1, pace), np.arange(len(samples)), samples)
        assert digits(other * (20000 / max(1, np.abs(other).max()))) == ""


def test_voices_of_every_pitch_are_no_keys():
    random = np.random.default_rng(5)
    time = np.arange(RATE // 2) / RATE
    for pitch in np.arange(80, 900, 3.7):
        count = int(3600 / pitch)
        strength = random.uniform(0.05, 1, count)[:, None]
        voice = (strength * np.sin(2 * np.pi * pitch * np.arange(1, count + 1)[:, None] * time)).sum(axis=0)
        assert digits(voice * 12000 / np.abs(voice).max()) == "", pitch


def test_noise_single_tones_and_call_progress_are_no_keys():
    random = np.random.default_rng(3)
    assert digits(random.normal(0, 6000, RATE * 20)) == ""
    assert digits(np.concatenate([tones.ringback(), tones.busy(), tones.congestion()])) == ""
    for hz in (*tones.LOW_GROUP, *tones.HIGH_GROUP):
        assert digits(10000 * np.sin(2 * np.pi * hz * np.arange(RATE) / RATE)) == ""


def test_a_harmonic_as_strong_as_speech_has_it_makes_a_key_none():
    time = np.arange(RATE // 10) / RATE
    third = np.sin(2 * np.pi * 2 * tones.HIGH_GROUP[0] * time) * tones.amplitude(-15)
    assert digits(press("*", ms=100, pause_ms=0)) == "*"
    assert digits(press("*", ms=100, pause_ms=0) + third) == ""


def test_tones_too_weak_are_no_keys():
    assert digits(tones.dtmf(KEYS, low_dbm0=-38, high_dbm0=-38)) == ""


def test_calls_in_one_batch_do_not_touch_each_other_and_order_of_slots_does_not_matter():
    one, other = tones.dtmf("15").reshape(-1, FRAME), tones.dtmf("86").reshape(-1, FRAME)
    detector, heard = InbandDetector(slots=4), {1: "", 3: ""}
    for n, pair in enumerate(zip(one, other, strict=True)):
        slots = np.array([3, 1]) if n % 2 else np.array([1, 3])
        frames = np.array([pair[1], pair[0]] if n % 2 else pair)
        for slot, index in zip(slots, detector.update(slots, frames), strict=True):
            heard[int(slot)] += digit_of(index) if index != NO_DIGIT else ""
    assert heard == {1: "15", 3: "86"}


def test_a_reopened_slot_knows_nothing_of_the_last_call():
    detector = InbandDetector(slots=1)
    frames = np.rint(press("4", ms=100, pause_ms=0)).astype(np.int16).reshape(-1, FRAME)
    for frame in frames[:2]:
        detector.update(np.array([0]), frame[None])
    detector.open(0)
    assert detector.update(np.array([0]), frames[2:3])[0] == NO_DIGIT
    assert digits(press("4"), detector=detector) == "4"
