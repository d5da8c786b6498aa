import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ivr.media.gain import GainCurve

LOUD = np.full(1000, 16000, np.int16)


def test_full_gain_leaves_samples_untouched():
    assert GainCurve(1.0).apply(LOUD, 5) is LOUD


def test_a_step_is_a_ramp_of_one_frame_at_its_position():
    curve = GainCurve(1.0)
    curve.step(200, 0.0)
    out = curve.apply(LOUD, 0)
    assert (out[:201] == 16000).all()
    assert np.abs(np.diff(out[200:361].astype(int))).max() == 100
    assert not out[360:].any()
    assert not curve.apply(LOUD, 400).any()


def test_a_step_within_a_ramp_starts_where_the_ramp_is():
    curve = GainCurve(0.0)
    curve.step(0, 1.0)
    curve.step(80, 0.0)
    out = curve.apply(LOUD, 0).astype(int)
    assert out[80] == 8000
    assert np.abs(np.diff(out)).max() <= 100
    assert not out[240:].any()


@given(st.lists(st.tuples(st.integers(0, 900), st.sampled_from([0.0, 0.5, 1.0])), max_size=6), st.integers(1, 999))
def test_cutting_and_forgetting_do_not_change_the_curve(steps, cut):
    whole, parts = GainCurve(0.0), GainCurve(0.0)
    for position, gain in steps:
        whole.step(position, gain)
        parts.step(position, gain)
    first = parts.apply(LOUD[:cut], 0)
    parts.forget(cut)
    rest = parts.apply(LOUD[cut:], cut)
    assert np.array_equal(np.concatenate([first, rest]), whole.apply(LOUD, 0))
