import numpy as np
import pytest

from ivr.media import tones
from ivr.media.digits import PAUSE_TICKS, DigitSender, EventPacket
from ivr.media.dtmf import DtmfReceiver, TelephoneEvent


def steps(sender, *, events, ticks=60):
    return [sender.step(tick * 160, events=events) for tick in range(ticks)]


@pytest.mark.parametrize("digits", ["5", "1#", "99", "0*A"])
def test_digits_as_events_are_read_as_they_were_pressed(digits):
    sender, receiver = DigitSender(), DtmfReceiver()
    sender.add(digits)
    packets = [step for step in steps(sender, events=True) if step is not None]
    told = [receiver.receive(packet.payload, ssrc=1, timestamp=packet.position) for packet in packets]
    assert "".join(digit for digit in told if digit) == digits
    assert [packet.marker for packet in packets].count(True) == len(digits)
    assert not sender


def test_event_has_one_timestamp_the_marker_first_and_three_ends():
    sender = DigitSender()
    sender.add("7")
    packets = [step for step in steps(sender, events=True) if isinstance(step, EventPacket)]
    assert {packet.position for packet in packets} == {0}
    assert packets[0].marker
    ends = [TelephoneEvent.parse(packet.payload).end for packet in packets]
    assert ends == [False] * (len(packets) - 3) + [True] * 3
    assert {TelephoneEvent.parse(packet.payload).duration for packet in packets[-4:]} == {800}


def test_audio_flows_between_two_digits():
    sender = DigitSender()
    sender.add("12")
    told = steps(sender, events=True)
    first = told.index(None)
    assert told[first : first + PAUSE_TICKS] == [None] * PAUSE_TICKS
    assert told[first + PAUSE_TICKS].marker


def test_without_events_digits_are_tones():
    sender = DigitSender()
    sender.add("3")
    frames = [step for step in steps(sender, events=False) if step is not None]
    assert np.array_equal(np.concatenate(frames), tones.dtmf("3", tone_ms=100, pause_ms=0))
