"""Whom the engine hears and where it answers to, over real loopback sockets."""

import numpy as np
import pytest
from engine_rig import DELAY_FRAMES, FRAME, Rig, finish

from ivr.media.types import Codec


@pytest.fixture
def rig():
    rig = Rig()
    yield rig
    rig.close()


def test_we_answer_where_the_packets_come_from_once_they_are_a_stream(rig):
    named, real = rig.phone(), rig.phone()
    call, ear = rig.open(named)
    rig.tick(2)
    assert len(named.received()) == 2
    rig.talk(call, real, 5)
    assert len(real.received()) == 3
    assert len(named.received()) == 2
    named.send(call, named.packet(0))
    rig.tick(5)
    assert rig.engine.stats().foreign == 1
    finish(rig, call)
    assert np.array_equal(ear.left[5 * FRAME : 10 * FRAME], real.spoken(0, 5))
    assert not ear.left[10 * FRAME :].any()


def test_stranger_who_speaks_first_does_not_get_the_call(rig):
    phone, attacker = rig.phone(), rig.phone()
    call, ear = rig.open(phone)
    rig.tick()
    attacker.send(call, attacker.packet(0), attacker.packet(1))
    rig.tick()
    phone.send(call, phone.packet(0))
    attacker.send(call, attacker.packet(2), attacker.packet(3))
    rig.talk(call, phone, 5, first=1)
    assert attacker.received() == []
    finish(rig, call)
    assert np.array_equal(ear.left[(2 + DELAY_FRAMES) * FRAME :], phone.spoken(0, 6))


def test_session_refresh_does_not_forget_where_the_packets_come_from(rig):
    named, real = rig.phone(), rig.phone()
    call, _ = rig.open(named)
    rig.talk(call, real, 5)
    named.received()
    call.update(named.remote)
    rig.talk(call, real, 5, first=5)
    assert named.received() == []


def test_garbage_from_elsewhere_does_not_lock_the_call(rig):
    phone, attacker = rig.phone(), rig.phone()
    call, _ = rig.open(phone)
    rig.tick()
    attacker.send(call, b"\x80", attacker.packet(0, payload_type=96))
    rig.tick()
    assert attacker.received() == []
    assert rig.engine.stats().bad == 2


def test_new_source_takes_over_after_two_seconds_of_silence(rig):
    old, new = rig.phone(), rig.phone()
    call, _ = rig.open(old)
    rig.talk(call, old, 5)
    new.send(call, new.packet(0))
    rig.tick(90)
    assert rig.engine.stats().foreign == 1
    rig.tick(15)
    rig.talk(call, new, 4, first=1)
    assert len(new.received()) == 2


def test_re_invite_moves_the_call_to_another_address_and_codec(rig):
    old, new = rig.phone(), rig.phone(Codec.PCMU)
    call, ear = rig.open(old)
    rig.talk(call, old, 5)
    call.update(new.remote)
    old.send(call, old.packet(5))
    rig.tick()
    old.received()
    old.send(call, old.packet(6))
    rig.talk(call, new, 5)
    assert [packet.payload_type for packet in new.received()] == [0] * 6
    assert old.received() == []
    finish(rig, call)
    assert np.array_equal(ear.left[9 * FRAME :], new.spoken(0, 5))
