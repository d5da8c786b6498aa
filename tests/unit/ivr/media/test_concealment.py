import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr.media.concealment import FADE_END, Concealer

CALLERS = Path(__file__).parents[4] / "demo" / "callers"
FRAME = 160
RATE = 8000


def voiced(seconds=2.0, *, pitch_hz=120.0, glide=0.1, seed=1):
    """Vowel-like speech: a pulse train whose pitch glides up and down, through three formants, and breath noise."""
    random = np.random.default_rng(seed)
    count = int(seconds * RATE)
    pitch = pitch_hz * (1 + glide * np.sin(2 * np.pi * 1.3 * np.arange(count) / RATE))
    phase = np.cumsum(pitch / RATE)
    source = (np.diff(np.floor(phase), prepend=0) > 0).astype(float) + random.normal(0, 0.005, count)
    for frequency, width in ((700, 90), (1200, 110), (2600, 160)):
        radius, angle = np.exp(-np.pi * width / RATE), 2 * np.pi * frequency / RATE
        first, second = 2 * radius * np.cos(angle), -(radius**2)
        out = np.zeros(count)
        for n in range(2, count):
            out[n] = source[n] + first * out[n - 1] + second * out[n - 2]
        source = out
    return np.rint(source / np.abs(source).max() * 16000).astype(np.int16).reshape(-1, FRAME)


def play(frames, lost, *, concealer=None, slot=0):
    """What is heard of `frames` where those numbered in `lost` never came."""
    concealer = concealer or Concealer(slots=slot + 1)
    heard = [
        concealer.update(np.array([slot]), np.zeros((1, FRAME), np.int16) if n in lost else frame[None],
                         missing=np.array([n in lost]))[0]
        for n, frame in enumerate(frames)
    ]  # fmt: skip
    return np.array(heard)


def snr_db(clean, heard):
    noise = clean.astype(float) - heard
    return 10 * np.log10((clean.astype(float) ** 2).sum() / (noise**2).sum())


def log_spectral_distance_db(clean, heard):
    """Over the frames given, with a floor 40 dB under the clean frame's peak so that holes count, not digital zero."""
    window = np.hanning(FRAME)
    one, other = (np.abs(np.fft.rfft(x * window, axis=1)) ** 2 for x in (clean.astype(float), heard.astype(float)))
    floor = one.max(axis=1, keepdims=True) * 1e-4
    difference = 10 * np.log10((one + floor) / (other + floor))
    return float(np.sqrt((difference**2).mean(axis=1)).mean())


@pytest.mark.parametrize("pitch_hz", [85.0, 120.0, 180.0, 260.0])
@pytest.mark.parametrize("run", [1, 2])
def test_lost_voiced_frames_have_the_spectrum_of_speech(pitch_hz, run):
    clean = voiced(pitch_hz=pitch_hz)
    lost = [n + i for n in range(10, 95, 10) for i in range(run)]
    silence = clean.copy()
    silence[lost] = 0
    heard = play(clean, set(lost))
    distance = log_spectral_distance_db(clean[lost], heard[lost])
    assert distance < 6
    assert distance < 0.4 * log_spectral_distance_db(clean[lost], silence[lost])


def test_a_caller_with_one_frame_in_ten_lost_is_half_as_distorted_as_with_holes():
    with wave.open(str(CALLERS / "heating_zhang.wav")) as recording:
        samples = np.frombuffer(recording.readframes(recording.getnframes()), np.int16)
    clean = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    lost = [n for n in range(10, len(clean), 10) if np.abs(clean[n]).max() > 500]
    silence = clean.copy()
    silence[lost] = 0
    distance = log_spectral_distance_db(clean[lost], play(clean, set(lost))[lost])
    assert distance < 0.6 * log_spectral_distance_db(clean[lost], silence[lost])


@pytest.mark.parametrize("pitch_hz", [100.0, 160.0])
def test_lost_frames_of_a_steady_voice_keep_the_waveform(pitch_hz):
    clean = voiced(pitch_hz=pitch_hz, glide=0.0)
    lost = list(range(10, 95, 10))
    assert snr_db(clean[lost], play(clean, set(lost))[lost]) > 6  # silence in their place has 0 dB


