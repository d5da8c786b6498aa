import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr.media.g722 import G722Decoder, G722Encoder
from ivr.media.gain import GainCurve
from ivr.media.ring import RING, Rings
from ivr.media.wideband import LAG, WIDTH, WidebandDecoder, WidebandEncoder, Widener


def tone(hz, *, rate=16000, seconds=1.0, peak=8000):
    return np.rint(peak * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)).astype(np.int16)


def power(samples, hz):
    """Of a 16 kHz signal near a frequency, in dB of all of it."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    near = np.abs(np.fft.rfftfreq(len(samples), 1 / 16000) - hz) < 30
    return 10 * np.log10(spectrum[near].sum() / spectrum.sum())


@settings(max_examples=25, deadline=None)
@given(st.binary(min_size=40, max_size=1500), st.lists(st.integers(1, 300), min_size=1, max_size=20))
def test_both_planes_together_are_what_the_codec_decodes_whatever_the_packets_and_blocks(octets, sizes):
    decoder, widener = WidebandDecoder(), Widener()
    lower, second, at = [], [], 0
    while at < len(octets):
        size = sizes[len(lower) % len(sizes)]
        for planes, plane in zip((lower, second), decoder.decode(octets[at : at + size]), strict=True):
            planes.append(plane)
        at += size
    lower, second = np.concatenate(lower), np.concatenate(second)
    assert len(second) == WIDTH * len(lower) == WIDTH * len(octets)
    assert np.array_equal(lower, G722Decoder(rate=8000).decode(octets))
    half = len(lower) // 2
    wide = [widener.update(lower[:half], second[: 2 * half]), widener.update(lower[half:], second[2 * half :])]
    expected = G722Decoder().decode(octets)
    full_scale = np.abs(expected.astype(int)).max() > 24000  # a plane, the difference of two, may not hold it
    if not full_scale:
        assert np.array_equal(np.concatenate(wide)[LAG:], expected[: len(expected) - LAG])


def test_the_second_plane_of_a_voice_below_three_kilohertz_is_small():
    payload = G722Encoder().encode(tone(1000))
    lower, second = WidebandDecoder().decode(payload)
    assert np.mean(second[1600:].astype(float) ** 2) < 0.05 * np.mean(lower[800:].astype(float) ** 2)


@pytest.mark.parametrize("hz", [5000, 6500])
def test_the_upper_band_is_in_the_second_plane(hz):
    lower, second = WidebandDecoder().decode(G722Encoder().encode(tone(hz)))
    assert np.abs(lower[800:]).max() < 1000
    assert power(second[1600:], hz) > -1


def test_what_is_sent_has_the_band_of_both_planes():
    encoder, decoder = WidebandEncoder(), G722Decoder()
    low, high = tone(1000, rate=8000), tone(5000)
    octets = [
        encoder.encode(low[n * 160 : n * 160 + 160], high[n * 320 : n * 320 + 320].astype(np.float32))
        for n in range(50)
    ]
    assert {len(each) for each in octets} == {160}
    heard = decoder.decode(b"".join(octets))[1600:]
    assert power(heard, 1000) == pytest.approx(-3, abs=0.5)
    assert power(heard, 5000) == pytest.approx(-3, abs=0.5)


def test_without_a_second_plane_nothing_is_above_four_kilohertz():
    widener = Widener()
    wide = widener.update(tone(1000, rate=8000), None)
    assert power(wide[400:], 1000) > -0.01
    assert power(wide[400:], 7000) < -60


def test_sums_of_planes_saturate():
    loud = np.full(320, 30000, np.int16)
    assert Widener().update(np.full(160, 30000, np.int16), loud).max() == 32767


@pytest.mark.parametrize("position", [0, 160, RING - 160, 3 * RING + 1])
def test_a_ring_of_two_samples_a_position_keeps_them_in_place(position):
    rings = Rings(slots=2, width=2)
    samples = np.arange(640, dtype=np.int16)[None]
    rings.put(np.array([1]), samples, positions=np.array([position]))
    rings.add(1, np.ones(2, np.int16), position=position + 1)
    samples = samples[0].copy()
    samples[2:4] += 1
    assert np.array_equal(rings.take(1, position=position, count=320), samples)
    assert not rings.take(1, position=position, count=320).any()
    assert not rings.take(0, position=position, count=320).any()


def test_a_gain_reaches_both_planes_at_the_same_time():
    gain = GainCurve(1.0)
    gain.step(320, 0.0)
    first = gain.apply(np.full(640, 10000, np.int16), 160)
    second = gain.apply(np.full(1280, 10000, np.int16), 160, width=2)
    assert np.array_equal(second[::2], first)
    assert (np.diff(second.astype(int)) <= 0).all()
