import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.errors import ProtocolError
from ivr.media.comfort import MAX_PAYLOAD, SILENT, ComfortNoise, ComfortNoiseGenerator, levels

noises = st.builds(
    ComfortNoise,
    level=st.integers(0, 127),
    coefficients=st.lists(st.integers(0, 254), max_size=MAX_PAYLOAD - 1).map(tuple),
)


def generate(noise, *, frames=200, slot=1):
    generator = ComfortNoiseGenerator(slots=3, random=np.random.default_rng(4))
    generator.open(slot)
    generator.set(slot, noise)
    return np.concatenate([generator.frames(np.array([slot]))[0] for _ in range(frames)])


def dbov(samples):
    return 10 * np.log10(np.mean(samples.astype(float) ** 2) / 32768**2)


@given(noises)
def test_what_is_serialized_is_parsed_again(noise):
    assert ComfortNoise.parse(noise.serialize()) == noise


@given(st.binary(max_size=100))
def test_any_payload_is_comfort_noise_or_a_protocol_error(payload):
    try:
        noise = ComfortNoise.parse(payload)
    except ProtocolError:
        return
    assert noise.serialize() == payload


@pytest.mark.parametrize("payload", [b"", b"\x80", b"\xff\x01", b"\x20\xff", bytes(MAX_PAYLOAD + 1)])
def test_no_level_a_reserved_bit_or_a_forbidden_coefficient_is_refused(payload):
    with pytest.raises(ProtocolError):
        ComfortNoise.parse(payload)


@pytest.mark.parametrize("fields", [{"level": 128}, {"level": -1}, {"level": 1, "coefficients": (255,)}])
def test_invalid_noise_cannot_be_built(fields):
    with pytest.raises(ValueError, match="not comfort noise"):
        ComfortNoise(**fields)


def test_coefficients_are_those_of_the_rfc():
    assert ComfortNoise(level=0, coefficients=(0, 127, 254)).reflections == pytest.approx(
        (-0.99994, 0, 0.99994), abs=1e-5
    )


@pytest.mark.parametrize("level", [20, 40, 60, 75])
@pytest.mark.parametrize("coefficients", [(), (40,), (200,), (20, 180, 100)])
def test_noise_is_as_loud_as_it_says_whatever_its_colour(level, coefficients):
    samples = generate(ComfortNoise(level=level, coefficients=coefficients))
    assert dbov(samples[320:]) == pytest.approx(-level, abs=1)


