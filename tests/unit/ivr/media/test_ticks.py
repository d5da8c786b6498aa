from hypothesis import given
from hypothesis import strategies as st

from ivr.media.ticks import CATCH_UP_S, TICK_S, TickClock


def test_ticks_on_time_are_numbered_in_turn():
    clock = TickClock()
    assert clock.deadline() is None
    for index in range(5):
        assert clock.advance(100 + index * TICK_S) == 0
        assert clock.index == index
    assert clock.stats().late == clock.stats().skipped == 0


def test_short_delay_is_made_up_for_and_counted():
    clock = TickClock()
    clock.advance(0)
    assert clock.advance(2 * TICK_S + 0.001) == 0
    assert clock.index == 1
    assert clock.advance(2 * TICK_S + 0.002) == 0
    assert clock.index == 2
    assert clock.stats().late == 1


def test_stall_skips_ticks_so_that_the_index_stays_wall_time():
    clock = TickClock()
    clock.advance(0)
    assert clock.advance(1.0 + TICK_S / 2) == 49
    assert clock.index == 50
    stats = clock.stats()
    assert (stats.ticks, stats.late, stats.skipped) == (2, 1, 49)
    assert stats.lateness_max_ms == 990


@given(st.lists(st.floats(0, 3), max_size=60))
def test_the_timeline_never_leaves_wall_time_by_more_than_the_catch_up(delays):
    clock, now = TickClock(), 50.0
    clock.advance(now)
    for delay in delays:
        now = max(now, clock.deadline()) + delay
        before = clock.index
        skipped = clock.advance(now)
        assert clock.index == before + 1 + skipped
        assert -1e-6 <= now - 50.0 - clock.index * TICK_S <= CATCH_UP_S + 1e-6
