import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recordings.peaks import MAX_PEAKS, peaks_of, serialize_peaks


def test_each_stretch_has_its_lowest_and_highest_sample_per_channel() -> None:
    samples = np.zeros((160, 2), dtype=np.int16)
    samples[10, 0], samples[20, 0] = 0x7FFF, -0x8000
    samples[100, 1] = 0x0500
    peaks = peaks_of(samples, sample_rate=8000)
    assert peaks == {"rate": 100, "channels": [[-128, 127, 0, 0], [0, 0, 0, 5]]}


def test_last_short_stretch_counts() -> None:
    samples = np.zeros((81, 1), dtype=np.int16)
    samples[80, 0] = 256
    assert peaks_of(samples, sample_rate=8000)["channels"] == [[0, 0, 1, 1]]


def test_long_recording_is_capped_and_its_rate_says_so() -> None:
    peaks = peaks_of(np.zeros((30 * 60 * 8000, 1), dtype=np.int16), sample_rate=8000)
    assert len(peaks["channels"][0]) // 2 <= MAX_PEAKS
    assert peaks["rate"] * 30 * 60 == len(peaks["channels"][0]) // 2


def test_no_audio_gives_empty_lines() -> None:
    assert peaks_of(np.zeros((0, 2), dtype=np.int16), sample_rate=8000) == {"rate": 100, "channels": [[], []]}


def test_serialized_form_is_compact_json() -> None:
    peaks = peaks_of(np.full((80, 2), 300, dtype=np.int16), sample_rate=8000)
    text = serialize_peaks(peaks)
    assert text == b'{"rate":100.0,"channels":[[1,1],[1,1]]}'
    assert json.loads(text) == peaks


@given(count=st.integers(0, 2000), channels=st.integers(1, 3), limit=st.integers(1, 50), seed=st.integers(0, 2**32 - 1))
def test_peaks_bound_every_sample_and_respect_the_limit(count: int, channels: int, limit: int, seed: int) -> None:
    samples = np.random.default_rng(seed).integers(-32768, 32768, (count, channels), dtype=np.int16)
    peaks = peaks_of(samples, sample_rate=8000, limit=limit)
    stretch = round(8000 / peaks["rate"])
    for channel in range(channels):
        line = np.array(peaks["channels"][channel]).reshape(-1, 2)
        assert len(line) == -(-count // stretch) <= limit
        for index, (low, high) in enumerate(line):
            part = samples[index * stretch : (index + 1) * stretch, channel]
            assert (low, high) == (part.min() >> 8, part.max() >> 8)
