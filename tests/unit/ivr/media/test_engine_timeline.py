"""The timeline is wall time: hold, silence, stalls of ours and of the network."""

from dataclasses import replace

import numpy as np
import pytest
from engine_rig import DELAY_FRAMES, FRAME, Rig, finish


@pytest.fixture
def rig():
    rig = Rig()
    yield rig
    rig.close()


def test_hold_sends_nothing_and_keeps_the_timeline(rig):
    phone = rig.phone()
    call, ear = rig.open(phone)
    call.play(np.full(20 * FRAME, 5000, np.int16), token=1)
    rig.tick(5)
    call.update(replace(phone.remote, send=False))
    before = phone.received()
    rig.tick(10)
    assert phone.received() == []
    call.update(phone.remote)
    rig.tick(15)
    after = phone.received()
    assert after[0].marker
    assert (after[0].timestamp - before[-1].timestamp) & 0xFFFFFFFF == 11 * FRAME
    assert ("played", 1, True, 600) in ear.events
    finish(rig, call)
    speaking = ear.right.reshape(-1, FRAME).any(axis=1) & (np.abs(ear.right.reshape(-1, FRAME)).max(axis=1) > 100)
    assert speaking.tolist() == [True] * 5 + [False] * 10 + [True] * 15


@pytest.mark.parametrize("clock", ["stands still", "runs on"])
def test_every_word_after_a_hold_is_recorded(rig, clock):
    phone = rig.phone()
    call, ear = rig.open(phone)
    rig.talk(call, phone, 20)
    call.update(replace(phone.remote, send=False, receive=False))
    rig.tick(40)
    call.update(phone.remote)
    gap = 0 if clock == "stands still" else 40
    resumed = range(20, 50)
    packets = [phone.packet(number, timestamp=(number + gap) * FRAME) for number in resumed]
    rig.tick(30, before=lambda index: phone.send(call, packets[index]))
    finish(rig, call)
    heard = ear.left.reshape(-1, FRAME)
    assert heard[DELAY_FRAMES + 60 : DELAY_FRAMES + 90].ravel().tolist() == phone.spoken(20, 50).tolist()


def test_incoming_audio_is_ignored_while_we_do_not_receive(rig):
    phone = rig.phone()
    call, ear = rig.open(phone, receive=False)
    rig.talk(call, phone, 5)
    finish(rig, call)
    assert not ear.left.any()


def test_rtp_timeout_is_told_once_and_counts_from_the_last_valid_packet(rig):
    phone = rig.phone()
    call, ear = rig.open(phone)
    rig.tick(100)
    phone.send(call, phone.packet(0))
    rig.tick(20)
    phone.send(call, b"garbage")
    rig.tick(130)
    assert ear.events == []
    rig.tick(10)
    assert ear.events == [("timeout",)]
    rig.tick(200)
    assert ear.events == [("timeout",)]


def test_rtp_timeout_waits_while_held(rig):
    phone = rig.phone()
    call, ear = rig.open(phone)
    rig.tick(100)
    call.update(replace(phone.remote, send=False))
    rig.tick(300)
    call.update(phone.remote)
    rig.tick(140)
    assert ear.events == []
    rig.tick(20)
    assert ear.events == [("timeout",)]


def test_session_refresh_does_not_postpone_the_timeout(rig):
    phone = rig.phone()
    call, ear = rig.open(phone)
    for _ in range(4):
        rig.tick(40)
        call.update(phone.remote)
    assert ear.events == [("timeout",)]


def test_stall_keeps_the_recording_on_wall_time_and_does_not_burst(rig):
    phone = rig.phone()
    call, ear = rig.open(phone)
    call.play(np.full(200 * FRAME, 5000, np.int16), token=1)
    rig.talk(call, phone, 20)
    phone.received()
    for number in range(20, 70):  # the far end goes on while we stand still
        phone.send(call, phone.packet(number))
    rig.now += 1.001
    rig.talk(call, phone, 20, first=70)
    sent = phone.received()
    assert len(sent) == 20
    assert rig.engine.stats().ticks.skipped == 50
    assert sent[0].timestamp - sent[1].timestamp in (-FRAME, 0xFFFFFFFF + 1 - FRAME)
    finish(rig, call)
    assert np.array_equal(ear.left[DELAY_FRAMES * FRAME :], phone.spoken(0, 90))
    loud = np.abs(ear.right.reshape(-1, FRAME)).max(axis=1) > 100
    assert loud.tolist() == [True] * 20 + [False] * 50 + [True] * 20 + [False] * 3


def test_stall_longer_than_the_rings_leaves_silence_of_its_length(rig):
    phone = rig.phone()
    call, ear = rig.open(phone)
    rig.talk(call, phone, 20)
    rig.now += 20.001
    rig.talk(call, phone, 20, first=1020)
    finish(rig, call)
    assert len(ear.left) == (20 + 1000 + 20 + DELAY_FRAMES) * FRAME
    assert np.array_equal(ear.left[3 * FRAME : 23 * FRAME], phone.spoken(0, 20))
    assert np.array_equal(ear.left[1023 * FRAME :], phone.spoken(1020, 1040))
    assert not ear.left[23 * FRAME : 1023 * FRAME].any()


def test_network_that_stalls_and_catches_up_loses_nothing(rig):
    phone = rig.phone()
    call, ear = rig.open(phone)
    rig.talk(call, phone, 20)
    rig.tick(45)
    phone.send(call, *[phone.packet(number) for number in range(20, 65)])
    rig.talk(call, phone, 20, first=65)
    finish(rig, call)
    assert np.array_equal(ear.left[DELAY_FRAMES * FRAME :], phone.spoken(0, 85))
    assert b"".join(ear.tapped) == ear.left.tobytes()
    assert rig.engine.stats().packets.late > 0
    assert rig.engine.stats().packets.dropped == 0


def test_interrupted_stream_is_recorded_as_silence_while_the_call_goes_on(rig):
    phone = rig.phone()
    call, ear = rig.open(phone)
    rig.talk(call, phone, 20)
    rig.tick(200)
    assert 1000 <= call.offset_ms() - len(ear.left) // 8 <= 1200
    rig.talk(call, phone, 20, first=220)
    finish(rig, call)
    assert not ear.left[23 * FRAME : 223 * FRAME].any()
    assert np.array_equal(ear.left[223 * FRAME :], phone.spoken(220, 240))
