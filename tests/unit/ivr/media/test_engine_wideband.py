"""Calls with G.722 legs over real loopback sockets, against the codec alone."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from engine_rig import DELAY_FRAMES, EVENTS, FRAME, Ear, Rig, finish

from ivr.media import g711, tones
from ivr.media.g722 import DELAY as CODEC_DELAY
from ivr.media.g722 import G722Decoder, G722Encoder
from ivr.media.mixer import Party, Role, mix_of
from ivr.media.resample import DELAY
from ivr.media.types import Codec
from ivr.media.wideband import LAG

BRIDGED = mix_of({"caller": Party(Role.CALLER), "seat": Party(Role.SEAT)})
START = DELAY_FRAMES * FRAME
"""Where on the timeline, in samples at 8 kHz, the first packet lies."""


@pytest.fixture
def rig():
    rig = Rig()
    yield rig
    rig.close()


def voice(seconds, *, seed=1, low=100, high=7000):
    """Noise of that band at 16 kHz."""
    count = int(seconds * 16000)
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(0, 1, count))
    frequency = np.fft.rfftfreq(count, 1 / 16000)
    spectrum[(frequency < low) | (frequency > high)] = 0
    signal = np.fft.irfft(spectrum, count)
    return np.rint(signal / np.abs(signal).max() * 12000).astype(np.int16)


def band_db(samples, low, high):
    """The power of a band of a 16 kHz signal, in dB."""
    spectrum = np.abs(np.fft.rfft(samples.astype(float) * np.hanning(len(samples)))) ** 2 / len(samples)
    frequency = np.fft.rfftfreq(len(samples), 1 / 16000)
    return 10 * np.log10(spectrum[(frequency > low) & (frequency < high)].sum() + 1)


def snr_db(clean, coded):
    clean = clean.astype(float)
    return 10 * np.log10((clean**2).sum() / ((clean - coded) ** 2).sum())


def speak(phone, samples):
    """The phone's audio from now on; returns its frames."""
    phone.audio = G722Encoder().encode(samples)
    return len(phone.audio) // FRAME


def decoded(phone):
    """What a G.722 phone hears."""
    return G722Decoder().decode(b"".join(packet.payload for packet in phone.received()))


def test_the_recording_is_what_the_decoder_makes_of_the_packets_bit_for_bit(rig):
    phone = rig.phone(Codec.G722)
    call, ear = rig.open(phone, sample_rate=16000)
    count = speak(phone, voice(1))
    rig.talk(call, phone, count)
    rig.tick(DELAY_FRAMES + 2)
    finish(rig, call)
    reference = G722Decoder().decode(phone.audio)
    begin = 2 * START + LAG
    assert np.array_equal(ear.left[begin : begin + len(reference) - LAG], reference[:-LAG])
    assert not ear.left[:begin].any()
    assert b"".join(ear.tapped) == ear.left.tobytes()
    assert len(ear.left) / 16 == call.offset_ms()
    assert snr_db(voice(1)[320:-CODEC_DELAY], reference[320 + CODEC_DELAY :]) > 12


def test_a_recording_and_a_tap_at_eight_kilohertz_have_the_lower_band(rig):
    phone = rig.phone(Codec.G722)
    call, ear = rig.open(phone)
    rig.talk(call, phone, speak(phone, voice(0.5)))
    rig.tick(DELAY_FRAMES + 2)
    finish(rig, call)
    reference = G722Decoder(rate=8000).decode(phone.audio)
    assert np.array_equal(ear.left[START : START + len(reference)], reference)
    assert b"".join(ear.tapped) == ear.left.tobytes()


