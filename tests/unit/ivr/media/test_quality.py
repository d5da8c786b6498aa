import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.media.quality import CONCEALED, UNCONCEALED, estimate_mos, opinion_score, rating
from ivr.media.types import Codec

shares = st.floats(0, 1)
delays = st.floats(0, 5000)


@pytest.mark.parametrize(
    ("value", "score"), [(100, 4.5), (93.2, 4.41), (90, 4.34), (80, 4.03), (70, 3.60), (60, 3.10), (50, 2.58), (0, 1.0)]
)
def test_scores_are_those_of_the_recommendation(value, score):
    """G.107 table B.1 and its default connection."""
    assert opinion_score(value) == pytest.approx(score, abs=0.01)


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, 93.2), (1, 93.2 - 95 / 26.1), (2, 86.19), (5, 77.42), (20, 51.07)]
)
def test_concealed_g711_loses_as_g113_says(percent, expected):
    assert rating(CONCEALED[Codec.PCMA], loss=percent / 100) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(("percent", "expected"), [(1, 93.2 - 95 / 5.3), (2, 63.04), (5, 42.12)])
def test_holes_cost_far_more_than_concealed_loss(percent, expected):
    assert rating(UNCONCEALED[Codec.PCMU], loss=percent / 100) == pytest.approx(expected, abs=0.01)


def test_losses_in_bursts_cost_more():
    impairment = CONCEALED[Codec.PCMA]
    assert rating(impairment, loss=0.05, burst_ratio=2) == pytest.approx(93.2 - 475 / 27.6, abs=0.01)


@pytest.mark.parametrize(("one_way_ms", "impairment"), [(0, 0), (100, 0), (200, 3.02), (400, 24.09)])
def test_delay_costs_nothing_up_to_a_hundred_milliseconds(one_way_ms, impairment):
    """Worked from equation 7-27: one octave above 100 ms costs 3.0, two cost 24.1."""
    assert 93.2 - rating(CONCEALED[Codec.PCMA], loss=0, one_way_ms=one_way_ms) == pytest.approx(impairment, abs=0.05)


def test_good_calls_score_as_expected_of_their_codec():
    assert estimate_mos(Codec.PCMA, loss=0) == 4.41
    assert estimate_mos(Codec.PCMU, loss=0.03) == pytest.approx(4.11, abs=0.02)
    assert estimate_mos(Codec.PCMA, loss=0.03, concealed=False) < 3
    assert estimate_mos(Codec.G722, loss=0) == pytest.approx(4.34, abs=0.01)


@given(st.sampled_from(list(Codec)), shares, delays, st.floats(1, 10), st.booleans())
def test_scores_are_in_range_and_never_rise_with_loss_or_delay(codec, loss, delay, burst, concealed):
    score = estimate_mos(codec, loss=loss, one_way_ms=delay, burst_ratio=burst, concealed=concealed)
    assert 1 <= score <= 4.5
    for worse in ({"loss": min(1, loss + 0.05), "one_way_ms": delay}, {"loss": loss, "one_way_ms": delay + 50}):
        assert estimate_mos(codec, burst_ratio=burst, concealed=concealed, **worse) <= score


@pytest.mark.parametrize("loss", [-0.1, 1.5])
def test_a_loss_that_duplicates_or_wrong_reports_put_out_of_range_is_limited(loss):
    assert estimate_mos(Codec.PCMA, loss=loss) == estimate_mos(Codec.PCMA, loss=min(max(loss, 0), 1))
