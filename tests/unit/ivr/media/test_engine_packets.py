"""What the engine sends where a far end wants other packets than 20 ms, or digits."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from engine_rig import EVENTS, FRAME, Rig, finish

from hotline.errors import InvalidInputError
from ivr.media import g711, tones
from ivr.media.dtmf import DtmfReceiver
from ivr.media.mixer import Party, Role, mix_of
from ivr.media.types import Codec


@pytest.fixture
def rig():
    rig = Rig()
    yield rig
    rig.close()


def is_stream(packets):
    """Whether sequence numbers follow one another."""
    return all((b.sequence - a.sequence) & 0xFFFF == 1 for a, b in pairwise(packets))


@pytest.mark.parametrize("ptime_ms", [10, 30, 40, 50, 60])
def test_packets_are_as_long_as_the_far_end_wants_and_carry_the_same_audio(rig, ptime_ms):
    phone = rig.phone()
    call, ear = rig.open(phone, ptime_ms=ptime_ms)
    prompt = (np.arange(30 * FRAME) * 37).astype(np.int16)
    call.play(prompt, token=1)
    rig.tick(30)
    packets = phone.received()
    assert {len(packet.payload) for packet in packets} == {ptime_ms * 8}
    assert is_stream(packets)
    assert [packet.marker for packet in packets] == [True] + [False] * (len(packets) - 1)
    assert {(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in pairwise(packets)} == {ptime_ms * 8}
    audio = b"".join(packet.payload for packet in packets)
    assert audio == g711.encode(prompt, codec=Codec.PCMA)[: len(audio)]
    finish(rig, call)
    assert np.array_equal(ear.right, g711.decode(g711.encode(prompt, codec=Codec.PCMA), codec=Codec.PCMA))


@pytest.mark.parametrize("ptime_ms", [10, 30])
def test_sequence_numbers_of_any_packets_wrap(rig, monkeypatch, ptime_ms):
    monkeypatch.setattr("ivr.media.sender.os.urandom", lambda size: b"\xff" * size)
    phone = rig.phone()
    call, _ = rig.open(phone, ptime_ms=ptime_ms)
    rig.tick(3)
    call.send_digits("1")
    rig.tick(12)
    packets = phone.received()
    assert is_stream(packets)
    assert {packets[0].sequence, packets[-1].sequence} <= {*range(64)}


@pytest.mark.parametrize("ptime_ms", [10, 30, 60])
def test_packets_of_any_length_are_recorded_and_mixed_whole(rig, ptime_ms):
    phone, seat = rig.phone(), rig.phone()
    call, ear = rig.open(phone)
    leg = call.add_leg("seat", listener=ear, remote=seat.remote)
    call.set_mix(mix_of({"caller": Party(Role.CALLER), "seat": Party(Role.SEAT)}))
    size, sent = ptime_ms * 8, 0
    octet = g711.encode(np.array([5000], np.int16), codec=Codec.PCMA)
    for tick in range(1, 51):
        while (sent + 1) * size <= tick * FRAME:
            seat.send(leg, seat.packet(sent, timestamp=sent * size, payload=octet * size))
            sent += 1
        rig.tick()
    heard = g711.decode(b"".join(packet.payload for packet in phone.received()), codec=Codec.PCMA)
    level = g711.decode(octet, codec=Codec.PCMA)[0]
    assert (heard[12 * FRAME :] == level).all()
    finish(rig, call)
    assert (ear.right[8 * FRAME : 50 * FRAME] == level + 8).all()


def test_codec_or_length_may_change_within_a_call(rig):
    phone = rig.phone()
    call, _ = rig.open(phone, ptime_ms=30)
    rig.tick(4)
    call.update(replace(phone.remote, ptime_ms=20))
    rig.tick(3)
    packets = phone.received()
    assert [len(packet.payload) for packet in packets] == [240, 240, 160, 160, 160]
    assert is_stream(packets)


@pytest.mark.parametrize("ptime_ms", [20, 30])
def test_digits_are_events_under_one_timestamp_with_no_audio_meanwhile(rig, ptime_ms):
    phone = rig.phone()
    call, ear = rig.open(phone, ptime_ms=ptime_ms)
    call.play(np.full(40 * FRAME, 5000, np.int16), token=1)
    rig.tick(3)
    call.send_digits("4#")
    rig.tick(60)
    packets = phone.received()
    assert is_stream(packets)
    events = [packet for packet in packets if packet.payload_type == EVENTS]
    receiver = DtmfReceiver()
    told = [receiver.receive(packet.payload, ssrc=packet.ssrc, timestamp=packet.timestamp) for packet in events]
    assert [digit for digit in told if digit] == ["4", "#"]
    assert len({packet.timestamp for packet in events}) == 2
    first = packets.index(events[0])
    assert packets[first : first + 8] == events[:8]
    assert events[0].marker
    assert ("played", 1, True, (40 + 16) * 20) in ear.events  # the prompt waited and was heard whole
    finish(rig, call)
    loud = np.abs(ear.right.reshape(-1, FRAME)).max(axis=1) > 100
    assert loud.tolist() == [True] * 3 + [False] * 8 + [True] * 5 + [False] * 8 + [True] * 32 + [False] * 7


def test_digits_are_tones_where_the_far_end_takes_no_events(rig):
    phone = rig.phone()
    call, _ = rig.open(phone, telephone_event=None)
    rig.tick()
    phone.received()
    call.send_digits("8")
    rig.tick(8)
    audio = b"".join(packet.payload for packet in phone.received())
    tone = tones.dtmf("8", tone_ms=100, pause_ms=0)
    assert audio[: len(tone)] == g711.encode(tone, codec=Codec.PCMA)
    assert set(audio[len(tone) :]) == {0xD5}


def test_digits_wait_while_the_far_end_holds_us(rig):
    phone = rig.phone()
    call, _ = rig.open(phone, send=False)
    call.send_digits("1")
    rig.tick(10)
    assert phone.received() == []
    call.update(phone.remote)
    rig.tick(3)
    assert [packet.payload_type for packet in phone.received()] == [EVENTS] * 3


@pytest.mark.parametrize("digits", ["", "12x", "１"])
def test_what_is_no_key_is_refused_where_it_is_given(rig, digits):
    call, _ = rig.open(rig.phone())
    with pytest.raises(InvalidInputError, match="keys"):
        call.send_digits(digits)


def test_closing_within_a_digit_leaves_nothing_behind(rig):
    phone = rig.phone()
    call, _ = rig.open(phone, ptime_ms=60)
    call.send_digits("123")
    rig.tick(4)
    finish(rig, call)
    phone.received()
    again, _ = rig.open(phone)
    rig.tick(5)
    assert {len(packet.payload) for packet in phone.received()} == {160}
    finish(rig, again)
