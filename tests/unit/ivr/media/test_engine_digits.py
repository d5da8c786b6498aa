"""Digits told by RFC 4733, SIP INFO and tones in the audio, over real loopback sockets."""

import wave
from pathlib import Path

import numpy as np
import pytest
from engine_rig import DELAY_FRAMES, EVENTS, FRAME, Rig, finish

from hotline.errors import InvalidInputError
from ivr.media import g711, tones
from ivr.media.dtmf import event_payloads
from ivr.media.tone_listener import Inband
from ivr.media.types import Codec

CALLERS = sorted((Path(__file__).parents[4] / "demo/callers").glob("*.wav"))


@pytest.fixture
def rig():
    rig = Rig()
    yield rig
    rig.close()


@pytest.fixture
def open_rig():
    rigs = []

    def make(**changes):
        rigs.append(Rig(**changes))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.close()


def say(phone, samples):
    """The phone's audio from now on, silence after it."""
    silence = np.zeros(50 * FRAME, np.int16)
    phone.audio = g711.encode(np.concatenate([samples, silence]), codec=phone.codec)
    return len(phone.audio) // FRAME


def digits(ear):
    return [event[1] for event in ear.events if event[0] == "digit"]


@pytest.mark.parametrize("codec", [Codec.PCMU, Codec.PCMA])
def test_tones_are_digits_where_no_events_were_agreed(rig, codec):
    phone = rig.phone(codec)
    call, ear = rig.open(phone, telephone_event=None)
    rig.talk(call, phone, say(phone, tones.dtmf(tones.KEYPAD, tone_ms=60, pause_ms=60)))
    assert "".join(digits(ear)) == tones.KEYPAD


def test_a_tone_is_told_where_it_began_on_the_recordings_clock(rig):
    phone = rig.phone()
    call, ear = rig.open(phone, telephone_event=None)
    samples = np.concatenate([np.zeros(50 * FRAME, np.int16), tones.dtmf("5")])
    rig.talk(call, phone, say(phone, samples))
    [(_, digit, offset_ms)] = [event for event in ear.events if event[0] == "digit"]
    assert digit == "5"
    assert 0 <= offset_ms - (50 + DELAY_FRAMES) * 20 <= 20
    finish(rig, call)
    assert np.flatnonzero(np.abs(ear.left) > 1000)[0] // 8 // 20 == 50 + DELAY_FRAMES


@pytest.mark.parametrize(
    ("inband", "agreed", "heard"),
    [
        (Inband.OFF, None, False),
        (Inband.OFF, EVENTS, False),
        (Inband.AUTO, None, True),
        (Inband.AUTO, EVENTS, False),
        (Inband.ALWAYS, None, True),
        (Inband.ALWAYS, EVENTS, True),
    ],
)
def test_the_setting_says_where_tones_are_heard(open_rig, inband, agreed, heard):
    rig = open_rig(inband=inband)
    phone = rig.phone()
    call, ear = rig.open(phone, telephone_event=agreed)
    rig.talk(call, phone, say(phone, tones.dtmf("12#")))
    assert digits(ear) == (["1", "2", "#"] if heard else [])


def test_frames_lost_within_a_tone_do_not_make_it_two_presses(rig):
    phone = rig.phone(Codec.PCMU)
    call, ear = rig.open(phone, telephone_event=None)
    count = say(phone, np.concatenate([tones.dtmf("7", tone_ms=400), tones.dtmf("7", tone_ms=100)]))
    lost = {8, 9, 10}
    rig.tick(count, before=lambda n: n in lost or phone.send(call, phone.packet(n)))
    assert digits(ear) == ["7", "7"]


def test_silence_that_was_sent_parts_two_presses_where_as_much_loss_does_not(rig):
    phone = rig.phone(Codec.PCMU)  # mu-law has a zero, so its silence looks like loss
    call, ear = rig.open(phone, telephone_event=None)
    rig.talk(call, phone, say(phone, np.concatenate([tones.dtmf("7", pause_ms=60), tones.dtmf("7")])))
    assert digits(ear) == ["7", "7"]


def test_one_press_told_in_all_three_ways_is_one_digit(open_rig):
    rig = open_rig(inband=Inband.ALWAYS)
    phone = rig.phone()
    call, ear = rig.open(phone)
    tone = tones.dtmf("4", tone_ms=160)
    count = say(phone, np.concatenate([np.zeros(20 * FRAME, np.int16), tone, np.zeros(60 * FRAME, np.int16), tone]))
    sequence = iter(range(10_000))
    presses = {start + n: packet for start in (20, 93) for n, packet in enumerate(event_payloads("4"))}

    def send(n):
        phone.send(call, phone.packet(n, sequence=next(sequence)))
        if n in presses:  # as some gateways do: the tone goes on beneath the event
            marker, payload = presses[n]
            start = (20 if n < 90 else 93) * FRAME
            phone.send(
                call,
                phone.packet(
                    n, sequence=next(sequence), payload_type=EVENTS, timestamp=start, marker=marker, payload=payload
                ),
            )
        if n in (30, 100):
            call.info_digit("4")

    rig.tick(count, before=send)
    assert digits(ear) == ["4", "4"]


def test_tones_are_listened_for_no_more_once_a_better_way_told_a_digit(open_rig):
    rig = open_rig(inband=Inband.ALWAYS)
    phone = rig.phone()
    call, ear = rig.open(phone)
    listened = rig.engine._board._tones
    rig.tick()
    assert listened.slots.tolist() == [call.slot]
    call.info_digit("1")
    rig.tick()
    assert not len(listened.slots)
    rig.talk(call, phone, say(phone, tones.dtmf("2")))
    assert digits(ear) == ["1"]


def test_an_update_that_agrees_to_events_or_to_none_is_followed(rig):
    phone = rig.phone()
    call, ear = rig.open(phone)
    listened = rig.engine._board._tones
    rig.tick()
    assert not len(listened.slots)
    remote = phone.remote
    call.update(type(remote)(address=remote.address, codec=remote.codec, telephone_event=None))
    rig.talk(call, phone, say(phone, tones.dtmf("9")))
    assert digits(ear) == ["9"]
    call.update(remote)
    rig.tick()
    assert not len(listened.slots)


def test_a_slot_used_again_remembers_nothing(open_rig):
    rig = open_rig(max_calls=1, max_legs=1)
    for _ in range(2):
        phone = rig.phone()
        call, ear = rig.open(phone, telephone_event=None)
        rig.talk(call, phone, say(phone, tones.dtmf("8")))
        assert digits(ear) == ["8"]
        finish(rig, call)


def test_info_tells_keys_only(rig):
    phone = rig.phone()
    call, ear = rig.open(phone)
    for digit in ("", "12", "E", "!", " "):
        with pytest.raises(InvalidInputError):
            call.info_digit(digit)
    call.info_digit("d")
    rig.tick()
    assert digits(ear) == ["D"]
    finish(rig, call)
    call.info_digit("1")
    rig.tick()
    assert digits(ear) == ["D"]


@pytest.mark.parametrize("path", CALLERS[:3], ids=lambda path: path.stem)
def test_callers_speech_presses_no_keys(rig, path):
    with wave.open(str(path)) as recording:
        spoken = np.frombuffer(recording.readframes(recording.getnframes()), np.int16)
    phone = rig.phone()
    call, ear = rig.open(phone, telephone_event=None)
    rig.talk(call, phone, say(phone, spoken))
    assert digits(ear) == []


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
