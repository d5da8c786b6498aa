import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.media.digit_merger import WINDOW_MS, DigitMerger, DigitSource

INBAND, INFO, EVENT = DigitSource
KEYS = "0123456789*#"


def accepted(*told):
    """What is taken of (digit, source, offset)."""
    merger = DigitMerger()
    return "".join(digit for digit, source, at in told if merger.accept(digit, source=source, offset_ms=at))


@pytest.mark.parametrize("first", DigitSource)
@pytest.mark.parametrize("second", DigitSource)
def test_a_press_told_by_two_ways_is_one_and_by_one_way_twice_is_two(first, second):
    assert accepted(("5", first, 1000), ("5", second, 1150)) == ("55" if first is second else "5")


def test_a_double_press_told_by_two_ways_is_two_in_any_interleaving():
    assert accepted(("1", INBAND, 0), ("1", EVENT, 20), ("1", EVENT, 300), ("1", INBAND, 360)) == "11"
    assert accepted(("1", INBAND, 0), ("1", INBAND, 300), ("1", INFO, 400), ("1", INFO, 700)) == "11"


def test_once_events_were_seen_tones_and_info_no_longer_count():
    merger = DigitMerger()
    assert merger.wants(INBAND)
    assert merger.accept("1", source=EVENT, offset_ms=0)
    assert not merger.wants(INBAND)
    assert not merger.accept("2", source=INBAND, offset_ms=9_000_000)
    assert not merger.accept("2", source=INFO, offset_ms=9_000_000)
    assert merger.accept("2", source=EVENT, offset_ms=9_000_000)


def test_an_event_a_little_after_its_own_tone_is_not_counted_again_but_takes_over():
    assert accepted(("1", INBAND, 100), ("1", EVENT, 40), ("2", INBAND, 500), ("2", EVENT, 440)) == "12"


def test_the_same_digit_from_another_way_after_the_window_is_another_press():
    assert accepted(("1", INBAND, 0), ("1", INFO, WINDOW_MS)) == "1"
    assert accepted(("1", INBAND, 0), ("1", INFO, WINDOW_MS + 1)) == "11"


def test_a_press_that_one_way_missed_is_not_lost():
    assert accepted(("1", INBAND, 360), ("1", INFO, 500), ("1", INFO, 800)) == "11"


@given(
    st.lists(st.tuples(st.sampled_from(KEYS), st.integers(90, 3000)), max_size=20),
    st.dictionaries(st.sampled_from(list(DigitSource)), st.lists(st.integers(0, 900), min_size=20, max_size=20),
                    min_size=1),
)  # fmt: skip
def test_every_press_counts_once_in_order_however_late_each_way_tells_it(presses, ways):
    told, at = [], 0
    latest = dict.fromkeys(ways, 0)
    for n, (digit, gap) in enumerate(presses):
        at += gap
        for source, delays in ways.items():
            latest[source] = max(latest[source] + 1, at + delays[n])  # a way keeps its order
            told.append((latest[source], source, digit))
    told.sort()  # as they arrive
    assert accepted(*((digit, source, at) for at, source, digit in told)) == "".join(digit for digit, _ in presses)


@given(st.lists(st.tuples(st.sampled_from("12"), st.sampled_from(list(DigitSource)), st.integers(0, 5000))))
def test_whatever_is_told_each_way_alone_is_never_counted_less_than_the_best_of_them_can_tell(told):
    """No press of the best way is lost unless another way told the same digit before it."""
    merger = DigitMerger()
    counted = [item for item in told if merger.accept(item[0], source=item[1], offset_ms=item[2])]
    best = max((source for _, source, _ in told), default=None)
    of_best = [item for item in told if item[1] is best]
    others = [item for item in counted if item[1] is not best]
    assert len([item for item in counted if item[1] is best]) >= len(of_best) - len(others)