def test_frames_that_came_are_not_touched_but_for_the_return_blend():
    clean = voiced()
    heard = play(clean, {20, 40, 41})
    untouched = [n for n in range(len(clean)) if n not in (20, 21, 40, 41, 42)]
    assert np.array_equal(heard[untouched], clean[untouched])
    assert np.array_equal(heard[21, 32:], clean[21, 32:])
    assert np.array_equal(heard[42, 64:], clean[42, 64:])
    assert not np.array_equal(heard[42, :32], clean[42, :32])


def test_an_undisturbed_batch_is_handed_through_without_a_copy():
    frames = voiced()[:3]
    assert Concealer(slots=3).update(np.arange(3), frames, missing=np.zeros(3, bool)) is frames


def test_the_caller_s_array_is_not_written_to():
    concealer, frames = Concealer(slots=1), voiced()
    for frame in frames[:10]:
        concealer.update(np.array([0]), frame[None], missing=np.array([False]))
    given_frame = np.zeros((1, FRAME), np.int16)
    assert concealer.update(np.array([0]), given_frame, missing=np.array([True])).any()
    assert not given_frame.any()


def test_a_long_loss_fades_and_is_silent_after_sixty_milliseconds():
    heard = play(voiced(), set(range(20, 30)))
    energy = (heard[20:30].astype(float) ** 2).mean(axis=1)
    assert energy[0] > energy[1] > energy[2] > 0
    assert not heard[20 + FADE_END // FRAME : 30].any()


def test_no_click_where_a_loss_begins_or_ends():
    tone = np.rint(8000 * np.sin(2 * np.pi * 143.3 * np.arange(50 * FRAME) / RATE)).astype(np.int16).reshape(-1, FRAME)
    steepest = np.abs(np.diff(tone.ravel().astype(int))).max()
    for lost in ({20}, {20, 21}, set(range(20, 27))):
        assert np.abs(np.diff(play(tone, lost).ravel().astype(int))).max() <= 1.6 * steepest


def test_a_steady_tone_goes_on_as_if_nothing_were_lost():
    tone = np.rint(8000 * np.sin(2 * np.pi * 100 * np.arange(50 * FRAME) / RATE)).astype(np.int16).reshape(-1, FRAME)
    heard = play(tone, {20})
    assert np.abs(heard[20, :80].astype(int) - tone[20, :80]).max() < 200


def test_loss_before_anything_was_heard_is_silence_also_in_a_slot_used_before():
    concealer, clean = Concealer(slots=2), voiced()
    play(clean[:20], set(), concealer=concealer, slot=1)
    concealer.open(1)
    assert not play(clean[:2], {0, 1}, concealer=concealer, slot=1).any()


def test_a_call_that_ended_within_a_loss_leaves_nothing_to_the_next():
    concealer, clean = Concealer(slots=1), voiced()
    play(clean[:20], {19}, concealer=concealer)
    concealer.open(0)
    assert np.array_equal(play(clean[:2], set(), concealer=concealer), clean[:2])


def test_calls_in_one_batch_do_not_touch_each_other():
    one, other = voiced(pitch_hz=110), voiced(pitch_hz=190, seed=2)
    lost = [{15, 16, 40}, {16, 41, 42}]
    concealer, slots, heard = Concealer(slots=5), np.array([4, 1]), []
    for n, pair in enumerate(zip(one, other, strict=True)):
        missing = np.array([n in lost[0], n in lost[1]])
        heard.append(concealer.update(slots, np.where(missing[:, None], 0, np.array(pair)).astype(np.int16),
                                      missing=missing))  # fmt: skip
    assert np.array_equal(np.array(heard)[:, 0], play(one, lost[0]))
    assert np.array_equal(np.array(heard)[:, 1], play(other, lost[1]))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=30), st.sampled_from([0, 32767, -32768]), st.integers(0, 9))
def test_any_pattern_of_loss_on_any_level_stays_in_range_and_never_louder_than_heard(pattern, level, seed):
    """Full-scale squares and noise: nothing wraps around."""
    noise = np.random.default_rng(seed).choice(np.array([level, -1 - level], np.int16), (len(pattern), FRAME))
    heard = play(noise, {n for n, lost in enumerate(pattern) if lost})
    assert heard.dtype == np.int16
    if level == 0:
        assert np.abs(heard.astype(int)).max() <= 3
