"""Codecs under payload types that are not their own."""

import pytest
from engine_rig import DELAY_FRAMES, FRAME, Rig, finish

from ivr.media.types import Codec


@pytest.fixture
def rig():
    opened = Rig()
    yield opened
    opened.close()


@pytest.mark.parametrize(("codec", "silence"), [(Codec.PCMA, 0xD5), (Codec.PCMU, 0xFF)])
def test_a_codec_is_spoken_under_the_payload_type_that_was_agreed(rig, codec, silence):
    phone = rig.phone(codec)
    call, ear = rig.open(phone, payload_type=96)
    rig.tick(5, before=lambda index: phone.send(call, phone.packet(index, payload_type=96)))
    finish(rig, call)
    delay = DELAY_FRAMES * FRAME
    assert (ear.left[delay : delay + 5 * FRAME] == phone.spoken(0, 5)).all()
    received = phone.received()
    assert {packet.payload_type for packet in received} == {96}
    assert received[0].marker
    assert received[-1].payload == bytes([silence]) * FRAME


def test_a_payload_type_that_was_not_agreed_is_not_heard(rig):
    phone = rig.phone()
    call, ear = rig.open(phone)
    rig.tick(5, before=lambda index: phone.send(call, phone.packet(index, payload_type=96)))
    finish(rig, call)
    assert not ear.left.any()
