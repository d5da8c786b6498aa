import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ivr.media.bridge import Bridge

FRAME = 160


def frames(bridge, voices):
    """`voices`: slot -> the value of all its samples."""
    return np.array([np.full(FRAME, voices[slot]) for slot in bridge.sources.tolist()], np.int16).reshape(-1, FRAME)


def heard(bridge, voices):
    """One frame: hearer slot -> what it hears."""
    return dict(zip(bridge.hearers.tolist(), bridge.mix(frames(bridge, voices)), strict=True))


def settled(bridge, voices):
    """The frame after all ramps: hearer slot -> the one value it hears."""
    heard(bridge, voices)
    told = heard(bridge, voices)
    assert all((samples == samples[0]).all() for samples in told.values())
    return {slot: float(samples[0]) for slot, samples in told.items()}


gains = st.dictionaries(
    st.tuples(st.integers(0, 5), st.integers(0, 5)).filter(lambda edge: edge[0] != edge[1]),
    st.sampled_from([0.0, 0.5, 1.0]),
)


@given(gains, gains)
def test_after_a_frame_everybody_hears_the_weighted_sum_whatever_was_before(before, after):
    bridge = Bridge()
    voices = {slot: 100 * 2**slot for slot in range(6)}
    bridge.set(np.arange(6), before)
    heard(bridge, voices)
    bridge.set(np.arange(6), after)
    told = settled(bridge, voices)
    for hearer in range(6):
        expected = sum(gain * voices[source] for (who, source), gain in after.items() if who == hearer)
        assert told.get(hearer, 0.0) == expected


def test_a_changed_gain_is_reached_over_one_frame_without_a_step():
    bridge = Bridge()
    bridge.set(np.arange(2), {(0, 1): 1.0})
    rising = heard(bridge, {1: 16000})[0]
    assert rising[0] == 100
    assert np.allclose(np.diff(rising), 100, atol=0.01)
    assert rising[-1] == 16000
    assert (heard(bridge, {1: 16000})[0] == 16000).all()
    bridge.set(np.arange(2), {})
    falling = heard(bridge, {1: 16000})[0]
    assert falling[0] == 15900
    assert falling[-1] == 0
    assert len(bridge.sources) == len(bridge.hearers) == 0


def test_a_change_in_one_call_leaves_others_as_they_are():
    bridge = Bridge()
    bridge.set(np.array([0, 1]), {(0, 1): 1.0, (1, 0): 1.0})
    assert settled(bridge, {0: 7, 1: 9}) == {0: 9, 1: 7}
    bridge.set(np.array([2, 3]), {(2, 3): 0.5})
    assert settled(bridge, {0: 7, 1: 9, 3: 8}) == {0: 9, 1: 7, 2: 4}
    bridge.remove(1)
    assert settled(bridge, {3: 8}) == {2: 4}


def test_nothing_to_mix_is_no_rows():
    assert Bridge().mix(np.zeros((0, FRAME), np.int16)).shape == (0, FRAME)
