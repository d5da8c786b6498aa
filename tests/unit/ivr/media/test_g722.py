import numpy as np
import pytest

from ivr.media.g722 import DELAY, G722Decoder, G722Encoder


def noise(count, *, low=100, high=6500, rate=16000, seed=1):
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(0, 1, count))
    frequency = np.fft.rfftfreq(count, 1 / rate)
    spectrum[(frequency < low) | (frequency > high)] = 0
    signal = np.fft.irfft(spectrum, count)
    return np.rint(signal / np.abs(signal).max() * 12000).astype(np.int16)


def through(samples, *, frame=320):
    encoder, decoder = G722Encoder(), G722Decoder()
    return np.concatenate([decoder.decode(encoder.encode(part)) for part in samples.reshape(-1, frame)])


def snr_db(clean, coded):
    clean = clean.astype(float)
    return 10 * np.log10((clean**2).sum() / ((clean - coded) ** 2).sum())


def test_twenty_milliseconds_are_160_octets_and_320_samples():
    payload = G722Encoder().encode(noise(320))
    assert isinstance(payload, bytes)
    assert len(payload) == 160
    decoded = G722Decoder().decode(payload)
    assert decoded.dtype == np.int16
    assert decoded.shape == (320,)


def test_wideband_audio_survives_delayed_by_two_filters():
    samples = noise(16000)
    decoded = through(samples)
    assert snr_db(samples[320:-DELAY], decoded[320 + DELAY :]) > 13
    wrong = [snr_db(samples[320:-40], decoded[320 + delay :][: 16000 - 360]) for delay in (DELAY - 1, DELAY + 1)]
    assert max(wrong) < 5


@pytest.mark.parametrize("hz", [4500, 6000])
def test_the_upper_band_is_there(hz):
    tone = np.rint(8000 * np.sin(2 * np.pi * hz * np.arange(16000) / 16000)).astype(np.int16)
    spectrum = np.abs(np.fft.rfft(through(tone)[6400:].astype(float)))
    assert np.fft.rfftfreq(9600, 1 / 16000)[spectrum.argmax()] == pytest.approx(hz, abs=5)


@pytest.mark.parametrize("frame", [160, 320, 640, 960])
def test_the_length_of_packets_does_not_change_the_stream(frame):
    samples = noise(9600)
    assert np.array_equal(through(samples, frame=frame), through(samples, frame=9600))


def test_streams_have_states_of_their_own():
    one, other = noise(640), noise(640, seed=2)
    first, second = G722Encoder(), G722Encoder()
    mixed = [first.encode(one[:320]), second.encode(other[:320]), first.encode(one[320:])]
    alone = G722Encoder()
    assert mixed[0] + mixed[2] == alone.encode(one)


def test_decoding_goes_on_after_lost_packets():
    samples, encoder, decoder = noise(32000), G722Encoder(), G722Decoder()
    payloads = [encoder.encode(part) for part in samples.reshape(-1, 320)]
    del payloads[40:45]
    decoded = np.concatenate([decoder.decode(payload) for payload in payloads])
    kept = np.concatenate([samples[: 40 * 320], samples[45 * 320 :]])
    assert snr_db(kept[60 * 320 : -DELAY], decoded[60 * 320 + DELAY :]) > 13


def test_the_lower_band_alone_at_eight_kilohertz_is_the_same_stream():
    narrow = noise(8000, high=3000, rate=8000)
    payload = G722Encoder(rate=8000).encode(narrow)
    assert len(payload) == 8000
    decoded = G722Decoder(rate=8000).decode(payload)
    assert snr_db(narrow[320:], decoded[320:]) > 15
    wide = G722Decoder().decode(payload)
    spectrum = np.abs(np.fft.rfft(wide[3200:].astype(float))) ** 2
    frequency = np.fft.rfftfreq(len(wide) - 3200, 1 / 16000)
    assert spectrum[frequency > 4500].sum() < 0.01 * spectrum.sum()


def test_any_octets_decode_and_none_do():
    assert len(G722Decoder().decode(b"")) == 0
    assert len(G722Decoder().decode(bytes(range(256)))) == 512


@pytest.mark.parametrize("samples", [np.zeros(321, np.int16), np.zeros(320, np.float32), np.zeros((2, 320), np.int16)])
def test_what_makes_no_whole_octets_is_refused(samples):
    with pytest.raises(ValueError, match="cannot encode"):
        G722Encoder().encode(samples)


def test_other_rates_are_refused():
    with pytest.raises(ValueError, match="44100"):
        G722Decoder(rate=44100)
