import numpy as np
import pytest

from hotline.errors import InvalidInputError
from ivr.media import tones
from ivr.media.types import SAMPLE_RATE


def spectrum_dbm0(samples):
    """Level of each 1 Hz of one second of samples, repeated if shorter."""
    second = np.resize(samples, SAMPLE_RATE).astype(float)
    magnitude = np.abs(np.fft.rfft(second)) * 2 / SAMPLE_RATE
    return 20 * np.log10(np.maximum(magnitude, 1e-9) / 32767) + tones.FULL_SCALE_DBM0


@pytest.mark.parametrize(("digit", "low", "high"), [("1", 697, 1209), ("8", 852, 1336), ("#", 941, 1477),
                                                    ("0", 941, 1336), ("*", 941, 1209), ("D", 941, 1633)])  # fmt: skip
def test_a_key_is_its_two_tones_at_their_levels(digit, low, high):
    level = spectrum_dbm0(tones.dtmf(digit, tone_ms=1000, pause_ms=0))
    assert level[low] == pytest.approx(-9, abs=0.2)
    assert level[high] == pytest.approx(-7, abs=0.2)
    others = np.delete(level, [range(low - 30, low + 31), range(high - 30, high + 31)])
    assert others.max() < -50


def test_digits_follow_each_other_with_their_pauses():
    samples = tones.dtmf("12", tone_ms=50, pause_ms=70)
    assert len(samples) == 2 * (400 + 560)
    assert samples[:400].any()
    assert not samples[400:960].any()
    assert samples[960:1360].any()
    assert len(tones.dtmf("")) == 0


def test_lower_case_letters_are_keys_and_anything_else_is_refused():
    assert np.array_equal(tones.dtmf("a"), tones.dtmf("A"))
    for digit in ("x", "，", " ", "１"):
        with pytest.raises(InvalidInputError):
            tones.dtmf(digit)


@pytest.mark.parametrize(("tone", "on_ms", "off_ms"), [(tones.ringback, 1000, 4000), (tones.busy, 350, 350),
                                                       (tones.congestion, 700, 700)])  # fmt: skip
def test_call_progress_tones_have_their_cadence_pitch_and_level(tone, on_ms, off_ms):
    samples = tone()
    on, total = on_ms * 8, (on_ms + off_ms) * 8
    assert len(samples) == total
    assert not samples[on:].any()
    assert np.abs(samples[:on].reshape(-1, 40)).max(axis=1).min() > 0
    level = spectrum_dbm0(samples[400 : 400 + SAMPLE_RATE // 90 * 30])
    assert np.argmax(level) == pytest.approx(450, abs=2)
    assert 20 * np.log10(np.abs(samples).max() / 32767) + tones.FULL_SCALE_DBM0 == pytest.approx(-10, abs=0.1)


def test_tones_begin_and_end_without_a_click():
    for samples in (tones.busy(), tones.dtmf("5", pause_ms=20)):
        edges = np.flatnonzero(np.diff((samples != 0).astype(int)))
        assert abs(int(samples[0])) < 100
        assert np.abs(samples[edges[-1] - 2 : edges[-1] + 3].astype(int)).max() < 300


def test_a_level_too_high_is_limited_and_not_wrapped():
    loud, quiet = tones.dtmf("5", low_dbm0=3, high_dbm0=3), tones.dtmf("5", low_dbm0=-9, high_dbm0=-9)
    assert loud.max() == 32767
    assert (np.sign(loud)[quiet != 0] == np.sign(quiet)[quiet != 0]).all()
