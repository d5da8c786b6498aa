"""Packets that nobody asked for, and code of one call that fails: no other call is touched."""

import numpy as np
import pytest
from engine_rig import DELAY_FRAMES, EVENTS, FRAME, Rig, finish
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ivr.media.dtmf import event_payloads
from ivr.media.rtp import RtpExtension
from ivr.media.switchboard import DRAIN_ROUNDS


@pytest.fixture
def rig():
    rig = Rig()
    yield rig
    rig.close()


def test_unusual_but_valid_packets_are_recorded_sample_by_sample(rig):
    phone = rig.phone()
    call, ear = rig.open(phone)
    rig.tick()
    audio = phone.audio
    extension = RtpExtension(profile=0xBEDE, data=bytes(4))
    phone.send(
        call,
        phone.packet(0, extension=extension, padding=4),
        phone.packet(1, timestamp=160, payload=audio[160:400]),
        phone.packet(2, timestamp=400, payload=audio[400:480], csrc=(1, 2)),
        phone.packet(3, payload_type=13, payload=b"\x40"),
        phone.packet(4, timestamp=480, payload=audio[480:640], marker=True),
    )
    rig.tick()
    finish(rig, call)
    assert np.array_equal(ear.left[4 * FRAME :], phone.spoken(0, 4))
    assert rig.engine.stats().packets.received == 5
    assert rig.engine.stats().bad == 0


def test_hostile_packets_are_dropped_and_counted(rig):
    phone = rig.phone()
    call, ear = rig.open(phone)
    rig.talk(call, phone, 3)
    hostile = [
        b"",
        b"\x00",
        bytes(172),
        b"\xff" * 172,
        b"\x80\x08" + bytes(10),
        phone.packet(3, payload=bytes(1601)),
        phone.packet(3, payload_type=EVENTS, payload=b"\x01"),
        b"\x80\x08" + bytes(3000),
        phone.packet(3, payload_type=96),
    ]
    phone.send(call, *hostile)
    rig.tick(2)
    rig.talk(call, phone, 3, first=5)
    assert rig.engine.stats().bad == len(hostile)
    finish(rig, call)
    assert np.array_equal(ear.left[8 * FRAME : 11 * FRAME], phone.spoken(5, 8))
    assert rig.engine.stats().failures == 0


def test_any_datagrams_leave_the_call_alive_and_its_timeline_whole():
    rig = Rig()
    phone = rig.phone()
    call, ear = rig.open(phone)
    rig.talk(call, phone, 1)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.lists(st.binary(max_size=300) | st.binary(min_size=170, max_size=170).map(b"\x80\x08".__add__), max_size=6)
    )
    def fuzz(datagrams):
        phone.send(call, *datagrams)
        rig.tick()

    fuzz()
    elapsed = call.offset_ms()
    call.close()
    rig.tick()
    stats = rig.engine.stats()
    assert stats.failures == 0
    assert len(ear.left) // 8 >= elapsed
    assert len(phone.received()) * 20 == elapsed
    rig.close()


def test_flood_on_one_call_takes_nothing_from_another(rig):
    victim, phone = rig.phone(), rig.phone()
    flooded, _ = rig.open(victim)
    call, ear = rig.open(phone)
    for number in range(20):
        victim.send(flooded, *[b"flood"] * 30)
        phone.send(call, phone.packet(number))
        rig.tick()
    finish(rig, call)
    assert np.array_equal(ear.left[DELAY_FRAMES * FRAME :], phone.spoken(0, 20))


def test_the_end_of_one_call_reads_no_more_of_another(rig):
    victim = rig.phone()
    flooded, _ = rig.open(victim)
    call, _ = rig.open(rig.phone())
    rig.tick()
    victim.send(flooded, *[b"flood"] * 100)
    finish(rig, call)
    assert rig.engine.stats().bad == DRAIN_ROUNDS


@pytest.mark.parametrize("broken", ["write", "feed", "on_digit", "on_speech_started", "on_playback_ended"])
def test_call_whose_own_code_raises_ends_alone(rig, broken, caplog):
    phone, other = rig.phone(), rig.phone()
    call, ear = rig.open(phone)
    healthy, healthy_ear = rig.open(other)

    def fail(*_):
        raise RuntimeError("broken on purpose")

    setattr(ear, broken, fail)
    call.play(np.ones(FRAME, np.int16), token=1)
    rig.tick()
    phone.send(call, phone.packet(0, payload_type=EVENTS, payload=next(event_payloads("1"))[1]))
    for number in range(1, 41):
        phone.send(call, phone.packet(number))
        other.send(healthy, other.packet(number))
        rig.tick()
    assert ("timeout",) in ear.events
    assert ear.closed == 1
    assert rig.engine.stats().failures == 1
    assert rig.engine.stats().calls == 1
    finish(rig, healthy)
    assert np.array_equal(healthy_ear.left[4 * FRAME :], other.spoken(1, 41))
    assert "broken on purpose" in caplog.text
