"""Calls begin and end: slots, ports, commands, the thread."""

import gc
import threading
import weakref
from dataclasses import replace

import numpy as np
import pytest
from engine_rig import FRAME, Ear, Rig, finish

from hotline.errors import InvalidInputError, UnavailableError
from ivr.media.types import RtpAddress


@pytest.fixture
def rig():
    rig = Rig()
    yield rig
    rig.close()


def test_commands_that_take_long_leave_the_rest_to_the_next_tick(rig):
    phone = rig.phone()
    calls = [rig.open(phone, tap=False)[0] for _ in range(3)]
    for begun in (1, 2, 3):
        rig.engine.tick(rig.now, commands_s=0.0)
        rig.now += 0.02
        assert rig.engine.stats().calls == begun
    calls[0].close()
    calls[1].close()
    rig.engine.stop()
    assert rig.engine.stats().calls == 0


def test_call_that_is_over_is_freed_without_a_garbage_collection(rig):
    phone = rig.phone()
    call, ear = rig.open(phone)
    rig.talk(call, phone, 20)
    finish(rig, call)
    leg, room = weakref.ref(call), weakref.ref(call.room)
    gc.disable()
    try:
        del call
        assert leg() is None
        assert room() is None
    finally:
        gc.enable()
    assert ear.closed == 1


def test_slots_and_ports_run_out_with_a_clear_error_and_come_back(rig):
    phone = rig.phone()
    calls = [rig.open(phone)[0] for _ in range(4)]
    with pytest.raises(UnavailableError, match="slots"):
        rig.open(phone)
    finish(rig, calls[0])
    call, ear = rig.open(phone)
    rig.talk(call, phone, 3)
    finish(rig, call)
    assert np.array_equal(ear.left[3 * FRAME :], phone.spoken(0, 3))


def test_no_free_port_is_a_clear_error():
    rig = Rig(port_min=45990, port_max=45991)
    phone = rig.phone()
    rig.open(phone)
    with pytest.raises(UnavailableError, match="port"):
        rig.open(phone)
    rig.close()


def test_address_of_the_other_ip_version_is_refused(rig):
    phone = rig.phone()
    wrong = replace(phone.remote, address=RtpAddress("::1", 4000))
    with pytest.raises(InvalidInputError, match="IPv4"):
        rig.engine.open(listener=Ear(), remote=wrong, sink=Ear(), tap=None)
    call, _ = rig.open(phone)
    with pytest.raises(InvalidInputError, match="IPv4"):
        call.update(wrong)


def test_stopping_flushes_every_call_and_refuses_new_ones():
    rig = Rig()
    phone = rig.phone()
    call, ear = rig.open(phone)
    rig.talk(call, phone, 5)
    remote = phone.remote
    rig.close()
    rig.engine.stop()
    assert ear.closed == 1
    assert np.array_equal(ear.left[3 * FRAME :], phone.spoken(0, 5))
    with pytest.raises(UnavailableError, match="stopping"):
        rig.engine.open(listener=ear, remote=remote, sink=ear, tap=None)


def test_far_end_that_cannot_be_reached_is_counted(rig):
    call, ear = rig.open(rig.phone(), address=RtpAddress("255.255.255.255", 4000))
    rig.tick(3)
    assert rig.engine.stats().send_errors == 3
    finish(rig, call)
    assert len(ear.left) == 3 * FRAME


def test_the_thread_keeps_time_and_takes_commands_from_others():
    rig = Rig()
    phone = rig.phone()
    rig.engine.start()
    call, ear = rig.open(phone)
    done = threading.Event()
    ear.on_playback_ended = lambda *event: (ear.events.append(event), done.set())
    call.play(np.full(25 * FRAME, 1000, np.int16), token=9)
    assert done.wait(5)
    call.close()
    rig.engine.stop()
    [(token, completed, offset_ms)] = ear.events
    assert (token, completed) == (9, True)
    assert 25 * 20 <= offset_ms <= call.offset_ms()
    assert ear.closed == 1
    assert len(phone.received()) >= 25
    rig.close()
