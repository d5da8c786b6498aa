import random
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.g711 import Law, decode
from demo.rtp import Receiver, Sender


def sender(law: Law = Law.PCMA, events: int | None = 101) -> Sender:
    return Sender(law, events=events, generator=random.Random(1))


def fields(packet: bytes) -> tuple[int, bool, int, int, bytes]:
    _, kind, sequence, timestamp, _ = struct.unpack_from("!BBHII", packet)
    return kind & 0x7F, bool(kind & 0x80), sequence, timestamp, packet[12:]


def test_audio_goes_out_as_the_bytes_it_was_given_and_silence_fills_the_rest() -> None:
    phone = sender()
    audio = bytes(range(200))
    phone.say(audio)
    packets = [phone.next_packet() for _ in range(3)]
    payload = b"".join(fields(packet)[4] for packet in packets)
    assert payload == audio + bytes([0xD5]) * 280
    assert (phone.sent() == decode(payload, Law.PCMA)).all()
    assert phone.idle


def test_sequence_and_timestamp_go_on_without_a_gap() -> None:
    phone = sender()
    read = [fields(phone.next_packet()) for _ in range(5)]
    assert [(item[2] - read[0][2], item[3] - read[0][3]) for item in read] == [(i, 160 * i) for i in range(5)]
    assert [item[1] for item in read] == [True, False, False, False, False]


def test_a_digit_is_an_event_with_three_end_packets() -> None:
    phone = sender()
    phone.next_packet()
    assert phone.press("#")
    read = [fields(phone.next_packet()) for _ in range(10)]
    assert {item[0] for item in read} == {101}
    assert len({item[3] for item in read}) == 1, "one timestamp for the whole event"
    assert [item[1] for item in read] == [True] + [False] * 9
    events = [struct.unpack("!BBH", item[4]) for item in read]
    assert {event[0] for event in events} == {11}
    assert [event[1] >> 7 for event in events] == [0] * 7 + [1] * 3
    assert [event[2] for event in events] == [160 * i for i in (1, 2, 3, 4, 5, 6, 7, 8, 8, 8)]
    after = fields(phone.next_packet())
    assert after[3] - read[0][3] == 1600, "time went on while the key was down"
    assert after[1], "a new talk spurt is marked"


def test_a_far_end_without_events_gets_no_digit() -> None:
    phone = sender(events=None)
    assert not phone.press("1")
    assert phone.idle


def test_a_digit_goes_before_waiting_audio_and_counts_as_silence() -> None:
    phone = sender()
    phone.say(bytes([1]) * 160)
    phone.press("5")
    for _ in range(11):
        phone.next_packet()
    sent = phone.sent()
    assert (np.abs(sent[:1600]) == 8).all()
    assert (sent[1600:] == decode(bytes([1]), Law.PCMA)[0]).all()


def test_time_runs_on_while_nothing_is_sent() -> None:
    phone = sender()
    before = fields(phone.next_packet())
    phone.skip()
    phone.skip()
    after = fields(phone.next_packet())
    assert after[3] - before[3] == 480
    assert after[2] - before[2] == 1
    assert after[1], "marked as a new talk spurt"
    assert len(phone.sent()) == 640


def packets_of(count: int) -> list[bytes]:
    phone = sender()
    phone.say(np.random.default_rng(3).integers(0, 256, 160 * count, np.uint8).tobytes())
    return [phone.next_packet() for _ in range(count)]


@given(st.permutations(range(1, 12)))
def test_order_does_not_change_what_is_heard(order: list[int]) -> None:
    packets = packets_of(12)
    straight, mixed = Receiver(Law.PCMA), Receiver(Law.PCMA)
    for index, packet in enumerate(packets):
        straight.push(packet, index * 0.02)
    for index in [0, *order]:
        mixed.push(packets[index], index * 0.02)
    assert (mixed.audio() == straight.audio()).all()
    assert mixed.stats().lost == 0
    assert mixed.stats().received == 12


def test_lost_and_doubled_packets_are_counted_and_leave_their_place_empty() -> None:
    receiver = Receiver(Law.PCMA)
    packets = packets_of(10)
    for index, packet in enumerate(packets):
        if index not in (3, 4):
            receiver.push(packet, index * 0.02)
    receiver.push(packets[9], 0.2)
    stats = receiver.stats()
    assert (stats.received, stats.lost, stats.reordered) == (8, 2, 1)
    heard = receiver.audio()
    assert len(heard) == 1600
    assert (heard[480:800] == 0).all()
    assert (heard[800:960] == decode(packets[5][12:], Law.PCMA)).all()


def test_sequence_numbers_may_wrap() -> None:
    receiver = Receiver(Law.PCMU)
    for step in range(4):
        header = struct.pack("!BBHII", 0x80, 0, (65534 + step) & 0xFFFF, (2**32 - 160 + 160 * step) & 0xFFFFFFFF, 7)
        receiver.push(header + bytes([step]) * 160, step * 0.02)
    assert receiver.stats().lost == 0
    assert (receiver.audio()[::160] == decode(bytes(range(4)), Law.PCMU)).all()


def test_even_packets_have_no_jitter_and_uneven_ones_have() -> None:
    even, uneven = Receiver(Law.PCMA), Receiver(Law.PCMA)
    for index, packet in enumerate(packets_of(20)):
        even.push(packet, index * 0.02)
        uneven.push(packet, index * 0.02 + (0.01 if index % 2 else 0.0))
    assert even.stats().jitter_ms == pytest.approx(0, abs=0.01)
    assert uneven.stats().jitter_ms > 3


@given(st.binary(max_size=40))
def test_foreign_packets_are_dropped(data: bytes) -> None:
    receiver = Receiver(Law.PCMA)
    receiver.push(packets_of(1)[0], 0.0)
    receiver.push(data, 0.02)
    assert len(receiver.audio()) <= 4 * 8000 * 3600
    receiver.push(packets_of(2)[1], 0.04)
    assert receiver.stats().received >= 2
