import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr.media.resample import DELAY, Upsampler


def tone(hz, rate, frames, *, peak=8000.0):
    return peak * np.sin(2 * np.pi * hz * np.arange(frames * rate // 50) / rate)


def up(signal, *, block=160):
    upsampler = Upsampler()
    samples = np.rint(signal).astype(np.int16)
    return np.concatenate([upsampler.update(samples[at : at + block]) for at in range(0, len(samples), block)])


@pytest.mark.parametrize("hz", [50, 300, 1000, 2100, 3000, 3400])
def test_speech_band_passes_unchanged_but_for_the_documented_delay(hz):
    wide = tone(hz, 16000, 20)
    assert np.abs(up(tone(hz, 8000, 20))[640 + DELAY :] - wide[640:-DELAY]).max() < 60


@pytest.mark.parametrize("hz", [300, 1000, 2000, 3000, 3400])
def test_images_above_the_speech_band_are_sixty_decibels_down(hz):
    narrow = tone(hz, 8000, 50, peak=30000.0)
    spectrum = np.abs(np.fft.rfft(up(narrow)[1600:] * np.blackman(14400)))
    frequency = np.fft.rfftfreq(14400, 1 / 16000)
    image = spectrum[np.abs(frequency - (8000 - hz)) < 20].max()
    assert 20 * np.log10(image / spectrum.max()) < -65


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(1, 700))
def test_the_length_of_blocks_changes_no_bit(seed, block):
    signal = np.random.default_rng(seed).integers(-32768, 32767, 640, endpoint=True)
    assert np.array_equal(up(signal, block=block), up(signal, block=640))


def test_a_constant_stays_what_it_is():
    assert up(np.full(640, 12345))[200:] == pytest.approx(12345, abs=15)
