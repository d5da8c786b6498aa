"""RFC 4028: what is agreed, who refreshes, and when a session is over."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.sip.session_timer import (
    Negotiation,
    Refresher,
    SessionExpires,
    SessionPolicy,
    SessionTimer,
    Terms,
    TimerAction,
    TimerState,
    TooBrief,
    agreed,
    negotiate,
)

POLICY = SessionPolicy(interval_s=1800, min_s=90)
UAC, UAS = Refresher.UAC, Refresher.UAS


@pytest.mark.parametrize(
    ("value", "expires"),
    [
        ("1800", SessionExpires(1800)),
        (" 90 ; x=1;Refresher=UAC ", SessionExpires(90, UAC)),
        ("90;refresher=uas", SessionExpires(90, UAS)),
        ("90;refresher=both", SessionExpires(90)),
        ("999999999", SessionExpires(86400)),
        ("0", None),
        ("-5", None),
        ("soon", None),
        ("", None),
    ],
)
def test_session_expires_is_read(value: str, expires: SessionExpires | None) -> None:
    assert SessionExpires.parse(value) == expires


@given(st.integers(1, 86400), st.sampled_from([None, UAC, UAS]))
def test_session_expires_survives_the_header(interval: int, refresher: Refresher | None) -> None:
    expires = SessionExpires(interval, refresher)
    assert SessionExpires.parse(expires.serialize()) == expires


@pytest.mark.parametrize(
    ("supported", "asked", "answered"),
    [  # RFC 4028 table 2
        (False, None, UAS),
        (False, UAC, UAS),
        (True, None, UAC),
        (True, UAC, UAC),
        (True, UAS, UAS),
    ],
)
def test_who_refreshes(supported: bool, asked: Refresher | None, answered: Refresher) -> None:
    found = negotiate(POLICY, supported=supported, expires=SessionExpires(600, asked))
    assert found == Negotiation(
        Terms(600, we_refresh=answered is UAS), SessionExpires(600, answered), require=answered is UAC
    )


def test_without_a_wish_ours_holds_but_for_the_least_the_far_end_bears() -> None:
    for least, interval in ((90, 1800), (3600, 3600)):
        found = negotiate(POLICY, supported=True, expires=None, min_s=least)
        assert isinstance(found, Negotiation)
        assert found.expires.interval_s == interval


def test_a_brief_session_is_refused_to_those_who_understand_and_raised_for_the_others() -> None:
    assert negotiate(POLICY, supported=True, expires=SessionExpires(60)) == TooBrief(90)
    found = negotiate(POLICY, supported=False, expires=SessionExpires(60))
    assert isinstance(found, Negotiation)
    assert found.terms == Terms(90, we_refresh=True)


def test_what_an_answer_to_our_request_means() -> None:
    assert agreed(None) is None
    assert agreed(SessionExpires(90)) == agreed(SessionExpires(90, UAC)) == Terms(90, we_refresh=True)
    assert agreed(SessionExpires(90, UAS)) == Terms(90, we_refresh=False)


def test_the_refresher_refreshes_at_half_time_and_again() -> None:
    timer = SessionTimer().on_agreed(Terms(100, we_refresh=True), 1000.0)
    assert timer.deadline == 1050.0
    assert timer.on_time(1049.9) == (timer, None)
    timer, action = timer.on_time(1050.0)
    assert (timer.state, action, timer.deadline) == (TimerState.REFRESHING, TimerAction.REFRESH, 1100.0)
    timer = timer.on_agreed(Terms(100, we_refresh=True), 1050.2)
    assert (timer.state, timer.deadline) == (TimerState.REFRESHER, 1100.2)


def test_a_refused_refresh_is_tried_again_while_the_session_lasts() -> None:
    timer, _ = SessionTimer().on_agreed(Terms(100, we_refresh=True), 0.0).on_time(50.0)
    timer = timer.on_refresh_failed(51.0, retry_s=5.0)
    assert timer.deadline == 56.0
    timer, action = timer.on_time(56.0)
    assert action is TimerAction.REFRESH
    timer = timer.on_refresh_failed(98.0, retry_s=5.0)
    assert timer.deadline == 100.0
    timer, action = timer.on_time(100.0)
    assert (timer.state, action) == (TimerState.EXPIRED, TimerAction.HANG_UP)


def test_an_unanswered_refresh_ends_the_session() -> None:
    timer, _ = SessionTimer().on_agreed(Terms(100, we_refresh=True), 0.0).on_time(50.0)
    assert timer.on_time(100.0)[1] is TimerAction.HANG_UP


@pytest.mark.parametrize(("interval", "end"), [(1800, 1768.0), (90, 60.0)])
def test_the_watcher_hangs_up_a_little_before_the_end(interval: int, end: float) -> None:
    timer = SessionTimer().on_agreed(Terms(interval, we_refresh=False), 0.0)
    assert timer.deadline == end
    assert timer.on_refresh_failed(1.0, retry_s=1.0) == timer
    assert timer.on_time(end)[1] is TimerAction.HANG_UP


def test_an_answer_without_a_timer_stops_it() -> None:
    timer = SessionTimer().on_agreed(Terms(100, we_refresh=True), 0.0).on_agreed(None, 10.0)
    assert (timer.state, timer.deadline) == (TimerState.OFF, None)


EVENTS = st.one_of(
    st.none(),
    st.builds(Terms, st.integers(1, 3600), we_refresh=st.booleans()),
    st.sampled_from(["time", "failed"]),
)


@given(st.lists(st.tuples(st.floats(0, 2000), EVENTS), max_size=30))
def test_it_hangs_up_at_most_once_and_always_knows_its_next_deadline(steps: list[tuple[float, object]]) -> None:
    timer, now, ends = SessionTimer(), 0.0, 0
    for after, event in steps:
        now += after
        if event == "failed":
            timer = timer.on_refresh_failed(now, retry_s=5.0)
        elif event == "time":
            timer, action = timer.on_time(now)
            ends += action is TimerAction.HANG_UP
        else:
            timer = timer.on_agreed(event if isinstance(event, Terms) else None, now)
        assert (timer.deadline is None) == (timer.state in (TimerState.OFF, TimerState.EXPIRED))
    assert ends <= 1
