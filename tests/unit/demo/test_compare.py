import numpy as np
import pytest
from numpy.typing import NDArray

from demo.compare import Match, caller_channel_matches


def speech(length: int, seed: int = 0) -> NDArray[np.int16]:
    return np.random.default_rng(seed).integers(-9000, 9000, length).astype(np.int16)


def recording(sent: NDArray[np.int16], *, before: int = 777, after: int = 900) -> NDArray[np.int16]:
    return np.concatenate([np.zeros(before, np.int16), sent, np.zeros(after, np.int16)])


def test_an_unchanged_channel_is_exact_and_its_place_is_told() -> None:
    sent = speech(8000)
    assert caller_channel_matches(recording(sent), sent) == Match(offset=777, exact=True, ratio=1.0)


def test_silence_around_what_was_sent_does_not_count() -> None:
    sent = np.concatenate([np.full(500, 8, np.int16), speech(4000), np.full(300, -8, np.int16)])
    recorded = recording(sent[500:4500], before=900)
    assert caller_channel_matches(recorded, sent) == Match(offset=400, exact=True, ratio=1.0)


def test_one_changed_sample_is_seen() -> None:
    sent = speech(8000)
    recorded = recording(sent)
    recorded[777 + 5000] ^= 1
    match = caller_channel_matches(recorded, sent)
    assert not match.exact
    assert match == Match(offset=777, exact=False, ratio=7999 / 8000)


def test_a_lost_frame_is_seen() -> None:
    sent = speech(8000)
    match = caller_channel_matches(recording(np.concatenate([sent[:3200], sent[3360:]])), sent)
    assert not match.exact
    assert 0.5 < match.ratio < 0.7


@pytest.mark.parametrize("cut", [1, 160, 4000])
def test_a_cut_end_is_not_exact(cut: int) -> None:
    sent = speech(8000)
    recorded = np.concatenate([np.zeros(100, np.int16), sent[:-cut]])
    assert not caller_channel_matches(recorded, sent).exact


def test_a_cut_beginning_is_not_exact_and_begins_before_the_recording() -> None:
    sent = speech(8000)
    match = caller_channel_matches(sent[160:], sent)
    assert match.offset == -160
    assert not match.exact


def test_a_repeating_sound_is_aligned_at_the_right_period() -> None:
    tone = np.round(8000 * np.sin(2 * np.pi * 400 * np.arange(8000) / 8000)).astype(np.int16)
    sent = np.concatenate([tone, speech(10), tone])
    assert caller_channel_matches(recording(sent), sent) == Match(offset=777, exact=True, ratio=1.0)


def test_a_distorted_channel_is_still_aligned() -> None:
    sent = speech(8000)
    match = caller_channel_matches(recording((sent // 2).astype(np.int16)), sent)
    assert match.offset == 777
    assert not match.exact


@pytest.mark.parametrize("recorded", [np.zeros(0, np.int16), np.zeros(5000, np.int16), speech(5000, 9)])
def test_a_foreign_channel_does_not_match(recorded: NDArray[np.int16]) -> None:
    match = caller_channel_matches(recorded, speech(8000))
    assert not match.exact
    assert match.ratio < 0.01


def test_silence_matches_nothing() -> None:
    assert caller_channel_matches(speech(800), np.full(800, 8, np.int16)) == Match(offset=-1, exact=False, ratio=0.0)
