"""`script`: (who sends, sequence, SSRC) -> what the latch makes of it; who is locked in the end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.media.latch import LEARN_PACKETS, MAX_CANDIDATES, TAKEOVER_S, Latch
from ivr.media.types import RtpAddress

NAMED = ("192.0.2.1", 4000)
NAT = ("192.0.2.9", 5000)
ATTACKER = ("198.51.100.10", 6000)
REFUSED, LEARNING = None, 0


class Script:
    """Feeds packets as the receiver does: those of the locked source do not come by."""

    def __init__(self, address=NAMED):
        self.latch = Latch(RtpAddress(*address))

    def send(self, source, sequence, *, ssrc=1, silent_s=0.0):
        """How many datagrams are heard, None where it is refused."""
        if source == self.latch.source:
            return 1
        heard = self.latch.learn(
            source, f"{source} {sequence}".encode(), ssrc=ssrc, sequence=sequence, silent_s=silent_s
        )
        return None if heard is None else len(heard)

    def lock(self, source):
        for sequence in range(LEARN_PACKETS):
            self.send(source, sequence)
        assert self.latch.source == source


@pytest.fixture
def script():
    return Script()


def test_before_any_packet_the_named_address_is_answered(script):
    assert script.latch.destination == NAMED
    assert script.latch.source is None


def test_the_named_address_is_heard_with_its_first_packet(script):
    assert script.send(NAMED, 7) == 1
    assert script.latch.source == script.latch.destination == NAMED


def test_another_source_is_heard_whole_once_it_is_a_stream(script):
    assert [script.send(NAT, sequence) for sequence in (65534, 65535, 0)] == [LEARNING, LEARNING, 3]
    assert script.latch.destination == NAT
    script = Script()
    script.send(NAT, 1)
    script.send(NAT, 2)
    assert script.latch.learn(NAT, b"newest", ssrc=1, sequence=3, silent_s=0)[0] == b"newest"


@pytest.mark.parametrize(
    ("packets", "locked"),
    [
        # two packets of a stranger, then the named address: it is preferred
        ([(ATTACKER, 1, 1), (ATTACKER, 2, 1), (NAMED, 9, 2), (ATTACKER, 3, 1)], NAMED),
        # a spray of unrelated packets is no stream
        ([(ATTACKER, 10, 1), (ATTACKER, 5000, 1), (ATTACKER, 77, 1), (ATTACKER, 30000, 1)], None),
        ([(ATTACKER, 1, 1), (ATTACKER, 2, 2), (ATTACKER, 3, 3), (ATTACKER, 4, 4)], None),
        # the same packet again and again
        ([(ATTACKER, 1, 1)] * 5, None),
        # from many ports, one packet each
        ([(("198.51.100.10", port), port, 1) for port in range(6000, 6009)], None),
        # strangers in between do not keep a phone behind NAT from being learned
        ([(NAT, 1, 1), (ATTACKER, 1, 2), (NAT, 2, 1), (ATTACKER, 9, 3), (NAT, 3, 1)], NAT),
        # nor does loss on its way
        ([(NAT, 1, 1), (NAT, 4, 1), (NAT, 5, 1)], NAT),
    ],
)
def test_who_is_locked_while_the_source_is_learned(script, packets, locked):
    for source, sequence, ssrc in packets:
        script.send(source, sequence, ssrc=ssrc)
    assert script.latch.source == locked
    assert script.latch.destination == (locked or NAMED)


def test_locked_leg_hears_no_other_source(script):
    script.lock(NAT)
    for source in (ATTACKER, NAMED):
        assert [script.send(source, sequence, silent_s=TAKEOVER_S - 0.01) for sequence in range(9)] == [REFUSED] * 9
    assert script.latch.destination == NAT


def test_stream_takes_over_after_silence_and_a_single_packet_does_not(script):
    script.lock(NAT)
    assert script.send(ATTACKER, 5, silent_s=TAKEOVER_S) == LEARNING
    assert script.latch.destination == NAT
    assert script.send(ATTACKER, 6, silent_s=TAKEOVER_S + 0.02) == LEARNING
    assert script.send(ATTACKER, 7, silent_s=TAKEOVER_S + 0.04) == 3
    assert script.latch.destination == ATTACKER


def test_packets_from_two_silences_do_not_add_up(script):
    script.lock(NAT)
    script.send(ATTACKER, 5, silent_s=TAKEOVER_S + 1)
    script.send(ATTACKER, 6, silent_s=TAKEOVER_S + 1.02)
    assert script.send(ATTACKER, 7, silent_s=TAKEOVER_S) == LEARNING  # the source had spoken in between
    assert script.latch.source == NAT


def test_named_address_comes_back_at_once_after_silence(script):
    script.lock(NAT)
    assert script.send(NAMED, 5, silent_s=TAKEOVER_S) == 1
    assert script.latch.source == NAMED


def test_moved_leg_is_not_pulled_back_by_packets_still_on_their_way(script):
    script.lock(NAT)
    script.latch.move(RtpAddress(*ATTACKER))
    assert script.latch.destination == ATTACKER
    assert [script.send(NAT, sequence) for sequence in range(5)] == [REFUSED] * 5
    assert script.send(ATTACKER, 0) == 1
    script.latch.move(RtpAddress(*NAT))
    assert script.send(NAT, 9) == 1


def test_move_to_the_source_in_use_keeps_it(script):
    script.lock(NAT)
    script.latch.move(RtpAddress(*NAT))
    assert script.latch.source == NAT


def test_session_refresh_keeps_what_was_learned(script):
    script.lock(NAT)
    script.latch.move(RtpAddress(*NAMED))
    assert script.latch.source == script.latch.destination == NAT


def test_ipv6_address_is_the_same_however_it_is_written():
    script = Script(("2001:DB8:0::1", 4000))
    assert script.send(("2001:db8::1", 4000, 0, 0), 1) == 1


def test_leg_without_an_address_sends_nowhere_until_it_is_named():
    latch = Latch(None)
    assert latch.destination is None
    latch.move(RtpAddress(*NAMED))
    assert latch.destination == NAMED


@given(st.lists(st.tuples(st.integers(6000, 6000 + 3 * MAX_CANDIDATES), st.integers(0, 65535), st.integers(0, 3))))
def test_whatever_strangers_send_few_are_remembered_and_the_named_address_gets_through(packets):
    script = Script()
    for port, sequence, ssrc in packets:
        script.send(("198.51.100.10", port), sequence, ssrc=ssrc)
        assert len(script.latch._candidates) <= MAX_CANDIDATES
    if script.latch.source is None:
        assert script.send(NAMED, 1) == 1