def test_a_prompt_is_heard_and_recorded_at_sixteen_kilohertz(rig):
    phone = rig.phone(Codec.G722)
    call, ear = rig.open(phone, sample_rate=16000)
    prompt = voice(1, high=3300)[::2].copy()
    call.play(prompt, token=1)
    rig.tick(60)
    wide = np.zeros(16000)
    wide[::2] = prompt
    spectrum = np.fft.rfft(wide)
    spectrum[len(spectrum) // 2 :] = 0
    wide = 2 * np.fft.irfft(spectrum)
    heard = decoded(phone)
    assert ("played", 1, True, 1000) in ear.events
    late = DELAY + CODEC_DELAY
    assert snr_db(wide[640:-late], heard[640 + late : 16000]) > 12
    finish(rig, call)
    assert snr_db(wide[640:-DELAY], ear.right[640 + DELAY : 16000]) > 40
    assert all(packet_type == Codec.G722.value for packet_type in {p.payload_type for p in phone.received()} | {9})


def pair(rig, caller, seat, *, sample_rate):
    phones = rig.phone(caller), rig.phone(seat)
    call, ear = rig.open(phones[0], sample_rate=sample_rate)
    other = Ear(sample_rate=sample_rate)
    leg = call.add_leg("seat", listener=other, remote=phones[1].remote, tap=other)
    call.set_mix(BRIDGED)
    return phones, (call, leg), (ear, other)


def talk(rig, phones, legs, frames):
    def send(number):
        for phone, leg in zip(phones, legs, strict=True):
            phone.send(leg, phone.packet(number))

    rig.tick(frames, before=send)


def test_wideband_parties_hear_each_other_wide_and_are_recorded_so(rig):
    phones, legs, ears = pair(rig, Codec.G722, Codec.G722, sample_rate=16000)
    count = min(speak(phones[0], voice(1)), speak(phones[1], voice(1, seed=2)))
    talk(rig, phones, legs, count)
    for listener, speaker in ((0, 1), (1, 0)):
        heard, said = decoded(phones[listener])[6400:12800], voice(1, seed=speaker + 1)[6400:12800]
        for band in ((300, 3000), (4500, 6800)):
            assert band_db(heard, *band) == pytest.approx(band_db(said, *band), abs=1.5)
    rig.tick(20)
    finish(rig, legs[0])
    assert np.abs(ears[0].right).max() > 3000
    reference = G722Decoder().decode(phones[1].audio)
    begin = 2 * START + LAG
    seat_in_right = ears[0].right[begin : begin + len(reference) - LAG]
    assert np.array_equal(seat_in_right[6400:-640], reference[6400 : -LAG - 640])
    assert b"".join(ears[1].tapped)[-32000:] != b"\0" * 32000


def test_a_narrowband_party_hears_a_wideband_one_and_the_other_way_round(rig):
    phones, legs, ears = pair(rig, Codec.G722, Codec.PCMA, sample_rate=16000)
    speak(phones[0], voice(1))
    said = voice(1, seed=2, high=3300)[::2]
    phones[1].audio = g711.encode(said.copy(), codec=Codec.PCMA)
    talk(rig, phones, legs, 50)
    seat_hears = g711.decode(b"".join(packet.payload for packet in phones[1].received()), codec=Codec.PCMA)
    reference = G722Decoder(rate=8000).decode(phones[0].audio)
    offset = int(np.argmax(np.correlate(seat_hears[2400:6400].astype(float), reference[2400:4800].astype(float))))
    assert snr_db(reference[2400:4800], seat_hears[2400 + offset : 4800 + offset]) > 30, "A-law's noise alone"
    caller_hears = decoded(phones[0])[6400:12800]
    assert band_db(caller_hears, 300, 3000) == pytest.approx(
        band_db(voice(1, seed=2, high=3300)[6400:12800], 300, 3000), abs=1
    )
    assert band_db(caller_hears, 4700, 7000) < band_db(caller_hears, 300, 3000) - 12, "G.722's noise alone"
    rig.tick(20)
    finish(rig, legs[0])
    assert len(ears[0].left) == len(ears[0].right) == legs[0].offset_ms() * 16


def test_a_wideband_seat_in_a_narrowband_call_is_recorded_at_eight_kilohertz(rig):
    phones, legs, ears = pair(rig, Codec.PCMA, Codec.G722, sample_rate=8000)
    speak(phones[1], voice(1))
    talk(rig, phones, legs, 50)
    rig.tick(20)
    finish(rig, legs[0])
    reference = G722Decoder(rate=8000).decode(phones[1].audio)
    recorded = ears[0].right[START + 3200 : START + 6400].astype(int)
    assert set((recorded - reference[3200:6400]).tolist()) == {8}, "A-law's silence, which the caller is sent besides"
    assert len(ears[0].left) == legs[0].offset_ms() * 8


def test_what_is_lost_is_silence_of_its_length(rig):
    phone = rig.phone(Codec.G722)
    call, ear = rig.open(phone, sample_rate=16000)
    count = speak(phone, voice(1))
    rig.tick(count, before=lambda n: 20 <= n < 25 or phone.send(call, phone.packet(n)))
    rig.tick(20)
    finish(rig, call)
    begin = 2 * (START + 20 * FRAME)
    settled = ear.left[begin + 2 * DELAY : begin + 10 * FRAME]
    assert not settled.any()
    assert ear.left[begin - 320 : begin].any()
    assert ear.left[begin + 10 * FRAME + 40 :][:320].any()


@pytest.mark.parametrize("ptime_ms", [10, 30, 60])
def test_packets_of_other_lengths_go_both_ways(rig, ptime_ms):
    phone = rig.phone(Codec.G722)
    call, ear = rig.open(phone, sample_rate=16000, ptime_ms=ptime_ms)
    call.play(voice(1, high=3300)[::2].copy(), token=1)
    speak(phone, voice(0.96))
    size = ptime_ms * 8
    packets = [
        phone.packet(n, timestamp=n * size, payload=phone.audio[n * size : (n + 1) * size])
        for n in range(len(phone.audio) // size)
    ]
    due = list(packets)

    def send(tick):
        while due and due[0].timestamp <= tick * FRAME:
            phone.send(call, due.pop(0))

    rig.tick(60, before=send)
    received = phone.received()
    assert {len(packet.payload) for packet in received[:10]} == {size}
    assert {(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in pairwise(received[:10])} == {size}
    finish(rig, call)
    reference = G722Decoder().decode(phone.audio)
    begin = np.flatnonzero(ear.left)[0]
    assert np.array_equal(ear.left[begin : begin + 12000], reference[np.flatnonzero(reference)[0] :][:12000])


def test_digits_work_as_on_any_leg(rig):
    phone = rig.phone(Codec.G722)
    call, ear = rig.open(phone, sample_rate=16000, telephone_event=None)
    keys = tones.dtmf("159#")
    wide = np.zeros(2 * len(keys))
    wide[::2] = keys
    spectrum = np.fft.rfft(wide)
    spectrum[len(spectrum) // 2 :] = 0
    speak(phone, np.rint(2 * np.fft.irfft(spectrum)).astype(np.int16))
    call.send_digits("7")
    rig.talk(call, phone, len(phone.audio) // FRAME)
    rig.tick(10)
    assert [event[1] for event in ear.events if event[0] == "digit"] == list("159#")
    heard = decoded(phone)[:3200]
    assert band_db(heard, 830, 870) > 50
    assert band_db(heard, 1190, 1230) > 50


def test_an_update_may_change_the_codec(rig):
    phone = rig.phone(Codec.G722)
    call, ear = rig.open(phone, sample_rate=16000)
    speak(phone, voice(1))
    rig.talk(call, phone, 20)
    phone.codec, phone.audio = Codec.PCMA, rig.phone().audio
    call.update(replace(phone.remote, telephone_event=EVENTS))
    rig.talk(call, phone, 30, first=20)
    assert {packet.payload_type for packet in phone.received()[-10:]} == {Codec.PCMA.value}
    rig.tick(20)
    finish(rig, call)
    narrow = ear.left[2 * (START + 30 * FRAME) : 2 * (START + 45 * FRAME)]
    assert band_db(narrow, 300, 3300) > band_db(narrow, 4800, 8000) + 30
    assert len(ear.left) == call.offset_ms() * 16


def test_a_slot_used_again_has_nothing_of_the_last_leg(rig):
    rig.close()
    rig.engine = Rig(max_calls=1, max_legs=1).engine
    phone = rig.phone(Codec.G722)
    call, _ = rig.open(phone, sample_rate=16000)
    rig.talk(call, phone, speak(phone, voice(1)))
    finish(rig, call)
    call, ear = rig.open(phone, sample_rate=16000)
    rig.tick(150)
    finish(rig, call)
    assert not ear.left.any()
    assert not ear.right.any()


@pytest.mark.parametrize("payload", [b"", bytes(1601)])
def test_bad_packets_are_counted_and_g722_is_heard_only_where_agreed(rig, payload):
    wide, narrow = rig.phone(Codec.G722), rig.phone()
    call, _ = rig.open(wide, sample_rate=16000)
    other, _ = rig.open(narrow)
    rig.tick()
    wide.send(call, wide.packet(0))
    wide.send(call, wide.packet(1, payload=payload))
    narrow.send(other, narrow.packet(0))
    narrow.send(other, narrow.packet(1, payload_type=9))
    rig.tick()
    assert rig.engine.stats().bad == 2
