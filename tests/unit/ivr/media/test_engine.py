"""One call over real loopback sockets, the engine's ticks fed with time: what is recorded, played and told.

A datagram on loopback is readable once sent.
"""

import numpy as np
import pytest
from engine_rig import DELAY_FRAMES, FRAME, Ear, Rig, finish

from hotline.errors import InvalidInputError
from ivr.media import g711
from ivr.media.types import Codec


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


def test_a_tap_that_wants_to_know_is_told_what_its_party_is_played(rig):
    class Hearing(Ear):
        def hear(self, pcm):
            self.heard.append((len(self.tapped), pcm))

    phone, ear = rig.phone(), Hearing()
    ear.heard = []
    call = rig.engine.open(listener=ear, remote=phone.remote, sink=ear, tap=ear)
    call.play(np.full(10 * FRAME, 1000, np.int16), token=1)
    rig.talk(call, phone, 60)
    assert len(ear.heard) >= 5
    for block, pcm in ear.heard:
        assert pcm == ear.blocks[block][:, 1].tobytes()
        assert len(pcm) == len(ear.tapped[block])


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
