import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.errors import ProtocolError
from ivr.media.dtmf import DIGITS, MAX_DURATION, DtmfReceiver, TelephoneEvent, event_payloads

KEYS = st.sampled_from(DIGITS)


def packets(digits, *, duration_ms=160):
    """(timestamp, payload) of digits pressed one after another."""
    return [
        (1000 + 4000 * count, payload)
        for count, digit in enumerate(digits)
        for _, payload in event_payloads(digit, duration_ms=duration_ms)
    ]


def heard(sent, receiver=None):
    receiver = receiver or DtmfReceiver()
    told = (receiver.receive(payload, ssrc=7, timestamp=timestamp) for timestamp, payload in sent)
    return "".join(digit for digit in told if digit)


@given(st.lists(KEYS, max_size=12).map("".join))
def test_each_press_is_told_once(digits):
    assert heard(packets(digits)) == digits


@given(KEYS, st.data())
def test_any_one_packet_of_a_press_is_enough(digit, data):
    sent = packets(digit)
    kept = data.draw(st.lists(st.sampled_from(sent), min_size=1, max_size=20))
    assert heard(kept) == digit


@given(st.lists(KEYS, min_size=1, max_size=6).map("".join), st.data())
def test_packets_in_any_order_and_twice_still_tell_each_press_once(digits, data):
    sent = packets(digits)
    assert sorted(heard(data.draw(st.permutations(sent + sent)))) == sorted(digits)


def test_late_end_of_a_press_does_not_repeat_it_after_the_next():
    first, second = packets("5"), [(9000, payload) for _, payload in packets("5")]
    assert heard([*first[:-2], *second, *first[-2:], *second]) == "55"


def test_key_held_beyond_the_largest_duration_is_one_press():
    update = TelephoneEvent(event=3, end=False, volume=10, duration=MAX_DURATION).serialize()
    end = TelephoneEvent(event=3, end=True, volume=10, duration=160).serialize()
    start = 0xFFFFF000
    second, third = (start + MAX_DURATION) & 0xFFFFFFFF, (start + 2 * MAX_DURATION) & 0xFFFFFFFF
    assert heard([(start, update), (start, update), (second, update), (third, end), (third, end)]) == "3"


def test_same_key_after_its_end_is_a_new_press_even_at_the_largest_distance():
    end = TelephoneEvent(event=3, end=True, volume=10, duration=MAX_DURATION).serialize()
    assert heard([(0, end), (MAX_DURATION, end)]) == "33"


def test_a_new_stream_may_use_an_old_timestamp():
    receiver = DtmfReceiver()
    payload = next(event_payloads("1"))[1]
    assert receiver.receive(payload, ssrc=1, timestamp=5) == "1"
    assert receiver.receive(payload, ssrc=2, timestamp=5) == "1"


def test_events_that_are_no_keys_are_not_digits():
    flash = TelephoneEvent(event=16, end=True, volume=0, duration=800)
    assert DtmfReceiver().receive(flash.serialize(), ssrc=1, timestamp=0) is None


@given(st.binary(max_size=3))
def test_short_payload_is_a_protocol_error(payload):
    with pytest.raises(ProtocolError):
        DtmfReceiver().receive(payload, ssrc=1, timestamp=0)


@given(st.lists(st.tuples(st.integers(0, 0xFFFFFFFF), st.binary(min_size=4, max_size=8)), max_size=60))
def test_garbage_tells_at_most_one_digit_a_packet(sent):
    assert len(heard(sent)) <= len(sent)


@given(st.integers(0, 255), st.booleans(), st.integers(0, 63), st.integers(0, MAX_DURATION))
def test_event_survives_the_line(event, end, volume, duration):
    sent = TelephoneEvent(event=event, end=end, volume=volume, duration=duration)
    assert TelephoneEvent.parse(sent.serialize()) == sent


def test_sender_marks_the_first_packet_and_repeats_the_end():
    sent = [(marker, TelephoneEvent.parse(payload)) for marker, payload in event_payloads("#", duration_ms=60)]
    assert [marker for marker, _ in sent] == [True, False, False, False, False, False]
    assert [(event.digit, event.end, event.duration) for _, event in sent] == [
        ("#", False, 160),
        ("#", False, 320),
        ("#", False, 480),
        *[("#", True, 480)] * 3,
    ]


def test_no_key_cannot_be_sent():
    with pytest.raises(ValueError):
        list(event_payloads("x"))
