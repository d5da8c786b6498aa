import pytest

from ivr.media.latch import TAKEOVER_S, Latch
from ivr.media.types import RtpAddress

NAMED = ("192.0.2.1", 4000)
OTHER = ("192.0.2.9", 5000)
THIRD = ("192.0.2.10", 6000)


@pytest.fixture
def latch():
    return Latch(RtpAddress(*NAMED))


def test_before_any_packet_the_named_address_is_answered(latch):
    assert latch.destination == NAMED


@pytest.mark.parametrize("source", [NAMED, OTHER])
def test_first_source_is_taken_and_answered(latch, source):
    assert latch.admits(source, silent_s=0)
    latch.lock(source)
    assert latch.destination == source


def test_locked_call_hears_no_other_source(latch):
    latch.lock(OTHER)
    assert latch.admits(OTHER, silent_s=0)
    assert not latch.admits(THIRD, silent_s=TAKEOVER_S - 0.01)
    assert not latch.admits(NAMED, silent_s=0)


def test_another_source_takes_over_after_silence(latch):
    latch.lock(OTHER)
    assert latch.admits(THIRD, silent_s=TAKEOVER_S)
    latch.lock(THIRD)
    assert latch.destination == THIRD
    assert not latch.admits(OTHER, silent_s=0)


def test_moved_call_is_not_pulled_back_by_packets_still_on_their_way(latch):
    latch.lock(OTHER)
    latch.move(RtpAddress(*THIRD))
    assert latch.destination == THIRD
    assert not latch.admits(OTHER, silent_s=0)
    assert latch.admits(THIRD, silent_s=0)
    latch.lock(THIRD)
    latch.move(RtpAddress(*OTHER))
    assert latch.admits(OTHER, silent_s=0)


def test_move_to_the_source_in_use_keeps_it(latch):
    latch.lock(OTHER)
    latch.move(RtpAddress(*OTHER))
    assert latch.source == OTHER
    assert not latch.admits(THIRD, silent_s=0)
