import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr.media.resample import DELAY, Downsampler, Upsampler


def tone(hz, rate, frames, *, peak=8000.0):
    return peak * np.sin(2 * np.pi * hz * np.arange(frames * rate // 50) / rate)


def run(resampler, signal, length, *, slot=0):
    frames = np.rint(signal).astype(np.int16).reshape(-1, length)
    return np.concatenate([resampler.update(np.array([slot]), frame[None])[0] for frame in frames])


def up(signal):
    return run(Upsampler(slots=1), signal, 160).astype(float)


def down(signal):
    return run(Downsampler(slots=1), signal, 320).astype(float)


def level_db(signal, reference):
    return 10 * np.log10(np.mean(signal**2) / np.mean(reference**2) + 1e-20)


@pytest.mark.parametrize("hz", [50, 300, 1000, 2100, 3000, 3400])
def test_speech_band_passes_unchanged_but_for_the_documented_delay(hz):
    wide = tone(hz, 16000, 20)
    narrow = tone(hz, 8000, 20)
    raised = up(narrow)[640 + DELAY :]
    assert np.abs(raised - wide[640:-DELAY]).max() < 60
    lowered = down(wide)[320:]
    late = 8000 * np.sin(2 * np.pi * hz * (np.arange(3200) - DELAY / 2) / 8000)[320:]
    assert np.abs(lowered - late).max() < 60


@pytest.mark.parametrize("hz", [300, 1000, 2000, 3000, 3400])
def test_images_above_the_speech_band_are_sixty_decibels_down(hz):
    narrow = tone(hz, 8000, 50, peak=30000.0)
    spectrum = np.abs(np.fft.rfft(up(narrow)[1600:] * np.blackman(14400)))
    frequency = np.fft.rfftfreq(14400, 1 / 16000)
    image = spectrum[np.abs(frequency - (8000 - hz)) < 20].max()
    assert 20 * np.log10(image / spectrum.max()) < -65


@pytest.mark.parametrize("hz", [4600, 5000, 6000, 7000, 7900])
def test_what_would_alias_into_the_speech_band_is_sixty_decibels_down(hz):
    wide = tone(hz, 16000, 20, peak=30000.0)
    assert level_db(down(wide)[160:], wide) < -65


def test_up_and_down_again_is_the_signal():
    random = np.random.default_rng(1)
    spectrum = np.fft.rfft(random.normal(0, 3000, 8000))
    spectrum[3300:] = 0
    signal = np.rint(np.fft.irfft(spectrum))
    again = down(up(signal))
    delay = DELAY  # two times 29 at 16 kHz
    assert level_db(again[delay + 160 :] - signal[160:-delay], signal) < -50


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_blocks_join_without_a_seam(seed):
    """Frame by frame is what one filter over all of it would give."""
    signal = np.random.default_rng(seed).integers(-9000, 9000, 640)
    whole = np.zeros(1280)
    whole[::2] = signal
    taps = np.zeros(2 * DELAY + 1)
    taps[DELAY] = 1
    impulse = np.zeros(160)
    impulse[0] = 30000
    response = up(impulse)[: len(taps)] / 30000
    expected = np.convolve(whole, response)[:1280]
    assert np.abs(up(signal) - expected).max() < 25


def test_full_scale_is_limited_and_not_wrapped():
    square = np.where(np.arange(3200) % 40 < 20, 32767, -32768)  # a filter overshoots at its edges
    for resampled, period in ((up(square), 80), (down(square), 20)):
        settled = resampled[400:].reshape(-1, period)
        assert settled.max() == 32767
        assert (np.abs(np.sort(np.sign(settled), axis=1).sum(axis=1)) <= period // 10).all()


@pytest.mark.parametrize(("make", "length"), [(Upsampler, 160), (Downsampler, 320)])
def test_legs_do_not_touch_each_other_and_a_reopened_one_starts_silent(make, length):
    random, resampler = np.random.default_rng(2), make(slots=3)
    one, other = random.integers(-9000, 9000, (2, 5, length)).astype(np.int16)
    both = [resampler.update(np.array([2, 0]), np.array(pair)) for pair in zip(one, other, strict=True)]
    for row, signal in enumerate((one, other)):
        alone = run(make(slots=1), signal.ravel(), length).astype(int)
        assert np.abs(np.concatenate([frames[row] for frames in both]) - alone).max() <= 1  # summed in another order
    resampler.open(2)
    assert not resampler.update(np.array([2]), np.zeros((1, length), np.int16)).any()
