"""The engine over real loopback sockets, its ticks fed with time. A datagram on loopback is readable once sent.

Longer than most: every case shares the rig of one engine.
"""

import gc
import threading
import weakref
from dataclasses import replace

import numpy as np
import pytest
from engine_rig import DELAY_FRAMES, EVENTS, FRAME, Ear, Rig, finish
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hotline.errors import InvalidInputError, UnavailableError
from ivr.media import g711
from ivr.media.dtmf import event_payloads
from ivr.media.rtp import RtpExtension
from ivr.media.switchboard import DRAIN_ROUNDS
from ivr.media.types import Codec, RtpAddress


@pytest.fixture
def rig():
    rig = Rig()
    yield rig
    rig.close()


@pytest.mark.parametrize("codec", [Codec.PCMU, Codec.PCMA])
def test_recording_is_the_callers_packets_by_timestamp_and_what_we_sent(rig, codec):
    phone = rig.phone(codec)
    call, ear = rig.open(phone)
    rig.tick()
    prompt = (np.arange(10 * FRAME) * 37).astype(np.int16)
    call.play(prompt, token=1)
    rig.talk(call, phone, 30)
    finish(rig, call)
    sent = phone.received()
    start = (1 + DELAY_FRAMES) * FRAME
    assert np.array_equal(ear.left[start:], phone.spoken(0, 30))
    assert not ear.left[:start].any()
    heard = b"".join(packet.payload for packet in sent)
    assert np.array_equal(ear.right[: len(heard)], g711.decode(heard, codec=codec))
    assert np.array_equal(ear.right[FRAME : 11 * FRAME], g711.decode(g711.encode(prompt, codec=codec), codec=codec))
    assert b"".join(ear.tapped) == ear.left.tobytes()
    assert call.offset_ms() == len(ear.left) // 8


def test_blocks_are_small_and_behind_the_head(rig):
    phone = rig.phone()
    tapped, live = rig.open(phone)
    _, plain = rig.open(phone, tap=False)
    rig.talk(tapped, phone, 101)
    assert {len(block) for block in live.blocks[1:]} == {800}
    assert {len(block) for block in plain.blocks[1:]} == {1600}
    assert 200 <= tapped.offset_ms() - len(live.stereo) // 8 <= 300


def test_packets_follow_one_another_and_the_first_is_marked(rig):
    phone = rig.phone()
    call, _ = rig.open(phone)
    rig.tick(4)
    first, *rest = packets = phone.received()
    assert len(packets) == 4
    assert first.marker
    assert not any(packet.marker for packet in rest)
    for before, after in zip(packets, rest, strict=False):
        assert (after.sequence - before.sequence) & 0xFFFF == 1
        assert (after.timestamp - before.timestamp) & 0xFFFFFFFF == FRAME
        assert after.ssrc == before.ssrc
    assert {packet.payload for packet in packets} == {bytes([0xD5]) * FRAME}
    assert call.local_port % 2 == 0


def test_pieces_report_their_end_once_and_on_the_recordings_clock(rig):
    call, ear = rig.open(rig.phone())
    call.play(np.ones(FRAME + 1, np.int16), token=1)
    call.play(np.zeros(0, np.int16), token=2)
    call.play(np.ones(FRAME, np.int16), token=3)
    rig.tick(6)
    assert ear.events == [("played", 1, True, 40), ("played", 2, True, 60), ("played", 3, True, 60)]


def test_stopped_pieces_report_that_they_did_not_complete(rig):
    phone = rig.phone()
    call, ear = rig.open(phone)
    for token in (1, 2):
        call.play(np.full(10 * FRAME, 9999, np.int16), token=token)
    rig.tick(2)
    call.stop_playing()
    rig.tick(2)
    assert ear.events == [("played", 1, False, 40), ("played", 2, False, 40)]
    assert phone.received()[-1].payload == bytes([0xD5]) * FRAME
    call.play(np.ones(FRAME, np.int16), token=3)
    rig.tick()
    assert ear.events[2:] == [("played", 3, True, 100)]


def test_closing_reports_pieces_and_play_after_it_does_too(rig):
    call, ear = rig.open(rig.phone())
    call.play(np.ones(10 * FRAME, np.int16), token=1)
    rig.tick(2)
    call.close()
    call.close()
    call.stop_playing()
    call.play(np.ones(FRAME, np.int16), token=2)
    rig.tick(3)
    assert ear.events == [("played", 1, False, 40), ("played", 2, False, 40)]
    assert ear.closed == 1
    assert len(ear.left) == 2 * FRAME
    assert call.offset_ms() == 40


@pytest.mark.parametrize("samples", [np.zeros((5, 2), np.int16), np.zeros(5)])
def test_audio_of_the_wrong_shape_is_refused_where_it_is_given(rig, samples):
    call, _ = rig.open(rig.phone())
    with pytest.raises(InvalidInputError, match="mono int16"):
        call.play(samples, token=1)


def test_close_flushes_what_the_jitter_buffer_still_holds(rig):
    phone = rig.phone()
    call, ear = rig.open(phone)
    rig.tick()
    phone.send(call, *[phone.packet(number) for number in range(5)])
    finish(rig, call)
    assert np.array_equal(ear.left, np.concatenate([np.zeros(4 * FRAME, np.int16), phone.spoken(0, 5)]))
    assert not ear.right[FRAME:].any()


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


def test_digits_are_told_once_at_their_place_in_the_recording(rig):
    phone = rig.phone()
    call, ear = rig.open(phone)
    rig.talk(call, phone, 10)
    for count, (marker, payload) in enumerate(event_payloads("#")):
        event = phone.packet(10 + count, payload_type=EVENTS, timestamp=10 * FRAME, marker=marker, payload=payload)
        phone.send(call, event, event)
        rig.tick()
    assert [event for event in ear.events if event[0] == "digit"] == [("digit", "#", (10 + DELAY_FRAMES) * 20)]
    assert rig.engine.stats().packets.lost == 0


def test_digits_before_any_audio_are_told(rig):
    phone = rig.phone()
    call, ear = rig.open(phone)
    rig.tick(5)
    payload = next(event_payloads("7"))[1]
    phone.send(call, phone.packet(0, payload_type=EVENTS, payload=payload))
    rig.tick()
    assert ear.events == [("digit", "7", 100)]


def test_speech_is_told_where_it_is_and_closing_ends_it(rig):
    phone = rig.phone()
    call, ear = rig.open(phone)
    for number in range(120):
        payload = None if 20 <= number < 60 or number >= 100 else bytes([0xD5]) * FRAME
        phone.send(call, phone.packet(number, **({} if payload is None else {"payload": payload})))
        rig.tick()
    finish(rig, call)
    assert ear.events == [
        ("speech", 460),
        ("quiet", 1260),
        ("speech", 2060),
        ("quiet", len(ear.left) // 8),
    ]


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


def test_the_end_of_one_call_reads_no_more_of_another(rig):
    victim = rig.phone()
    flooded, _ = rig.open(victim)
    call, _ = rig.open(rig.phone())
    rig.tick()
    victim.send(flooded, *[b"flood"] * 100)
    finish(rig, call)
    assert rig.engine.stats().bad == DRAIN_ROUNDS


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