def test_a_negative_first_coefficient_makes_it_dark_and_a_positive_one_bright():
    power = {}
    for coefficient in (20, 127, 234):
        spectrum = np.abs(np.fft.rfft(generate(ComfortNoise(level=30, coefficients=(coefficient,))).astype(float))) ** 2
        power[coefficient] = spectrum[: len(spectrum) // 2].sum() / spectrum.sum()
    assert power[20] > 0.9
    assert power[127] == pytest.approx(0.5, abs=0.05)
    assert power[234] < 0.1


def test_noise_is_steady_over_frames_and_never_repeats():
    samples = generate(ComfortNoise(level=30)).reshape(-1, 160)[1:].astype(float)
    level = 10 * np.log10((samples**2).mean(axis=1))
    assert level.std() < 0.8
    within = (samples**2).mean(axis=0)
    assert within.max() / within.min() < 3
    assert np.abs(np.corrcoef(samples[:50]) - np.eye(50)).max() < 0.5


def test_it_rises_from_silence_and_changes_without_a_step():
    samples = generate(ComfortNoise(level=30), frames=2).astype(float)
    assert np.abs(samples[:16]).mean() < 0.3 * np.abs(samples[160:]).mean()
    generator = ComfortNoiseGenerator(slots=1, random=np.random.default_rng(1))
    generator.set(0, ComfortNoise(level=20))
    for _ in range(5):
        generator.frames(np.array([0]))
    generator.set(0, ComfortNoise(level=SILENT))
    falling = generator.frames(np.array([0]))[0].astype(float)
    assert np.abs(falling[:40]).mean() > 4 * np.abs(falling[-40:]).mean()
    assert not generator.frames(np.array([0])).any()


def test_without_a_payload_and_after_reopening_it_is_silence():
    generator = ComfortNoiseGenerator(slots=2, random=np.random.default_rng(1))
    assert not generator.frames(np.array([0, 1])).any()
    generator.set(1, ComfortNoise(level=10))
    assert generator.frames(np.array([0, 1])).any(axis=1).tolist() == [False, True]
    generator.open(1)
    assert not generator.frames(np.array([0, 1])).any()


class Line:
    """A call whose audio is loud, and whose frames may be missing."""

    def __init__(self):
        self.generator = ComfortNoiseGenerator(slots=2, random=np.random.default_rng(1))
        self.audio = np.full((1, 160), 9000, np.int16)

    def play(self, *, missing=False):
        """The level of the frame heard, and whether it is missing still."""
        silence = np.zeros((1, 160), np.int16)
        frames, lost = self.generator.fill(
            np.array([1]), silence if missing else self.audio, missing=np.array([missing])
        )
        return dbov(frames + 1e-3), bool(lost[0])


def test_a_pause_is_filled_from_its_first_missing_frame_until_audio_comes_again():
    line = Line()
    line.generator.set(1, ComfortNoise(level=40))
    for _ in range(3):  # what the jitter buffer still holds
        assert line.play() == (pytest.approx(-11.2, abs=0.1), False)
    filled = [line.play(missing=True) for _ in range(20)]
    assert not any(lost for _, lost in filled)
    assert np.mean([level for level, _ in filled[1:]]) == pytest.approx(-40, abs=1)
    assert line.play() == (pytest.approx(-11.2, abs=0.2), False)
    frames, _ = line.generator.fill(np.array([1]), line.audio, missing=np.array([False]))
    assert frames is line.audio


def test_a_loss_that_is_no_pause_is_left_to_concealment():
    line = Line()
    assert line.play(missing=True)[1]
    line.generator.set(1, ComfortNoise(level=40))
    assert not line.play(missing=True)[1]
    line.play()
    assert line.play(missing=True)[1]


def test_noise_fades_into_the_audio_that_ends_a_pause():
    line = Line()
    line.generator.set(1, ComfortNoise(level=20))
    for _ in range(5):
        line.play(missing=True)
    quiet = np.zeros((1, 160), np.int16)
    frames, _ = line.generator.fill(np.array([1]), quiet, missing=np.array([False]))
    assert np.abs(frames[0, :30]).mean() > 5 * np.abs(frames[0, -30:]).mean() > 0
    assert not quiet.any()


def test_a_pause_of_one_call_does_not_touch_another():
    line = Line()
    line.generator.set(0, ComfortNoise(level=30))
    frames, lost = line.generator.fill(np.array([1, 0]), np.zeros((2, 160), np.int16), missing=np.array([True, True]))
    assert frames.any(axis=1).tolist() == [False, True]
    assert lost.tolist() == [True, False]


@given(noises)
def test_no_coefficients_make_it_overflow(noise):
    generator = ComfortNoiseGenerator(slots=1, random=np.random.default_rng(1))
    generator.set(0, noise)
    assert generator.frames(np.array([0])).shape == (1, 160)


@pytest.mark.parametrize(("amplitude", "level"), [(32767, 0), (3277, 20), (33, 60), (1, 90), (0, SILENT)])
def test_level_of_a_square_wave_is_its_height(amplitude, level):
    square = np.where(np.arange(160) % 8 < 4, amplitude, -amplitude).astype(np.int16)
    assert levels(np.stack([square, np.zeros(160, np.int16)])).tolist() == [level, SILENT]


def test_level_measured_of_generated_noise_is_the_one_it_was_made_with():
    assert abs(int(levels(generate(ComfortNoise(level=45))[None, 320:])[0]) - 45) <= 1
