import io
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.errors import InvalidInputError
from recordings.redaction import (
    KEY_MS,
    TONE_LEVEL,
    AudioSpan,
    RedactedWav,
    keyed_spans,
    merged,
    open_redacted,
    redacted,
)
from recordings.wav import wav_header

RATE = 8000
RAMP = 40  # 5 ms
spans = st.lists(
    st.tuples(st.integers(0, 300), st.integers(0, 200)).map(lambda pair: AudioSpan(pair[0], sum(pair))), max_size=5
)


def noise(count, channels=2, seed=1):
    return np.random.default_rng(seed).integers(-32768, 32767, (count, channels), np.int16)


def wav(samples, rate=RATE):
    return wav_header(samples.nbytes, sample_rate=rate, channels=samples.shape[1]) + samples.tobytes()


def inside(wanted, count):
    mask = np.zeros(count, bool)
    for span in wanted:
        mask[span.start_ms * 8 : span.end_ms * 8] = True
    return mask


@given(spans, st.integers(0, 4000), st.sampled_from([1, 2]))
def test_nothing_of_the_original_is_left_inside_and_all_of_it_outside(found, count, channels):
    wanted = merged(found)
    speech = noise(count, channels)
    out = redacted(speech, wanted, sample_rate=RATE)
    assert out.shape == speech.shape
    hidden = inside(wanted, count)
    other = redacted(noise(count, channels, seed=2), wanted, sample_rate=RATE)
    assert np.array_equal(out[hidden], other[hidden]), "it depends on what was said"
    assert np.abs(out[hidden]).max(initial=0) <= TONE_LEVEL
    far = ~inside([AudioSpan(max(0, span.start_ms - 6), span.end_ms + 6) for span in wanted], count)
    assert np.array_equal(out[far], speech[far])


@given(spans, st.integers(1, 3000), st.integers(0, 3000), st.integers(0, 3000))
def test_any_range_is_the_same_as_that_part_of_the_whole(found, count, begin, end):
    wanted = merged(found)
    speech = noise(count)
    begin, end = sorted((min(begin, count), min(end, count)))
    part = redacted(speech[begin:end], wanted, sample_rate=RATE, first=begin)
    assert np.array_equal(part, redacted(speech, wanted, sample_rate=RATE)[begin:end])


def test_a_hidden_stretch_is_a_tone_that_neither_begins_nor_ends_with_a_click():
    speech = np.full((8000, 2), 20_000, np.int16)
    out = redacted(speech, [AudioSpan(400, 600)], sample_rate=RATE)
    spectrum = np.abs(np.fft.rfft(out[3300:4700, 0].astype(float)))
    assert np.fft.rfftfreq(1400, 1 / RATE)[spectrum.argmax()] == pytest.approx(1000, abs=6)
    steps = np.abs(np.diff(out[:, 0].astype(int)))
    assert steps[: 3200 - RAMP - 1].max() == steps[4800 + RAMP + 1 :].max() == 0
    assert steps.max() < 20_000 / RAMP + TONE_LEVEL, "no jump but the tone's own"
    assert np.array_equal(out[:, 0], out[:, 1]), "both channels"


def test_wideband_recordings_are_hidden_at_the_same_moments():
    speech = noise(16_000)
    out = redacted(speech, [AudioSpan(250, 500)], sample_rate=16_000)
    changed = np.flatnonzero((out != speech).any(axis=1))
    assert 4000 - 80 <= changed[0] <= 4000
    assert 8000 - 1 <= changed[-1] < 8000 + 80


@pytest.mark.parametrize("size", [1, 7, 44, 45, 46, 1000, 100_000])
def test_a_file_read_in_any_pieces_is_of_equal_length_and_equal_bytes(size):
    speech = noise(2000)
    data = wav(speech)
    wanted = merged([AudioSpan(50, 120), AudioSpan(200, 900)])
    whole = wav(redacted(speech, wanted, sample_rate=RATE))
    with open_redacted(io.BytesIO(data), wanted) as file:
        read = b"".join(iter(lambda: file.read(size), b""))
    assert len(read) == len(data)
    assert read == whole


@given(st.integers(0, 8100), st.integers(0, 8100))
def test_a_player_may_jump_anywhere(start, length):
    speech = noise(2000)
    wanted = (AudioSpan(50, 120),)
    whole = wav(redacted(speech, wanted, sample_rate=RATE))
    with open_redacted(io.BytesIO(wav(speech)), wanted) as file:
        file.seek(start)
        assert file.read(length) == whole[start : start + length]


def test_chunks_after_the_audio_and_a_torn_last_frame_keep_their_place():
    speech = noise(100)
    data = wav(speech) + b"LIST\4\0\0\0abcd"
    with open_redacted(io.BytesIO(data), (AudioSpan(0, 1000),)) as file:
        assert file.read()[-12:] == b"LIST\4\0\0\0abcd"
    torn = wav(speech)[:-1]
    with open_redacted(io.BytesIO(torn), (AudioSpan(0, 1000),)) as file:
        assert len(file.read()) == len(torn)


def test_what_is_no_such_wav_is_refused_and_what_needs_nothing_is_passed_through():
    eight_bit = bytearray(wav(noise(10)))
    eight_bit[32:34] = b"\2\0"  # octets a frame, of two channels
    for data in (b"", b"RIFF", b"ID3" * 100, bytes(eight_bit)):
        with pytest.raises(InvalidInputError):
            RedactedWav(io.BytesIO(data), (AudioSpan(0, 10),))
    plain = io.BytesIO(b"anything")
    assert open_redacted(plain, ()) is plain


def test_closing_closes_the_file_below():
    below = io.BytesIO(wav(noise(10)))
    open_redacted(below, (AudioSpan(0, 10),)).close()
    assert below.closed


@given(spans, st.integers(0, 50))
def test_merged_spans_are_in_order_apart_and_cover_what_was_given(found, margin):
    result = merged(found, margin_ms=margin)
    assert all(before.end_ms < after.start_ms for before, after in pairwise(result))
    for span in found:
        assert any(
            whole.start_ms <= max(0, span.start_ms - margin) and span.end_ms + margin <= whole.end_ms
            for whole in result
        )


@pytest.mark.parametrize("bad", [(-1, 5), (5, 4)])
def test_a_stretch_that_is_none_is_not_built(bad):
    with pytest.raises(ValueError, match="no stretch"):
        AudioSpan(*bad)


def test_rows_of_keys_are_hidden_and_single_ones_are_not():
    def digits(*moments):
        return [{"kind": "digit", "digit": "1", "offset_ms": at} for at in moments]

    details = {"entries": [*digits(1000), *digits(*range(20_000, 23_000, 500)), {"kind": "digit", "offset_ms": "x"}]}
    assert keyed_spans(details, least=6, pause_ms=5000) == [AudioSpan(20_000 - KEY_MS, 22_500 + KEY_MS)]
    assert keyed_spans({}, least=6, pause_ms=5000) == []
